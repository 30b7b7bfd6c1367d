package batch

import (
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
	"ringcached/internal/contract"
)

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

// connectOn connects from the given core, on which loopback handles the connection then.
func (s *server) connectOn(core int) {
	s.t.Helper()
	onCore(s.t, core, func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		s.t.Cleanup(func() { _ = unix.Close(fd) })
		return unix.Connect(fd, sockaddr(s.Addrs()[0]))
	})
}

// visit connects from the given core, and expects its channel to have accepted so many then.
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
