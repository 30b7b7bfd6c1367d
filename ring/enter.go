package ring

import (
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	sys "github.com/iceber/iouring-go/syscall"
	"golang.org/x/sys/unix"
)

// SQE returns the next free submission entry, or nil when the queue is full: Submit
// then frees it. The entry is submitted by the next Submit or Enter, so it must be
// prepared at once.
func (r *Ring) SQE() *SQE {
	if r.sq.next-atomic.LoadUint32(r.sq.head) >= uint32(len(r.sq.entries)) {
		return nil
	}
	e := &r.sq.entries[r.sq.next&r.sq.mask]
	r.sq.next++
	return e
}

// Submit hands all prepared entries to the kernel without waiting and without
// reading completions. It returns how many the kernel took: all of them, unless
// errno says why not (EAGAIN: out of memory, EBUSY: completions must be read
// first); the rest stay prepared. With Options.SQPoll it waits until the kernel's
// thread has taken them.
func (r *Ring) Submit() (n int, errno syscall.Errno) {
	pending := r.publish()
	if pending == 0 {
		return 0, 0
	}
	if r.polled {
		return int(pending), r.awaitTaken()
	}
	r.calls++
	got, _, errno := unix.RawSyscall6(sys.SYS_IO_URING_ENTER, r.enterFD, uintptr(pending), 0, uintptr(r.enterFlags), 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(got), 0
}

// Enter hands all prepared entries to the kernel, lets it post completions, and
// waits until there are at least wait of them or the timeout is over (a negative
// timeout: no limit). One system call. With wait 0 it returns at once and the
// thread is not offered to the Go scheduler.
//
// errno is 0, or ETIME when the time was over, EINTR when a signal came, EAGAIN or
// EBUSY when the kernel lacked memory or room for completions, EBADR when it lost
// completions. Entries that were not taken stay prepared: the next call submits them.
// With Options.SQPoll there may be such entries after any Enter, and no system call
// where there is nothing to wait for.
func (r *Ring) Enter(wait uint32, timeout time.Duration) syscall.Errno {
	pending := r.publish()
	flags := r.enterFlags | IORING_ENTER_GETEVENTS
	if r.polled {
		if r.asleep() {
			flags |= IORING_ENTER_SQ_WAKEUP
		} else if wait <= r.Ready() && !r.Overflowed() {
			return 0
		}
	}
	r.calls++
	if wait == 0 {
		_, _, errno := unix.RawSyscall6(sys.SYS_IO_URING_ENTER, r.enterFD, uintptr(pending), 0, uintptr(flags), 0, 0)
		return errno
	}
	if timeout < 0 {
		_, _, errno := unix.Syscall6(sys.SYS_IO_URING_ENTER, r.enterFD, uintptr(pending), uintptr(wait), uintptr(flags), 0, 0)
		return errno
	}
	r.wait.ts = timespec{sec: int64(timeout / time.Second), nsec: int64(timeout % time.Second)}
	_, _, errno := unix.Syscall6(sys.SYS_IO_URING_ENTER, r.enterFD, uintptr(pending), uintptr(wait),
		uintptr(flags|IORING_ENTER_EXT_ARG), uintptr(unsafe.Pointer(&r.wait.arg)), unsafe.Sizeof(r.wait.arg))
	return errno
}

// publish makes prepared entries visible to the kernel and returns their number,
// counted from the kernel's own head: an interrupted call may have taken some. They are
// counted first, as with Options.SQPoll the kernel's thread takes them as soon as it sees them.
func (r *Ring) publish() uint32 {
	n := r.Pending()
	atomic.StoreUint32(r.sq.tail, r.sq.next)
	return n
}

// EnterGather is Enter for batching: it waits until there are want completions or the
// gathering time is over, and from then on for a single one, for a second at most. It
// needs MinTimeout. The kernel wants a time limit beside the gathering time: without
// one the wait ends with the latter, whether there is a completion or not.
func (r *Ring) EnterGather(want uint32, gather time.Duration) syscall.Errno {
	pending := r.publish()
	flags := r.enterFlags | IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG
	if r.polled && r.asleep() {
		flags |= IORING_ENTER_SQ_WAKEUP
	}
	r.calls++
	r.wait.arg.minWaitUsec = uint32(gather.Microseconds())
	r.wait.ts = timespec{sec: 1}
	_, _, errno := unix.Syscall6(sys.SYS_IO_URING_ENTER, r.enterFD, uintptr(pending), uintptr(want),
		uintptr(flags), uintptr(unsafe.Pointer(&r.wait.arg)), unsafe.Sizeof(r.wait.arg))
	r.wait.arg.minWaitUsec = 0
	return errno
}
