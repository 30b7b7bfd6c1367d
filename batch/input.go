package batch

import "ringcached/internal/contract"

const (
	// stashLimit: with so much input unhandled, a connection's input is not received.
	// What the kernel had received already comes on top.
	stashLimit = 64 << 10
	// readyTurns is how many further turns connections get in one batch.
	readyTurns = 64
)

// received takes input of c. The bytes are handled at once unless others' turn comes
// first, or c has replies that its peer does not take.
func (ch *channel) received(c *conn, data []byte) {
	ch.stats.bytesRead += uint64(len(data))
	if c.is(stateFinishing | stateReleasing) {
		return
	}
	if c.stash == 0 && c.backlog == 0 && !ch.spent() {
		if rest := ch.serve(c, data); len(rest) > 0 && !c.is(stateReleasing) {
			_ = ch.keep(c, rest)
		}
		return
	}
	if !ch.keep(c, data) {
		return
	}
	switch {
	case c.is(stateReady) || c.backlog != 0:
		if len(ch.stash(c).rest()) >= ch.allowed.input {
			ch.engine.pause(c)
		}
	case ch.spent():
		ch.wait(c)
	default:
		ch.serveStash(c)
	}
}

// serve gives c a turn with the given input and returns what is left of it.
func (ch *channel) serve(c *conn, in []byte) []byte {
	ch.pace.turn()
	ch.out.begin(c)
	n, next := ch.handler.Data(c.slot, in, ch.out)
	rest := in[n:]
	if n > 0 { // not for a piece of a request, of which a client could send one byte at a time for ever
		c.active = ch.second
	}
	c.state &^= stateFill | stateGreedy
	switch next {
	case contract.Upload:
		c.state |= stateFill
	case contract.Crowded:
		ch.endUnwanted()
	case contract.Wait:
		if ended := ch.endUnwanted(); len(rest) > 0 {
			if ended {
				ch.makeReady(c)
			} else {
				ch.starve(c)
			}
			return rest
		}
	case contract.Yield:
		c.state |= stateGreedy
		if len(rest) > 0 {
			ch.makeReady(c)
			return rest
		}
	case contract.Close:
		ch.hangUp(c)
		return nil
	case contract.More:
		if len(rest) > contract.PartialMax {
			ch.config.log(1, "<%d closed: request of over %d bytes without an end", ch.number(c), contract.PartialMax)
			ch.hangUp(c)
			return nil
		}
	}
	if c.is(stateEOF) {
		ch.finish(c)
		return nil
	}
	return rest
}

// serveStash gives c a turn with its stash.
func (ch *channel) serveStash(c *conn) {
	s := ch.stash(c)
	rest := ch.serve(c, s.rest())
	if c.stash == 0 { // closed meanwhile
		return
	}
	if len(rest) == 0 {
		ch.dropStash(c)
	} else {
		s.off = len(s.buf) - len(rest)
	}
	if (len(rest) < ch.allowed.input || !c.is(stateReady)) && !c.is(stateFinishing|stateEOF) {
		ch.engine.receive(c)
	}
}

// stash returns c's; nil: it has none.
func (ch *channel) stash(c *conn) *stash { return ch.stashLoans.of(c.stash) }

// keep adds input to c's stash. It reports false where there is no memory for it: then c has ended.
func (ch *channel) keep(c *conn, data []byte) bool {
	s, err := ch.stash(c), error(nil)
	if s == nil {
		if s, err = ch.stashes.get(); err == nil {
			s.conn = c.token(kindIgnore)
			c.stash = ch.stashLoans.lend(s)
		}
	}
	if err == nil && len(s.buf)+len(data) > cap(s.buf) {
		err = ch.stashes.grow(s, len(data))
	}
	if err != nil {
		ch.lacks(c, err)
		return false
	}
	s.buf = append(s.buf, data...)
	return true
}

func (ch *channel) dropStash(c *conn) {
	if c.stash != 0 {
		ch.stashes.put(ch.stash(c))
		c.stash = ch.stashLoans.end(c.stash)
	}
}

// makeReady queues c for another turn with its stash.
func (ch *channel) makeReady(c *conn) {
	if !c.is(stateReady) {
		c.state |= stateReady
		ch.ready = append(ch.ready, c.token(kindIgnore))
	}
}

// wait queues c, whose input came too late for this batch: first of all if it is not one of those that fill the batches, so that
// its request waits for no more than the rest of this one.
func (ch *channel) wait(c *conn) {
	if c.is(stateGreedy) {
		ch.makeReady(c)
	} else if !c.is(stateReady) {
		c.state |= stateReady
		ch.modest = append(ch.modest, c.token(kindIgnore))
	}
}

// runModest gives turns to those that came too late for the last batch and are to come first in this one. The engine calls it
// before it delivers input.
func (ch *channel) runModest() {
	for len(ch.modest) > 0 && !ch.spent() {
		t := ch.modest[0]
		ch.modest = ch.modest[1:]
		if c := ch.readyConn(t); c != nil {
			c.state &^= stateReady
			ch.serveStash(c)
		}
	}
	if len(ch.modest) == 0 {
		ch.modest = nil
	}
}

// readyConn returns the queued connection, unless its turn has become pointless.
func (ch *channel) readyConn(t token) *conn {
	c := ch.conns.find(t.slot(), t.gen())
	if c != nil && (c.is(stateFinishing|stateReleasing) || c.stash == 0 || c.backlog != 0) {
		c.state &^= stateReady
		return nil
	}
	return c
}

// runReady gives turns to the queued connections, round by round, until the queue is
// empty, enough turns were given for one batch, or nobody may have more replies in it.
func (ch *channel) runReady() {
	for turns := readyTurns; turns > 0 && len(ch.ready) > 0; {
		round := ch.ready
		ch.ready, ch.spare = ch.spare[:0], round
		served := 0
		for i, t := range round {
			if turns <= 0 || ch.spent() {
				// The others have the first turns of the next batch, before those that had some in this one.
				rest := append(round[:copy(round, round[i:])], ch.ready...)
				ch.ready, ch.spare = rest, ch.ready[:0]
				return
			}
			c := ch.readyConn(t)
			if c == nil {
				continue
			}
			ch.out.begin(c)
			if ch.out.Full() {
				ch.ready = append(ch.ready, t)
				continue
			}
			c.state &^= stateReady
			turns--
			served++
			ch.serveStash(c)
		}
		if served == 0 {
			return
		}
	}
}

// ended takes the end of c's input: replies to what came before it are still sent.
func (ch *channel) ended(c *conn) {
	c.state |= stateEOF
	c.state &^= stateReceiving
	if c.is(stateLingering) {
		ch.kill(c)
		return
	}
	if c.is(stateFinishing|stateReleasing) || c.is(stateReady) || (c.backlog != 0 && c.stash != 0) {
		return
	}
	ch.finish(c)
}
