package batch

import (
	"unsafe"

	"ringcached/internal/contract"
	"ringcached/ring"
)

const (
	arenaChunk = 64 << 10 // bytes of one piece of an arena
	// keepChunks is how many pieces a quiet arena keeps.
	keepChunks = 4
	// trimChunks is how many pieces are given back to the system at a time.
	trimChunks = 16
	// replyLimit: a connection with so many bytes of replies in a batch yields. What the
	// replies refer to counts too, as it keeps items from being evicted.
	replyLimit = 256 << 10
	// segmentLimit keeps a connection's replies within one sendmsg (IOV_MAX is 1024);
	// a reply begun below it may add some more.
	segmentLimit = 900
	// batchLimit: with so many bytes of replies in all, everybody yields. What they refer to counts too: it takes the kernel as long
	// to send as what was copied.
	batchLimit = 4 << 20
)

// Output gathers the replies of a batch: bytes in an arena in the order in which they
// were written, and references to bytes elsewhere. A channel has two and uses them in
// turn, because how a send ended is only known after the next batch was begun.
type Output struct {
	chunks [][]byte // mapped memory; those from cur on are unused
	cur    int      // piece being filled
	pos    int      // bytes of it that are used
	total  int      // bytes of it that are replies
	bytes  int      // bytes of replies, with those referenced
	most   int      // of total: then everybody yields
	limit  int      // of a connection's bytes: then it yields

	memory  *account
	lacking bool   // there was no memory for a part of what is being written
	waste   []byte // room for what is written all the same

	replies  []reply
	segments []segment
	refs     int // segments with a reference

	datagrams []datagram // replies of this batch to datagrams

	conn *conn // connection that is being answered
}

// reply is what one connection earned in a batch.
type reply struct {
	conn        uint32
	first, last int32 // segments, a list
	count       int32 // segments in the list
	bytes       int
	gen         uint32
	failed      bool // there was no memory for a part of it
}

// segment is a part of a reply. Its memory is outside the Go heap: an address here
// keeps nothing alive.
type segment struct {
	addr   uintptr
	len    int
	ref    uint64
	next   int32
	hasRef bool
}

func newOutput(memory *account, most int) (*Output, error) {
	o := &Output{memory: memory, most: most, limit: replyLimit}
	var err error
	if o.waste, err = memory.mapping(contract.ReserveMax); err != nil {
		return nil, err
	}
	if err = o.grow(); err != nil {
		o.close()
		return nil, err
	}
	return o, nil
}

func (o *Output) grow() error {
	mem, err := o.memory.mapping(arenaChunk)
	if err != nil {
		return err
	}
	o.chunks = append(o.chunks, mem)
	o.memory.add(arenaChunk)
	return nil
}

// begin makes c the connection that is being answered.
func (o *Output) begin(c *conn) { o.conn, o.lacking = c, false }

// Reserve returns room for at least n more bytes of reply, n <= 16384: a slice of
// length 0 whose capacity is all the room at hand. It is valid until the next call of
// a method of o.
func (o *Output) Reserve(n int) []byte {
	if arenaChunk-o.pos < n && !o.nextChunk() {
		o.lacking = true
		return o.waste[:0:contract.ReserveMax]
	}
	end := arenaChunk
	if o.limit < arenaChunk {
		end = min(end, o.pos+max(n, o.left()))
	}
	return o.chunks[o.cur][o.pos:o.pos:end]
}

// left is how many bytes the connection may have more.
func (o *Output) left() int {
	if o.conn.reply < 0 {
		return o.limit
	}
	return o.limit - o.replies[o.conn.reply].bytes
}

// nextChunk goes on to the next piece of the arena; false: there is no memory for it.
func (o *Output) nextChunk() bool {
	if o.cur+1 == len(o.chunks) && o.grow() != nil {
		return false
	}
	o.cur++
	o.pos = 0
	return true
}

// Commit makes the first n bytes of the reserved room part of the reply.
func (o *Output) Commit(n int) {
	if n == 0 {
		return
	}
	if o.lacking { // the connection ends instead of missing a part
		o.reply().failed = true
		return
	}
	addr := uintptr(unsafe.Pointer(unsafe.SliceData(o.chunks[o.cur]))) + uintptr(o.pos)
	o.pos += n
	r := o.reply()
	r.bytes += n
	o.total += n
	o.bytes += n
	if r.last >= 0 {
		if s := &o.segments[r.last]; !s.hasRef && s.addr+uintptr(s.len) == addr {
			s.len += n
			return
		}
	}
	o.add(r, segment{addr: addr, len: n, next: -1})
}

// Reference makes p part of the reply without copying it. p must lie outside the Go
// heap and stay as it is until Handler.Release(ref), which is called exactly once.
func (o *Output) Reference(p []byte, ref uint64) {
	r := o.reply()
	r.bytes += len(p)
	o.bytes += len(p)
	o.refs++
	o.add(r, segment{addr: uintptr(unsafe.Pointer(unsafe.SliceData(p))), len: len(p), ref: ref, hasRef: true, next: -1})
}

// Full reports that the connection has enough queued: the Handler should yield.
func (o *Output) Full() bool {
	if o.spent() || o.lacking {
		return true
	}
	if o.conn.reply < 0 {
		return false
	}
	r := &o.replies[o.conn.reply]
	return r.bytes >= o.limit || r.count >= segmentLimit
}

// Discard takes back what the connection was written since begin: its reply is the last one. References are released when the batch is
// settled, and the room is lost for it, so that it counts in total.
func (o *Output) Discard() {
	if o.conn.reply < 0 {
		return
	}
	o.bytes -= o.replies[o.conn.reply].bytes
	o.replies = o.replies[:o.conn.reply]
	o.conn.reply = -1
}

// spent reports that everybody has to wait for the next batch.
func (o *Output) spent() bool { return o.bytes >= batchLimit || o.total >= o.most }

func (o *Output) reply() *reply {
	if o.conn.reply < 0 {
		o.conn.reply = int32(len(o.replies))
		o.replies = append(o.replies, reply{conn: o.conn.slot, gen: o.conn.gen, first: -1, last: -1})
	}
	return &o.replies[o.conn.reply]
}

func (o *Output) add(r *reply, s segment) {
	i := int32(len(o.segments))
	o.segments = append(o.segments, s)
	if r.last < 0 {
		r.first = i
	} else {
		o.segments[r.last].next = i
	}
	r.last = i
	r.count++
}

// iovec and msghdr are the kernel's structures, with addresses as numbers.
type iovec struct {
	base uintptr
	len  int
}

type msghdr struct {
	name       uintptr
	namelen    uint64
	iov        uintptr
	iovlen     uint64
	control    uintptr
	controllen uint64
	flags      uint64
}

// maxSegments is the most that one sendmsg takes (IOV_MAX, or UIO_MAXIOV in the kernel).
const maxSegments = 1024

// message writes a msghdr and room for n iovecs into the arena, where they lie until
// the batch after this one is over. It returns nil if there is no memory.
func (o *Output) message(n int) (unsafe.Pointer, []iovec) {
	const hdr, iov = int(unsafe.Sizeof(msghdr{})), int(unsafe.Sizeof(iovec{}))
	room := o.scratch(hdr + n*iov)
	if room == nil {
		return nil, nil
	}
	vec := unsafe.Slice((*iovec)(unsafe.Add(room, hdr)), n)
	*(*msghdr)(room) = msghdr{iov: uintptr(unsafe.Pointer(&vec[0])), iovlen: uint64(n)}
	return room, vec
}

// replyMessage makes a message of a reply of at most maxSegments segments; nil: there is no memory for it.
func (o *Output) replyMessage(r *reply) unsafe.Pointer {
	msg, vec := o.message(int(r.count))
	i := r.first
	for k := range vec { // none without memory
		s := &o.segments[i]
		vec[k] = iovec{s.addr, s.len}
		i = s.next
	}
	return msg
}

// scratch returns n bytes of the arena, aligned to 8, that are not sent; nil: there is no memory.
func (o *Output) scratch(n int) unsafe.Pointer {
	if o.pos = (o.pos + 7) &^ 7; arenaChunk-o.pos < n && !o.nextChunk() {
		return nil
	}
	p := unsafe.Pointer(&o.chunks[o.cur][o.pos])
	o.pos += n
	return p
}

// empty reports that nothing was written since reset.
func (o *Output) empty() bool { return o.cur == 0 && o.pos == 0 && len(o.segments) == 0 }

// reset empties o for the next batch. References must have been given back.
func (o *Output) reset() {
	o.cur, o.pos, o.total, o.bytes, o.refs = 0, 0, 0, 0, 0
	o.replies = o.replies[:0]
	o.segments = o.segments[:0]
	o.datagrams = o.datagrams[:0]
	o.conn, o.lacking = nil, false
}

// trim gives memory of a past peak back to the system, a few pieces at a time, and reports that there is more. o must be empty.
func (o *Output) trim() (more bool) {
	for range trimChunks {
		if len(o.chunks) <= keepChunks {
			break
		}
		o.dropChunk()
	}
	if cap(o.segments) > 1<<14 {
		o.segments = nil
	}
	if cap(o.replies) > 1<<14 {
		o.replies = nil
	}
	return len(o.chunks) > keepChunks
}

func (o *Output) dropChunk() {
	last := len(o.chunks) - 1
	_ = ring.Unmap(o.chunks[last])
	o.chunks = o.chunks[:last]
	o.memory.add(-arenaChunk)
}

// close frees the arena.
func (o *Output) close() {
	for len(o.chunks) > 0 {
		o.dropChunk()
	}
	if o.waste != nil {
		_ = ring.Unmap(o.waste)
		o.waste = nil
	}
}

// pointer makes an address of mapped memory a pointer again. The memory is not the
// garbage collector's, so nothing can move or go in between.
func pointer(addr uintptr) *byte {
	return *(**byte)(unsafe.Pointer(&addr))
}
