package batch

// Wake makes a channel ask its Handler for Pending soon. Any goroutine may call it while
// the server serves.
func (s *Server) Wake(channel int) {
	s.channels[channel].wake()
}

// push lets the Handler write to connections that asked for nothing in this batch. What
// has a backlog already takes nothing now: it is asked for again when that is sent.
func (ch *channel) push() {
	ch.pushing = false
	for _, slot := range ch.handler.Pending() {
		c := ch.conns.at(slot)
		if c.backlog != 0 || c.is(stateFinishing|stateReleasing) {
			continue
		}
		ch.out.begin(c)
		if ch.handler.Push(slot, ch.out) {
			ch.pushing = true
		}
	}
}
