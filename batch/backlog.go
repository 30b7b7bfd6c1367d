package batch

import (
	"unsafe"
)

// backlog holds replies that a peer did not take at once. What was in the arena is
// copied into borrowed blocks, what was referenced stays referenced. While there is a
// backlog the connection's requests are not handled, so it is bounded by replyLimit
// and one reply.
type backlog struct {
	parts  []segment // from head on not sent
	head   int
	blocks []block
	room   []byte // rest of the last block
	bytes  int    // not sent yet
	since  uint32 // second of the last progress
	held   int8   // sends of it that refer to its parts still, see heldSends
	hold   bool   // its parts stay until all is sent and held is 0
	copies bool   // it is sent in the ordinary way all the same
	ended  bool   // nobody else needs it
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
		b = &backlog{since: ch.second}
		c.backlog = ch.backlogs.lend(b)
		if !c.is(stateSlow) {
			c.state |= stateSlow
			ch.slow = append(ch.slow, c.token(kindDrain))
		}
	}
	ok := true
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
		if s.hasRef {
			s.hasRef = false // the backlog's from here on
			out.refs--
			b.parts = append(b.parts, rest)
		} else {
			ok = b.copyIn(&ch.blocks, rest) && ok
		}
		b.bytes += rest.len
		ch.stats.backlogBytes.Add(uint64(rest.len))
	}
	return ok
}

// copyIn copies s into blocks of the pool.
func (b *backlog) copyIn(pool *blockPool, s segment) bool {
	src := unsafe.Slice(pointer(s.addr), s.len)
	for len(src) > 0 {
		if len(b.room) == 0 {
			lent, err := pool.get()
			if err != nil {
				return false
			}
			b.blocks = append(b.blocks, lent)
			b.room = lent.bytes()
		}
		n := copy(b.room, src)
		b.parts = append(b.parts, segment{addr: uintptr(unsafe.Pointer(&b.room[0])), len: n})
		b.room, src = b.room[n:], src[n:]
	}
	return true
}

// message names the next part of the backlog, in memory of the arena.
func (b *backlog) message(out *Output) unsafe.Pointer {
	parts := b.parts[b.head:]
	if len(parts) > drainSegments {
		parts = parts[:drainSegments]
	}
	msg, vec := out.message(len(parts))
	for i := range parts {
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
	for _, lent := range b.blocks {
		ch.blocks.put(lent)
	}
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
