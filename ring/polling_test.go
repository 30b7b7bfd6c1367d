package ring

import (
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// TestSQPoll: a thread of the kernel's takes the entries, before and after it has gone to sleep, and what holds when Submit returns holds
// with it, too: sends have ended, and their completions are there.
func TestSQPoll(t *testing.T) {
	everySet(t, func(t *testing.T, o Options) {
		o.SQPoll = time.Millisecond
		r := newRing(t, o)
		if !r.polled || r.deferred() {
			t.Fatalf("setup flags %#x", r.SetupFlags())
		}
		mem, err := Map(1)
		if err != nil {
			t.Fatal(err)
		}
		defer Unmap(mem)
		here, there := pair(t)
		const sends = 5
		for round := range 20 {
			if round%2 == 1 { // long enough to fall asleep
				for deadline := time.Now().Add(10 * time.Second); atomic.LoadUint32(r.sq.flags)&IORING_SQ_NEED_WAKEUP == 0; time.Sleep(time.Millisecond) {
					if time.Now().After(deadline) {
						t.Fatal("the kernel's thread does not sleep")
					}
				}
			}
			for range sends {
				r.SQE().PrepSend(here, unsafe.Pointer(&mem[0]), 1, unix.MSG_DONTWAIT)
			}
			if n, errno := r.Submit(); n != sends || errno != 0 {
				t.Fatalf("submitted %d, %v", n, errno)
			}
			if r.Pending() != 0 || r.Ready() != sends || r.Taken() != uint32((round+1)*sends) {
				t.Fatalf("after Submit %d entries are pending, %d were taken, %d completions are there", r.Pending(), r.Taken(), r.Ready())
			}
			if n, _, err := unix.Recvfrom(there, make([]byte, 10), unix.MSG_DONTWAIT); n != sends || err != nil {
				t.Fatalf("the peer has %d bytes, %v", n, err)
			}
			r.Advance(sends)
		}
	})
}

// TestSQPollWaits: Enter calls the kernel when there is something to wait for, and only then.
func TestSQPollWaits(t *testing.T) {
	r := newRing(t, Options{Entries: 4, SQPoll: time.Minute})
	here, there := pair(t)
	r.SQE().PrepPoll(here, unix.POLLIN, false)
	if _, errno := r.Submit(); errno != 0 {
		t.Fatal(errno)
	}
	calls := r.Calls()
	if errno := r.Enter(0, -1); errno != 0 || r.Ready() != 0 {
		t.Fatalf("%v, %d completions", errno, r.Ready())
	}
	if r.Calls() != calls {
		t.Error("a system call to wait for nothing")
	}
	errno, interrupted := enter(r, 1, 10*time.Millisecond)
	if errno != unix.ETIME {
		t.Fatalf("waiting for nobody: %v", errno)
	}
	calls += interrupted
	if _, err := unix.Write(there, []byte("x")); err != nil {
		t.Fatal(err)
	}
	errno, interrupted = enter(r, 1, 10*time.Second)
	if errno != 0 || r.Ready() != 1 {
		t.Fatalf("%v, %d completions", errno, r.Ready())
	}
	calls += interrupted
	if got := r.Calls() - calls; got > 2 {
		t.Errorf("%d system calls for two waits", got)
	}
	if errno, _ := enter(r, 1, -1); errno != 0 {
		t.Error(errno)
	}
}

// TestSQPollOverflow: completions that the kernel holds back come with Enter.
func TestSQPollOverflow(t *testing.T) {
	r := newRing(t, Options{Entries: 4, CQEntries: 4, SQPoll: time.Minute})
	for range 3 {
		for range 4 {
			r.SQE().PrepNop()
		}
		if _, errno := r.Submit(); errno != 0 {
			t.Fatal(errno)
		}
	}
	if r.Ready() != 4 || !r.Overflowed() {
		t.Fatalf("%d completions are there, overflowed: %v", r.Ready(), r.Overflowed())
	}
	for total := uint32(0); total < 12; {
		n := r.Ready()
		if total += n; n == 0 {
			t.Fatalf("%d of 12 completions came", total)
		}
		r.Advance(n)
		if errno := r.Enter(0, -1); errno != 0 {
			t.Fatal(errno)
		}
	}
}

// TestBusyPoll: the kernel takes the setting. On loopback it has no effect that could be seen.
func TestBusyPoll(t *testing.T) {
	fs, err := Probe()
	if err != nil {
		t.Fatal(err)
	}
	if !fs.Has(BusyPolling) {
		t.Skip("this kernel has no busy polling for rings, see TestNewKernelHasFeature")
	}
	everySet(t, func(t *testing.T, o Options) {
		r := newRing(t, o)
		if err := r.BusyPoll(20 * time.Microsecond); err != nil {
			t.Fatal(err)
		}
		here, there := pair(t)
		r.SQE().PrepPoll(here, unix.POLLIN, false)
		if _, errno := r.Submit(); errno != 0 {
			t.Fatal(errno)
		}
		if errno, _ := enter(r, 1, time.Millisecond); errno != unix.ETIME {
			t.Fatalf("waiting for nobody: %v", errno)
		}
		if _, err := unix.Write(there, []byte("x")); err != nil {
			t.Fatal(err)
		}
		if c := wait(t, r); c.Res != unix.POLLIN {
			t.Fatalf("completion %+v", c)
		}
	})
}
