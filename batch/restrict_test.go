package batch

import (
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
	"ringcached/internal/contract"
	"ringcached/internal/servertest"
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

// needFeatures skips a test where the kernel, what is allowed or RINGCACHED_TEST_FEATURES has no such features.
func needFeatures(t *testing.T, allowed, features ring.Feature) {
	t.Helper()
	fs, err := ring.Probe()
	if err != nil {
		t.Fatal(err)
	}
	if chosen := servertest.Features(); chosen != "" {
		allowed &= parseFeatures(t, chosen)
	}
	if fs.Only(allowed).Has(features) {
		return
	}
	t.Skipf("it takes more features than %q (restrictions: 5.10 and no filter; busy polling: 6.9)", fs.Only(allowed))
}

// TestNoFileThroughRing: whoever takes over a channel opens no file through its ring, whatever the server's flags and the kernel's release.
func TestNoFileThroughRing(t *testing.T) {
	everySetup(t, func(t *testing.T, change func(*Config)) {
		c := DefaultConfig()
		if change(&c); c.Engine != EngineURing {
			t.Skip("this setup serves with epoll, and has no ring that could be restricted")
		}
		needFeatures(t, c.Allow, ring.Restrictions)
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
	needFeatures(t, ^ring.Feature(0), ring.BusyPolling|ring.Restrictions)
	res := opensFile(t, func(c *Config) { c.Engine, c.BusyPoll = EngineURing, time.Microsecond })
	if res != -int32(unix.EACCES) {
		t.Errorf("openat: %d, want %v", res, unix.EACCES)
	}
}
