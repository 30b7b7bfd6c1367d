package batch

import "time"

const (
	// starveTick is how often the inputs for which the Handler had no memory are shown to it again, beside every turn.
	starveTick = 5 * time.Millisecond
	// feedTurn is how many of them are shown in one turn.
	feedTurn = 16
)

// starve queues c until there may be memory for the rest of its input. It counts as ready for so long, so that what comes is kept for it.
func (ch *channel) starve(c *conn) {
	c.state |= stateReady
	ch.starving = append(ch.starving, c.token(kindIgnore))
	if !ch.fastTicks && !ch.stopping {
		ch.fastTicks, ch.ticks = true, time.Now()
		ch.setTimer(starveTick)
	}
}

// feed gives the last of the queue a turn: where many wait for long, those who came last can still be served in time.
func (ch *channel) feed() {
	n := max(len(ch.starving)-feedTurn, 0)
	ch.ready = append(ch.ready, ch.starving[n:]...)
	ch.starving = ch.starving[:n]
}

// early does what is due at a tick that came only for the queue, and says whether it was one.
func (ch *channel) early(now time.Time) bool {
	if !ch.fastTicks || ch.stopping {
		return false
	}
	ch.endUnwanted()
	if now.Sub(ch.ticks) < tick {
		return true
	}
	ch.ticks = now
	if len(ch.starving) == 0 {
		ch.fastTicks = false
		ch.setTimer(tick)
	}
	return false
}
