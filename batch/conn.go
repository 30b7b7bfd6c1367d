package batch

import (
	"fmt"
	"slices"
	"unsafe"

	"ringcached/batch/invariants"
	"ringcached/internal/contract"
	"ringcached/ring"
)

// conn is what the server knows of a connection: all that an idle one owns here. 40
// bytes without a pointer, outside the Go heap, so that the garbage collector has nothing
// to do with however many there are. What it is doing stands in four states, which change
// by the methods to... only, and a few flags that are independent of them.
type conn struct {
	inputBuffer uint32 // number of the input that was not handled yet, see channel.inputHandles; 0: none
	sendQueue   uint32 // number of the replies that the peer does not take, see channel.sendQueues; 0: none
	slot        uint32 // index in the table, the Handler's number for it
	gen         uint32 // counts the slot's uses, so that a late completion is known as one
	fd          int32  // descriptor, or slot of the direct descriptor
	reply       int32  // index of the replies in the channel's Output; -1: none in this batch. Next free slot while the record is free
	flushed     uint32 // number of the flush that last sent something; it wraps around
	active      uint32 // second of the last input that the Handler used: a request, or a part of a value

	life    lifecycle
	input   inputState
	receive receiveState
	send    sendState
	flags   connFlags
	reason  contract.Reason // why it ends, once it does
	label   uint8           // of the listener
}

// lifecycle is how far a connection is between accept and close. While its TLS handshake is made it has no record.
type lifecycle uint8

const (
	lifeNew       lifecycle = iota // accepted: it waits for room, or is about to be served or refused
	lifeServing                    // its requests are handled
	lifeClosing                    // no input any more; it ends when all replies are sent
	lifeHangingUp                  // likewise, because the Handler said so: its peer may be sending still, so it lingers
	lifeLingering                  // all replies are sent; it waits until its peer has taken them, and drops input
	lifeReleasing                  // the engine closes the descriptor when the kernel has nothing of it under way
)

var afterLife = transitions[lifecycle]{
	lifeNew:       {lifeServing, lifeClosing, lifeReleasing},
	lifeServing:   {lifeClosing, lifeHangingUp, lifeReleasing},
	lifeClosing:   {lifeLingering, lifeReleasing},
	lifeHangingUp: {lifeLingering, lifeReleasing},
	lifeLingering: {lifeReleasing},
}

// inputState is whether the server wants more of what the peer sends.
type inputState uint8

const (
	inputPaused  inputState = iota // not now: what has come is not handled yet, or nobody will handle it
	inputWanted                    // what comes is received and handled; a lingering connection drops it
	inputCutting                   // the server stops: nothing but what a receive that is being cancelled may still bring
	inputCut                       // the server stops, and has received all that it takes
	inputEOF                       // the peer sent its last byte
)

var afterInput = transitions[inputState]{
	inputPaused:  {inputWanted, inputCutting, inputEOF},
	inputWanted:  {inputPaused, inputEOF},
	inputCutting: {inputCut, inputPaused}, // to inputPaused: it lingers
	inputCut:     {inputPaused},
}

// receiveState is which receive of a connection the kernel has under way: one at a time. The epoll engine knows recvNone and
// recvPoll only. TLS records come by the same receives.
type receiveState uint8

const (
	recvNone             receiveState = iota
	recvMultishot                     // goes on by itself, each time into one of the shared buffers
	recvSingle                        // one receive into one of them
	recvUpload                        // one receive into memory of the Handler's
	recvPoll                          // tells of input and receives nothing: of a parked connection (uring), of every one (epoll)
	recvCancelling                    // one of the above is being cancelled, but it may bring input yet,
	recvCancellingUpload              // this one into memory of the Handler's
)

var afterReceive = transitions[receiveState]{
	recvNone:             {recvMultishot, recvSingle, recvUpload, recvPoll},
	recvMultishot:        {recvNone, recvCancelling},
	recvSingle:           {recvNone, recvCancelling},
	recvUpload:           {recvNone, recvCancellingUpload},
	recvPoll:             {recvNone, recvCancelling},
	recvCancelling:       {recvNone},
	recvCancellingUpload: {recvNone},
}

// sendState is what becomes of replies that the socket did not take at once. A connection whose next reply waits for a read
// from disk will have a state of its own here: like sendQueued it keeps later requests from being handled, and so the replies in
// order, while other connections go on.
type sendState uint8

const (
	sendIdle     sendState = iota // there are none
	sendQueued                    // they wait, and nothing sends them yet, or the kernel lacked memory
	sendDraining                  // the kernel sends them (uring), or tells when the socket takes more (epoll)
)

var afterSend = transitions[sendState]{
	sendIdle:     {sendQueued},
	sendQueued:   {sendDraining, sendIdle},
	sendDraining: {sendQueued, sendIdle},
}

// connFlags are independent of the states and of each other.
type connFlags uint16

const (
	flagAnnounced  connFlags = 1 << iota // the Handler knows it, and it counts
	flagLocal                            // came by the unix socket
	flagReady                            // in one of the channel's queues of connections with requests to handle
	flagGreedy                           // had more requests than fitted into its last quantum
	flagUpload                           // what comes next belongs into memory of the Handler's
	flagBulky                            // the next input is expected to begin a large value, or found no buffer: it is received into one buffer
	flagSlow                             // in the channel's list of connections that have, or lately had, a send queue
	flagThrottled                        // sent more than was handled: it receives into one buffer at a time (uring)
	flagFailed                           // the last receive ended without input, and nobody had cancelled it (uring)
	flagSilent                           // in the engine's list of those that got input and no reply since the last tick (uring)
	flagRegistered                       // the epoll instance knows the descriptor (epoll)
	flagTLS                              // it speaks TLS, see channel.tlsState
	flagAlert                            // the last record that it is sent is an alert
	flagKernelTLS                        // the kernel seals what it is sent
	flagOwed                             // in the channel's list of those that are owed a record (flagKernelTLS)
)

func (c *conn) is(f connFlags) bool { return c.flags&f != 0 }
func (c *conn) set(f connFlags)     { c.flags |= f }
func (c *conn) clear(f connFlags)   { c.flags &^= f }

// transitions lists the states that may follow each state.
type transitions[S interface {
	comparable
	fmt.Stringer
}] map[S][]S

// check panics if next must not follow now.
func (t transitions[S]) check(now, next S) {
	if !slices.Contains(t[now], next) {
		panic(fmt.Sprintf("batch: invariant broken: a connection goes from %v to %v", now, next))
	}
}

func (c *conn) toLife(next lifecycle) {
	if invariants.On {
		afterLife.check(c.life, next)
	}
	c.life = next
}

func (c *conn) toInput(next inputState) {
	if invariants.On {
		afterInput.check(c.input, next)
	}
	c.input = next
}

func (c *conn) toReceive(next receiveState) {
	if invariants.On {
		afterReceive.check(c.receive, next)
	}
	c.receive = next
}

func (c *conn) toSend(next sendState) {
	if invariants.On {
		afterSend.check(c.send, next)
	}
	c.send = next
}

func (s lifecycle) String() string {
	return [...]string{"new", "serving", "closing", "hanging up", "lingering", "releasing"}[s]
}

func (s inputState) String() string {
	return [...]string{"input paused", "input wanted", "input being cut", "input cut", "end of input"}[s]
}

func (s receiveState) String() string {
	return [...]string{"no receive", "multishot receive", "single receive", "upload", "poll", "cancelled receive", "cancelled upload"}[s]
}

func (s sendState) String() string {
	return [...]string{"nothing to send", "send queue", "send queue being sent"}[s]
}

// closing reports that c is to take no requests any more.
func (c *conn) closing() bool { return c.life >= lifeClosing }

// inputOver reports that nothing more will come of c.
func (c *conn) inputOver() bool { return c.input == inputEOF || c.input == inputCut }

// uploading reports that the kernel may write to memory of the Handler's.
func (c *conn) uploading() bool { return c.receive == recvUpload || c.receive == recvCancellingUpload }

// cancelling reports that the receive that is under way is being cancelled.
func (c *conn) cancelling() bool {
	return c.receive == recvCancelling || c.receive == recvCancellingUpload
}

// underWay reports that the kernel has an operation of c's under way.
func (c *conn) underWay() bool { return c.receive != recvNone || c.send == sendDraining }

// endsFor notes why c is about to end, unless it is ending already.
func (c *conn) endsFor(why contract.Reason) {
	if !c.closing() {
		c.reason = why
	}
}

// chunkBits: memory for connections is mapped 1024 at a time, ten pages, which cost nothing until they are touched.
// Records never move.
const chunkBits = 10

// connTable holds a channel's connections by slot.
type connTable struct {
	chunks []*[1 << chunkBits]conn
	made   uint32 // slots from made on were never taken, and their memory not touched
	free   int32  // the slot that was freed last; -1: none is free
	used   int

	mapMemory func(bytes int) ([]byte, error)
	mapped    [][]byte
}

func newConnTable(mapMemory func(bytes int) ([]byte, error)) connTable {
	return connTable{free: -1, mapMemory: mapMemory}
}

// at returns the record in slot, which was taken at some time.
func (t *connTable) at(slot uint32) *conn {
	return &t.chunks[slot>>chunkBits][slot&(1<<chunkBits-1)]
}

// find returns the connection that an event named, unless it is gone since.
func (t *connTable) find(slot, gen uint32) *conn {
	if slot >= t.made {
		return nil
	}
	if c := t.at(slot); c.fd >= 0 && c.gen == gen {
		return c
	}
	return nil
}

// take returns a free record, cleared, for the descriptor fd. The slot freed last is
// taken first: it is the one in the cache.
func (t *connTable) take(fd int32) *conn {
	if t.free < 0 {
		t.grow()
	}
	c := t.at(uint32(t.free))
	t.free = c.reply
	t.used++
	*c = conn{slot: c.slot, gen: c.gen, fd: fd, reply: -1}
	return c
}

// put frees the record.
func (t *connTable) put(c *conn) {
	c.gen = (c.gen + 1) & genMask
	c.fd = -1
	c.reply = t.free
	t.free = int32(c.slot)
	t.used--
}

// grow makes one slot more, free.
func (t *connTable) grow() {
	if int(t.made) == len(t.chunks)<<chunkBits {
		t.chunks = append(t.chunks, t.newChunk())
	}
	t.free = int32(t.made)
	t.made++
	*t.at(uint32(t.free)) = conn{slot: uint32(t.free), fd: -1, reply: -1}
}

// newChunk takes memory from the Go heap where none can be mapped: there may be some left in it.
func (t *connTable) newChunk() *[1 << chunkBits]conn {
	mem, err := t.mapMemory(int(unsafe.Sizeof(conn{})) << chunkBits)
	if err != nil {
		return new([1 << chunkBits]conn)
	}
	t.mapped = append(t.mapped, mem)
	return (*[1 << chunkBits]conn)(unsafe.Pointer(&mem[0]))
}

// each calls f for every connection.
func (t *connTable) each(f func(*conn)) {
	for slot := range t.made {
		if c := t.at(slot); c.fd >= 0 {
			f(c)
		}
	}
}

// some calls f for most connections at the most, in the slots from from on. The next call is to begin at next, if there is more.
func (t *connTable) some(from uint32, most int, f func(*conn)) (next uint32, more bool) {
	end := min(t.made, from+slotsAtOnce)
	for ; from < end && most > 0; from++ {
		if c := t.at(from); c.fd >= 0 {
			most--
			f(c)
		}
	}
	return from, from < t.made
}

// slotsAtOnce is how many slots some looks at, with connections in them or not.
const slotsAtOnce = 4096

// close frees the records.
func (t *connTable) close() {
	for _, mem := range t.mapped {
		_ = ring.Unmap(mem)
	}
	t.chunks, t.mapped, t.made, t.free = nil, nil, 0, -1
}

// token recognises a completion or an event: what it was for, and which use of which
// slot it belongs to. It is the user data of submissions and of epoll.
type token uint64

// kind is the operation whose end a token tells of. Each has a handler of its own, see uringEngine.handle.
type kind uint8

const (
	kindNone          kind = iota // no operation: the token names a connection in one of the channel's lists
	kindRecvMultishot             // slot and gen: connection
	kindRecvSingle                // slot and gen: connection
	kindRecvUpload                // slot and gen: connection
	kindPoll                      // slot and gen: connection; its socket has input (uring: of a parked one), or room for replies (epoll)
	kindSend                      // slot: index among the flush's replies
	kindDrain                     // slot and gen: connection whose send queue is sent
	kindSendZeroCopy              // slot: index of a send without copying, see zeroCopySends
	kindAccept                    // slot: listener
	kindPass                      // slot: direct descriptor, gen: channel that it goes to
	kindArrive                    // a direct descriptor that another channel passed on
	kindInstall                   // slot and gen: connection
	kindRecvDatagram              // slot: UDP socket, gen: slot that is received into
	kindSendDatagram              // slot: bytes of a reply in a datagram
	kindWake                      // the channel's wake-up descriptor
	kindTimer                     // the channel's timer
	kindCancel
	kindClose
)

// receives reports that the operation receives into one of the shared buffers.
func (k kind) receives() bool { return k == kindRecvMultishot || k == kindRecvSingle }

// kind is that of the receive's completion.
func (s receiveState) kind() kind {
	return [...]kind{recvMultishot: kindRecvMultishot, recvSingle: kindRecvSingle, recvUpload: kindRecvUpload, recvPoll: kindPoll}[s]
}

// genMask: 24 bits of a generation fit beside kind and slot.
const genMask = 1<<24 - 1

func makeToken(k kind, gen, slot uint32) token {
	return token(k)<<56 | token(gen&genMask)<<32 | token(slot)
}

func (t token) kind() kind   { return kind(t >> 56) }
func (t token) gen() uint32  { return uint32(t>>32) & genMask }
func (t token) slot() uint32 { return uint32(t) }

func (c *conn) token(k kind) token { return makeToken(k, c.gen, c.slot) }

// handles numbers what connections have borrowed, since their records, which lie outside the Go heap, cannot point into it.
type handles[T any] struct {
	lent []*T     // by number, from 1 on; nil: not in use
	free []uint32 // numbers that are not in use
}

// lend gives p a number.
func (l *handles[T]) lend(p *T) uint32 {
	if n := len(l.free); n > 0 {
		number := l.free[n-1]
		l.free = l.free[:n-1]
		l.lent[number-1] = p
		return number
	}
	l.lent = append(l.lent, p)
	return uint32(len(l.lent))
}

// of returns what has the number; nil for 0.
func (l *handles[T]) of(number uint32) *T {
	if number == 0 {
		return nil
	}
	return l.lent[number-1]
}

// end frees the number, and returns the one that stands for nothing.
func (l *handles[T]) end(number uint32) uint32 {
	l.lent[number-1] = nil
	l.free = append(l.free, number)
	return 0
}

// trim gives back the memory of the lists when nothing is lent.
func (l *handles[T]) trim() {
	if len(l.free) == len(l.lent) {
		*l = handles[T]{}
	}
}
