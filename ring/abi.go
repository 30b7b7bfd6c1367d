package ring

import sys "github.com/iceber/iouring-go/syscall"

// Names and values of include/uapi/linux/io_uring.h that the ABI package lacks.

// enum io_uring_op, from the value of IORING_OP_SENDMSG_ZC on. What a kernel's
// last operation is tells its version, also where a distribution's version
// number does not.
const (
	IORING_OP_READ_MULTISHOT   = sys.IORING_OP_SENDMSG_ZC + 1 // 6.7
	IORING_OP_FIXED_FD_INSTALL = 54                           // 6.8
	IORING_OP_FTRUNCATE        = 55                           // 6.9
	IORING_OP_BIND             = 56                           // 6.11
	IORING_OP_RECV_ZC          = 58                           // 6.15
	IORING_OP_PIPE             = 62                           // 6.16
)

// io_uring_setup flags.
const (
	IORING_SETUP_SINGLE_ISSUER uint32 = 1 << 12 // 6.0
	IORING_SETUP_DEFER_TASKRUN uint32 = 1 << 13 // 6.1
	IORING_SETUP_NO_SQARRAY    uint32 = 1 << 16 // 6.6
)

// io_uring_params.features.
const (
	IORING_FEAT_EXT_ARG         uint32 = 1 << 8  // 5.11
	IORING_FEAT_CQE_SKIP        uint32 = 1 << 11 // 5.17
	IORING_FEAT_RECVSEND_BUNDLE uint32 = 1 << 14 // 6.10
	IORING_FEAT_MIN_TIMEOUT     uint32 = 1 << 15 // 6.12
	IORING_FEAT_NO_IOWAIT       uint32 = 1 << 17 // 6.15
)

// io_uring_enter flags.
const (
	IORING_ENTER_GETEVENTS       uint32 = 1 << 0
	IORING_ENTER_SQ_WAKEUP       uint32 = 1 << 1
	IORING_ENTER_EXT_ARG         uint32 = 1 << 3
	IORING_ENTER_REGISTERED_RING uint32 = 1 << 4
	IORING_ENTER_NO_IOWAIT       uint32 = 1 << 7 // 6.15
)

// io_uring_register opcodes.
const (
	IORING_REGISTER_FILES2      uint8 = 13
	IORING_REGISTER_RING_FDS    uint8 = 20
	IORING_UNREGISTER_RING_FDS  uint8 = 21
	IORING_REGISTER_PBUF_RING   uint8 = 22
	IORING_UNREGISTER_PBUF_RING uint8 = 23
	IORING_REGISTER_NAPI        uint8 = 27 // 6.9
	IORING_RSRC_REGISTER_SPARSE       = 1 << 0
	IO_URING_OP_SUPPORTED             = 1 << 0
	IORING_FILE_INDEX_ALLOC     int32 = -1 // ~0U as the kernel spells it
)

// enum io_uring_register_restriction_op.
const (
	IORING_RESTRICTION_REGISTER_OP       uint16 = 0
	IORING_RESTRICTION_SQE_OP            uint16 = 1
	IORING_RESTRICTION_SQE_FLAGS_ALLOWED uint16 = 2
)

// sqe->flags.
const (
	IOSQE_FIXED_FILE       uint8 = 1 << 0
	IOSQE_BUFFER_SELECT    uint8 = 1 << 5
	IOSQE_CQE_SKIP_SUCCESS uint8 = 1 << 6 // 5.17
)

// sqe->ioprio of accept, recv and send.
const (
	IORING_RECVSEND_POLL_FIRST  uint16 = 1 << 0 // 5.19
	IORING_RECV_MULTISHOT       uint16 = 1 << 1 // 6.0
	IORING_SEND_ZC_REPORT_USAGE uint16 = 1 << 3 // 6.2
	IORING_ACCEPT_MULTISHOT     uint16 = 1 << 0 // 5.19
)

// sqe->cancel_flags.
const (
	IORING_ASYNC_CANCEL_ALL uint32 = 1 << 0 // 5.19
	IORING_ASYNC_CANCEL_FD  uint32 = 1 << 1 // 5.19
	IORING_ASYNC_CANCEL_ANY uint32 = 1 << 2 // 5.19
)

// sqe->addr of msg_ring.
const IORING_MSG_SEND_FD uint64 = 1 // 6.0

// sqe->len of poll.
const IORING_POLL_ADD_MULTI uint32 = 1 << 0 // 5.13

// cqe->flags.
const (
	IORING_CQE_F_BUFFER        uint32 = 1 << 0
	IORING_CQE_F_MORE          uint32 = 1 << 1
	IORING_CQE_F_SOCK_NONEMPTY uint32 = 1 << 2 // 5.19
	IORING_CQE_F_NOTIF         uint32 = 1 << 3 // 6.0
	IORING_CQE_BUFFER_SHIFT           = 16
)

// IORING_SQ_NEED_WAKEUP in the submission queue's flags word: the kernel's thread
// sleeps (IORING_SETUP_SQPOLL).
const IORING_SQ_NEED_WAKEUP uint32 = 1 << 0

// cqe->res of a notification.
const IORING_NOTIF_USAGE_ZC_COPIED uint32 = 1 << 31 // 6.2

// IORING_SQ_CQ_OVERFLOW in the submission queue's flags word: completions wait
// in the kernel because the completion queue is full.
const IORING_SQ_CQ_OVERFLOW uint32 = 1 << 1

// IORING_SQ_TASKRUN in the same word: the kernel has completions to post as
// soon as the ring is entered (needs IORING_SETUP_TASKRUN_FLAG).
const IORING_SQ_TASKRUN uint32 = 1 << 2

// struct io_uring_getevents_arg.
type geteventsArg struct {
	sigmask     uint64
	sigmaskSize uint32
	minWaitUsec uint32
	ts          uint64
}

// struct __kernel_timespec.
type timespec struct {
	sec  int64
	nsec int64
}

// struct io_uring_buf_reg.
type bufReg struct {
	ringAddr    uint64
	ringEntries uint32
	bgid        uint16
	flags       uint16
	resv        [3]uint64
}

// struct io_uring_restriction. what is an operation, a register opcode or a set of flags.
type restriction struct {
	opcode uint16
	what   uint8
	resv   uint8
	resv2  [3]uint32
}

// struct io_uring_rsrc_register.
type rsrcRegister struct {
	nr    uint32
	flags uint32
	resv2 uint64
	data  uint64
	tags  uint64
}

// struct io_uring_rsrc_update: registers the ring's own descriptor.
type rsrcUpdate struct {
	offset uint32
	resv   uint32
	data   uint64
}

// struct io_uring_napi.
type napi struct {
	busyPollUsec   uint32
	preferBusyPoll uint8
	opcode         uint8
	pad            [2]uint8
	opParam        uint32
	resv           uint32
}

// struct io_uring_probe with room for every operation a byte can name.
type opProbe struct {
	lastOp uint8
	opsLen uint8
	resv   uint16
	resv2  [3]uint32
	ops    [256]struct {
		op    uint8
		resv  uint8
		flags uint16
		resv2 uint32
	}
}
