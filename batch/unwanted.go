package batch

import (
	"golang.org/x/sys/unix"

	"ringcached/internal/contract"
)

// endUnwanted closes connections that the Handler wants no more of: their clients do not send the rest of what they began. It says whether there were
// any.
func (ch *channel) endUnwanted() bool {
	before := ch.excess
	ch.handler.Unwanted(ch.endOne)
	return ch.excess != before
}

// endOne closes one of them. One that is idle is left alone while it is the server that does not take its input.
func (ch *channel) endOne(slot uint32, idle, sure bool) bool {
	c := ch.conns.at(slot)
	if c.is(stateFinishing | stateReleasing) {
		return true
	}
	if !idle {
		if !sure && (c.stash != 0 || ch.hasInput(c)) {
			return false
		}
		ch.config.log(2, "<%d closed: its value held memory, and did not come", ch.number(c))
		ch.excess++
		ch.kill(c)
		return true
	}
	if c.backlog != 0 || c.is(stateReady) {
		return false
	}
	ch.kick(c)
	return true
}

// hasInput says that c's socket has input that was not received. Direct descriptors cannot be asked: no.
func (ch *channel) hasInput(c *conn) bool {
	n, err := unix.IoctlGetInt(ch.descriptor(c), unix.TIOCINQ)
	return err == nil && n > 0
}

// kick closes an idle connection.
func (ch *channel) kick(c *conn) {
	c.endsFor(contract.ReasonIdle)
	ch.stats.idleKicks.Add(1)
	ch.config.log(2, "Closing idle fd %d", ch.number(c))
	ch.finish(c)
}
