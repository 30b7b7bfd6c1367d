package contract

import (
	"net/netip"
	"time"
)

// Handler is what a channel serves: bytes in, replies out. Each channel has its own, and calls it from one goroutine at a time.
type Handler interface {
	// Open announces a connection, and the label of the listener that accepted it: a number below LabelTLS that means nothing to the channel.
	Open(conn uint32, label uint8)
	// Data handles requests from the beginning of in and writes the replies to out. It returns how many bytes it consumed, and what
	// comes next. in is only valid during the call.
	Data(conn uint32, in []byte, out Replies) (n int, next Next)
	// Prefetch shows inputs that Data is most likely about to be given, at most PrefetchMax of them, most often each of another
	// connection, so that the memory that they will need can be fetched together. It changes nothing. A caller may never call it.
	Prefetch(inputs [][]byte)
	// UploadBuffer appends to parts, up to its capacity, the memory that the next bytes of conn belong in, after Data or UploadAdvance
	// answered Upload. The memory stays valid until UploadAdvance or Closed.
	UploadBuffer(conn uint32, parts [][]byte) [][]byte
	// UploadAdvance says that the next n bytes of conn, 0 < n, are in the memory that UploadBuffer gave, and writes the replies that
	// they complete to out.
	UploadAdvance(conn uint32, n int, out Replies) Next
	// Closed ends what Open began, while the connection still has its descriptor; references given to out may still be released later.
	Closed(conn uint32, why Reason)
	// Idle asks whether a connection that sent nothing for the idle timeout is to be closed.
	Idle(conn uint32) bool
	// Pending lists the connections that are to be sent something which is no reply. It is called in every iteration after EndBatch, and
	// soon after the channel was woken. The list is valid until the next call.
	Pending() []uint32
	// Push writes what such a connection is to be sent, until out is Full. More says that there is a rest.
	Push(conn uint32, out Replies) (more bool)
	// Unwanted calls end for connections that are to be closed because they do not send the rest of a request: they are idle, or hold too
	// much memory; then they stay, unless sure, if there is input that was not received yet. False says that one stays. It is called after
	// Tick, soon after the channel was woken, and when Data or UploadAdvance answered Crowded or Wait.
	Unwanted(end func(conn uint32, idle, sure bool) bool)
	// Release gives back what Replies.Reference was given: it was sent, or never will be.
	Release(ref uint64)
	// Datagram handles a request that came as one datagram, whole or not at all, and writes its reply to out, nothing to send none. The
	// reply leaves in datagrams of at most DatagramSize bytes, each beginning with DatagramHead bytes that Frame fills in.
	Datagram(in []byte, out DatagramReplies)
	// Frame writes the head of datagram number seq, from 0, of total that make up the reply to the request in.
	Frame(head []byte, in []byte, seq, total int)
	// EndBatch is called when a batch has been handled, before its replies are sent.
	EndBatch()
	// Tick is called about once a second.
	Tick(now time.Time)
}

// Next is what a Handler wants after Data.
type Next uint8

const (
	// More: all that could be handled was. What was not consumed is the beginning of a request, at most PartialMax bytes, and comes
	// again with more behind it.
	More Next = iota
	// Yield: there is more to handle, but others come first, or the replies are Full, or the client waits for them (mn, Noop). The rest
	// comes again soon.
	Yield
	// Close: send the replies, then close the connection.
	Close
	// Upload: More, with nothing left over, and enough of a value is to come for receiving it straight into the memory that
	// UploadBuffer gives. What Data is given instead is right too.
	Upload
	// Crowded: More, and Unwanted has something to say: values that are on their way hold too much memory.
	Crowded
	// Wait: as Crowded, but there is no memory for the rest, or others have to be done first: it is to come again in a moment.
	Wait
)

// What the two highest bits of a listener's label say, which the server reads and keeps from Handler.Open: whether its connections speak TLS, and
// whether their clients have to show a certificate.
const (
	LabelTLS       = 1 << 6 // as the server's settings say
	LabelMutualTLS = 2 << 6 // they have to
	LabelBasicTLS  = 3 << 6 // they are not asked
	labelBits      = 3 << 6
)

// TLSLabel is one of the labels above, or 0: the connections are plain.
func TLSLabel(label uint8) uint8 { return label & labelBits }

// HandlerLabel is the rest of a label, for Handler.Open.
func HandlerLabel(label uint8) uint8 { return label &^ labelBits }

// Limits that both halves keep.
const (
	// PrefetchMax is the most inputs that Handler.Prefetch is shown: about as many as a core can fetch lines of memory at a time.
	PrefetchMax = 10
	// ReserveMax is the most that Replies.Reserve may be asked for, in bytes.
	ReserveMax = 16 << 10
	// PartialMax is the longest beginning of a request that a Handler may leave, in bytes.
	PartialMax = 64 << 10
	// DatagramSize is the largest datagram that a reply is cut into, in bytes with its head: what memcached's clients expect.
	DatagramSize = 1400
	// DatagramHead is what every datagram begins with, in bytes: request id, sequence number, number of datagrams, and 0, 16 bits each.
	DatagramHead = 8
)

// Reason is why a connection ended.
type Reason uint8

const (
	ReasonNormal   Reason = iota // the peer or the Handler closed it
	ReasonError                  // it broke, or its peer took nothing
	ReasonIdle                   // it sent nothing for the idle timeout
	ReasonShutdown               // the server stops
)

// Replies is where a Handler writes its answers to one connection, in order.
type Replies interface {
	// Reserve gives room for at least n more bytes, n <= ReserveMax: a slice of length 0 whose capacity is all the room at hand. It is
	// valid until the next call of any method of Replies. Asking for more than ReserveMax panics.
	Reserve(n int) []byte
	// Commit makes the first n bytes of the reserved room part of the reply.
	Commit(n int)
	// Reference makes p part of the reply from where it lies, behind everything committed so far. p must lie outside the Go heap and stay
	// as it is until Handler.Release(ref), which is called exactly once for every Reference: p was sent, or never will be.
	Reference(p []byte, ref uint64)
	// Full reports that enough is queued for this connection: the Handler stops at the next boundary and answers Yield.
	Full() bool
}

// DatagramReplies is where the reply to a datagram goes.
type DatagramReplies interface {
	Replies
	// Discard takes back everything that was written since Handler.Datagram was called. What was referenced is released later, as ever.
	Discard()
}

// Socket is what a server tells of a connection or of a socket that it listens on.
type Socket struct {
	Conn      uint32         // the Handler's number for it, if it is a connection
	FD        int            // descriptor; -1: it is a direct one, which is no number of the process
	Transport string         // "tcp", "udp" or "unix"
	Peer      netip.AddrPort // not valid: there is none, or it cannot be found out
	Local     netip.AddrPort // likewise
	Path      string         // of the unix socket
	Phase     Phase
	Idle      int // seconds since the last request or piece of a value; since the start for what is listened on
}

// Phase is what a socket is doing.
type Phase uint8

const (
	PhaseListening Phase = iota
	PhaseDatagram        // waits for datagrams
	PhaseNew             // waits for room: connections beyond -c wait
	PhaseReady           // its requests are being handled
	PhasePartial         // a part of a request arrived
	PhaseIdle
	PhaseSending // its peer does not take its replies
	PhaseClosing
	NumPhases = iota
)
