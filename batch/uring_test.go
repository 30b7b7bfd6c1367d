package batch

import (
	"io"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"ringcached/internal/servertest"
	"ringcached/ring"
)

// TestSubmitWhatIsTaken: the kernel's thread may have taken the entries before they are submitted. Nobody waits for it to take more.
func TestSubmitWhatIsTaken(t *testing.T) {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		r, err := ring.New(ring.Options{Entries: 4, SQPoll: time.Second})
		if err != nil {
			done <- err
			return
		}
		e := &uringEngine{ch: &channel{config: &Config{Depth: 4}}, r: r}
		e.sqe().PrepNop()
		e.submitSome()
		e.submitSome()
		done <- r.Close()
	}()
	select {
	case err := <-done:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("a submission of what was taken does not end")
	}
}

func TestGather(t *testing.T) {
	now := time.Unix(1000, 0)
	g := gather{timeout: 50 * time.Microsecond, interval: 50 * time.Microsecond, last: now}
	turn := func(times int, n uint32, took time.Duration) {
		for range times {
			now = now.Add(took)
			g.reaped(n, int(n), now)
		}
	}
	if g.wait() != 1 {
		t.Errorf("at the start: %d", g.wait())
	}
	turn(100, 1, time.Millisecond)
	if g.wait() != 1 {
		t.Errorf("one in a millisecond: %d", g.wait())
	}
	turn(100, 8, 40*time.Microsecond) // one in 5 us: 10 are expected
	if w := g.wait(); w < 4 || w > 6 {
		t.Errorf("one in 5 us: %d", w)
	}
	turn(100, 64, 32*time.Microsecond) // one in 0.5 us
	if w := g.wait(); w < 40 || w > 60 {
		t.Errorf("one in 0.5 us: %d", w)
	}
	turn(1, 64, time.Hour)
	if w := g.wait(); w > 10 {
		t.Errorf("after a rest: %d", w)
	}
	turn(100, 1, 20*time.Microsecond) // 2.5 are expected
	if g.wait() != 1 {
		t.Errorf("one in 20 us: %d", g.wait())
	}
	turn(200, 1000, time.Microsecond)
	if w := g.wait(); w > gatherMost {
		t.Errorf("a thousand at once: %d", w)
	}
}

// TestGatherFew: clients that each wait for their answer are hardly ever kept waiting for others, who do not come.
func TestGatherFew(t *testing.T) {
	const turns, timeout, answer = 10_000, 50 * time.Microsecond, 11 * time.Microsecond
	for _, clients := range []int{1, 2, 3, 5} {
		start := time.Unix(1000, 0)
		now := start
		g := gather{timeout: timeout, interval: timeout, last: now}
		vain := 0
		for range turns {
			now = now.Add(answer)
			if g.wait() > clients {
				vain++
				now = now.Add(timeout - answer)
			}
			g.reaped(uint32(clients), clients, now)
		}
		if vain > turns/100 {
			t.Errorf("%d clients: %d waits of %d were in vain", clients, vain, turns)
		}
	}
}

// TestGatherOfOneReceive: the kernel counts a receive that brings many requests at once as one, so a wait for several lasts to the timeout
// though they came; that too is noticed.
func TestGatherOfOneReceive(t *testing.T) {
	const iterations, timeout, answer, requests = 10_000, 50 * time.Microsecond, 11 * time.Microsecond, 8
	now := time.Unix(1000, 0)
	g := gather{timeout: timeout, interval: timeout, last: now}
	vain := 0
	for range iterations {
		wanted := g.wait()
		if now = now.Add(answer); wanted > 1 {
			vain++
			now = now.Add(timeout)
		}
		g.reaped(requests, 1, now)
	}
	if vain > iterations/100 || vain == 0 {
		t.Errorf("%d waits of %d were in vain", vain, iterations)
	}
}

// TestAwaited: the completions of one operation follow one another, and count once where the kernel defers its work.
func TestAwaited(t *testing.T) {
	servertest.NeedURing(t)
	ch, _ := unserved(t, EngineURing)
	e := ch.engine.(*uringEngine)
	if errno := e.r.Enter(0, -1); errno != 0 { // what starting an engine queued
		t.Fatal(errno)
	}
	e.r.Advance(e.r.Ready())
	for _, slot := range []uint32{1, 1, 1, 2, 3, 3} {
		sqe := e.sqe()
		sqe.PrepNop()
		sqe.SetUserData(uint64(makeToken(kindRecvMultishot, 0, slot)))
	}
	if errno := e.r.Enter(6, time.Second); errno != 0 {
		t.Fatal(errno)
	}
	n := e.r.Ready()
	e.spill = append(e.spill, ring.CQE{}, ring.CQE{})
	want := 2 + 6
	if e.features.Has(ring.DeferTaskrun) {
		want = 2 + 3
	}
	if got := e.awaited(n); n != 6 || got != want {
		t.Errorf("%d completions and 2 spilled ones count as %d, want %d", n, got, want)
	}
	e.spill = nil
	e.r.Advance(n)
}

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
	c := ch.newConn(arrival{fd: int32(pair[0]), local: true})
	c.toLife(lifeServing)
	c.toInput(inputWanted)
	c.set(flagAnnounced)
	return ch, c
}

// TestFailedReceiveRests: a receive that ends at once without input is tried again, but if that ends so too it rests.
func TestFailedReceiveRests(t *testing.T) {
	servertest.NeedURing(t)
	for _, errno := range []syscall.Errno{unix.EAGAIN, unix.EINTR, unix.ECANCELED} {
		ch, c := unserved(t, EngineURing)
		e := ch.engine.(*uringEngine)
		ended := func(asked bool) {
			c.toReceive(recvSingle)
			if asked {
				c.toReceive(recvCancelling)
			}
			e.rearms = e.rearms[:0]
			e.singleReceived(c.token(kindRecvSingle), &ring.CQE{Res: -int32(errno)})
		}
		for range 3 {
			ended(true)
			if len(e.rearms) != 1 || len(e.resting.tokens) != 0 {
				t.Errorf("%v, after a cancel: %d start again, %d rest", errno, len(e.rearms), len(e.resting.tokens))
			}
		}
		ended(false)
		if len(e.rearms) != 1 || len(e.resting.tokens) != 0 {
			t.Errorf("%v, once: %d start again, %d rest", errno, len(e.rearms), len(e.resting.tokens))
		}
		ended(false)
		if len(e.rearms) != 0 || len(e.resting.tokens) != 1 {
			t.Errorf("%v, twice: %d start again, %d rest", errno, len(e.rearms), len(e.resting.tokens))
		}
		e.resting.until = time.Now()
		e.goOn()
		if len(e.rearms) != 1 || len(e.resting.tokens) != 0 {
			t.Errorf("%v, after a rest: %d start again, %d rest", errno, len(e.rearms), len(e.resting.tokens))
		}
	}
}

// TestReleasedDoesNotReceive: a connection that is closed between the end of a receive and the start of the next, and whose send the kernel
// still has under way, receives no more, and is gone when the send ends.
func TestReleasedDoesNotReceive(t *testing.T) {
	servertest.NeedURing(t)
	for name, res := range map[string]int32{"a receive that brought something": 1, "one that found no buffer": -int32(unix.ENOBUFS)} {
		ch, c := unserved(t, EngineURing)
		e, drain := ch.engine.(*uringEngine), c.token(kindDrain)
		c.clear(flagAnnounced) // the Handler does not know it
		c.toSend(sendQueued)
		c.toSend(sendDraining)
		c.toReceive(recvSingle)
		e.singleReceived(c.token(kindRecvSingle), &ring.CQE{Res: res})
		if len(e.rearms)+len(e.noBuffer) != 1 {
			t.Fatalf("%s: %d start again, %d without a buffer", name, len(e.rearms), len(e.noBuffer))
		}
		ch.kill(c)
		e.armAgain()
		if c.receive != recvNone {
			t.Errorf("%s: %v", name, c.receive)
		}
		e.drainEnded(drain, &ring.CQE{Res: -int32(unix.ECANCELED)})
		if ch.conns.find(drain.slot(), drain.gen()) != nil {
			t.Errorf("%s: it is still there when its send has ended", name)
		}
	}
}

// TestSendWithoutMemoryRests: a send queue that the kernel has no memory to send is left alone for a while.
func TestSendWithoutMemoryRests(t *testing.T) {
	t.Run("uring", func(t *testing.T) {
		servertest.NeedURing(t)
		ch, c := unserved(t, EngineURing)
		e := ch.engine.(*uringEngine)
		for _, errno := range []syscall.Errno{unix.ENOBUFS, unix.ENOMEM} {
			if c.send == sendIdle {
				c.toSend(sendQueued)
			}
			c.toSend(sendDraining)
			e.resting = resting{}
			e.drainEnded(c.token(kindDrain), &ring.CQE{Res: -int32(errno)})
			if c.send == sendDraining || c.underWay() || len(e.resting.tokens) != 1 {
				t.Errorf("%v: %v, %v, %d rest", errno, c.send, c.receive, len(e.resting.tokens))
			}
		}
	})
	t.Run("epoll", func(t *testing.T) {
		ch, c := unserved(t, EngineEpoll)
		e := ch.engine.(*epollEngine)
		c.toInput(inputPaused)
		e.receive(c)
		c.toSend(sendQueued)
		e.drain(c)
		e.restDrain(c, unix.ENOMEM)
		if n, errno := e.wait(false); n != 0 || errno != 0 {
			t.Errorf("%d events of a send queue that rests, %v", n, errno)
		}
		if c.send == sendDraining || len(e.resting) != 1 {
			t.Errorf("%v, %d rest", c.send, len(e.resting))
		}
		e.tick()
		if len(e.resting) != 0 {
			t.Errorf("%d rest after a tick", len(e.resting))
		}
	})
}

// TestWithoutEachFeature: every feature of the kernel can be switched off by itself, and what
// the engine does instead answers the same: streams, datagrams, and replies that are not taken.
func TestWithoutEachFeature(t *testing.T) {
	fs, err := ring.Probe()
	if err != nil {
		t.Fatal(err)
	}
	for _, without := range fs.Results() {
		t.Run(without.Name, func(t *testing.T) {
			s := start(t, withDatagrams, func(c *Config) {
				c.Engine, c.Direct, c.Wait = EngineURing, true, 2
				c.Allow &^= without.Feature
			})
			eventually(t, "all channels serve", func() bool { return int(s.started.Load()) == s.Threads() })
			if s.Engine().Features.Has(without.Feature) {
				t.Error("it is used all the same")
			}
			c := s.dial()
			requests, replies := echoes(0, 500)
			send(t, c, requests)
			expect(t, c, replies)

			const n = 500
			go func() { _, _ = io.WriteString(c, strings.Repeat("copy 5000\nref 50000\n", n)) }()
			eventually(t, "a send queue", func() bool { return s.Stats().SendQueueBytes > 0 })
			want := string(pattern(5000)) + "\n" + string(pattern(50_000)) + "\n"
			for range n {
				expect(t, c, want)
			}

			udp := dialDatagram(t, s.DatagramAddrs()[0])
			if got := ask(t, udp, 1, "echo hello\n"); got != "hello\n" {
				t.Errorf("got %q", got)
			}
			send(t, c, "quit\n")
			expectEnd(t, c)
		})
	}
}
