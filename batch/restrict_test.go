package batch

import (
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
	"ringcached/internal/contract"
	"ringcached/ring"
)

// intruder is a Handler that at the end of a batch, on the channel's thread, tries to open a file through the channel's ring.
type intruder struct {
	contract.Handler
	ch     *channel
	path   []byte // with a final 0
	opened chan int32
	tried  bool
}

func (h *intruder) EndBatch() {
	h.Handler.EndBatch()
	if h.tried {
		return
	}
	h.tried = true
	const openat = 18 // IORING_OP_OPENAT
	e := h.ch.engine.(*uringEngine)
	e.submitAll()
	sqe := e.sqe()
	sqe.Reset()
	sqe.PrepOperation(openat, unix.AT_FDCWD, uint64(uintptr(unsafe.Pointer(&h.path[0]))), 0, 0)
	sqe.SetOpFlags(unix.O_RDONLY | unix.O_CLOEXEC)
	t := makeToken(kindInstall, 0, 0) // whose outcome is awaited elsewhere
	e.queue(sqe, t)
	e.submitAll()
	for range 10_000 {
		if res, found := e.takeInstalled(t); found {
			h.opened <- res
			return
		}
		_ = e.r.Enter(0, -1)
		time.Sleep(time.Millisecond)
	}
	h.opened <- 0
}

// opensFile serves with one channel, whose thread tries to open a file through its ring, and returns how that ends: a descriptor or an errno
// below 0. The server serves all the same.
func opensFile(t *testing.T, change ...func(*Config)) int32 {
	t.Helper()
	s := prepare(t, append(change, func(c *Config) { c.Threads = 1 })...)
	path, err := ring.Map(2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ring.Unmap(path) })
	path[0] = '/'
	h := &intruder{Handler: s.channels[0].handler, ch: s.channels[0], path: path, opened: make(chan int32, 1)}
	s.channels[0].handler = h
	s.run()
	c := s.dial()
	send(t, c, "echo hello\n")
	expect(t, c, "hello\n")
	res := <-h.opened
	send(t, c, "echo still\n")
	expect(t, c, "still\n")
	return res
}

// TestNoFileThroughRing: whoever takes over a channel opens no file through its ring, whatever the server's flags and the kernel's release.
func TestNoFileThroughRing(t *testing.T) {
	everySetup(t, func(t *testing.T, change func(*Config)) {
		c := DefaultConfig()
		if change(&c); c.Engine != EngineURing {
			t.Skip("no ring")
		}
		if fs, err := ring.Probe(); err != nil || !fs.Only(c.Allow).Has(ring.Restrictions) {
			t.Skipf("rings cannot be restricted here (%v)", err)
		}
		if res := opensFile(t, change, withDatagrams); res != -int32(unix.EACCES) {
			t.Errorf("openat: %d, want %v", res, unix.EACCES)
		}
	})
}

// TestFileThroughUnrestrictedRing: without the feature a file is opened, so that the test above can fail.
func TestFileThroughUnrestrictedRing(t *testing.T) {
	res := opensFile(t, func(c *Config) { c.Engine, c.Allow = EngineURing, c.Allow&^ring.Restrictions })
	if res <= 0 {
		t.Fatalf("openat: %v", syscall.Errno(-res))
	}
	_ = unix.Close(int(res))
}

// TestBusyPollRestricted: a ring that asks network devices is restricted, and registers for that.
func TestBusyPollRestricted(t *testing.T) {
	fs, err := ring.Probe()
	if err != nil || !fs.Has(ring.BusyPolling|ring.Restrictions) {
		t.Skipf("no busy polling here (requires >= 6.9, %v)", err)
	}
	res := opensFile(t, func(c *Config) { c.Engine, c.BusyPoll = EngineURing, time.Microsecond })
	if res != -int32(unix.EACCES) {
		t.Errorf("openat: %d, want %v", res, unix.EACCES)
	}
}
