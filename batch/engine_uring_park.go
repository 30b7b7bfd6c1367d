package batch

// A receive that waits costs the kernel 864 bytes (6.18): the request, the message that it is to fill, and its place among those who
// wait for the socket. A request that only waits for input is 256. So a connection that has sent nothing for Config.ParkAfter is parked:
// its receive is cancelled, and when that has taken effect, arm makes a poll instead of another receive. When there is input, or its
// end, the poll completes, and the receive that then follows finds it at once.

// parkStep is how many connections one tick parks at most, so that nobody waits for long when many have become idle together.
const parkStep = 512

// park begins to park connections that are idle for long.
func (e *uringEngine) park() {
	if e.parkSeconds == 0 {
		return
	}
	left := parkStep
	e.ch.conns.each(func(c *conn) {
		if left > 0 && e.longIdle(c) && c.is(stateReceiving) && c.is(stateArmed) && !c.is(stateParked|stateCancelling) {
			e.cancelReceive(c) // recvEnded arms it again
			left--
		}
	})
}

// longIdle says that c has sent nothing for Config.ParkAfter. Seconds are counted whole: only more of them are that long for certain.
func (e *uringEngine) longIdle(c *conn) bool {
	return e.parkSeconds > 0 && e.ch.second-c.active > e.parkSeconds
}
