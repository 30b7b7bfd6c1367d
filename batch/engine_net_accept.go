package batch

import (
	"errors"
	"io"
	"net"
	"syscall"
	"time"
)

// acceptFrom accepts until the listener is closed.
func (e *netEngine) acceptFrom(l netListener) {
	failures := 0
	for {
		nc, err := l.Accept()
		failures++
		switch {
		case err == nil:
			failures = 0
			e.arrived(nc.(netSocket), l.listener)
		case errors.Is(err, net.ErrClosed):
			return
		default:
			e.acceptFailed(err, failures)
		}
	}
}

// acceptFailed takes an error of accept, one of so many in a row, and rests where another try would be in vain.
func (e *netEngine) acceptFailed(err error, failures int) {
	e.stats.acceptErrors.Add(1)
	var errno syscall.Errno
	if errors.As(err, &errno) {
		if ofOneConnection(errno) && failures < acceptTries {
			return
		}
		err = errno // without the address, which would make it another complaint
	}
	e.server.complain("not accepting connections", err)
	e.rest(func() { e.pause() })
	if e.server.stopping.Load() {
		time.Sleep(stopTick) // pause does not wait any more, and the listener is closed soon
	}
}

// rest counts the time in which nothing is accepted.
func (e *netEngine) rest(wait func()) {
	begin := time.Now()
	e.stats.acceptBackoffs.Add(1)
	e.stats.paused.Add(1)
	wait()
	e.stats.paused.Add(^uint64(0))
	e.stats.acceptPausedUsec.Add(uint64(time.Since(begin).Microseconds()))
}

// pause waits until it is worth trying again; false: the server stops.
func (e *netEngine) pause() bool {
	select {
	case <-e.room:
	case <-time.After(acceptRetry):
	case <-e.stopped:
		return false
	}
	return true
}

// arrived serves a new connection, if there is room or as soon as there is, or refuses it.
func (e *netEngine) arrived(nc netSocket, l listener) {
	in := e.server.arrive()
	if !in && !e.config.Pause {
		e.refuse(nc)
		return
	}
	if !in {
		e.awaitRoom()
	}
	c := newNetConn(e, nc, l)
	c.shard.enter(c)
	e.work.Go(c.run)
}

// refuse tells a connection that there is no room, and closes it. Its socket is empty: it takes that at once.
func (e *netEngine) refuse(nc netSocket) {
	e.stats.rejected.Add(1)
	e.server.turnedAway()
	_, _ = io.WriteString(nc, refusal)
	_ = nc.Close()
}

// awaitRoom waits until a connection more can be counted in. When the server stops it is counted in though there is no room: it is answered,
// and ends, with all others.
func (e *netEngine) awaitRoom() {
	e.server.turnedAway()
	e.rest(func() {
		// Now that this is a rest, depart tells of connections that end; one may have ended before.
		in := e.server.arrive()
		for !in && e.pause() {
			in = e.server.arrive()
		}
		if !in {
			e.server.conns.Add(1)
		}
		e.tellOfRoom() // there may be more, and others who wait
	})
}

// depart counts a connection out.
func (e *netEngine) depart() {
	e.server.conns.Add(-1)
	if e.stats.paused.Load() > 0 {
		e.tellOfRoom()
	}
}

func (e *netEngine) tellOfRoom() {
	select {
	case e.room <- struct{}{}:
	default:
	}
}
