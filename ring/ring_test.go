package ring

import (
	"bytes"
	"errors"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"ringcached/internal/servertest"
)

// TestMain looks for descriptors that the tests left open.
func TestMain(m *testing.M) {
	before := openFDs()
	code := m.Run()
	if after := openFDs(); code == 0 && after > before {
		println("leaked descriptors:", after-before)
		code = 1
	}
	os.Exit(code)
}

// openFDs counts descriptors, but for those of the Go runtime's own poller, which
// come with the first file or timer.
func openFDs() (n int) {
	d, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		panic(err)
	}
	for _, e := range d {
		target, _ := os.Readlink("/proc/self/fd/" + e.Name())
		if target != "anon_inode:[eventpoll]" && target != "anon_inode:[eventfd]" {
			n++
		}
	}
	return n
}

// probe returns what the kernel has, of those features that were chosen for the tests.
func probe(t testing.TB) Features {
	t.Helper()
	fs, err := Probe()
	if err != nil {
		t.Fatal(err)
	}
	if chosen := servertest.Features(); chosen != "" {
		allowed, err := ParseFeatures(chosen)
		if err != nil {
			t.Fatal(err)
		}
		fs = fs.Only(allowed)
	}
	return fs
}

// newRing makes a ring on a locked thread, with the features of probe unless o says
// which. Where the kernel has no io_uring these
// tests fail: the package is nothing without it.
func newRing(t testing.TB, o Options) *Ring {
	t.Helper()
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
	if !o.Features.known {
		o.Features = probe(t)
	}
	r, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func pair(t testing.TB) (a, b int) {
	t.Helper()
	fds, err := socketPair()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fds[0]); _ = unix.Close(fds[1]) })
	return fds[0], fds[1]
}

func wait(t testing.TB, r *Ring) CQE {
	t.Helper()
	c, err := r.waitOne()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// enter is Enter, called again after every signal that interrupts it: the Go runtime sends
// some to its own threads.
func enter(r *Ring, n uint32, timeout time.Duration) (errno syscall.Errno, interrupted uint64) {
	for errno = r.Enter(n, timeout); errno == syscall.EINTR; errno = r.Enter(n, timeout) {
		interrupted++
	}
	return errno, interrupted
}

// everySet runs f with each set of features that a kernel release from 5.19 on has.
func everySet(t *testing.T, f func(t *testing.T, o Options)) {
	fs := probe(t)
	for _, release := range []string{"5.19", "6.0", "6.1", "all"} {
		t.Run(release, func(t *testing.T) {
			allowed, err := ParseFeatures(release)
			if err != nil {
				t.Fatal(err)
			}
			f(t, Options{Entries: 8, CQEntries: 64, Features: fs.Only(allowed)})
		})
	}
}

func TestNopInEverySet(t *testing.T) {
	everySet(t, func(t *testing.T, o Options) {
		r := newRing(t, o)
		if got, want := r.deferred(), o.Features.Has(DeferTaskrun); got != want {
			t.Errorf("deferred task running: %v, want %v", got, want)
		}
		for i := range uint64(100) {
			e := r.SQE()
			e.PrepNop()
			e.SetUserData(i)
			if c := wait(t, r); c.UserData != i || c.Res != 0 {
				t.Fatalf("completion %+v, want user data %d", c, i)
			}
		}
	})
}

// TestSetupWithoutFeature: a ring is not made with what must not be used.
func TestSetupWithoutFeature(t *testing.T) {
	for without, flag := range map[Feature]uint32{
		SingleIssuer: IORING_SETUP_SINGLE_ISSUER,
		DeferTaskrun: IORING_SETUP_DEFER_TASKRUN,
		NoSQArray:    IORING_SETUP_NO_SQARRAY,
	} {
		r := newRing(t, Options{Entries: 4, Features: probe(t).Only(^without)})
		if r.SetupFlags()&flag != 0 {
			t.Errorf("setup flags %#x without feature %#x", r.SetupFlags(), without)
		}
	}
}

func TestFullSubmissionQueue(t *testing.T) {
	r := newRing(t, Options{Entries: 4})
	for r.SQE() != nil {
		r.sq.entries[(r.sq.next-1)&r.sq.mask].PrepNop()
	}
	if got := r.Pending(); got != 4 {
		t.Fatalf("%d entries pending, want 4", got)
	}
	if n, errno := r.Submit(); n != 4 || errno != 0 {
		t.Fatalf("Submit: %d, %v", n, errno)
	}
	if r.SQE() == nil {
		t.Fatal("no free entry after Submit")
	}
}

func TestEnterTimesOut(t *testing.T) {
	r := newRing(t, Options{Entries: 4})
	start := time.Now()
	if errno, _ := enter(r, 1, 20*time.Millisecond); errno != syscall.ETIME {
		t.Errorf("Enter: %v, want ETIME", errno)
	}
	if d := time.Since(start); d < 15*time.Millisecond {
		t.Errorf("returned after %v, want 20 ms", d)
	}
}

func TestRecvFromBufferRing(t *testing.T) {
	everySet(t, func(t *testing.T, o Options) {
		r := newRing(t, o)
		// Not a power of two, and all of them lent: a multishot receive of early kernels looks for the next
		// buffer before it finds the socket empty, and ends where there is none.
		b, err := NewBufRing(r, 7, 3, 3, 16)
		if err != nil {
			t.Fatal(err)
		}
		here, there := pair(t)
		multi := o.Features.Has(MultishotRecv)
		armed := false
		for i := range 50 { // round the ring many times
			if !armed {
				e := r.SQE()
				e.PrepRecv(here, 7, multi, true)
				e.SetUserData(42)
			}
			msg := bytes.Repeat([]byte{byte('a' + i%26)}, 1+i%16)
			if _, err := unix.Write(there, msg); err != nil {
				t.Fatal(err)
			}
			c := wait(t, r)
			id, ok := c.Buffer()
			if c.UserData != 42 || int(c.Res) != len(msg) || !ok {
				t.Fatalf("completion %+v", c)
			}
			if got := b.Take(id, int(c.Res)); !bytes.Equal(got, msg) {
				t.Fatalf("received %q, want %q", got, msg)
			}
			if b.Out() != 1 {
				t.Fatalf("%d buffers out, want 1", b.Out())
			}
			b.Recycle(id)
			b.Publish()
			armed = c.More()
			if armed != multi {
				t.Fatalf("F_MORE is %v, want %v", armed, multi)
			}
		}
		_ = unix.Shutdown(there, unix.SHUT_RDWR)
		if armed {
			if c := wait(t, r); c.Res != 0 || c.More() {
				t.Fatalf("end of stream: %+v", c)
			}
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestEmptyBufferRing(t *testing.T) {
	r := newRing(t, Options{Entries: 4})
	b, err := NewBufRing(r, 0, 1, 1, 4)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	here, there := pair(t)
	if _, err := unix.Write(there, []byte("12345678")); err != nil {
		t.Fatal(err)
	}
	r.SQE().PrepRecv(here, 0, false, false)
	first := wait(t, r)
	r.SQE().PrepRecv(here, 0, false, false)
	if c := wait(t, r); c.Res != -int32(unix.ENOBUFS) {
		t.Fatalf("receive without a buffer: %+v, want ENOBUFS", c)
	}
	id, _ := first.Buffer()
	b.Take(id, int(first.Res))
	b.Recycle(id)
	b.Publish()
	r.SQE().PrepRecv(here, 0, false, false)
	if c := wait(t, r); c.Res != 4 {
		t.Fatalf("receive after recycling: %+v, want 4 bytes", c)
	}
}

// TestSendTellsWhatWasSent fills a socket without waiting: the send that does not
// fit must be completed with the number of bytes that did, although successful
// sends have no completion. The uring engine's send path rests on this.
func TestSendTellsWhatWasSent(t *testing.T) {
	if !probe(t).Has(PartialSend) {
		t.Skip("this kernel completes every send, see batch: run the test on 6.1 or newer")
	}
	r := newRing(t, Options{Entries: 4})
	here, there := pair(t)
	_ = unix.SetNonblock(there, true)
	mem, err := Map(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	defer Unmap(mem)
	const flags = unix.MSG_DONTWAIT | unix.MSG_WAITALL | unix.MSG_NOSIGNAL
	send := func(n int) {
		e := r.SQE()
		e.PrepSend(here, unsafe.Pointer(&mem[0]), n, flags)
		e.SetUserData(9)
		e.SkipSuccess()
		if errno := r.Enter(0, 0); errno != 0 {
			t.Fatal(errno)
		}
	}
	send(100)
	if n := r.Ready(); n != 0 {
		t.Fatalf("%d completions of a successful send, want none", n)
	}
	send(len(mem))
	c := wait(t, r)
	if c.UserData != 9 || c.Res <= 0 || int(c.Res) >= len(mem) {
		t.Fatalf("completion of a short send: %+v", c)
	}
	got := 0
	buf := make([]byte, 1<<20)
	for {
		n, err := unix.Read(there, buf)
		if err != nil {
			break
		}
		got += n
	}
	if got != 100+int(c.Res) {
		t.Fatalf("peer received %d bytes, completions said %d", got, 100+c.Res)
	}
	_ = unix.Shutdown(there, unix.SHUT_RDWR)
	send(10)
	if c := wait(t, r); c.Res != -int32(unix.EPIPE) {
		t.Fatalf("send to a gone peer: %+v, want EPIPE", c)
	}
}

func TestCancelAndPoll(t *testing.T) {
	r := newRing(t, Options{Entries: 4})
	here, there := pair(t)
	e := r.SQE()
	e.PrepPoll(here, unix.POLLIN, true)
	e.SetUserData(1)
	if _, err := unix.Write(there, []byte{1}); err != nil {
		t.Fatal(err)
	}
	if c := wait(t, r); c.UserData != 1 || c.Res&unix.POLLIN == 0 || !c.More() {
		t.Fatalf("poll: %+v", c)
	}
	e = r.SQE()
	e.PrepCancel(1)
	e.SetUserData(2)
	got := map[uint64]int32{}
	for range 2 {
		c := wait(t, r)
		got[c.UserData] = c.Res
	}
	if got[1] != -int32(unix.ECANCELED) || got[2] != 0 {
		t.Fatalf("results after a cancel: %v", got)
	}
}

func TestDirectDescriptors(t *testing.T) {
	r := newRing(t, Options{Entries: 4})
	if err := r.RegisterDirect(4); err != nil {
		t.Fatal(err)
	}
	here, there := pair(t)
	if err := r.setDirect(3, here); err != nil {
		t.Fatal(err)
	}
	mem, err := Map(16)
	if err != nil {
		t.Fatal(err)
	}
	defer Unmap(mem)
	copy(mem, "hello")
	e := r.SQE()
	e.PrepSend(3, unsafe.Pointer(&mem[0]), 5, 0)
	e.SetFixed()
	if c := wait(t, r); c.Res != 5 {
		t.Fatalf("send: %+v", c)
	}
	buf := make([]byte, 8)
	if n, err := unix.Read(there, buf); err != nil || string(buf[:n]) != "hello" {
		t.Fatalf("read %q, %v", buf[:n], err)
	}
	e = r.SQE()
	e.PrepCloseDirect(3)
	if c := wait(t, r); c.Res != 0 {
		t.Fatalf("close: %+v", c)
	}
}

// TestSendDirect: a direct descriptor gets into another ring, and belongs to both then.
func TestSendDirect(t *testing.T) {
	fs, err := Probe()
	if err != nil {
		t.Fatal(err)
	}
	if !fs.Has(DirectRelease) {
		t.Skip("direct descriptors are off on this kernel: run the test on 6.13 or newer")
	}
	from, to := newRing(t, Options{Entries: 4}), newRing(t, Options{Entries: 4})
	for _, r := range []*Ring{from, to} {
		if err := r.RegisterDirect(4); err != nil {
			t.Fatal(err)
		}
	}
	fds, err := socketPair()
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[1])
	if err := errors.Join(from.setDirect(3, fds[0]), unix.Close(fds[0])); err != nil {
		t.Fatal(err)
	}
	e := from.SQE()
	e.PrepSendDirect(to.FD(), 3, 42)
	e.SetUserData(41)
	if c := wait(t, from); c.UserData != 41 || c.Res < 0 {
		t.Fatalf("the sender's completion: %+v", c)
	}
	c := wait(t, to)
	if c.UserData != 42 || c.Res < 0 || c.Res > 3 {
		t.Fatalf("the receiver's completion: %+v", c)
	}
	from.SQE().PrepCloseDirect(3)
	if c := wait(t, from); c.Res != 0 {
		t.Fatalf("close: %+v", c)
	}
	mem, err := Map(1)
	if err != nil {
		t.Fatal(err)
	}
	defer Unmap(mem)
	e = to.SQE()
	e.PrepSend(int(c.Res), unsafe.Pointer(&mem[0]), 1, 0)
	e.SetFixed()
	if c := wait(t, to); c.Res != 1 {
		t.Fatalf("send: %+v", c)
	}
	if n, err := unix.Read(fds[1], make([]byte, 2)); n != 1 || err != nil {
		t.Fatalf("the peer reads %d bytes, %v", n, err)
	}
	to.SQE().PrepCloseDirect(int(c.Res))
	if c := wait(t, to); c.Res != 0 {
		t.Fatalf("close: %+v", c)
	}
	if n, err := unix.Read(fds[1], make([]byte, 2)); n != 0 || err != nil {
		t.Fatalf("after both were closed the peer reads %d bytes, %v", n, err)
	}
}

func TestProbeIsConclusive(t *testing.T) {
	fs, err := Probe()
	if err != nil {
		t.Fatal(err)
	}
	for _, res := range fs.Results() {
		if res.Err != nil && !errors.Is(res.Err, ErrNotSupported) {
			t.Errorf("%s: inconclusive: %v", res.Name, res.Err)
		}
		t.Logf("%-15s %-5s %v", res.Name, res.Since, res.Err)
	}
}

// TestNewKernelHasFeature fails when a probe says no although the kernel is new
// enough: a broken probe must not pass for an old kernel.
func TestNewKernelHasFeature(t *testing.T) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		t.Fatal(err)
	}
	running := parseRelease(unix.ByteSliceToString(u.Release[:]))
	fs, err := Probe()
	if err != nil {
		t.Fatal(err)
	}
	for _, res := range fs.Results() {
		if since := parseRelease(res.Since); running >= since && res.Err != nil {
			t.Errorf("%s is in kernels from %s on, but the probe says: %v", res.Name, res.Since, res.Err)
		}
	}
}

func parseRelease(s string) (v int) {
	part, parts := 0, 0
	for _, c := range s + "." {
		switch {
		case c >= '0' && c <= '9':
			part = part*10 + int(c-'0')
		default:
			v, part = v*1000+part, 0
			if parts++; parts == 2 {
				return v
			}
		}
	}
	return v
}

func TestParseFeatures(t *testing.T) {
	all, err := ParseFeatures("all")
	if err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]Feature{
		"none":                         0,
		"5.19":                         Restrictions,
		"6.0":                          Restrictions | MultishotRecv | SingleIssuer,
		"multishot-recv,defer-taskrun": MultishotRecv | DeferTaskrun,
		"6.0,-restrictions":            MultishotRecv | SingleIssuer,
		"-single-issuer, 6.0":          Restrictions | MultishotRecv,
		"-restrictions":                all &^ Restrictions,
		"-6.0,-busy-polling":           all &^ (Restrictions | MultishotRecv | SingleIssuer | BusyPolling),
	} {
		if got, err := ParseFeatures(in); err != nil || got != want {
			t.Errorf("ParseFeatures(%q) = %v, %v; want %v", in, got, err, want)
		}
	}
	for _, unknown := range []string{"warp-drive", "all,-warp-drive", "--restrictions", "all,"} {
		if _, err := ParseFeatures(unknown); err == nil {
			t.Errorf("%q was accepted", unknown)
		}
	}
}

func TestEnterDoesNotAllocate(t *testing.T) {
	r := newRing(t, Options{Entries: 4})
	if n := testing.AllocsPerRun(1000, func() {
		r.SQE().PrepNop()
		_ = r.Enter(1, time.Second)
		r.Advance(r.Ready())
	}); n != 0 {
		t.Errorf("%v allocations per enter, want 0", n)
	}
}

func BenchmarkNop(b *testing.B) {
	r := newRing(b, Options{Entries: 64})
	b.ReportAllocs()
	for b.Loop() {
		for range 32 {
			r.SQE().PrepNop()
		}
		_ = r.Enter(1, -1)
		r.Advance(r.Ready())
	}
}

// TestMapSparing: memory is had as long as what is to be left for others would be, too.
func TestMapSparing(t *testing.T) {
	mem, err := MapSparing(1<<20, 16<<20)
	if err != nil {
		t.Fatal(err)
	}
	if len(mem) != 1<<20 {
		t.Errorf("%d bytes", len(mem))
	}
	mem[len(mem)-1] = 1
	if err := Unmap(mem); err != nil {
		t.Error(err)
	}
	const most = 1 << 47 // no process has as much address space
	if _, err := MapSparing(1<<20, most); err == nil {
		t.Error("memory was had that others need")
	}
}
