package ring

import (
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	sys "github.com/iceber/iouring-go/syscall"
	"golang.org/x/sys/unix"
)

// polledCandidates is setupCandidates for rings whose entries a thread of the kernel's takes. All task work is that thread's, so the flags
// that say when it is done are refused there. Since 5.11 no privilege is needed.
var polledCandidates = []setupCandidate{
	{"6.6", NoSQArray | SingleIssuer, IORING_SETUP_NO_SQARRAY | IORING_SETUP_SINGLE_ISSUER | sys.IORING_SETUP_SQPOLL},
	{"6.0", SingleIssuer, IORING_SETUP_SINGLE_ISSUER | sys.IORING_SETUP_SQPOLL},
	{"5.19", 0, sys.IORING_SETUP_SQPOLL},
}

// awaitSpins is how often the queue is looked at before the core is offered to others, which may be the kernel's thread.
const awaitSpins = 200

// asleep reports that the kernel's thread has to be woken to take entries.
func (r *Ring) asleep() bool {
	return r.Pending() > 0 && atomic.LoadUint32(r.sq.flags)&IORING_SQ_NEED_WAKEUP != 0
}

// awaitTaken waits until the kernel's thread has taken all published entries. It moves the head when it has started them and posted the
// completions of those that ended at once, so what holds when io_uring_enter returns holds here. There is no call to wait for it.
func (r *Ring) awaitTaken() syscall.Errno {
	for spins := 0; r.Pending() > 0; spins++ {
		switch {
		case r.asleep():
			r.calls++
			if _, _, errno := unix.RawSyscall6(sys.SYS_IO_URING_ENTER, r.enterFD, 0, 0, uintptr(r.enterFlags|IORING_ENTER_SQ_WAKEUP), 0, 0); errno != 0 {
				return errno
			}
		case spins >= awaitSpins:
			_, _, _ = unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
		}
	}
	return 0
}

// BusyPoll makes a wait for completions ask the network devices of the ring's sockets for packets itself, for so long, before it
// sleeps. Sockets that no device serves, as those of loopback, are not asked for. It needs the feature BusyPolling.
func (r *Ring) BusyPoll(d time.Duration) error {
	n := napi{busyPollUsec: uint32(d.Microseconds())}
	err := sys.IOURingRegister(r.fd, IORING_REGISTER_NAPI, unsafe.Pointer(&n), 1)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP) {
		err = ErrNotSupported
	}
	if err != nil {
		return fmt.Errorf("busy polling (requires >= 6.9, and CONFIG_NET_RX_BUSY_POLL): %w", err)
	}
	return nil
}

func (r *Ring) probeBusyPolling() error {
	if err := r.BusyPoll(time.Microsecond); errors.Is(err, ErrNotSupported) {
		return ErrNotSupported
	} else if err != nil {
		return err
	}
	return nil
}
