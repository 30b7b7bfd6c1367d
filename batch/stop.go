package batch

import (
	"time"

	"ringcached/internal/contract"
)

const (
	quietTime = 20 * time.Millisecond  // a stopping channel takes new input until none came for so long,
	inputTime = 500 * time.Millisecond // for so long at most
	lostTime  = 500 * time.Millisecond // and does not wait any longer for receives to end
	letGoTime = 5 * time.Second        // for the kernel to give back what a channel has
	stopTick  = 2 * time.Millisecond
	// stopTurns is in how many turns all comes that had arrived before the stop, however long they take: a parked connection's input takes
	// up to four.
	stopTurns = 8
)

// stop is how far a channel is with stopping. For a while it goes on as ever, since clients may have requests on their way. Then it cuts the
// input of every connection behind what the kernel has received by then (cut.go). That is still handled, and all replies are sent and waited
// for until the peer has taken them (linger.go), however long that takes, up to the deadline.
type stop struct {
	begin    time.Time
	turns    int       // since its beginning
	receives uint64    // up to the last look
	input    time.Time // of the last receive
	over     bool      // inputs are being cut, since cutAt
	cutAt    time.Time
	looked   time.Time // at all connections
	deadline time.Time

	arrived map[token]uint64 // of connections that have not received all that had arrived: how far in its stream that reaches
	closed  bool             // nobody can connect any more
	deaf    bool             // datagrams are not received any more
}

func (ch *channel) beginStop() {
	ch.stopping = true
	now := time.Now()
	ch.stop = stop{begin: now, receives: ch.stats.receives, input: now, deadline: now.Add(ch.config.DrainTimeout), arrived: map[token]uint64{}}
	ch.admitAll()
	ch.setTimer()
}

// Hurry makes a server that is stopping, now or later, wait for no client: what would go on until Config.DrainTimeout has passed ends at once.
func (s *Server) Hurry() {
	s.closing.Lock() // the channels may be closed by now
	defer s.closing.Unlock()
	s.hurried.Store(true)
	s.wakeAll()
}

// stopped goes on with stopping, and reports that nothing is left.
func (ch *channel) stopped() bool {
	s, now := &ch.stop, time.Now()
	if ch.server.hurried.Load() && s.deadline.After(now) {
		s.deadline = now
	}
	late := now.After(s.deadline)
	if ch.stats.receives != s.receives {
		s.receives, s.input = ch.stats.receives, now
	}
	if !s.over {
		if s.turns++; !late && (s.turns < stopTurns || now.Sub(s.input) < quietTime && now.Sub(s.begin) < inputTime) {
			return false
		}
		s.over, s.cutAt = true, now
		ch.engine.stopAccept()
	}
	ch.closeListening()
	switch {
	case late:
		ch.cutOff()
		if now.Sub(s.deadline) > letGoTime {
			return true // the kernel does not let go: leave it to the exit
		}
	case now.Sub(s.looked) >= stopTick:
		s.looked = now
		ch.conns.each(ch.cutInput)
	}
	return ch.conns.used == 0 && ch.inbox.shut() && ch.endDatagrams()
}

// cutOff ends all connections that are left, whatever they have not been sent.
func (ch *channel) cutOff() {
	n := 0
	ch.conns.each(func(c *conn) {
		if !c.is(stateReleasing) {
			n++
		}
		c.endsFor(contract.ReasonShutdown)
		ch.kill(c)
	})
	if n > 0 {
		ch.config.log(1, "stopping: %d connections cut off, which had not taken all replies in time", n)
	}
}

// closeListening makes new connections fail at once, instead of when all that is left has ended. Sockets that have been handed over are
// somebody else's as well, who goes on accepting.
func (ch *channel) closeListening() {
	if ch.stop.closed || !ch.engine.quiet() {
		return
	}
	ch.stop.closed = true
	ch.server.closing.Lock() // Listening looks at them
	defer ch.server.closing.Unlock()
	closeListeners(ch.listeners)
	ch.listeners = nil
}

// endDatagrams ends receiving datagrams when nothing else is left to do, and reports that none is left that was received.
func (ch *channel) endDatagrams() bool {
	if s := &ch.stop; !s.deaf {
		s.deaf = true
		if !ch.releasing {
			ch.engine.stopDatagrams()
		}
	}
	return ch.engine.quiet()
}
