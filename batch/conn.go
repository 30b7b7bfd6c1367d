package batch

import (
	"unsafe"

	"ringcached/internal/contract"
	"ringcached/ring"
)

// conn is what the server knows of a connection: all that an idle one owns here. 40
// bytes without a pointer, outside the Go heap, so that the garbage collector has nothing
// to do with however many there are.
type conn struct {
	stash   uint32 // number of the input that was not handled yet, see channel.stash; 0: none
	backlog uint32 // number of the replies that the peer does not take, see channel.backlog; 0: none
	slot    uint32 // index in the table, the Handler's number for it
	gen     uint32 // counts the slot's uses, so that a late completion is known as one
	fd      int32  // descriptor, or slot of the direct descriptor
	reply   int32  // index of the replies in the channel's Output; -1: none in this batch. Next free slot while the record is free
	flushed uint32 // number of the flush that last sent something; it wraps around
	active  uint32 // second of the last input that the Handler used: a request, or a part of a value
	state   connState
	pending int8            // operations that the kernel has under way (uring)
	reason  contract.Reason // why it ends, once it does
	label   uint8           // of the listener
}

// connState is a set of flags.
type connState uint32

const (
	// stateOpen: announced to the Handler. Not set for one that is only being refused.
	stateOpen connState = 1 << iota
	// stateReady: in the channel's queue of connections with requests to handle.
	stateReady
	// stateReceiving: input is wanted.
	stateReceiving
	// stateArmed: the kernel has a receive under way (uring), or watches for input (epoll).
	stateArmed
	// stateDraining: the kernel has a send of the backlog under way (uring), or watches
	// for the socket to take more (epoll).
	stateDraining
	// stateEOF: the peer sent its last byte.
	stateEOF
	// stateFinishing: no input any more; ends when all replies are sent.
	stateFinishing
	// stateReleasing: the engine waits for the kernel to let go of the descriptor.
	stateReleasing
	// stateRegistered: epoll knows the descriptor.
	stateRegistered
	// stateSlow: in the channel's list of connections that have, or lately had, a backlog.
	stateSlow
	// stateLocal: came by the unix socket.
	stateLocal
	// stateThrottled: sent more than was handled, and waits for it (uring).
	stateThrottled
	// stateSilent: got input and no reply since the last tick (uring).
	stateSilent
	// stateCancelling: a cancel of the receive is under way (uring).
	stateCancelling
	// stateHungUp: the Handler ended it.
	stateHungUp
	// stateLingering: all is sent, and waits for the peer to take it; input is dropped.
	stateLingering
	// stateFill: what comes next belongs into memory of the Handler's.
	stateFill
	// stateFilling: the receive that is under way is into memory of the Handler's (uring).
	stateFilling
	// stateBulky: the last input began a large value, so the next is expected to, or found no buffer: the next receive is for one.
	stateBulky
	// stateParked: what is armed is not a receive, but only tells of input (uring).
	stateParked
	// stateGreedy: had more requests than fitted into its last turn.
	stateGreedy
	// stateFailed: the last receive ended without input, and nobody had cancelled it (uring).
	stateFailed
	// stateCut: the server stops, and takes nothing more of its input than what has been received.
	stateCut
)

func (c *conn) is(s connState) bool { return c.state&s != 0 }

// endsFor notes why c is about to end, unless it is ending already.
func (c *conn) endsFor(why contract.Reason) {
	if !c.is(stateFinishing) {
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
	end := min(t.made, from+socketsPassed)
	for ; from < end && most > 0; from++ {
		if c := t.at(from); c.fd >= 0 {
			most--
			f(c)
		}
	}
	return from, from < t.made
}

// socketsPassed is how many slots some looks at, with connections in them or not.
const socketsPassed = 4096

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

// kind is what a token's event is for.
type kind uint8

const (
	kindAccept       kind = iota // slot: listener
	kindRecv                     // slot and gen: connection
	kindSend                     // slot: index among the flush's replies
	kindDrain                    // slot and gen: connection
	kindHeld                     // slot: index of a send without copying, see held
	kindDatagram                 // slot: UDP socket, gen: slot that is received into
	kindDatagramSent             // slot: bytes of a reply in a datagram
	kindPass                     // slot: direct descriptor, gen: channel that it goes to
	kindPassed                   // a direct descriptor has come
	kindInstall                  // slot: direct descriptor
	kindWake                     // the channel's wake-up descriptor
	kindTimer                    // the channel's timer
	kindIgnore                   // nothing to do: cancels, closes
)

// genMask: 24 bits of a generation fit beside kind and slot.
const genMask = 1<<24 - 1

func makeToken(k kind, gen, slot uint32) token {
	return token(k)<<56 | token(gen&genMask)<<32 | token(slot)
}

func (t token) kind() kind   { return kind(t >> 56) }
func (t token) gen() uint32  { return uint32(t>>32) & genMask }
func (t token) slot() uint32 { return uint32(t) }

func (c *conn) token(k kind) token { return makeToken(k, c.gen, c.slot) }

// loans numbers what connections have borrowed, since their records, which lie outside the Go heap, cannot point into it.
type loans[T any] struct {
	lent []*T     // by number, from 1 on; nil: not in use
	free []uint32 // numbers that are not in use
}

// lend gives p a number.
func (l *loans[T]) lend(p *T) uint32 {
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
func (l *loans[T]) of(number uint32) *T {
	if number == 0 {
		return nil
	}
	return l.lent[number-1]
}

// end frees the number, and returns the one that stands for nothing.
func (l *loans[T]) end(number uint32) uint32 {
	l.lent[number-1] = nil
	l.free = append(l.free, number)
	return 0
}

// trim gives back the memory of the lists when nothing is lent.
func (l *loans[T]) trim() {
	if len(l.free) == len(l.lent) {
		*l = loans[T]{}
	}
}
