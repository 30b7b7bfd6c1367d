package batch

import (
	"syscall"

	"ringcached/internal/contract"
)

// flush hands the replies of the batch to the engine, each connection's in one send,
// and changes to the other Output. The engine settles the replies: it reports those
// that were not sent as a whole to unsent, and then calls settle.
func (ch *channel) flush() {
	out := ch.out
	if out.empty() {
		ch.stats.publish()
		return
	}
	ch.flushes++
	ch.stats.sends += uint64(len(out.replies))
	ch.stats.bytesWritten += uint64(out.bytes) // less what turns out not to be sent
	ch.stats.publish()
	if len(out.datagrams) > 0 {
		ch.flushDatagrams(out)
	}
	for i := range out.replies {
		r := &out.replies[i]
		if r.conn == guest {
			continue
		}
		c := ch.conns.find(r.conn, r.gen)
		if c != nil {
			c.reply = -1
		}
		switch {
		case c == nil || c.is(stateReleasing):
			ch.stats.bytesWritten -= uint64(r.bytes)
		case r.failed:
			ch.stats.bytesWritten -= uint64(r.bytes)
			ch.lacks(c, errNoArena)
		case c.backlog != 0 || r.count > maxSegments:
			ch.unsent(c, out, r, 0)
		default:
			c.flushed = ch.flushes
			ch.stats.sendSizes.count(uint32(r.bytes))
			ch.engine.send(c, out, uint32(i))
		}
	}
	ch.out, ch.sent = ch.sent, out
}

// settle ends the last flush: how each of its sends ended is known. References of what
// was sent are given back, and the arena is free.
func (ch *channel) settle() {
	if ch.settled == ch.flushes {
		return
	}
	ch.settled = ch.flushes
	out := ch.sent
	if out.refs > 0 {
		for i := range out.segments {
			if s := &out.segments[i]; s.hasRef {
				ch.handler.Release(s.ref)
			}
		}
	}
	out.reset()
}

// notSent takes a reply whose send failed.
func (ch *channel) notSent(c *conn, r *reply, errno syscall.Errno) {
	ch.stats.bytesWritten -= uint64(r.bytes)
	ch.lost(c, "cannot send", errno)
}

// unsent takes a reply of which only the first n bytes were sent.
func (ch *channel) unsent(c *conn, out *Output, r *reply, n int) {
	ch.stats.shortSends.Add(1)
	ch.stats.bytesWritten -= uint64(r.bytes - n)
	had := c.backlog != 0
	if !ch.postpone(c, out, r, n) {
		ch.lacks(c, errNoBacklog)
		return
	}
	if !had {
		ch.engine.drain(c)
	}
}

// finish ends c when everything that it earned is sent. Further input is dropped.
func (ch *channel) finish(c *conn) {
	if c.is(stateFinishing | stateReleasing) {
		return
	}
	c.state |= stateFinishing
	c.state &^= stateFill
	ch.dropStash(c)
	ch.engine.pause(c)
	ch.ending = append(ch.ending, c.token(kindIgnore))
}

// endFinished releases finishing connections whose replies are known to be sent.
func (ch *channel) endFinished() {
	kept := ch.ending[:0]
	for _, t := range ch.ending {
		c := ch.conns.find(t.slot(), t.gen())
		switch {
		case c == nil || c.is(stateReleasing):
		case c.backlog != 0: // its last drain brings it back here
		case c.reply >= 0 || (c.flushed == ch.flushes && ch.flushes != ch.settled): // only the last flush can be unsettled
			kept = append(kept, t)
		default:
			ch.part(c)
		}
	}
	ch.ending = kept
}

// kill ends c at once; replies that were not sent are dropped.
func (ch *channel) kill(c *conn) {
	if !c.is(stateReleasing) {
		c.endsFor(contract.ReasonError)
		ch.dropStash(c)
		ch.release(c)
	}
}

// release ends c for the handler and lets the engine let go of the descriptor, which
// then calls freed. While the kernel writes to memory of the handler's, closed waits.
func (ch *channel) release(c *conn) {
	c.state |= stateFinishing | stateReleasing
	if !c.is(stateFilling) {
		ch.closed(c)
	}
	ch.engine.release(c)
}

// closed ends c for the handler.
func (ch *channel) closed(c *conn) {
	if c.is(stateOpen) {
		ch.handler.Closed(c.slot, c.reason)
	}
}

// freed ends c's record: the descriptor is closed, or about to be, and nothing of the
// kernel's refers to it.
func (ch *channel) freed(c *conn) {
	ch.dropStash(c)
	ch.dropBacklog(c)
	if c.is(stateOpen) {
		ch.load.Add(-1)
		ch.left++
		ch.server.depart()
	}
	ch.conns.put(c)
	if ch.acceptPaused {
		ch.resumeAccept()
	}
}
