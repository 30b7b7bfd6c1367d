package batch

import (
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
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

// unread connects and pipelines enough requests that their replies fill all buffers, and they themselves the socket's. It returns the replies to those that
// have arrived, at the least, when nothing more arrives.
func unread(t *testing.T, s *server) (c stream, want string) {
	t.Helper()
	c = s.dialBuffers(16<<10, 4<<20)
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
	return c, want
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

// TestStopSendsAll: a client that has not read its replies when the server stops gets all of them, in its own time, though it goes on asking, and
// although some of its requests are still in the kernel's buffers.
func TestStopSendsAll(t *testing.T) {
	everySetup(t, func(t *testing.T, change func(*Config)) {
		t.Parallel()
		s := start(t, change, func(c *Config) { c.DrainTimeout = answerTime })
		c, want := unread(t, s)
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
				_, _ = unread(t, s)
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
		c, want := unread(t, s)
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
		var waiting []stream
		for range 4 {
			c := s.knock(0, "echo waited\n")
			arrived(t, c)
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

// ended pipelines requests whose replies its socket does not hold, the last of which ends the
// connection, and goes on sending. The server has sent everything when this returns, or the
// connection has failed; the client has read the first bytes of want, those that it had to.
func ended(t *testing.T, s *server) (c stream, read int, want string, err error) {
	t.Helper()
	c = s.dialBuffers(128<<10, 4<<20)
	const requests, size = 200, 10_000
	want = strings.Repeat(string(pattern(size))+"\n", requests)
	go func() {
		_, _ = io.WriteString(c, strings.Repeat("copy 10000\n", requests)+"quit\n"+strings.Repeat("more", 50_000))
	}()
	buf := make([]byte, 64<<10)
	eventually(t, "all replies are sent", func() bool {
		st, tls := s.Stats(), uint64(0)
		if s.isTLS(0) && st.TLSRecordsOut > 0 { // not by the kernel
			tls = sealing(st.TLSRecordsOut)
		}
		if st.BytesWritten == uint64(len(want))+tls {
			return true
		}
		var n int
		n, err = c.Read(buf)
		read += n
		return err != nil
	})
	return c, read, want, err
}

// TestHangUp: who ends a connection and is sending still gets every reply. The server does not
// wait for its close then.
func TestHangUp(t *testing.T) {
	everySetup(t, func(t *testing.T, change func(*Config)) {
		s := start(t, change)
		c, read, want, err := ended(t, s)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond) // the server may close at its worst moment
		expect(t, c, want[read:])
		expectEnd(t, c)
		eventually(t, "the connection is gone", func() bool { return s.Stats().Conns == 0 })
	})
}

// TestHangUpKeepsNobody: a connection that lingers goes when its peer takes nothing, and when the
// server stops, which its end sees to.
func TestHangUpKeepsNobody(t *testing.T) {
	for _, engine := range []string{EngineEpoll, EngineURing} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			s := start(t, func(c *Config) { c.Engine, c.SendTimeout = engine, time.Second })
			_, _, _, _ = ended(t, s)
			eventually(t, "who takes nothing is gone", func() bool { return s.Stats().Conns == 0 })
			s.ResetStats()
			_, _, _, _ = ended(t, s)
		})
	}
}

// bequeath returns the server's sockets for another one to serve.
func (s *server) bequeath() *Inherited {
	s.t.Helper()
	fds, err := s.Listening()
	if err != nil {
		s.t.Fatal(err)
	}
	inherited, err := Inherit(fds)
	if err != nil {
		s.t.Fatal(err)
	}
	return inherited
}

// TestRelease gives a server's sockets to another one: at no time do both take connections or datagrams from them, what comes between is
// kept, and connections that were there before are served.
func TestRelease(t *testing.T) {
	everySetup(t, func(t *testing.T, change func(*Config)) {
		t.Parallel()
		old := start(t, change, withDatagrams)
		before := old.dial()
		send(t, before, "echo before\n")
		expect(t, before, "before\n")

		inherited := old.bequeath()
		ready := make(chan struct{})
		next := start(t, change, func(c *Config) {
			c.Listen, c.Inherited, c.Hold, c.Threads = nil, inherited, true, 1
			c.Ready = func() { close(ready) }
		})
		<-ready
		if got, want := next.Addrs(), old.Addrs(); len(got) != 1 || got[0] != want[0] {
			t.Fatalf("the new server listens on %v, the old one on %v", got, want)
		}
		first := old.dial()
		send(t, first, "echo first\n")
		expect(t, first, "first\n")
		if n := next.Stats().Accepted; n != 0 {
			t.Fatalf("a server that is held back accepted %d connections", n)
		}

		old.Release()
		const many = 20
		accepted := old.Stats().Accepted
		for range many {
			c := next.knock(0, "echo between\n")
			defer expect(t, c, "between\n")
		}
		datagram := dialDatagram(t, next.DatagramAddrs()[0])
		if _, err := datagram.Write(append([]byte{0, 1, 0, 0, 0, 1, 0, 0}, "echo datagram\n"...)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond) // for whoever would take them wrongly
		if a, b := old.Stats().Accepted-accepted, next.Stats().Accepted; a != 0 || b != 0 {
			t.Errorf("before Accept the old server accepted %d, the new one %d", a, b)
		}
		if a, b := old.datagrams.Load(), next.datagrams.Load(); a != 0 || b != 0 {
			t.Errorf("before Accept the old server read %d datagrams, the new one %d", a, b)
		}
		send(t, before, "echo after\n")
		expect(t, before, "after\n")

		next.Accept()
		eventually(t, "the new server has them all", func() bool { return next.Stats().Accepted == many })
		buf := make([]byte, 100)
		_ = datagram.SetReadDeadline(time.Now().Add(answerTime))
		if n, err := datagram.Read(buf); err != nil || string(buf[8:n]) != "datagram\n" {
			t.Errorf("%q, %v", buf[:n], err)
		}
		old.stop()
		last := next.dial()
		send(t, last, "echo last\n")
		expect(t, last, "last\n")
	})
}

// TestReleaseUnix: the path of a unix socket goes away with the server that has it last.
func TestReleaseUnix(t *testing.T) {
	old := start(t, withUnix(t))
	path := old.socket
	inherited := old.bequeath()
	next := start(t, func(c *Config) { c.Listen, c.Inherited, c.Hold = []netip.AddrPort{}, inherited, true })
	old.Release()
	next.Accept()
	next.socket = next.UnixPath()
	old.stop()
	c := next.dialUnix()
	send(t, c, "echo x\n")
	expect(t, c, "x\n")
	next.stop()
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("%s is still there: %v", path, err)
	}
}

// TestReleaseOfStopped: releasing a server that has stopped does not wait.
func TestReleaseOfStopped(t *testing.T) {
	everySetup(t, func(t *testing.T, change func(*Config)) {
		ready := make(chan struct{})
		s := start(t, change, func(c *Config) { c.Ready = func() { close(ready) } })
		<-ready
		s.stop()
		s.Release()
		if fds, err := s.Listening(); err == nil {
			t.Errorf("it listens on %v", fds)
		}
	})
}
