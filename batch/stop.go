package batch

import (
	"time"

	"golang.org/x/sys/unix"
)

const (
	quietTime = 20 * time.Millisecond  // a stopping channel takes new input until none came for so long,
	inputTime = 500 * time.Millisecond // for so long at most
	lostTime  = 500 * time.Millisecond // and does not wait any longer for ends of input
	letGoTime = 5 * time.Second        // for the kernel to give back what a channel has
	stopTick  = 2 * time.Millisecond
	// stopTurns is in how many turns all comes that had arrived before the stop, however long they take: a parked connection's input takes
	// up to four.
	stopTurns = 8
)

// stop is how far a channel is with stopping. For a while it goes on as ever, since clients may have requests on their way. Then it ends
// the input of every connection, so that what the kernel has received is still handled, however long that takes, and after it the
// connection's end comes as if the client had sent it.
type stop struct {
	begin    time.Time
	turns    int       // since its beginning
	receives uint64    // up to the last look
	input    time.Time // of the last receive
	ended    bool      // all inputs are ended
	deadline time.Time
}

func (ch *channel) beginStop() {
	ch.stopping = true
	now := time.Now()
	ch.stop = stop{begin: now, receives: ch.stats.receives, input: now, deadline: now.Add(ch.config.DrainTimeout)}
	ch.engine.stopAccept()
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
		s.ended, s.deadline = true, now
	}
	if ch.stats.receives != s.receives {
		s.receives, s.input = ch.stats.receives, now
	}
	if !s.ended {
		if s.turns++; s.turns < stopTurns || now.Sub(s.input) < quietTime && now.Sub(s.begin) < min(inputTime, ch.config.DrainTimeout) {
			return false
		}
		s.ended, s.input = true, now
		ch.conns.each(ch.endInput)
	}
	late := now.After(s.deadline)
	ch.conns.each(func(c *conn) {
		switch {
		case late, c.is(stateLingering):
			c.endsFor(ReasonShutdown)
			ch.kill(c)
		case ch.direct || now.Sub(s.input) > lostTime:
			ch.finishIdle(c)
		}
	})
	if late && now.Sub(s.deadline) > letGoTime {
		return true // the kernel does not let go: leave it to the exit
	}
	return ch.conns.used == 0 && ch.engine.quiet() && ch.inbox.shut()
}

// endInput makes the kernel report the end of the connection's input once everything that it holds was read. It cannot be asked to with
// direct descriptors: there a connection ends when it is idle.
func (ch *channel) endInput(c *conn) {
	c.endsFor(ReasonShutdown)
	if ch.direct || unix.Shutdown(int(c.fd), unix.SHUT_RD) != nil {
		ch.finishIdle(c)
	}
}

// finishIdle ends the connection unless it has requests to handle or replies to send.
func (ch *channel) finishIdle(c *conn) {
	if !c.is(stateReady) && c.backlog == 0 {
		c.endsFor(ReasonShutdown)
		ch.finish(c)
	}
}
