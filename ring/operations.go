package ring

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"unsafe"

	sys "github.com/iceber/iouring-go/syscall"
	"golang.org/x/sys/unix"
)

// ErrDenied is what the error of an operation unwraps to that the kernel knows and refuses.
var ErrDenied = errors.New("denied")

// Operation says whether the kernel does one of the operations that a server needs. From
// 7.0 on a process may have inherited a filter that forbids single ones.
type Operation struct {
	Name    string
	Code    uint8  // IORING_OP_
	Without string // what is done instead
	Err     error  // nil: it is done
}

// noRing is what the lack of an operation costs that cannot be done without.
const noRing = "epoll engine"

// operations are tried with the descriptor -1, so that nothing ever comes of them. Filters
// are asked when an entry has been read, with all that it points to, so that has to be valid.
var operations = []struct {
	name    string
	code    uint8
	without string
	prep    func(e *SQE, header unsafe.Pointer)
}{
	{"accept", sys.IORING_OP_ACCEPT, noRing, func(e *SQE, _ unsafe.Pointer) { e.PrepAccept(-1, 0, true, false) }},
	{"recv", sys.IORING_OP_RECV, noRing, func(e *SQE, _ unsafe.Pointer) { e.PrepRecv(-1, 0, false, false) }},
	{"send", sys.IORING_OP_SEND, noRing, func(e *SQE, header unsafe.Pointer) { e.PrepSend(-1, header, 1, unix.MSG_DONTWAIT) }},
	{"sendmsg", sys.IORING_OP_SENDMSG, noRing, func(e *SQE, header unsafe.Pointer) { e.PrepSendmsg(-1, header, unix.MSG_DONTWAIT) }},
	{"recvmsg", sys.IORING_OP_RECVMSG, noRing, func(e *SQE, header unsafe.Pointer) { e.PrepRecvmsg(-1, header, 0, false) }},
	{"poll_add", sys.IORING_OP_POLL_ADD, noRing, func(e *SQE, _ unsafe.Pointer) { e.PrepPoll(-1, unix.POLLIN, false) }},
	{"async_cancel", sys.IORING_OP_ASYNC_CANCEL, noRing, func(e *SQE, _ unsafe.Pointer) { e.PrepCancel(^uint64(0)) }},
	{"close", sys.IORING_OP_CLOSE, noRing, func(e *SQE, _ unsafe.Pointer) { e.PrepClose(-1) }},
	{"msg_ring", sys.IORING_OP_MSG_RING, "direct descriptors stay with their thread", func(e *SQE, _ unsafe.Pointer) { e.PrepSendDirect(-1, 0, 0) }},
	{"sendmsg_zc", sys.IORING_OP_SENDMSG_ZC, "copying sends", func(e *SQE, header unsafe.Pointer) { e.PrepSendmsgZC(-1, header, unix.MSG_DONTWAIT, false) }},
}

// Operations returns what the probe found out about operations, also where it ended with
// an error after that.
func (fs Features) Operations() []Operation { return fs.operations }

// tryOperations tries all operations that the kernel has. An error says that the ring does
// not work at all.
func tryOperations(r *Ring) (tried []Operation, err error) {
	mem, err := Map(int(unsafe.Sizeof(unix.Msghdr{})))
	if err != nil {
		return nil, err
	}
	defer func() { _ = Unmap(mem) }()
	defer runtime.KeepAlive(mem)
	for i, op := range operations {
		known, err := r.hasOp(op.code)
		if err != nil {
			return nil, err
		}
		o := Operation{Name: op.name, Code: op.code, Without: op.without}
		if !known {
			o.Err = ErrNotSupported
		} else if o.Err, err = r.try(uint64(i), op.prep, unsafe.Pointer(&mem[0])); err != nil {
			return nil, err
		}
		tried = append(tried, o)
	}
	return tried, nil
}

// try submits one operation and judges its result.
func (r *Ring) try(userData uint64, prep func(*SQE, unsafe.Pointer), header unsafe.Pointer) (refused, err error) {
	e := r.SQE()
	prep(e, header)
	e.SetUserData(userData)
	c, err := r.waitOne()
	for err == nil && c.UserData != userData { // a notification of the one before
		c, err = r.waitOne()
	}
	if err != nil {
		return nil, fmt.Errorf("io_uring_enter: %w%s", err, callHint(err))
	}
	switch errno := unix.Errno(-c.Res); {
	case c.Res >= 0:
		return nil, fmt.Errorf("an operation without a descriptor: unexpected result %d", c.Res)
	case errno == unix.EACCES, errno == unix.EPERM:
		return fmt.Errorf("%w (%w)", ErrDenied, errno), nil
	case errno == unix.EINVAL, errno == unix.EOPNOTSUPP, errno == unix.ENOSYS:
		return fmt.Errorf("%w (%w)", ErrNotSupported, errno), nil
	}
	return nil, nil // EBADF or ENOENT
}

// lacking returns an error if there is an operation that the engine cannot do without.
func lacking(all []Operation) error {
	for _, o := range all {
		if o.Err != nil && o.Without == noRing {
			return fmt.Errorf("operation %s: %w", o.Name, o.Err)
		}
	}
	return nil
}

// cannot returns why an operation that was tried is not done, nil if it is.
func cannot(all []Operation, code uint8) error {
	if i := slices.IndexFunc(all, func(o Operation) bool { return o.Code == code }); i >= 0 {
		return all[i].Err
	}
	return nil
}
