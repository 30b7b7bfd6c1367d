package batch

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"ringcached/internal/servertest"
)

// TestConnSize: the time of the last input lies where a gap was.
func TestConnSize(t *testing.T) {
	if size := unsafe.Sizeof(conn{}); size > 48 {
		t.Errorf("a connection record has %d bytes", size)
	}
}

// TestPauseAtTheLimit: with Config.Pause connections above the limit are neither refused
// nor lost. They are served, whatever they sent meanwhile, as soon as others end.
func TestPauseAtTheLimit(t *testing.T) {
	everySetup(t, func(t *testing.T, change func(*Config)) {
		const limit, clients = 3, 40
		s := start(t, change, func(c *Config) { c.MaxConns, c.Pause = limit, true })
		var first []net.Conn
		for range limit {
			c := s.dial()
			send(t, c, "echo in\n")
			expect(t, c, "in\n")
			first = append(first, c)
		}
		var wg sync.WaitGroup
		for range clients {
			c := s.knock(0, "echo waited\n")
			wg.Go(func() {
				expect(t, c, "waited\n")
				_ = c.Close()
			})
		}
		eventually(t, "accepting stops", func() bool { return s.Stats().Paused > 0 })
		time.Sleep(20 * time.Millisecond)
		if st := s.Stats(); st.Conns != limit || st.Accepted != limit {
			t.Errorf("%d connections, %d accepted; want %d of both", st.Conns, st.Accepted, limit)
		}
		for _, c := range first {
			_ = c.Close()
		}
		wg.Wait()
		eventually(t, "accepting goes on", func() bool { return s.Stats().Paused == 0 })
		if st := s.Stats(); st.Rejected != 0 || st.Accepted != limit+clients || st.AcceptBackoffs == 0 || st.AcceptPausedUsec == 0 {
			t.Errorf("stats: %+v", st)
		}
	})
}

// TestStopWhilePaused: connections that wait for room end with the server.
func TestStopWhilePaused(t *testing.T) {
	everySetup(t, func(t *testing.T, change func(*Config)) {
		s := start(t, change, func(c *Config) { c.MaxConns, c.Pause = 1, true })
		c := s.dial()
		send(t, c, "echo in\n")
		expect(t, c, "in\n")
		waiting := s.dialTCP()
		eventually(t, "accepting stops", func() bool { return s.Stats().Paused > 0 })
		s.stop()
		expectEnd(t, c)
		expectEnd(t, waiting)
	})
}

// TestIdleTimeout: who says nothing is closed, who says something now and then is not. On a busy machine a client that means to speak may
// come too late; then it is tried with a longer timeout.
func TestIdleTimeout(t *testing.T) {
	everySetup(t, func(t *testing.T, change func(*Config)) {
		t.Parallel()
		for timeout := 2 * time.Second; !idleTimeout(t, change, timeout); timeout *= 4 {
			t.Logf("the machine is too busy to speak within %v", timeout)
		}
	})
}

// idleTimeout is one try. It reports false if the test itself was silent for so long that the server may have closed any connection.
func idleTimeout(t *testing.T, change func(*Config), timeout time.Duration) bool {
	s := start(t, change, func(c *Config) { c.IdleTimeout = timeout })
	begin := time.Now()
	spoke, late := begin, false
	idle, half, busy := s.dial(), s.dial(), s.dial()
	for _, c := range []net.Conn{idle, half, busy} {
		_ = c.SetDeadline(begin.Add(20 * timeout * servertest.Slow))
	}
	say := func(c net.Conn, word string) {
		reply := make([]byte, len(word)+1)
		_, err := fmt.Fprintf(c, "echo %s\n", word)
		if err == nil {
			_, err = io.ReadFull(c, reply)
		}
		late = late || time.Since(spoke) > timeout/2
		spoke = time.Now()
		if !late && (err != nil || string(reply) != word+"\n") {
			t.Fatalf("echo %s: %q, %v", word, reply, err)
		}
	}
	say(idle, "before")
	_, _ = io.WriteString(half, "echo unfin")
	say(busy, "busy")
	done := make(chan struct{})
	go func() {
		defer close(done)
		expectEnd(t, idle)
		expectEnd(t, half)
	}()
	for closed := false; !closed && !late; {
		say(busy, "busy")
		select {
		case <-done:
			closed = true
		case <-time.After(100 * time.Millisecond):
		}
	}
	took := time.Since(begin)
	say(busy, "still")
	if late {
		<-done
		return false
	}
	if took < timeout || took > 10*timeout {
		t.Errorf("closed after %v, want some %v", took, timeout)
	}
	// A connection is counted out a moment after its peer sees the end.
	eventually(t, "two connections were kicked and one is left", func() bool {
		st := s.Stats()
		return st.IdleKicks == 2 && st.Conns == 1
	})
	return true
}

// TestBusyIsNotIdle: who takes longer than the idle timeout to read its replies has said what waits behind them in time.
func TestBusyIsNotIdle(t *testing.T) {
	everySetup(t, func(t *testing.T, change func(*Config)) {
		t.Parallel()
		const timeout = time.Second
		s := start(t, change, func(c *Config) { c.IdleTimeout, c.SendTimeout = timeout, time.Minute })
		const each, many = 60000, 500 // more than the sockets' buffers hold
		ask := func() (c net.Conn, intime bool) {
			begin := time.Now()
			c = s.dial()
			_, err := io.WriteString(c, strings.Repeat(fmt.Sprintf("ref %d\n", each), many))
			return c, err == nil && time.Since(begin) < timeout/2
		}
		c, intime := ask()
		for tries := 1; !intime; tries++ {
			if _ = c.Close(); tries == 50 {
				t.Fatal("the machine is too busy to ask before the connection is idle")
			}
			c, intime = ask()
		}
		time.Sleep(4 * timeout)
		if n, err := io.CopyN(io.Discard, c, many*(each+1)); err != nil {
			t.Errorf("%d bytes of %d, then %v", n, many*(each+1), err)
		}
	})
}
