package batch

import "time"

// closeIdle closes connections that for the idle timeout sent neither a whole request nor
// anything of a value. Those that do not take their replies are closeSlow's.
func (ch *channel) closeIdle() {
	limit := uint32(ch.config.IdleTimeout / time.Second)
	ch.conns.each(func(c *conn) {
		// Seconds are counted whole: only more than limit of them is limit for certain.
		if ch.second-c.active <= limit || c.backlog != 0 || !c.is(stateOpen) || c.is(stateReady|stateFinishing|stateReleasing) {
			return
		}
		if !ch.handler.Idle(c.slot) {
			return
		}
		ch.kick(c)
	})
}
