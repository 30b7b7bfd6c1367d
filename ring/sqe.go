package ring

import (
	"unsafe"

	sys "github.com/iceber/iouring-go/syscall"
)

// SQE is a submission queue entry, lying in the ring. One of the Prep methods
// makes it an operation; SetUserData must follow, the rest is optional.
//
// A descriptor given to a Prep method is an ordinary one; SetFixed says that it
// is an index into the ring's table of direct descriptors instead.
type SQE struct{ sys.SubmissionQueueEntry64 }

func (e *SQE) prep(op uint8, fd int32, addr uint64, length uint32, offset uint64) {
	e.Reset()
	e.PrepOperation(op, fd, addr, length, offset)
}

// SetFixed marks the entry's descriptor as an index of a direct descriptor.
func (e *SQE) SetFixed() { e.SetFlags(IOSQE_FIXED_FILE) }

// SkipSuccess asks for no completion when the operation succeeds.
func (e *SQE) SkipSuccess() { e.SetFlags(IOSQE_CQE_SKIP_SUCCESS) }

// PrepNop does nothing and completes.
func (e *SQE) PrepNop() { e.prep(sys.IORING_OP_NOP, -1, 0, 0, 0) }

// PrepAccept accepts connections of the listening descriptor fd: one, or with
// multishot one after the other until a completion comes without F_MORE. flags
// are accept4's. With direct the new socket gets a free slot in the ring's table
// of direct descriptors; the result is then that slot.
func (e *SQE) PrepAccept(fd int, flags uint32, multishot, direct bool) {
	e.prep(sys.IORING_OP_ACCEPT, int32(fd), 0, 0, 0)
	e.SetOpFlags(flags)
	if multishot {
		e.SetIoprio(IORING_ACCEPT_MULTISHOT)
	}
	if direct {
		e.SetSpliceFdIn(IORING_FILE_INDEX_ALLOC)
	}
}

// PrepConnect connects fd to the socket address of n bytes at addr, which must stay
// until submission.
func (e *SQE) PrepConnect(fd int, addr unsafe.Pointer, n int) {
	e.prep(sys.IORING_OP_CONNECT, int32(fd), uint64(uintptr(addr)), 0, uint64(n))
}

// PrepRecv receives into a buffer that the kernel takes from the buffer ring of
// the given group when data is there: once, or with multishot until a completion
// comes without F_MORE. With pollFirst the kernel does not try to receive before
// it has seen the socket readable, which saves the attempt on an empty socket.
func (e *SQE) PrepRecv(fd int, group uint16, multishot, pollFirst bool) {
	e.prep(sys.IORING_OP_RECV, int32(fd), 0, 0, 0)
	e.SetFlags(IOSQE_BUFFER_SELECT)
	e.SetBufGroup(group)
	var prio uint16
	if multishot {
		prio |= IORING_RECV_MULTISHOT
	}
	if pollFirst {
		prio |= IORING_RECVSEND_POLL_FIRST
	}
	e.SetIoprio(prio)
}

// PrepRecvInto receives up to n bytes to p, which must stay until the completion.
func (e *SQE) PrepRecvInto(fd int, p unsafe.Pointer, n int, pollFirst bool) {
	e.prep(sys.IORING_OP_RECV, int32(fd), uint64(uintptr(p)), uint32(n), 0)
	if pollFirst {
		e.SetIoprio(IORING_RECVSEND_POLL_FIRST)
	}
}

// PrepRecvmsg receives a message as the msghdr at msg says. With multishot, until a
// completion comes without F_MORE, into buffers of the given group, each of which then
// begins with a RecvmsgOut; of the msghdr only the sizes for name and control are used.
// Without, into the msghdr's own iovecs, and it and all that it names must stay until the
// completion: the kernel then writes to its namelen, controllen and flags.
func (e *SQE) PrepRecvmsg(fd int, msg unsafe.Pointer, group uint16, multishot bool) {
	e.prep(sys.IORING_OP_RECVMSG, int32(fd), uint64(uintptr(msg)), 1, 0)
	prio := IORING_RECVSEND_POLL_FIRST
	if multishot {
		e.SetFlags(IOSQE_BUFFER_SELECT)
		e.SetBufGroup(group)
		prio |= IORING_RECV_MULTISHOT
	}
	e.SetIoprio(prio)
}

// RecvmsgOut is struct io_uring_recvmsg_out: what stands in a buffer before the name,
// the control data and the payload that a multishot recvmsg received. The lengths are
// those of the message, also where there was not room for all of it.
type RecvmsgOut struct {
	NameLen    uint32
	ControlLen uint32
	PayloadLen uint32
	Flags      uint32
}

// PrepSend sends n bytes at p with send(2)'s flags. The bytes must stay until the
// completion.
func (e *SQE) PrepSend(fd int, p unsafe.Pointer, n int, flags uint32) {
	e.prep(sys.IORING_OP_SEND, int32(fd), uint64(uintptr(p)), uint32(n), 0)
	e.SetOpFlags(flags)
}

// PrepSendmsg sends what the msghdr at msg names, with sendmsg(2)'s flags. The
// msghdr and its iovecs must stay until submission, the bytes until the completion.
func (e *SQE) PrepSendmsg(fd int, msg unsafe.Pointer, flags uint32) {
	e.prep(sys.IORING_OP_SENDMSG, int32(fd), uint64(uintptr(msg)), 1, 0)
	e.SetOpFlags(flags)
}

// PrepSendmsgZC is PrepSendmsg without copying the bytes: when its completion says More, they
// must stay until a second one, a Notification. With usage (6.2) that tells whether they were
// copied.
func (e *SQE) PrepSendmsgZC(fd int, msg unsafe.Pointer, flags uint32, usage bool) {
	e.prep(sys.IORING_OP_SENDMSG_ZC, int32(fd), uint64(uintptr(msg)), 1, 0)
	e.SetOpFlags(flags)
	if usage {
		e.SetIoprio(IORING_SEND_ZC_REPORT_USAGE)
	}
}

// PrepRead reads up to n bytes to p.
func (e *SQE) PrepRead(fd int, p unsafe.Pointer, n int) {
	e.prep(sys.IORING_OP_READ, int32(fd), uint64(uintptr(p)), uint32(n), ^uint64(0))
}

// PrepPoll waits until fd has one of the poll(2) events, once or, with multishot,
// again and again.
func (e *SQE) PrepPoll(fd int, events uint32, multishot bool) {
	var length uint32
	if multishot {
		length = IORING_POLL_ADD_MULTI
	}
	e.prep(sys.IORING_OP_POLL_ADD, int32(fd), 0, length, 0)
	e.SetOpFlags(events)
}

// PrepCancel cancels the operation that was submitted with the given user data.
// Its own completion still comes.
func (e *SQE) PrepCancel(userData uint64) {
	e.prep(sys.IORING_OP_ASYNC_CANCEL, -1, userData, 0, 0)
}

// PrepCancelAll cancels every operation of the ring.
func (e *SQE) PrepCancelAll() {
	e.prep(sys.IORING_OP_ASYNC_CANCEL, -1, 0, 0, 0)
	e.SetOpFlags(IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL)
}

// sqeAddr3 is the offset of sqe->addr3, which the ABI package has no name for.
const sqeAddr3 = 48

// PrepSendDirect puts a copy of the direct descriptor in the given slot into a free slot of another ring, whose descriptor is fd. That
// ring gets a completion with the given user data, whose result is its slot.
func (e *SQE) PrepSendDirect(fd, slot int, userData uint64) {
	e.prep(sys.IORING_OP_MSG_RING, int32(fd), IORING_MSG_SEND_FD, 0, userData)
	*(*uint64)(unsafe.Add(unsafe.Pointer(e), sqeAddr3)) = uint64(slot)
	e.SetSpliceFdIn(IORING_FILE_INDEX_ALLOC)
}

// PrepInstall makes a new ordinary descriptor, the result, of the direct one in the given slot (6.8).
func (e *SQE) PrepInstall(slot int) {
	e.prep(IORING_OP_FIXED_FD_INSTALL, int32(slot), 0, 0, 0)
	e.SetFixed()
}

// PrepClose closes an ordinary descriptor.
func (e *SQE) PrepClose(fd int) { e.prep(sys.IORING_OP_CLOSE, int32(fd), 0, 0, 0) }

// PrepCloseDirect closes the direct descriptor in the given slot, which is free
// for the next direct accept afterwards.
func (e *SQE) PrepCloseDirect(slot int) {
	e.prep(sys.IORING_OP_CLOSE, 0, 0, 0, 0)
	e.SetSpliceFdIn(int32(slot) + 1)
}
