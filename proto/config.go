package proto

import (
	"sync/atomic"
	"time"

	"ringcached/internal/contract"
)

// Config is what a Server is told. The zero value of each field has a meaning.
type Config struct {
	Settings Settings // shown by `stats settings`; some are obeyed, see there
	Version  string   // answered to `version`; "" is "unknown"
	// Protocol is what clients speak (-B).
	Protocol Protocol
	// Auth decides which clients are let in (-Y). nil: all of them, and none has to say who it is.
	Auth Authenticator
	// Amplification is how many bytes a reply to a datagram may have for each byte of the request, in both cases with the heads of datagrams.
	// 0: any number.
	Amplification int
	// RequestsPerEvent is how many requests of one connection are served before others get their turn (-R). 0: 20.
	RequestsPerEvent int
	// Start is the wall clock at the moment when the store's clock showed 2, its first second. Unix expiry times are measured against it.
	Start time.Time
	// Started is the store's second when the process started, which uptime counts from; later than the first where the store took up the
	// items of an earlier process. 0: the first.
	Started uint32
	// PID is shown by `stats`. 0: this process.
	PID int
	// Shutdown ends the whole server, for the command `shutdown`, gracefully or not; it returns before it has done so. nil: the command
	// is not enabled (-A).
	Shutdown func(graceful bool)
	// Engine is asked for what the I/O engine counts. It may be nil, or set later by Server.SetEngine.
	Engine Engine
	// Verbosity is the level that `verbosity` changes, shared with whoever logs. nil: one of the Server's own.
	Verbosity *atomic.Int32
	// Memory gives zeroed memory for sessions, outside the Go heap, and for as long as the process lives. nil: they lie in the heap.
	Memory func(bytes int) ([]byte, error)
	// Log takes lines for connections, requests and replies at verbosity 2 and above. nil: none.
	Log func(format string, args ...any)
}

// Protocol says how the protocol of a connection is known.
type Protocol uint8

const (
	ProtocolAuto   Protocol = iota // by its first byte: 0x80 is the beginning of a binary request
	ProtocolText                   // all connections speak the text protocol, meta commands included
	ProtocolBinary                 // all connections speak the binary protocol
)

// Label is what Worker.Open reads the protocol of a connection from; a label of 0 stands for Config.Protocol.
func (p Protocol) Label() uint8 { return uint8(p) + 1 }

// Authenticator knows who may use the server. It is asked by any worker, at any time.
type Authenticator interface {
	// Authenticate says whether user may come in with password. It keeps neither, and does not wait for anything.
	Authenticate(user, password []byte) bool
}

// Engine is what the protocol reports of the I/O engine. Its methods are called from any worker.
type Engine interface {
	// Stats reports what belongs in `stats`, under memcached's names (curr_connections, bytes_read, ...). Names that memcached does not
	// have are shown behind its own.
	Stats(add func(name, value string))
	// BatchStats reports what `stats batch` shows.
	BatchStats(add func(name, value string))
	// ResetStats does what `stats reset` means for these.
	ResetStats()
	// Wake makes Pending of a worker be asked soon, and EndBatch be called before.
	Wake(worker int)
	// Stopping says that the server is about to end, so that workers may not be called any more.
	Stopping() bool
	// Sockets tells of what a worker has open, at most so many at a time: from 0 on, and then from the next that it gave, while there are
	// more. Socket tells of one connection, and Descriptor only of its FD. Only that worker calls them.
	Sockets(worker int, from uint32, most int, tell func(contract.Socket)) (next uint32, more bool)
	Socket(worker int, conn uint32) contract.Socket
	Descriptor(worker int, conn uint32) int
}

// defaultRequestsPerEvent is -R when nothing is said.
const defaultRequestsPerEvent = 20
