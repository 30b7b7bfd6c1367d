package ring

import "sync/atomic"

// CQE is a completion queue entry: the user data of the operation, its result (a
// negated errno when below zero) and flags. It lies in the ring and is valid until
// Advance has passed it.
type CQE struct {
	UserData uint64
	Res      int32
	Flags    uint32
}

// More reports whether the multishot operation goes on. Without it the operation
// is over, whatever its result was.
func (c *CQE) More() bool { return c.Flags&IORING_CQE_F_MORE != 0 }

// Buffer returns the id of the provided buffer that the data is in.
func (c *CQE) Buffer() (id uint16, ok bool) {
	return uint16(c.Flags >> IORING_CQE_BUFFER_SHIFT), c.Flags&IORING_CQE_F_BUFFER != 0
}

// SocketNonEmpty reports that the socket had more data when this completion was made.
func (c *CQE) SocketNonEmpty() bool { return c.Flags&IORING_CQE_F_SOCK_NONEMPTY != 0 }

// Notification reports that this is not the outcome of a send without copying, but says
// that the kernel needs the bytes no more; copied, that it did copy them after all.
func (c *CQE) Notification() (copied, ok bool) {
	return uint32(c.Res)&IORING_NOTIF_USAGE_ZC_COPIED != 0, c.Flags&IORING_CQE_F_NOTIF != 0
}

// Ready returns how many completions there are to read.
func (r *Ring) Ready() uint32 { return atomic.LoadUint32(r.cq.tail) - r.cq.next }

// CQE returns completion i of those that Ready counted.
func (r *Ring) CQE(i uint32) *CQE { return &r.cq.entries[(r.cq.next+i)&r.cq.mask] }

// Advance gives the first n completions back to the kernel.
func (r *Ring) Advance(n uint32) {
	r.cq.next += n
	atomic.StoreUint32(r.cq.head, r.cq.next)
}

// Overflowed reports that completions wait in the kernel for room in the queue.
// Enter with a wait, or Flush, brings them once room was made by Advance.
func (r *Ring) Overflowed() bool { return atomic.LoadUint32(r.sq.flags)&IORING_SQ_CQ_OVERFLOW != 0 }

// Lost returns how many completions the kernel had to drop. Since IORING_FEAT_NODROP
// it is only ever more than 0 when the kernel ran out of memory.
func (r *Ring) Lost() uint32 { return atomic.LoadUint32(r.cq.overflow) }
