package batch

import "time"

// Handler is what a channel serves: bytes in, replies out. Each channel has its
// own, and calls it from one goroutine only; the net engine calls each of its own from
// one goroutine at a time. conn numbers a connection within its channel: small, dense,
// and reused after Closed.
type Handler interface {
	// Open announces a connection, and the label of the listener that it came by, see Config.Labels.
	Open(conn uint32, label uint8)
	// Data handles requests from the beginning of in and writes the replies to out.
	// It returns how many bytes it consumed, and what comes next. in is only valid
	// during the call.
	Data(conn uint32, in []byte, out *Output) (n int, next Next)
	// Ahead shows inputs that Data is most likely about to be given, at most LookAhead of them, most often each of another
	// connection, so that what they will need can be brought near from memory together. It changes nothing. The net engine has no
	// such inputs: each connection hears of its own only.
	Ahead(inputs [][]byte)
	// Room appends to parts, up to its capacity, the memory that the next bytes of conn
	// belong in, after Data or Filled answered Fill. It stays until Filled or Closed.
	Room(conn uint32, parts [][]byte) [][]byte
	// Filled says that the next n bytes of conn, 0 < n, are in the memory that Room gave,
	// and writes the replies that they are worth to out.
	Filled(conn uint32, n int, out *Output) Next
	// Closed ends what Open began, while the connection still has its descriptor;
	// references given to out may still be released later.
	Closed(conn uint32, why Reason)
	// Idle asks whether a connection that sent nothing for the idle timeout is to be closed.
	Idle(conn uint32) bool
	// Pending lists the connections that are to be sent something which is no reply. It is
	// called in every turn after EndBatch, and soon after Server.Wake. The list is valid
	// until the next call.
	Pending() []uint32
	// Push writes what such a connection is to be sent, until out is Full. More says that
	// there is a rest.
	Push(conn uint32, out *Output) (more bool)
	// Unwanted calls end for connections that are to be closed because they do not send the rest of a request: they are idle, or hold too much
	// memory; then they stay, unless sure, if there is input that was not received yet. False says that one stays. It is called after Tick,
	// soon after Server.Wake, and when Data or Filled answered Crowded or Wait.
	Unwanted(end func(conn uint32, idle, sure bool) bool)
	// Release gives back what Output.Reference was given: it was sent, or never will be.
	Release(ref uint64)
	// Datagram handles a request that came as one datagram, whole or not at all, and
	// writes its reply to out, nothing to send none; it may take back what it wrote by
	// out.Discard. The reply leaves in datagrams of at
	// most DatagramSize bytes, each beginning with DatagramHead bytes that Frame fills in.
	Datagram(in []byte, out *Output)
	// Frame writes the head of datagram number seq, from 0, of total that make up the
	// reply to the request in.
	Frame(head []byte, in []byte, seq, total int)
	// EndBatch is called when a batch has been handled, before its replies are sent.
	EndBatch()
	// Tick is called about once a second.
	Tick(now time.Time)
}

// LookAhead is the most inputs that Handler.Ahead is shown: about as many as a core can fetch lines of memory at a time.
const LookAhead = 10

// Reason is why a connection ended.
type Reason uint8

const (
	ReasonNormal   Reason = iota // the peer or the Handler closed it
	ReasonError                  // it broke, or its peer took nothing
	ReasonIdle                   // it sent nothing for the idle timeout
	ReasonShutdown               // the server stops
)

// Sizes of reply datagrams: what memcached's clients expect.
const (
	DatagramSize = 1400
	DatagramHead = 8
)

// Next is what a Handler wants after Data.
type Next uint8

const (
	// More: all that could be handled was. What was not consumed is the beginning of
	// a request, and comes again with more behind it.
	More Next = iota
	// Yield: there is more to handle, but it is others' turn. The rest comes again soon.
	Yield
	// Close: send the replies, then close the connection.
	Close
	// Fill: More, with nothing left over, and so much is to come for the same place that
	// it is worth receiving it there directly. What Data is given instead is right too.
	Fill
	// Crowded: More, and Unwanted has something to say.
	Crowded
	// Wait: as Crowded, but there is no memory for the rest, or others have to be done first: it is to come again in a moment.
	Wait
)
