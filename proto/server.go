package proto

import (
	"context"
	"math"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"ringcached/proto/admin"
	"ringcached/store"
)

// Server is what the workers of all channels share.
type Server struct {
	st        *store.Store
	config    Config
	perEvent  int           // requests per call of Data
	epoch     int64         // Unix time of the store's second 0
	verbosity *atomic.Int32 // may be Config.Verbosity
	version   string        // the whole reply to `version`

	admin admin.Server

	mu      sync.Mutex
	workers []*Worker

	_       [64]byte // what follows changes often
	uploads uploads
}

// NewServer makes a server over st. The store stays the caller's, who closes it after the last use of a worker and the end of Maintain.
func NewServer(st *store.Store, c Config) *Server {
	if c.RequestsPerEvent <= 0 {
		c.RequestsPerEvent = defaultRequestsPerEvent
	}
	if c.PID == 0 {
		c.PID = os.Getpid()
	}
	if c.Version == "" {
		c.Version = "unknown"
	}
	if c.Verbosity == nil {
		c.Verbosity = new(atomic.Int32)
	}
	s := &Server{
		st:        st,
		config:    c,
		perEvent:  c.RequestsPerEvent,
		epoch:     c.Start.Unix() - firstSecond,
		verbosity: c.Verbosity,
		version:   "VERSION " + c.Version + "\r\n",
	}
	s.uploads.begun = time.Now()
	s.admin.Init(st, admin.Config{
		Settings: c.Settings, Version: c.Version, Amplification: c.Amplification, RequestsPerEvent: c.RequestsPerEvent,
		Epoch: s.epoch, Started: max(c.Started, firstSecond), PID: c.PID, Verbosity: c.Verbosity, Uploads: s.uploadBytes,
	})
	if c.Engine != nil {
		s.SetEngine(c.Engine)
	}
	return s
}

// SetEngine names the engine that `stats` reports, for a caller whose engine is made after the server.
func (s *Server) SetEngine(e Engine) { s.admin.SetEngine(e) }

// currentEngine is the engine to ask, nil if there is none.
func (s *Server) currentEngine() Engine { return s.admin.Engine() }

// Maintain does, slice by slice, what no channel should have to wait for: see admin.Server.Maintain. It returns when ctx ends, and must have
// returned before the store is closed.
func (s *Server) Maintain(ctx context.Context) { s.admin.Maintain(ctx) }

// NewWorker makes the worker of one channel, which the Engine knows by its number: the first is 0.
func (s *Server) NewWorker() *Worker {
	w := &Worker{srv: s, st: s.st, sessions: sessions{memory: s.config.Memory}}
	if !s.config.Settings.NoCAS {
		w.casMask = math.MaxUint64
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	w.admin.Init(&s.admin, &w.tally.Tally, adminReplies{w}, w.stateName)
	w.id = w.admin.ID()
	s.workers = append(s.workers, w)
	return w
}

// allWorkers are the workers that were made until now.
func (s *Server) allWorkers() []*Worker {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.workers[:len(s.workers):len(s.workers)]
}

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

// Settings are what `stats settings` shows.
type Settings = admin.Settings

// Engine is what the protocol reports of the I/O engine.
type Engine = admin.Engine

// defaultRequestsPerEvent is -R when nothing is said.
const defaultRequestsPerEvent = 20
