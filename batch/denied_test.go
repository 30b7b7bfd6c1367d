package batch

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"ringcached/internal/servertest"
	"ringcached/ring"
)

// operation finds the code of an operation of io_uring, and all others that servers use.
func operation(t *testing.T, name string) (code uint8, others []uint8) {
	t.Helper()
	servertest.NeedURing(t)
	fs, err := ring.Probe()
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range fs.Operations() {
		if o.Name == name {
			code = o.Code
		} else {
			others = append(others, o.Code)
		}
	}
	if code == 0 {
		t.Fatalf("no operation %s", name)
	}
	return code, others
}

// TestAutoWithoutOperation: where the kernel denies an operation auto takes epoll and says which, and uring is refused.
func TestAutoWithoutOperation(t *testing.T) {
	for _, name := range []string{"accept", "recv", "send", "sendmsg", "recvmsg", "poll_add", "async_cancel", "close"} {
		t.Run(name, func(t *testing.T) {
			_, others := operation(t, name)
			deny := func(c *Config) { c.operations = others }
			s := start(t, deny, func(c *Config) { c.Engine = EngineAuto })
			c := s.dial()
			send(t, c, "echo hello\n")
			expect(t, c, "hello\n")
			want := fmt.Sprintf("no io_uring: operation %s: denied (permission denied)", name)
			eventually(t, "all channels serve", func() bool { return int(s.started.Load()) == s.Threads() })
			if got := s.Engine(); got.Engine != EngineEpoll || got.Why != want {
				t.Errorf("engine %s: %q, want epoll: %q", got.Engine, got.Why, want)
			}
			config := s.config
			if tried, err := Try(config, nil); tried.Engine != EngineEpoll || tried.Why != want || err != nil {
				t.Errorf("tried: %s: %q, %v", tried.Engine, tried.Why, err)
			}
			config.Engine = EngineURing
			if _, err := Try(config, nil); err == nil || !strings.HasPrefix(err.Error(), "engine uring: operation "+name+": denied") {
				t.Errorf("uring: %v", err)
			}
		})
	}
}

// TestAutoStartsTogether: if a channel cannot make its ring, all of them take epoll.
func TestAutoStartsTogether(t *testing.T) {
	servertest.NeedURing(t)
	s := start(t, func(c *Config) {
		c.Engine, c.Threads = EngineAuto, 8
		c.BusyPoll, c.Allow = time.Microsecond, parseFeatures(t, "6.8")
	}, withDatagrams)
	for range 20 {
		c := s.dial()
		send(t, c, "echo hello\n")
		expect(t, c, "hello\n")
	}
	eventually(t, "all channels serve", func() bool { return int(s.started.Load()) == s.Threads() })
	if got := s.Engine(); got.Engine != EngineEpoll || !strings.HasPrefix(got.Why, "no io_uring: busy polling: not supported") {
		t.Errorf("engine %s: %s", got.Engine, got.Why)
	}
	udp := dialDatagram(t, s.DatagramAddrs()[0])
	if got := ask(t, udp, 1, "echo hello\n"); got != "hello\n" {
		t.Errorf("got %q", got)
	}
}

// TestPreparationFails: what a thread cannot do before it makes its ring, no other engine mends. It is the error, of auto too.
func TestPreparationFails(t *testing.T) {
	for _, engine := range []string{EngineAuto, EngineEpoll} {
		config := DefaultConfig()
		config.Engine, config.Threads = engine, 3
		on(false, "127.0.0.1:0")(&config)
		var calls atomic.Int64
		_, err := Try(config, func() error {
			if calls.Add(1) == 3 { // the first is not a channel's
				return unix.EXDEV
			}
			return nil
		})
		if err != unix.EXDEV {
			t.Errorf("%s: %v, want %v", engine, err, unix.EXDEV)
		}
	}
}

// complaintsOf counts the messages that always are logged.
func complaintsOf(c *Config, text string) *atomic.Int64 {
	n := new(atomic.Int64)
	log := c.Log
	c.Log = func(level int, format string, args ...any) {
		if level == 0 && strings.Contains(fmt.Sprintf(format, args...), text) {
			n.Add(1)
		}
		log(level, format, args...)
	}
	return n
}

// triesPerSecond is more than a channel that rests between two tries makes in a second, and far less than one that does not.
const triesPerSecond = 100

// TestAcceptFails: accepting that fails, for whatever reason, is not tried again at once, is logged once, and goes on when it can.
func TestAcceptFails(t *testing.T) {
	everySetup(t, func(t *testing.T, change func(*Config)) {
		t.Parallel()
		var complaints *atomic.Int64
		s := start(t, change, func(c *Config) {
			c.Threads, c.OneQueue = 1, true
			complaints = complaintsOf(c, "not accepting connections: ")
		})
		c := s.dial()
		send(t, c, "echo hello\n")
		expect(t, c, "hello\n")
		fd := listeningFD(t, s)
		if err := unix.Shutdown(fd, unix.SHUT_RDWR); err != nil { // it is no listener any more: EINVAL
			t.Fatal(err)
		}
		eventually(t, "accepting fails", func() bool { return s.Stats().AcceptErrors > 0 })
		before := s.Stats()
		time.Sleep(time.Second)
		after := s.Stats()
		if n := after.AcceptErrors - before.AcceptErrors; n > triesPerSecond {
			t.Errorf("%d failed accepts in a second", n)
		}
		if n := after.Enters - before.Enters; n > 10*triesPerSecond {
			t.Errorf("%d iterations in a second", n)
		}
		send(t, c, "echo still\n") // others are served
		expect(t, c, "still\n")
		if err := unix.Listen(fd, 100); err != nil {
			t.Fatal(err)
		}
		addr, err := withBoundPort(netip.MustParseAddrPort("127.0.0.1:0"), fd) // a socket that was bound to port 0 gets another one
		if err != nil {
			t.Fatal(err)
		}
		again, err := net.Dial("tcp", addr.String())
		if err != nil {
			t.Fatal(err)
		}
		defer again.Close()
		if s.isTLS(0) {
			again = s.secure(again, nil)
		}
		send(t, again, "echo again\n")
		reply := make([]byte, len("again\n"))
		_ = again.SetReadDeadline(time.Now().Add(20 * time.Second * servertest.Slow))
		if _, err := io.ReadFull(again, reply); err != nil || string(reply) != "again\n" {
			t.Errorf("%q, %v", reply, err)
		}
		if n := complaints.Load(); n != 1 {
			t.Errorf("%d lines in the log, want 1", n)
		}
	})
}

func listeningFD(t *testing.T, s *server) int {
	t.Helper()
	return s.channels[0].listeners[0].fd
}

// withoutOperation makes a uring server that has not found out that an operation is denied.
func withoutOperation(t *testing.T, name string, change ...func(*Config)) *server {
	t.Helper()
	_, others := operation(t, name)
	s := prepare(t, append(change, func(c *Config) { c.Engine, c.Threads, c.operations = EngineURing, 1, others })...)
	fs, err := ring.Probe()
	if err != nil {
		t.Fatal(err)
	}
	s.choice = Choice{EngineURing, "made to", fs}
	s.run()
	return s
}

// TestDeniedOperationsRest: what the kernel ends at once, again and again, is not tried again at once, and is logged once.
func TestDeniedOperationsRest(t *testing.T) {
	for _, test := range []struct {
		name, complaint string
		serves          bool
	}{
		{"accept", "not accepting connections: permission denied", false},
		{"poll_add", "cannot wait for wake-ups: permission denied", true},
		{"recvmsg", "cannot receive datagrams: permission denied", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var complaints *atomic.Int64
			s := withoutOperation(t, test.name, withDatagrams, func(c *Config) { complaints = complaintsOf(c, test.complaint) })
			eventually(t, "it is logged", func() bool { return complaints.Load() > 0 })
			if test.serves {
				c := s.dial()
				send(t, c, "echo hello\n")
				expect(t, c, "hello\n")
			} else if c, err := net.Dial("tcp", s.Addrs()[0].String()); err == nil { // who waits costs nothing
				defer c.Close()
			}
			before := enters(s)
			time.Sleep(time.Second)
			if n := enters(s) - before; n > triesPerSecond {
				t.Errorf("%d iterations in a second", n)
			}
			if n := complaints.Load(); n != 1 {
				t.Errorf("%d lines in the log, want 1", n)
			}
		})
	}
}

// enters counts the iterations of all channels as far as they are known, by their histogram, which is never behind.
func enters(s *server) (n uint64) {
	sizes := s.Stats().SubmitSizes
	for _, count := range slices.All(sizes[:]) {
		n += count
	}
	return n
}
