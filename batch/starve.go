package batch

// feedTurn is how many inputs that the Handler made wait are shown to it again in one turn.
const feedTurn = 32

// starve queues c until the Handler may take the rest of its input. It counts as ready for so long, so that what comes is kept for it.
func (ch *channel) starve(c *conn) {
	c.state |= stateReady
	ch.starving = append(ch.starving, c.token(kindIgnore))
	ch.setTimer()
}

// feed gives some of the queue a turn. Half of them are those who came last: where many wait for long, these can still be served in time. The others
// are the first of the queue, so that everybody's turn comes: one may be what the last ones wait for. Who has to wait on goes to the end.
func (ch *channel) feed() {
	n := len(ch.starving)
	if n <= feedTurn {
		ch.ready = append(ch.ready, ch.starving...)
		ch.starving = ch.starving[:0]
		return
	}
	const half = feedTurn / 2
	ch.ready = append(append(ch.ready, ch.starving[n-half:]...), ch.starving[:half]...)
	ch.starving = ch.starving[:copy(ch.starving, ch.starving[half:n-half])]
}
