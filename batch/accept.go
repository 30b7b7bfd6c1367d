package batch

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// refusal is what a connection above the limit is told, as memcached words it.
const refusal = "ERROR Too many open connections\r\n"

// acceptRetry is how long accepting rests when it fails and would fail again at once, unless
// a connection closes before. So do other operations of that kind.
const acceptRetry = 100 * time.Millisecond

// acceptTries is how many errors of single connections may follow one another before accepting rests.
const acceptTries = 16

// accepted takes a new connection of the given listener.
func (ch *channel) accepted(fd int32, listener uint32) {
	ch.acceptFailures = 0
	l := ch.listeners[listener]
	a := arrival{fd, l.isUnix(), l.label}
	switch {
	case len(ch.waiting) == 0 && ch.server.arrive():
		if !ch.passOn(a) {
			ch.admit(ch.newConn(a))
		}
	case ch.config.Pause && ch.stopping:
		ch.admitAbove(ch.newConn(a))
	case ch.config.Pause:
		ch.makeWait(ch.newConn(a))
	default:
		ch.refuse(ch.newConn(a))
	}
}

func (ch *channel) newConn(a arrival) *conn {
	c := ch.conns.take(a.fd)
	c.label = a.label
	if a.local {
		c.state |= stateLocal
	}
	return c
}

// admit begins to serve c, which the server has counted in.
func (ch *channel) admit(c *conn) {
	ch.load.Add(1)
	ch.open(c)
}

// open begins to serve c, which is counted in.
func (ch *channel) open(c *conn) {
	c.state |= stateOpen
	c.active = ch.second
	ch.stats.accepted.Add(1)
	ch.handler.Open(c.slot, c.label)
	ch.engine.receive(c)
}

// refuse tells c that there is no room, and closes it.
func (ch *channel) refuse(c *conn) {
	ch.stats.rejected.Add(1)
	ch.server.turnedAway()
	ch.out.begin(c)
	ch.out.Commit(copy(ch.out.Reserve(len(refusal))[:len(refusal)], refusal))
	ch.finish(c)
}

// makeWait keeps c, for which there is no room, unserved, and stops accepting: what
// comes after it waits in the kernel's queue. An engine may have accepted more than one
// before it was told.
func (ch *channel) makeWait(c *conn) {
	ch.waiting = append(ch.waiting, c.token(kindIgnore))
	ch.server.turnedAway()
	if len(ch.waiting) > 1 {
		return
	}
	ch.pauseAccept()
	ch.engine.stopAccept()
	ch.server.full.Add(1)
	ch.admitWaiting() // one may have ended before it could know that this channel waits
}

// admitWaiting serves connections that waited, as far as there is room now. When none
// is left accepting goes on.
func (ch *channel) admitWaiting() {
	for len(ch.waiting) > 0 {
		t := ch.waiting[0]
		c := ch.conns.find(t.slot(), t.gen())
		if c != nil && !c.is(stateFinishing|stateReleasing) {
			if !ch.server.arrive() {
				return
			}
			ch.admit(c)
		}
		ch.waiting = ch.waiting[1:]
	}
	ch.waiting = nil
	ch.server.full.Add(-1)
	ch.resumeAccept()
}

// admitAbove begins to serve c though there is no room: the server stops, and what waited for room is answered, and ends, with all others.
func (ch *channel) admitAbove(c *conn) {
	ch.server.conns.Add(1)
	ch.admit(c)
}

// admitAll serves all that waits for room, when the channel stops. What waits in the kernel's queue is accepted like this too, unless that
// has been handed over.
func (ch *channel) admitAll() {
	if len(ch.waiting) == 0 {
		return
	}
	for _, t := range ch.waiting {
		if c := ch.conns.find(t.slot(), t.gen()); c != nil && !c.is(stateFinishing|stateReleasing) {
			ch.admitAbove(c)
		}
	}
	ch.waiting = nil
	ch.server.full.Add(-1)
	ch.endPause()
	if !ch.releasing {
		ch.engine.accept()
	}
}

// acceptFailed takes an error of accept. It reports whether accepting goes on at once.
func (ch *channel) acceptFailed(errno syscall.Errno) bool {
	if errno == unix.ECANCELED {
		return false
	}
	ch.stats.acceptErrors.Add(1)
	if ch.acceptFailures++; ofOneConnection(errno) && ch.acceptFailures < acceptTries {
		return true
	}
	ch.restAccept(errno)
	return false
}

// ofOneConnection reports that an error of accept is not one of accepting, but of the connection that would have
// come: that one is gone, and the next may be better. What is missing here fails again: descriptors, memory, the
// permission, or a listener that is none any more.
func ofOneConnection(errno syscall.Errno) bool {
	switch errno {
	case unix.ECONNABORTED, unix.ECONNRESET, unix.EPROTO, unix.ETIMEDOUT, unix.EINTR, unix.EAGAIN,
		unix.ENETDOWN, unix.ENETUNREACH, unix.EHOSTDOWN, unix.EHOSTUNREACH, unix.ENONET, unix.ENOPROTOOPT:
		return true
	}
	return false
}

// restAccept stops trying to accept for a while. The engine has to stop it, too.
func (ch *channel) restAccept(err error) {
	if ch.acceptPaused || ch.stopping || ch.releasing {
		return
	}
	ch.pauseAccept()
	ch.server.complain("not accepting connections", err)
	ch.setTimer()
}

// pauseAccept notes that the channel does not accept from here on.
func (ch *channel) pauseAccept() {
	if ch.acceptPaused {
		return
	}
	ch.acceptPaused = true
	ch.pausedAt = time.Now()
	ch.stats.acceptBackoffs.Add(1)
	ch.stats.paused.Store(1)
}

// resumeAccept ends a rest that acceptFailed or makeWait began, unless connections wait.
func (ch *channel) resumeAccept() {
	if !ch.acceptPaused || ch.stopping || ch.releasing || len(ch.waiting) > 0 {
		return
	}
	ch.endPause()
	ch.setTimer()
	ch.engine.accept()
}

// endPause ends what pauseAccept noted.
func (ch *channel) endPause() {
	ch.acceptPaused = false
	ch.stats.paused.Store(0)
	ch.stats.acceptPausedUsec.Add(uint64(time.Since(ch.pausedAt).Microseconds()))
}
