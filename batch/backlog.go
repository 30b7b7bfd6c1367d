package batch

import (
	"math/bits"
	"unsafe"
)

// backlog holds replies that a peer did not take at once. What was in the arena is
// copied into borrowed memory, what was referenced stays referenced. While there is a
// backlog the connection's requests are not handled, so it is bounded by replyLimit
// and one reply.
type backlog struct {
	parts  []segment // from head on not sent
	head   int
	first  [4]segment // memory of parts, while they are few
	lent   []run      // what it borrowed
	room   []byte     // rest of the last one that replies were copied into
	bytes  int        // not sent yet
	size   int        // of lent, in bytes
	dying  int        // of size: the account knows that it goes
	conn   token      // whose it is
	since  uint32     // second of the last progress
	held   int8       // sends of it that refer to its parts still, see heldSends
	hold   bool       // its parts stay until all is sent and held is 0
	copies bool       // it is sent in the ordinary way all the same
	ended  bool       // nobody else needs it
}

// drainSegments is how much of a backlog one sendmsg names: a socket buffer's worth
// is a few.
const drainSegments = 64

// backlog returns c's; nil: it has none.
func (ch *channel) backlog(c *conn) *backlog { return ch.backlogs.of(c.backlog) }

// postpone moves what is left of a reply after its first sent bytes into a backlog of
// c, which the engine is told to drain. It reports false when there is no memory for
// it: the connection must go then.
func (ch *channel) postpone(c *conn, out *Output, r *reply, sent int) bool {
	b := ch.backlog(c)
	if b == nil {
		b = newBacklog(c, ch.second)
		c.backlog = ch.backlogs.lend(b)
		if !c.is(stateSlow) {
			c.state |= stateSlow
			ch.slow = append(ch.slow, c.token(kindDrain))
		}
	}
	ok, arena := true, r.copied(out, sent)
	for i := r.first; i >= 0; i = out.segments[i].next {
		s := &out.segments[i]
		if sent >= s.len {
			sent -= s.len
			continue
		}
		rest := *s
		rest.addr += uintptr(sent)
		rest.len -= sent
		sent = 0
		switch {
		case !s.hasRef:
			ok = ok && b.copyIn(&ch.blocks, rest, arena)
			arena -= rest.len
		case ok && b.add(&ch.blocks, rest):
			s.hasRef = false // the backlog's from here on
			out.refs--
		default:
			ok = false
		}
		b.bytes += rest.len
		ch.stats.backlogBytes.Add(uint64(rest.len))
	}
	return ok
}

// copied is how many bytes of the reply behind the first so many lie in the arena.
func (r *reply) copied(out *Output, sent int) (n int) {
	for i := r.first; i >= 0; i = out.segments[i].next {
		s := &out.segments[i]
		skip := min(sent, s.len)
		sent -= skip
		if !s.hasRef {
			n += s.len - skip
		}
	}
	return n
}

func newBacklog(c *conn, second uint32) *backlog {
	b := &backlog{since: second, conn: c.token(kindDrain)}
	b.parts = b.first[:0]
	return b
}

// borrow takes at least n bytes from the pool.
func (b *backlog) borrow(pool *blockPool, n int) (lent run, ok bool) {
	lent, err := pool.lend(n)
	if err != nil {
		return lent, false
	}
	b.lent = append(b.lent, lent)
	b.size += len(lent.mem)
	return lent, true
}

// add adds a part. The list of them lies in borrowed memory when it is long: a client may ask for many small values.
func (b *backlog) add(pool *blockPool, s segment) bool {
	if n := len(b.parts); n == cap(b.parts) {
		const size = int(unsafe.Sizeof(segment{}))
		lent, ok := b.borrow(pool, 2*n*size)
		if !ok {
			return false
		}
		parts := unsafe.Slice((*segment)(unsafe.Pointer(&lent.mem[0])), len(lent.mem)/size)
		b.parts = parts[:copy(parts, b.parts)]
	}
	b.parts = append(b.parts, s)
	return true
}

// copyIn copies s into memory of the pool. After s and with it so many bytes are to come.
func (b *backlog) copyIn(pool *blockPool, s segment, left int) bool {
	src := unsafe.Slice(pointer(s.addr), s.len)
	for len(src) > 0 {
		if len(b.room) == 0 {
			// The largest run that they fill, so that they are in few pieces and no memory is left over.
			lent, ok := b.borrow(pool, max(blockSize, min(1<<(bits.Len(uint(left))-1), arenaChunk)))
			if !ok {
				return false
			}
			b.room = lent.mem
		}
		n := copy(b.room, src)
		if !b.add(pool, segment{addr: uintptr(unsafe.Pointer(&b.room[0])), len: n}) {
			return false
		}
		b.room, src = b.room[n:], src[n:]
		left -= n
	}
	return true
}

// message names the next part of the backlog, in memory of the arena; nil: there is none.
func (b *backlog) message(out *Output) unsafe.Pointer {
	parts := b.parts[b.head:]
	if len(parts) > drainSegments {
		parts = parts[:drainSegments]
	}
	msg, vec := out.message(len(parts))
	for i := range vec {
		vec[i] = iovec{parts[i].addr, parts[i].len}
	}
	return msg
}

// drained records that n bytes of c's backlog were sent, and goes on: with the rest,
// or, when all is sent, with the requests that waited.
func (ch *channel) drained(c *conn, n int) {
	b := ch.backlog(c)
	ch.stats.bytesWritten += uint64(n)
	ch.stats.backlogBytes.Add(-uint64(n))
	b.bytes -= n
	b.since = ch.second
	for n > 0 {
		s := &b.parts[b.head]
		if n < s.len {
			s.addr += uintptr(n)
			s.len -= n
			break
		}
		n -= s.len
		if s.hasRef && !b.hold {
			ch.handler.Release(s.ref)
		}
		b.head++
	}
	if b.bytes > 0 {
		ch.engine.drain(c)
		return
	}
	ch.dropBacklog(c)
	switch {
	case c.is(stateFinishing):
		ch.ending = append(ch.ending, c.token(kindIgnore))
	case c.stash != 0:
		ch.makeReady(c)
	case c.is(stateEOF):
		ch.finish(c)
	default:
		ch.engine.receive(c)
	}
}

// dropBacklog gives back what c's backlog borrowed.
func (ch *channel) dropBacklog(c *conn) {
	b := ch.backlog(c)
	if b == nil {
		return
	}
	ch.stats.backlogBytes.Add(-uint64(b.bytes))
	c.backlog = ch.backlogs.end(c.backlog)
	if b.ended = true; b.held == 0 {
		ch.giveBack(b)
	}
}

// giveBack gives back what b borrowed.
func (ch *channel) giveBack(b *backlog) {
	if b.hold {
		b.head = 0
	}
	for _, s := range b.parts[b.head:] {
		if s.hasRef {
			ch.handler.Release(s.ref)
		}
	}
	for _, lent := range b.lent {
		ch.blocks.give(lent)
	}
	ch.memory.dying -= int64(b.dying)
}

// closeSlow closes connections whose peer took nothing for the send timeout.
func (ch *channel) closeSlow() {
	// Whole seconds: the last progress was up to one later than it says, so the limit is
	// rounded up and has to be exceeded.
	limit := ch.config.sendSeconds()
	kept := ch.slow[:0]
	for _, t := range ch.slow {
		c := ch.conns.find(t.slot(), t.gen())
		if c == nil {
			continue
		}
		if c.backlog == 0 {
			c.state &^= stateSlow
			continue
		}
		if limit > 0 && ch.second-ch.backlog(c).since > limit {
			ch.stats.sendTimeouts.Add(1)
			ch.config.log(2, "<%d closed: took nothing of its replies for %ds", ch.number(c), limit)
			ch.kill(c)
			continue
		}
		kept = append(kept, t)
	}
	ch.slow = kept
}
