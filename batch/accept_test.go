package batch

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"ringcached/internal/contract"
)

// loads is how many connections each channel has, sorted.
func (s *server) loads() (loads []int) {
	for _, ch := range s.channels {
		loads = append(loads, int(ch.load.Load()))
	}
	slices.Sort(loads)
	return loads
}

// TestFewConnectionsSpread: however few come, and wherever the kernel puts them, no channel has two more than another.
func TestFewConnectionsSpread(t *testing.T) {
	everySetup(t, func(t *testing.T, change func(*Config)) {
		for name, socket := range map[string]func(*Config){"tcp": func(*Config) {}, "unix": withUnix(t)} {
			t.Run(name, func(t *testing.T) {
				s := start(t, change, socket, func(c *Config) { c.Threads = 4 })
				// A ring has to be there before a direct descriptor can be sent to it.
				eventually(t, "all channels serve", func() bool { return int(s.started.Load()) == s.Threads() })
				dial := func() net.Conn {
					if name == "unix" {
						return s.dialUnix()
					}
					return s.dial()
				}
				var conns []net.Conn
				for range 8 {
					c := dial()
					send(t, c, "echo in\n")
					expect(t, c, "in\n") // counted by now
					conns = append(conns, c)
				}
				if got := s.loads(); !slices.Equal(got, []int{2, 2, 2, 2}) {
					t.Fatalf("8 connections lie %v in 4 channels", got)
				}
				for _, c := range conns[:6] {
					_ = c.Close()
				}
				eventually(t, "they are gone", func() bool { return s.Stats().Conns == 2 })
				for range 6 {
					c := dial()
					send(t, c, "echo again\n")
					expect(t, c, "again\n")
				}
				if got := s.loads(); got[3] > 2 {
					t.Errorf("after others have come and gone 8 connections lie %v in 4 channels", got)
				}
				st := s.Stats()
				if st.LeastConns != 2 || st.MostConns != 2 || st.Conns != 8 || st.Accepted != 14 {
					t.Errorf("stats: %+v", st)
				}
			})
		}
	})
}

// TestConnectionsStay: with Config.Stay the kernel's choice holds.
func TestConnectionsStay(t *testing.T) {
	s := start(t, func(c *Config) { c.Threads, c.Stay = 8, true })
	for range 40 {
		c := s.dial()
		send(t, c, "echo in\n")
		expect(t, c, "in\n")
	}
	if n := s.Stats().Passed; n != 0 {
		t.Errorf("%d connections were passed on", n)
	}
}

// TestPassedConnectionsWork: what is special about a connection that another channel accepted is nothing.
func TestPassedConnectionsWork(t *testing.T) {
	everyPlainSetup(t, func(t *testing.T, change func(*Config)) {
		s := start(t, change, withUnix(t), func(c *Config) { c.Threads = 4 })
		var wg sync.WaitGroup
		for range 16 {
			c := s.dialUnix()
			wg.Go(func() {
				requests, replies := echoes(0, 100)
				go func() { _, _ = io.WriteString(c, requests+"ref 300000\nquit\n") }()
				expect(t, c, replies+string(pattern(300000))+"\n")
				expectEnd(t, c)
			})
		}
		wg.Wait()
		eventually(t, "all are gone", func() bool { return s.Stats().Conns == 0 })
		if got := s.loads(); !slices.Equal(got, []int{0, 0, 0, 0}) {
			t.Errorf("channels still count %v connections", got)
		}
	})
}

// TestStopWhilePassing stops a server while connections come and are passed on: each of them ends.
func TestStopWhilePassing(t *testing.T) {
	everySetup(t, func(t *testing.T, change func(*Config)) {
		for range 3 {
			s := start(t, change, func(c *Config) { c.Threads = 4 })
			addr := s.Addrs()[0].String()
			var wg sync.WaitGroup
			halfway := make(chan struct{})
			for i := range 4 {
				wg.Go(func() {
					for n := range 50 {
						if i == 0 && n == 10 {
							close(halfway)
						}
						c, err := net.Dial("tcp", addr)
						if err != nil {
							return // it has stopped
						}
						_ = c.SetDeadline(time.Now().Add(30 * time.Second))
						defer func() {
							expectEnd(t, c)
							_ = c.Close()
						}()
					}
				})
			}
			<-halfway
			s.stop()
			wg.Wait()
		}
	})
}

// TestWhoPassesOn goes through what decides whether a connection is passed on, and to whom.
func TestWhoPassesOn(t *testing.T) {
	for _, test := range []struct {
		name  string
		loads []int32 // of the channels, the first of which has accepted a connection
		left  int
		want  int // index of the channel that gets it
	}{
		{"the first", []int32{0, 0, 0, 0}, 0, 0},
		{"the second", []int32{1, 0, 0, 0}, 0, 1},
		{"the fewest", []int32{3, 2, 1, 2}, 0, 2},
		{"as few as the others", []int32{2, 2, 2, 2}, 0, 0},
		{"fewer than the average", []int32{1, 9, 0, 9}, 0, 0},
		{"about as few", []int32{265, 250, 251, 252}, 0, 0},
		{"noticeably more", []int32{266, 250, 251, 252}, 0, 1},
		{"many that end", []int32{5, 0, 0, 0}, passChurn, 1},
		{"too many that end", []int32{5, 0, 0, 0}, passChurn + 1, 0},
	} {
		s := &Server{}
		for _, n := range test.loads {
			ch := &channel{server: s, config: &s.config, engine: &epollEngine{}, wakeFD: -1, left: test.left}
			ch.load.Store(n)
			s.conns.Add(int64(n))
			s.channels = append(s.channels, ch)
		}
		s.conns.Add(1)
		passed := s.channels[0].passOn(arrival{fd: 77})
		if passed != (test.want != 0) {
			t.Errorf("%s: passed on: %v", test.name, passed)
		}
		for i, ch := range s.channels {
			in, counted := ch.inbox.take(), ch.load.Load()-test.loads[i]
			if got := passed && i == test.want; (len(in) == 1) != got || (counted == 1) != got {
				t.Errorf("%s: channel %d has %v, and %d more are counted", test.name, i, in, counted)
			}
		}
	}
}

// TestInboxShuts: a channel that has ended takes nothing, and one that has something does not end.
func TestInboxShuts(t *testing.T) {
	s := &Server{}
	for range 2 {
		s.channels = append(s.channels, &channel{server: s, config: &s.config, engine: &epollEngine{}, wakeFD: -1})
	}
	from, to := s.channels[0], s.channels[1]
	from.load.Store(1)
	s.conns.Store(2)
	if !from.passOn(arrival{fd: 77}) || to.inbox.shut() {
		t.Error("an inbox was shut over a connection")
	}
	to.inbox.take()
	if !to.inbox.shut() {
		t.Error("an empty inbox was not shut")
	}
	to.load.Store(0)
	if from.passOn(arrival{fd: 78}) || to.load.Load() != 0 || len(to.inbox.take()) != 0 {
		t.Error("a connection was passed on to a channel that has ended")
	}
}

// runFilter runs a program as the kernel does on the given core.
func runFilter(t *testing.T, program []unix.SockFilter, core uint32) uint32 {
	t.Helper()
	var a uint32
	for pc := 0; pc < len(program); pc++ {
		switch in := program[pc]; in.Code {
		case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
			if int32(in.K) != -0x1000+36 {
				t.Fatalf("loads from %d", int32(in.K))
			}
			a = core
		case unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K:
			if a == in.K {
				pc += int(in.Jt)
			} else {
				pc += int(in.Jf)
			}
		case unix.BPF_ALU | unix.BPF_MOD | unix.BPF_K:
			a %= in.K
		case unix.BPF_RET | unix.BPF_K:
			return in.K
		case unix.BPF_RET | unix.BPF_A:
			return a
		default:
			t.Fatalf("instruction %+v", in)
		}
	}
	t.Fatal("the program does not end")
	return 0
}

func TestSteeringProgram(t *testing.T) {
	for _, test := range []struct {
		cores   []int
		sockets int
		want    map[int]int // index of the socket by core
	}{
		{[]int{0, 1, 2, 3}, 4, map[int]int{0: 0, 1: 1, 2: 2, 3: 3, 4: 0, 7: 3}},
		{[]int{1, 2}, 2, map[int]int{1: 0, 2: 1, 0: 0, 3: 1, 4: 0}},
		{[]int{2, 5, 300}, 3, map[int]int{2: 0, 5: 1, 300: 2, 0: 0, 1: 1, 7: 1}},
		{[]int{0, 1, 2, 3}, 2, map[int]int{0: 0, 1: 1, 2: 0, 3: 1}}, // inherited: fewer sockets than channels
		{[]int{0, 1}, 5, map[int]int{0: 0, 1: 1}},                   // and more
	} {
		program := steering(test.cores, test.sockets)
		for core, want := range test.want {
			if got := runFilter(t, program, uint32(core)); got != uint32(want) {
				t.Errorf("cores %v, %d sockets: core %d has socket %d, want %d", test.cores, test.sockets, core, got, want)
			}
		}
	}
}

func steered(c *Config) { c.Affinity, c.Steer = true, true }

// onCore runs f on the n-th usable core.
func onCore(t *testing.T, n int, f func() error) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: nobody else gets the thread
		err := pin(n)
		if err == nil {
			err = f()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func needTwoCores(t *testing.T) {
	t.Helper()
	if cores, err := usableCores(); err != nil || len(cores) < 2 {
		t.Skipf("connections cannot be steered on one core: run the test where two are usable (%v, %v)", cores, err)
	}
}

// connectOn connects from the given core, on which loopback handles the connection then. Over TLS a handshake follows.
func (s *server) connectOn(core int) {
	s.t.Helper()
	onCore(s.t, core, func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		tcp := os.NewFile(uintptr(fd), "client")
		s.t.Cleanup(func() { _ = tcp.Close() })
		if err := unix.Connect(fd, sockaddr(s.Addrs()[0])); err != nil || !s.isTLS(0) {
			return err
		}
		c, err := net.FileConn(tcp)
		if err != nil {
			return err
		}
		s.t.Cleanup(func() { _ = c.Close() })
		_ = c.SetDeadline(time.Now().Add(answerTime))
		return tls.Client(c, clientConfig()).Handshake()
	})
}

// visit connects from the given core, and expects its channel to have accepted the given number then.
func (s *server) visit(core int, want uint64) {
	s.t.Helper()
	s.connectOn(core)
	eventually(s.t, fmt.Sprintf("channel %d has connection %d", core, want), func() bool {
		return s.channels[core].stats.accepted.Load() == want
	})
}

// visitDatagram sends a datagram, and expects the channel to receive it.
func (s *server) visitDatagram(core int) {
	s.t.Helper()
	receives := &s.channels[core].stats.published[8]
	before := receives.Load()
	onCore(s.t, core, func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return unix.Sendto(fd, append([]byte{0, 1, 0, 0, 0, 1, 0, 0}, "echo x\n"...), 0, sockaddr(s.DatagramAddrs()[0]))
	})
	eventually(s.t, fmt.Sprintf("channel %d has the datagram", core), func() bool { return receives.Load() > before })
}

// TestSteering: the channel that is pinned to a core gets what arrives there.
func TestSteering(t *testing.T) {
	needTwoCores(t)
	everySetup(t, func(t *testing.T, change func(*Config)) {
		s := start(t, change, withDatagrams, steered)
		for round := range uint64(3) {
			for core := range 2 {
				s.visit(core, round+1)
				s.visitDatagram(core)
			}
		}
		if n := s.Stats().Passed; n != 0 {
			t.Errorf("%d connections were passed on", n)
		}
	})
}

// TestSteeringHandedOver: the sockets keep their order, whoever has had them, and the last owner says how the kernel chooses.
func TestSteeringHandedOver(t *testing.T) {
	needTwoCores(t)
	first := start(t, steered)
	first.visit(1, 1)
	order := cookies(t, first)
	next := func(old *server, change ...func(*Config)) *server {
		t.Helper()
		inherited := old.bequeath()
		ready := make(chan struct{})
		s := start(t, append(change, func(c *Config) {
			c.Listen, c.Inherited, c.Hold, c.Ready = nil, inherited, true, func() { close(ready) }
		})...)
		<-ready
		old.Release()
		s.Accept()
		old.stop()
		if got := cookies(t, s); !slices.Equal(got, order) {
			t.Errorf("the sockets are %v now, they were %v", got, order)
		}
		return s
	}
	second := next(first, steered)
	for round := range uint64(3) {
		for core := range 2 {
			second.visit(core, round+1)
		}
	}
	third := next(second, func(c *Config) { c.Threads = 1 })
	c := third.dial()
	send(t, c, "echo one\n")
	expect(t, c, "one\n")
	fourth := next(third, func(c *Config) { c.Threads, c.Stay = 2, true })
	eventually(t, "both channels have connections", func() bool { // by hash
		fourth.connectOn(0)
		return fourth.Stats().LeastConns > 0
	})
	fifth := next(fourth, steered)
	fifth.visit(1, 1)
}

// cookies are what the kernel knows the listening sockets by, in the order in which they are handed over.
func cookies(t *testing.T, s *server) (all []uint64) {
	t.Helper()
	sockets, err := s.Listening()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range sockets {
		defer unix.Close(l.FD)
		cookie, err := unix.GetsockoptUint64(l.FD, unix.SOL_SOCKET, unix.SO_COOKIE)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, cookie)
	}
	return all
}

// TestListeningKeepsOrder: a server with fewer threads than sockets hands them over in the order in which it got them.
func TestListeningKeepsOrder(t *testing.T) {
	old := start(t, func(c *Config) { c.Threads = 5 })
	order := cookies(t, old)
	inherited := old.bequeath()
	next := start(t, func(c *Config) { c.Listen, c.Inherited, c.Threads = nil, inherited, 2 })
	if got := cookies(t, next); !slices.Equal(got, order) {
		t.Errorf("the sockets are %v, they were %v", got, order)
	}
}

func TestSteeringRefused(t *testing.T) {
	cores, err := usableCores()
	if err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*Config){
		"steering by core needs channels that are pinned to cores": func(c *Config) { c.Steer = true },
		fmt.Sprintf("steering by core: %d threads are more than the %d usable cores", len(cores)+1, len(cores)): func(c *Config) {
			steered(c)
			c.Threads = len(cores) + 1
		},
	} {
		c := DefaultConfig()
		c.Listen = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}
		change(&c)
		if _, err := New(c, func(int) contract.Handler { return nil }); err == nil || err.Error() != want {
			t.Errorf("New: %v, want %q", err, want)
		}
	}
}

// TestCrowdIsLogged: the first connection above the limit is logged at once, and those of the next minute together.
func TestCrowdIsLogged(t *testing.T) {
	everySetup(t, func(t *testing.T, change func(*Config)) {
		for _, pause := range []bool{false, true} {
			var mu sync.Mutex
			var said []string
			s := start(t, change, func(c *Config) {
				c.MaxConns, c.Pause = 1, pause
				c.Log = func(level int, format string, args ...any) {
					mu.Lock()
					defer mu.Unlock()
					if line := fmt.Sprintf(format, args...); level == 0 && strings.HasPrefix(line, "the limit") {
						said = append(said, line)
					}
				}
			})
			logged := func(want ...string) func() bool {
				return func() bool {
					mu.Lock()
					defer mu.Unlock()
					return slices.Equal(said, want)
				}
			}
			in := s.dial()
			send(t, in, "echo in\n")
			expect(t, in, "in\n")
			const limit = "the limit of 1 connections (-c) was reached: "
			if pause {
				s.dialTCP()
				eventually(t, "it is logged that one waits", logged(limit+"1 had to wait"))
				continue
			}
			for range 5 {
				s.wantRefused()
			}
			eventually(t, "the first is logged", logged(limit+"1 refused"))
			s.crowd.told.Add(-int64(crowdPause)) // a minute later
			eventually(t, "the others are logged", logged(limit+"1 refused", limit+"4 refused"))
		}
	})
}

// TestOneQueue: with Config.OneQueue there is one listening socket for all channels, which serve, stop and give it away as with one each.
func TestOneQueue(t *testing.T) {
	const threads = 3
	everySetup(t, func(t *testing.T, change func(*Config)) {
		for _, one := range []bool{false, true} {
			s := start(t, change, withDatagrams, func(c *Config) { c.Threads, c.OneQueue = threads, one })
			sockets, err := s.Listening()
			if err != nil {
				t.Fatal(err)
			}
			streams := 0
			for _, l := range sockets {
				if typ, err := unix.GetsockoptInt(l.FD, unix.SOL_SOCKET, unix.SO_TYPE); err != nil {
					t.Error(err)
				} else if typ == unix.SOCK_STREAM {
					streams++
				}
				_ = unix.Close(l.FD)
			}
			want, dgrams := threads, threads*len(s.DatagramAddrs())
			if one {
				want = 1
			}
			if streams != want || len(sockets)-streams != dgrams {
				t.Errorf("one queue %v: %d TCP sockets and %d for datagrams of %d channels, want %d and %d", one, streams, len(sockets)-streams, threads, want, dgrams)
			}
			for range 20 {
				c := s.dial()
				send(t, c, "echo served\n")
				expect(t, c, "served\n")
			}
			next := start(t, change, func(c *Config) { c.Listen, c.Inherited, c.Threads, c.OneQueue = nil, s.bequeath(), threads, one })
			s.stop()
			c := next.dial()
			send(t, c, "echo given away\n")
			expect(t, c, "given away\n")
		}
	})
}

// TestOneQueueIsNotSteered: there is nothing to choose from.
func TestOneQueueIsNotSteered(t *testing.T) {
	c := DefaultConfig()
	c.Listen, c.Threads, c.Affinity, c.Steer = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}, 1, true, true
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	if c.OneQueue = true; c.Validate() == nil {
		t.Error("steering with one queue is not refused")
	}
}

// labels of two addresses, for the Handler; the unix socket has 0.
var labels = [2]uint8{3, contract.LabelTLS - 1}

// withLabels makes a server listen on two addresses that have labels, over TLS if it speaks that.
func withLabels(c *Config) {
	free := netip.MustParseAddrPort("127.0.0.1:0")
	c.Listen = []netip.AddrPort{free, free}
	c.Labels = slices.Clone(labels[:])
	if c.TLS != nil {
		c.Labels[0] |= contract.LabelTLS
		c.Labels[1] |= contract.LabelTLS
	}
}

// wantLabel expects the Handler to have been told the label of a connection.
func wantLabel(t *testing.T, c net.Conn, label uint8) {
	t.Helper()
	send(t, c, "label\n")
	expect(t, c, fmt.Sprintln(label))
}

// TestLabels: the Handler learns by which listener each connection came, whichever channel serves it, and in whatever server.
func TestLabels(t *testing.T) {
	everySetup(t, func(t *testing.T, change func(*Config)) {
		s := start(t, change, withUnix(t), withLabels, func(c *Config) { c.Threads = 4 })
		try := func(s *server) {
			for range 8 {
				for i, label := range labels {
					wantLabel(t, s.dialLabel(i), label)
				}
			}
		}
		try(s)
		wantLabel(t, s.dialUnix(), 0)
		for range 50 {
			if s.Stats().Passed > 0 {
				break
			}
			try(s)
		}
		if s.Stats().Passed == 0 {
			t.Error("no connection was passed on")
		}
		next := start(t, change, func(c *Config) { c.Listen, c.Inherited, c.Threads = nil, s.bequeath(), 3 })
		s.stop()
		try(next)
	})
}

// TestLabelOfOneThatWaited: so it is with a connection that had to wait for room.
func TestLabelOfOneThatWaited(t *testing.T) {
	everySetup(t, func(t *testing.T, change func(*Config)) {
		s := start(t, change, withLabels, func(c *Config) { c.MaxConns, c.Pause = 1, true })
		first := s.dialLabel(0)
		wantLabel(t, first, labels[0])
		second := s.knock(1, "label\n")
		_ = first.Close()
		expect(t, second, fmt.Sprintln(labels[1]))
	})
}

// TestNoLabelWithoutAddress: there may be fewer labels than addresses, but not more.
func TestNoLabelWithoutAddress(t *testing.T) {
	c := DefaultConfig()
	withLabels(&c)
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	if c.Listen = c.Listen[:1]; c.Validate() == nil {
		t.Error("two labels for one address are not refused")
	}
}
