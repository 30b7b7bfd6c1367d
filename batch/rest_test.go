package batch

import (
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"ringcached/internal/servertest"
	"ringcached/ring"
)

// unserved makes a channel with its engine that the test itself runs, and a connection of it.
func unserved(t *testing.T, engine string) (*channel, *conn) {
	t.Helper()
	s := prepare(t, func(c *Config) { c.Engine, c.Threads = engine, 1 })
	t.Cleanup(s.Close)
	runtime.LockOSThread()
	ch := s.channels[0]
	if err := s.Choose(); err != nil {
		t.Fatal(err)
	}
	if err := ch.startEngine(func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ch.engine.free() })
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeAll(pair[:]) })
	c := ch.newConn(arrival{int32(pair[0]), true, 0})
	c.state |= stateOpen
	return ch, c
}

// TestFailedReceiveRests: a receive that ends at once without input is tried again, but if that ends so too it rests.
func TestFailedReceiveRests(t *testing.T) {
	servertest.NeedURing(t)
	for _, errno := range []syscall.Errno{unix.EAGAIN, unix.EINTR, unix.ECANCELED} {
		ch, c := unserved(t, EngineURing)
		e := ch.engine.(*uringEngine)
		ended := func(asked connState) {
			c.state |= stateReceiving | stateArmed | asked
			c.pending = 1
			e.rearm = e.rearm[:0]
			e.recvEnded(c.token(kindRecv), &ring.CQE{Res: -int32(errno)})
		}
		for range 3 {
			ended(stateCancelling)
			if len(e.rearm) != 1 || len(e.resting.tokens) != 0 {
				t.Errorf("%v, after a cancel: %d start again, %d rest", errno, len(e.rearm), len(e.resting.tokens))
			}
		}
		ended(0)
		if len(e.rearm) != 1 || len(e.resting.tokens) != 0 {
			t.Errorf("%v, once: %d start again, %d rest", errno, len(e.rearm), len(e.resting.tokens))
		}
		ended(0)
		if len(e.rearm) != 0 || len(e.resting.tokens) != 1 {
			t.Errorf("%v, twice: %d start again, %d rest", errno, len(e.rearm), len(e.resting.tokens))
		}
		e.resting.until = time.Now()
		e.goOn()
		if len(e.rearm) != 1 || len(e.resting.tokens) != 0 {
			t.Errorf("%v, after a rest: %d start again, %d rest", errno, len(e.rearm), len(e.resting.tokens))
		}
	}
}

// TestSendWithoutMemoryRests: a backlog that the kernel has no memory to send is left alone for a while.
func TestSendWithoutMemoryRests(t *testing.T) {
	t.Run("uring", func(t *testing.T) {
		servertest.NeedURing(t)
		ch, c := unserved(t, EngineURing)
		e := ch.engine.(*uringEngine)
		for _, errno := range []syscall.Errno{unix.ENOBUFS, unix.ENOMEM} {
			c.state |= stateDraining
			c.pending = 1
			e.resting = resting{}
			e.drainEnded(c.token(kindDrain), &ring.CQE{Res: -int32(errno)})
			if c.is(stateDraining) || c.pending != 0 || len(e.resting.tokens) != 1 {
				t.Errorf("%v: state %b, %d under way, %d rest", errno, c.state, c.pending, len(e.resting.tokens))
			}
		}
	})
	t.Run("epoll", func(t *testing.T) {
		ch, c := unserved(t, EngineEpoll)
		e := ch.engine.(*epollEngine)
		e.receive(c)
		e.drain(c)
		e.restDrain(c, unix.ENOMEM)
		if n, errno := e.wait(false); n != 0 || errno != 0 {
			t.Errorf("%d events of a backlog that rests, %v", n, errno)
		}
		if c.is(stateDraining) || len(e.resting) != 1 {
			t.Errorf("state %b, %d rest", c.state, len(e.resting))
		}
		e.tick()
		if len(e.resting) != 0 {
			t.Errorf("%d rest after a tick", len(e.resting))
		}
	})
}
