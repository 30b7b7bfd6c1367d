package ring

import (
	"errors"
	"fmt"
	"runtime"
	"time"
	"unsafe"

	sys "github.com/iceber/iouring-go/syscall"
	"golang.org/x/sys/unix"
)

// probeWait is how long a trial operation on a socket pair may take. It takes
// microseconds, but a busy machine may keep the thread from running for long; the
// limit only keeps a broken kernel from hanging the start for ever.
const probeWait = 10 * time.Second

// Probe finds out which features the running kernel has. An error says that there
// is no usable io_uring at all, and why. Versions are not asked for: distributions
// port features back, so each feature is tried, on a ring of its own that is closed
// again, or read off the list of operations.
func Probe() (Features, error) { return Options{}.Probe() }

// Probe is Probe for rings with these options, of which MemoryWait and Operations count.
func (o Options) Probe() (Features, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	fs := Features{known: true}
	p := prober{Entries: 8, CQEntries: 64, MemoryWait: o.MemoryWait, Operations: o.Operations, PlainEnter: true}
	var err error
	if fs.operations, err = p.required(); err != nil {
		return fs, err
	}
	if p.MemoryWait < closedWait { // for the rings of the probe itself
		p.MemoryWait = closedWait
	}
	for _, in := range featureInfo {
		err := p.feature(in.feature, fs.operations)
		if err == nil {
			fs.set |= in.feature
		} else if errors.Is(err, ErrNotSupported) {
			err = fmt.Errorf("%w (requires >= %s)", ErrNotSupported, in.since)
		}
		fs.results = append(fs.results, Result{in.feature, in.name, in.since, in.without, err})
	}
	return fs, nil
}

// closedWait is how long a probe waits at least for the memory of rings that it has closed.
const closedWait = time.Second

// prober makes small rings with these options, each for one trial.
type prober Options

// feature tries one.
func (p prober) feature(f Feature, operations []Operation) error {
	switch f {
	case Restrictions:
		return p.restrictions()
	case MultishotRecv:
		return p.onRing((*Ring).probeMultishotRecv)
	case SingleIssuer:
		return p.setupFlags(IORING_SETUP_SINGLE_ISSUER)
	case DeferTaskrun:
		return p.setupFlags(IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN)
	case PartialSend: // same release
		return p.onRing(func(r *Ring) error { return r.needsOp(sys.IORING_OP_SENDMSG_ZC) })
	case SendmsgZC:
		return cannot(operations, sys.IORING_OP_SENDMSG_ZC)
	case NoSQArray:
		return p.setupFlags(IORING_SETUP_NO_SQARRAY)
	case FixedInstall:
		return p.onRing(func(r *Ring) error { return r.needsOp(IORING_OP_FIXED_FD_INSTALL) })
	case BusyPolling:
		return p.onRing((*Ring).probeBusyPolling)
	case MinTimeout:
		return p.onRing(func(r *Ring) error { return r.needsBit(IORING_FEAT_MIN_TIMEOUT) })
	case DirectRelease:
		return p.onRing((*Ring).probeDirectRelease)
	case NoIOWait:
		return p.onRing(func(r *Ring) error { return r.needsBit(IORING_FEAT_NO_IOWAIT) })
	}
	return ErrNotSupported
}

// scratch makes a ring with the setup flags of 5.19.
func (p prober) scratch() (*Ring, error) { return setup(Options(p), sys.IORING_SETUP_COOP_TASKRUN) }

// onRing makes a trial on a ring of its own.
func (p prober) onRing(trial func(*Ring) error) error {
	r, err := p.scratch()
	if err != nil {
		return err
	}
	defer r.Close()
	return trial(r)
}

func (p prober) setupFlags(flags uint32) error {
	r, err := setup(Options(p), flags)
	if errors.Is(err, unix.EINVAL) {
		return ErrNotSupported
	}
	if err != nil {
		return err
	}
	return r.Close()
}

// required tries what the uring engine cannot do without: the setup flags of
// 5.19, a buffer ring, and all operations, one of them new in 5.19.
func (p prober) required() (tried []Operation, err error) {
	r, err := p.scratch()
	if err != nil {
		return nil, fmt.Errorf("io_uring_setup: %w%s", err, setupHint(err))
	}
	defer r.Close()
	if ok, err := r.hasOp(sys.IORING_OP_SOCKET); err != nil {
		return nil, err
	} else if !ok {
		return nil, fmt.Errorf("multishot accept: %w (requires >= 5.19)", ErrNotSupported)
	}
	b, err := NewBufRing(r, 0, 1, 1, 64)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	if tried, err = tryOperations(r); err == nil {
		err = lacking(tried)
	}
	return tried, err
}

func (r *Ring) needsBit(bit uint32) error {
	if r.features&bit == 0 {
		return ErrNotSupported
	}
	return nil
}

func (r *Ring) needsOp(op uint8) error {
	ok, err := r.hasOp(op)
	if err == nil && !ok {
		err = ErrNotSupported
	}
	return err
}

// hasOp asks the kernel's own list of operations.
func (r *Ring) hasOp(op uint8) (bool, error) {
	p := new(opProbe)
	if err := sys.IOURingRegister(r.fd, sys.IORING_REGISTER_PROBE, unsafe.Pointer(p), uint32(len(p.ops))); err != nil {
		return false, fmt.Errorf("io_uring_register: %w%s", bare(err), callHint(err))
	}
	return op <= p.lastOp && p.ops[op].flags&IO_URING_OP_SUPPORTED != 0, nil
}

// callHint says why a call on a ring that could be made is refused.
func callHint(err error) string {
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) || errors.Is(err, unix.ENOSYS) {
		return " (forbidden by a seccomp filter)"
	}
	return ""
}

// waitOne enters the ring until a completion is there and returns a copy of it.
func (r *Ring) waitOne() (CQE, error) {
	deadline := time.Now().Add(probeWait)
	for r.Ready() == 0 {
		if time.Now().After(deadline) {
			return CQE{}, fmt.Errorf("no completion within %v", probeWait)
		}
		if errno := r.Enter(1, 10*time.Millisecond); errno != 0 && errno != unix.ETIME && errno != unix.EINTR {
			return CQE{}, errno
		}
	}
	c := *r.CQE(0)
	r.Advance(1)
	return c, nil
}

func socketPair() (fds [2]int, err error) {
	return unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
}

// probeMultishotRecv receives a byte with multishot on a socket pair. Kernels
// without it answer EINVAL, or end the operation after the first completion.
func (r *Ring) probeMultishotRecv() error {
	b, err := NewBufRing(r, 0, 2, 2, 64)
	if err != nil {
		return err
	}
	defer b.Close()
	pair, err := socketPair()
	if err != nil {
		return err
	}
	defer unix.Close(pair[1])
	if _, err := unix.Write(pair[1], []byte{1}); err != nil {
		_ = unix.Close(pair[0])
		return err
	}
	r.SQE().PrepRecv(pair[0], 0, true, false)
	c, err := r.waitOne()
	if err == nil && c.More() { // end it, so that the buffers may go
		_ = unix.Shutdown(pair[0], unix.SHUT_RDWR)
		_, err = r.waitOne()
	}
	_ = unix.Close(pair[0])
	switch {
	case err != nil:
		return err
	case c.Res == 1 && c.More():
		return nil
	case c.Res == -int32(unix.EINVAL), c.Res == 1:
		return ErrNotSupported
	}
	return fmt.Errorf("multishot recv: unexpected result %d", c.Res)
}

// probeDirectRelease closes a direct descriptor while another operation on the
// ring's table is under way, and looks whether its socket is closed at once. Before
// kernel commit 7029acd8a950 (6.13) any such operation kept all later released
// files of the table open.
func (r *Ring) probeDirectRelease() error {
	if err := r.RegisterDirect(2); err != nil {
		return err
	}
	idle, err := socketPair()
	if err != nil {
		return err
	}
	defer unix.Close(idle[0])
	defer unix.Close(idle[1])
	pair, err := socketPair()
	if err != nil {
		return err
	}
	defer unix.Close(pair[0])
	err = errors.Join(r.setDirect(0, idle[0]), r.setDirect(1, pair[1]))
	_ = unix.Close(pair[1])
	if err != nil {
		return err
	}
	poll := r.SQE() // stays under way: nothing is ever written to idle
	poll.PrepPoll(0, unix.POLLIN, false)
	poll.SetFixed()
	poll.SetUserData(1)
	cl := r.SQE()
	cl.PrepCloseDirect(1)
	cl.SetUserData(2)
	c, err := r.waitOne()
	if err != nil {
		return err
	}
	if c.UserData != 2 || c.Res != 0 {
		return fmt.Errorf("closing a direct descriptor: unexpected result %d", c.Res)
	}
	var one [1]byte
	n, _, errno := unix.Recvfrom(pair[0], one[:], unix.MSG_DONTWAIT)
	switch {
	case errno == nil && n == 0:
		return nil
	case errors.Is(errno, unix.EAGAIN):
		return ErrNotSupported
	}
	return fmt.Errorf("peer of a closed direct descriptor: %d bytes, %v", n, errno)
}
