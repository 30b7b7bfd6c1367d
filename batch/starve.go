package batch

// feedTurn is how many inputs for which the Handler had no memory are shown to it again in one turn.
const feedTurn = 16

// starve queues c until there may be memory for the rest of its input. It counts as ready for so long, so that what comes is kept for it.
func (ch *channel) starve(c *conn) {
	c.state |= stateReady
	ch.starving = append(ch.starving, c.token(kindIgnore))
	ch.setTimer()
}

// feed gives the last of the queue a turn: where many wait for long, those who came last can still be served in time.
func (ch *channel) feed() {
	n := max(len(ch.starving)-feedTurn, 0)
	ch.ready = append(ch.ready, ch.starving[n:]...)
	ch.starving = ch.starving[:n]
}
