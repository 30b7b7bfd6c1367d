// Package ring is one io_uring: setup, submission and completion queues,
// provided-buffer rings, direct descriptors, and the probe that finds out what
// the running kernel has of them.
//
// It knows nothing of what the bytes mean. A Ring belongs to one thread: lock a
// goroutine to its thread, make the ring there with New, and use it only there
// (the kernel enforces this where it can, with IORING_SETUP_SINGLE_ISSUER). The
// way of an operation is
//
//	sqe := r.SQE()                          // a free submission entry
//	sqe.PrepRecv(fd, group, true, false)    // what to do
//	sqe.SetUserData(data)                   // how to recognise its completion
//	r.Enter(1, timeout)                     // submit all, wait for one
//	for i, n := uint32(0), r.Ready(); i < n; i++ {
//		cqe := r.CQE(i)                 // what came of it
//	}
//	r.Advance(n)                            // give the entries back
//
// Whatever the kernel reads or writes by address (buffers, iovecs, msghdrs) must
// lie outside the Go heap; Map hands out such memory.
//
// The structures of the ABI, ring setup and registration come from
// github.com/iceber/iouring-go/syscall. Entering the ring is ours, because that
// package can neither wait with a time limit nor report an errno without boxing
// it. Constants newer than that package stand in abi.go, each under the name of
// the kernel's include/uapi/linux/io_uring.h.
package ring
