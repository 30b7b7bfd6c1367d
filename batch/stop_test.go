package batch

import (
	"io"
	"net"
	"syscall"
	"testing"
	"time"
)

// descriptorOf is that of a connection or listener of package net's, -1 if it is closed.
func descriptorOf(socket any) (fd int) {
	fd = -1
	if raw, err := socket.(syscall.Conn).SyscallConn(); err == nil {
		_ = raw.Control(func(n uintptr) { fd = int(n) })
	}
	return fd
}

// unread pipelines so many requests that their replies fill all buffers, and they themselves the socket's. It returns the replies to those that
// have arrived, at the least, when nothing more arrives.
func unread(t *testing.T, c *net.TCPConn) (want string) {
	t.Helper()
	_ = c.SetReadBuffer(16 << 10)
	_ = c.SetWriteBuffer(4 << 20)
	const rounds = 40
	var requests string
	reply, word := string(pattern(50_000))+"\n", string(pattern(5_000))
	for range rounds {
		requests += "copy 50000\nref 50000\necho " + word + "\n"
	}
	send(t, c, requests)
	fd := descriptorOf(c)
	last, since := -1, time.Now()
	eventually(t, "nothing more arrives", func() bool {
		if n := outstanding(fd); n != last {
			last, since = n, time.Now()
		}
		return time.Since(since) > 100*time.Millisecond
	})
	for range (len(requests) - last) / (len(requests) / rounds) {
		want += reply + reply + word + "\n"
	}
	if want == "" {
		t.Fatalf("of %d bytes %d have not arrived", len(requests), last)
	}
	return want
}

// nag goes on asking until the connection has ended.
func nag(c net.Conn) {
	for {
		if _, err := io.WriteString(c, "echo more\n"); err != nil {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// stopping stops the server, and returns when it has begun to. The function that it returns waits for the end.
func (s *server) stopping() (wait func()) {
	s.t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.stop()
	}()
	eventually(s.t, "the server stops", s.Stopping)
	return func() { <-done }
}

// TestStopSendsAll: who has not read its replies when the server stops gets all of them, in its own time, though it goes on asking, and
// although some of its requests are still in the kernel's buffers.
func TestStopSendsAll(t *testing.T) {
	everySetup(t, func(t *testing.T, change func(*Config)) {
		t.Parallel()
		s := start(t, change, func(c *Config) { c.DrainTimeout = answerTime })
		c := s.dial()
		want := unread(t, c)
		wait := s.stopping()
		go nag(c)
		time.Sleep(100 * time.Millisecond) // for whatever ends too early; none of it has to happen
		expect(t, c, want)
		_, _ = io.Copy(io.Discard, c) // replies to some that came later, and the end
		wait()
	})
}

// TestStopKeepsNobody: who takes nothing is waited for until Config.DrainTimeout is over, and not when the server is in a hurry.
func TestStopKeepsNobody(t *testing.T) {
	for what, change := range map[string]func(*Config){
		"late":    func(c *Config) { c.DrainTimeout = time.Second },
		"hurried": func(c *Config) { c.DrainTimeout = time.Hour },
	} {
		t.Run(what, func(t *testing.T) {
			everySetup(t, func(t *testing.T, setup func(*Config)) {
				t.Parallel()
				s := start(t, setup, change)
				c := s.dial()
				unread(t, c)
				wait := s.stopping()
				if what == "hurried" {
					s.Hurry()
				}
				wait()
			})
		})
	}
}

// TestStopRefuses: while the server waits for somebody it does not let others connect and wait for nothing.
func TestStopRefuses(t *testing.T) {
	everySetup(t, func(t *testing.T, change func(*Config)) {
		t.Parallel()
		s := start(t, change, func(c *Config) { c.DrainTimeout = answerTime })
		addr := s.Addrs()[0].String()
		c := s.dial()
		want := unread(t, c)
		wait := s.stopping()
		eventually(t, "others are refused", func() bool {
			other, err := net.Dial("tcp", addr)
			if err == nil {
				_ = other.Close()
			}
			return err != nil
		})
		expect(t, c, want)
		_ = c.Close()
		wait()
	})
}

// TestStopServesWaiting: whoever waits for room when the server stops is answered, and is not reset.
func TestStopServesWaiting(t *testing.T) {
	everySetup(t, func(t *testing.T, change func(*Config)) {
		t.Parallel()
		s := start(t, change, func(c *Config) { c.MaxConns, c.Pause, c.Threads = 1, true, 1 })
		in := s.dial()
		send(t, in, "echo in\n")
		expect(t, in, "in\n")
		var waiting []*net.TCPConn
		for range 4 {
			c := s.dial()
			send(t, c, "echo waited\n")
			waiting = append(waiting, c)
		}
		eventually(t, "one waits", func() bool { return s.Stats().AcceptBackoffs > 0 })
		s.stopping()
		for _, c := range append(waiting, in) {
			_ = c.SetReadDeadline(time.Now().Add(answerTime))
			want := "waited\n"
			if c == in {
				want = ""
			}
			if got, err := io.ReadAll(c); string(got) != want || err != nil {
				t.Errorf("got %q, %v; want %q and the end", got, err, want)
			}
		}
	})
}
