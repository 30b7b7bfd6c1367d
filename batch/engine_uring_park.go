package batch

import (
	"math"
	"time"
)

// A receive that waits costs the kernel 864 bytes (6.18): the request, the message that it is to fill, and its place among those who
// wait for the socket. A request that only waits for input is 256. So a connection that has sent nothing for Config.ParkAfter is parked:
// its receive is cancelled, and when that has taken effect, arm makes a poll instead of another receive. When there is input, or its
// end, the poll completes, and the receive that then follows finds it at once.

// parkStep is how many connections one tick parks at most, so that nobody waits for long when many have become idle together: 3.5 us each.
const parkStep = 128

// park begins to park connections that are idle for long.
func (e *uringEngine) park() {
	if e.parkAfter == parkNever {
		return
	}
	left := parkStep
	e.ch.conns.each(func(c *conn) {
		if left > 0 && e.longIdle(c) && c.is(stateReceiving) && c.is(stateArmed) && !c.is(stateParked|stateCancelling|stateFilling) {
			e.cancelReceive(c) // recvEnded arms it again
			left--
		}
	})
}

// longIdle says that c has sent nothing for Config.ParkAfter.
func (e *uringEngine) longIdle(c *conn) bool { return e.ch.second-c.active >= e.parkAfter }

// parkNever is more seconds than go by.
const parkNever = math.MaxUint32

// parkSeconds is how many seconds' difference show that after has gone by: they are counted whole, so one more.
func parkSeconds(after time.Duration) uint32 {
	if after == 0 {
		return parkNever
	}
	return uint32(after/time.Second) + 1
}
