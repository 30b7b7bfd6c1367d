package batch

import (
	"fmt"
	"math/bits"
	"slices"
	"syscall"
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
	// replyLimit: a connection with this many bytes of replies in a batch yields. What the
	// replies refer to counts too, as it keeps items from being evicted.
	replyLimit = 256 << 10
	// segmentLimit keeps a connection's replies within one sendmsg (IOV_MAX is 1024);
	// a reply begun below it may add some more.
	segmentLimit = 900
	// batchLimit: with this many bytes of replies in all, every connection yields. What they refer to counts too: it takes the kernel as long
	// to send as what was copied.
	batchLimit = 4 << 20
)

// Output gathers the replies of a batch: bytes in an arena in the order in which they
// were written, and references to bytes elsewhere. A channel has two and alternates between
// them, because how a send ended is only known after the next batch was begun.
type Output struct {
	chunks [][]byte // mapped memory; those from cur on are unused
	cur    int      // piece being filled
	pos    int      // bytes of it that are used
	total  int      // bytes of it that are replies, or will be when these are sealed
	bytes  int      // bytes of replies, with those referenced
	most   int      // of total: then everybody yields
	limit  int      // of a connection's bytes: then it yields

	memory *account
	waste  []byte // room for what is written when there is no memory

	replies  []reply
	segments []segment
	refs     int // segments with a reference

	datagrams []datagram // replies of this batch to datagrams
}

// reply is what one connection earned in a batch.
type reply struct {
	conn        uint32
	first, last int32 // segments, a list
	count       int32 // segments in the list
	bytes       int
	gen         uint32
	failed      bool // there was no memory for a part of it
	sealed      bool // its segments are records
}

// segment is a part of a reply. Its memory is outside the Go heap: an address here
// keeps nothing alive.
type segment struct {
	addr   uintptr
	len    int
	ref    uint64
	next   int32
	hasRef bool

	unsealed bool // in a send queue: plaintext, see sealNext
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

// nextChunk goes on to the next piece of the arena; false: there is no memory for it.
func (o *Output) nextChunk() bool {
	if o.cur+1 == len(o.chunks) && o.grow() != nil {
		return false
	}
	o.cur++
	o.pos = 0
	return true
}

// spent reports that everybody has to wait for the next batch.
func (o *Output) spent() bool { return o.bytes >= batchLimit || o.total >= o.most }

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

// writer writes replies to one connection. It is what a Handler is given.
type writer struct {
	out     *Output
	conn    *conn
	lacking bool // there was no memory for a part of the reply
}

// writerTo returns what the replies to c are written with in this batch. It is valid until the next call.
func (ch *channel) writerTo(c *conn) *writer {
	ch.writer = writer{out: ch.out, conn: c}
	return &ch.writer
}

// Reserve is contract.Replies's.
func (w *writer) Reserve(n int) []byte {
	if n > contract.ReserveMax {
		panic(fmt.Sprintf("batch: %d bytes of a reply reserved at once, contract.ReserveMax is %d", n, contract.ReserveMax))
	}
	o := w.out
	if arenaChunk-o.pos < n && !o.nextChunk() {
		w.lacking = true
		return o.waste[:0:contract.ReserveMax]
	}
	end := arenaChunk
	if o.limit < arenaChunk {
		end = min(end, o.pos+max(n, w.left()))
	}
	return o.chunks[o.cur][o.pos:o.pos:end]
}

// left is how many bytes the connection may have more.
func (w *writer) left() int {
	if w.conn.reply < 0 {
		return w.out.limit
	}
	return w.out.limit - w.out.replies[w.conn.reply].bytes
}

// Commit is contract.Replies's.
func (w *writer) Commit(n int) {
	if n == 0 {
		return
	}
	r, o := w.reply(), w.out
	if w.lacking { // the connection ends instead of missing a part
		r.failed = true
		return
	}
	addr := uintptr(unsafe.Pointer(unsafe.SliceData(o.chunks[o.cur]))) + uintptr(o.pos)
	o.pos += n
	o.total += n
	w.count(r, n)
	if r.last >= 0 {
		if s := &o.segments[r.last]; !s.hasRef && s.addr+uintptr(s.len) == addr {
			s.len += n
			return
		}
	}
	o.add(r, segment{addr: addr, len: n, next: -1})
}

// Reference is contract.Replies's.
func (w *writer) Reference(p []byte, ref uint64) {
	r, o := w.reply(), w.out
	w.count(r, len(p))
	o.refs++
	o.add(r, segment{addr: uintptr(unsafe.Pointer(unsafe.SliceData(p))), len: len(p), ref: ref, hasRef: true, next: -1})
}

// count counts n bytes more of the reply. What is to be sealed in the arena takes room there once more.
func (w *writer) count(r *reply, n int) {
	if w.conn.is(flagTLS) && !w.conn.is(flagKernelTLS) {
		w.out.total += min(r.bytes+n, sealAtOnce) - min(r.bytes, sealAtOnce)
	}
	r.bytes += n
	w.out.bytes += n
}

// Full is contract.Replies's.
func (w *writer) Full() bool {
	o := w.out
	if o.spent() || w.lacking {
		return true
	}
	if w.conn.reply < 0 {
		return false
	}
	r := &o.replies[w.conn.reply]
	return r.bytes >= o.limit || r.count >= segmentLimit
}

// Discard is contract.DatagramReplies's: it takes back the reply, which is the last one. References are released when the batch is
// settled, and the room is lost for it, so that it counts in total.
func (w *writer) Discard() {
	if w.conn.reply < 0 {
		return
	}
	o := w.out
	o.bytes -= o.replies[w.conn.reply].bytes
	o.replies = o.replies[:w.conn.reply]
	w.conn.reply = -1
}

// reply is the connection's of this batch.
func (w *writer) reply() *reply {
	o := w.out
	if w.conn.reply < 0 {
		w.conn.reply = int32(len(o.replies))
		o.replies = append(o.replies, reply{conn: w.conn.slot, gen: w.conn.gen, first: -1, last: -1})
	}
	return &o.replies[w.conn.reply]
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
func (o *Output) empty() bool {
	return o.cur == 0 && o.pos == 0 && len(o.segments) == 0 && len(o.replies) == 0
}

// reset empties o for the next batch. References must have been given back.
func (o *Output) reset() {
	o.cur, o.pos, o.total, o.bytes, o.refs = 0, 0, 0, 0, 0
	o.replies = o.replies[:0]
	o.segments = o.segments[:0]
	o.datagrams = o.datagrams[:0]
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

// flush hands the replies of the batch to the engine, each connection's in one send,
// and changes to the other Output. The engine settles the replies: it reports those
// that were not sent as a whole to unsent, and then calls settle.
func (ch *channel) flush() {
	out := ch.out
	if out.empty() {
		ch.stats.publish()
		return
	}
	ch.flushes++
	ch.stats.sends += uint64(len(out.replies))
	ch.stats.bytesWritten += uint64(out.bytes) // less what turns out not to be sent
	ch.stats.publish()
	if len(out.datagrams) > 0 {
		ch.flushDatagrams(out)
	}
	sent := uint64(0)
	for i := range out.replies {
		r := &out.replies[i]
		if r.conn == guest {
			continue
		}
		c := ch.conns.find(r.conn, r.gen)
		if c != nil {
			c.reply = -1
		}
		switch {
		case c == nil || c.life == lifeReleasing:
			ch.stats.bytesWritten -= uint64(r.bytes)
		case r.failed:
			ch.stats.bytesWritten -= uint64(r.bytes)
			ch.lacks(c, errNoArena)
		case c.is(flagTLS) && !ch.seal(c, out, r):
		case c.send != sendIdle || r.count > maxSegments:
			ch.unsent(c, out, r, 0)
		default:
			c.flushed = ch.flushes
			ch.stats.sendSizes.count(uint32(r.bytes))
			sent += uint64(r.bytes)
			ch.engine.send(c, out, uint32(i))
		}
	}
	ch.stats.sendBytes.Store(ch.stats.sendBytes.Load() + sent)
	ch.out, ch.sent = ch.sent, out
}

// settle ends the last flush: how each of its sends ended is known. References of what
// was sent are given back, and the arena is free.
func (ch *channel) settle() {
	if ch.settled == ch.flushes {
		return
	}
	ch.settled = ch.flushes
	out := ch.sent
	if out.refs > 0 {
		for i := range out.segments {
			if s := &out.segments[i]; s.hasRef {
				ch.handler.Release(s.ref)
			}
		}
	}
	out.reset()
}

// notSent takes a reply whose send failed.
func (ch *channel) notSent(c *conn, r *reply, errno syscall.Errno) {
	ch.stats.bytesWritten -= uint64(r.bytes)
	ch.lost(c, "cannot send", errno)
}

// unsent takes a reply of which only the first n bytes were sent.
func (ch *channel) unsent(c *conn, out *Output, r *reply, n int) {
	ch.stats.shortSends.Add(1)
	ch.stats.bytesWritten -= uint64(r.bytes - n)
	had := c.send != sendIdle
	if !ch.postpone(c, out, r, n) {
		ch.lacks(c, errNoSendQueue)
		return
	}
	if !had {
		ch.engine.drain(c)
	}
}

// sendQueue holds replies that a peer did not take at once. What was in the arena is
// copied into borrowed memory, what was referenced stays referenced. While there is a
// send queue the connection's requests are not handled, so it is bounded by replyLimit
// and one reply.
type sendQueue struct {
	parts      []segment // from head on not sent
	head       int
	first      [4]segment // memory of parts, while they are few
	lent       []run      // what it borrowed
	room       []byte     // rest of the last one that replies were copied into
	bytes      int        // not sent yet
	size       int        // of lent, in bytes
	dying      int        // of size: the account knows that it goes
	conn       token      // whose it is
	since      uint32     // second of the last progress
	zeroCopies int8       // sends of it that refer to its parts still, see zeroCopySends
	tls        bool       // parts may have to be sealed before they are sent,
	window     []byte     // which happens here; of lent
	keep       bool       // its parts stay until all is sent and zeroCopies is 0
	copies     bool       // it is sent in the ordinary way all the same
	ended      bool       // nobody else needs it
}

// drainSegments is how much of a send queue one sendmsg names: a socket buffer's worth
// is a few.
const drainSegments = 64

// sendQueue returns c's; nil: it has none.
func (ch *channel) sendQueue(c *conn) *sendQueue { return ch.sendQueues.of(c.sendQueue) }

// postpone moves what is left of a reply after its first sent bytes into a send queue of
// c, which the engine is told to drain. It reports false when there is no memory for
// it: the connection must go then.
func (ch *channel) postpone(c *conn, out *Output, r *reply, sent int) bool {
	b := ch.sendQueue(c)
	if b == nil {
		b = newSendQueue(c, ch.second)
		c.sendQueue = ch.sendQueues.lend(b)
		c.toSend(sendQueued)
		if !c.is(flagSlow) {
			c.set(flagSlow)
			ch.slow = append(ch.slow, c.token(kindNone))
		}
	}
	ok, arena := true, r.copied(out, sent)
	for i := r.first; i >= 0; i = out.segments[i].next {
		s := &out.segments[i]
		if sent >= s.len {
			sent -= s.len
			continue
		}
		rest := *s
		rest.addr += uintptr(sent)
		rest.len -= sent
		rest.unsealed = b.tls && !r.sealed
		sent = 0
		switch {
		case !s.hasRef:
			ok = ok && b.copyIn(&ch.blocks, rest, arena)
			arena -= rest.len
		case ok && b.add(&ch.blocks, rest):
			s.hasRef = false // the send queue's from here on
			out.refs--
		default:
			ok = false
		}
		b.bytes += rest.len
		ch.stats.sendQueueBytes.Add(uint64(rest.len))
	}
	return ok
}

// copied is how many bytes of the reply, behind the first sent ones, lie in the arena.
func (r *reply) copied(out *Output, sent int) (n int) {
	for i := r.first; i >= 0; i = out.segments[i].next {
		s := &out.segments[i]
		skip := min(sent, s.len)
		sent -= skip
		if !s.hasRef {
			n += s.len - skip
		}
	}
	return n
}

func newSendQueue(c *conn, second uint32) *sendQueue {
	b := &sendQueue{since: second, conn: c.token(kindNone)}
	b.parts = b.first[:0]
	if b.tls = c.is(flagTLS) && !c.is(flagKernelTLS); b.tls {
		b.parts, b.head = b.first[:1], 1 // a place for sealNext
	}
	return b
}

// borrow takes at least n bytes from the pool.
func (b *sendQueue) borrow(pool *blockPool, n int) (lent run, ok bool) {
	lent, err := pool.lend(n)
	if err != nil {
		return lent, false
	}
	b.lent = append(b.lent, lent)
	b.size += len(lent.mem)
	return lent, true
}

// add adds a part. The list of them lies in borrowed memory when it is long: a client may ask for many small values.
func (b *sendQueue) add(pool *blockPool, s segment) bool {
	if n := len(b.parts); n == cap(b.parts) {
		const size = int(unsafe.Sizeof(segment{}))
		lent, ok := b.borrow(pool, 2*n*size)
		if !ok {
			return false
		}
		parts := unsafe.Slice((*segment)(unsafe.Pointer(&lent.mem[0])), len(lent.mem)/size)
		b.parts = parts[:copy(parts, b.parts)]
	}
	b.parts = append(b.parts, s)
	return true
}

// copyIn copies s into memory of the pool. left bytes are to be copied in all, with s.
func (b *sendQueue) copyIn(pool *blockPool, s segment, left int) bool {
	src := unsafe.Slice(pointer(s.addr), s.len)
	for len(src) > 0 {
		if len(b.room) == 0 {
			// The largest run that they fill, so that they are in few pieces and no memory is left over.
			lent, ok := b.borrow(pool, max(blockSize, min(1<<(bits.Len(uint(left))-1), arenaChunk)))
			if !ok {
				return false
			}
			b.room = lent.mem
		}
		n := copy(b.room, src)
		if !b.add(pool, segment{addr: uintptr(unsafe.Pointer(&b.room[0])), len: n, unsealed: s.unsealed}) {
			return false
		}
		b.room, src = b.room[n:], src[n:]
		left -= n
	}
	return true
}

// queueMessage names the next part of c's send queue, in memory of the arena; nil: c has ended, for want of some.
func (ch *channel) queueMessage(c *conn) unsafe.Pointer {
	b := ch.sendQueue(c)
	if b.tls && !ch.sealNext(c, b) {
		return nil
	}
	msg := b.message(ch.out)
	if msg == nil {
		ch.lacks(c, errNoArena)
	}
	return msg
}

// message names the next part of the send queue, in memory of the arena; nil: there is none.
func (b *sendQueue) message(out *Output) unsafe.Pointer {
	parts := b.parts[b.head:]
	if len(parts) > drainSegments {
		parts = parts[:drainSegments]
	}
	if b.tls {
		if i := slices.IndexFunc(parts, func(s segment) bool { return s.unsealed }); i >= 0 {
			parts = parts[:i]
		}
	}
	msg, vec := out.message(len(parts))
	for i := range vec {
		vec[i] = iovec{parts[i].addr, parts[i].len}
	}
	return msg
}

// drained records that n bytes of c's send queue were sent, and goes on: with the rest,
// or, when all is sent, with the requests that waited.
func (ch *channel) drained(c *conn, n int) {
	b := ch.sendQueue(c)
	ch.stats.bytesWritten += uint64(n)
	ch.stats.sendQueueBytes.Add(-uint64(n))
	if c.is(flagKernelTLS) {
		ch.tlsState(c).SealedElsewhere(1) // each send ends a record
	}
	b.bytes -= n
	b.since = ch.second
	for n > 0 {
		s := &b.parts[b.head]
		if n < s.len {
			s.addr += uintptr(n)
			s.len -= n
			break
		}
		n -= s.len
		if s.hasRef && !b.keep {
			ch.handler.Release(s.ref)
		}
		b.head++
	}
	if b.bytes > 0 {
		ch.engine.drain(c)
		return
	}
	ch.dropSendQueue(c)
	switch {
	case c.closing():
		ch.ending = append(ch.ending, c.token(kindNone))
	case c.inputBuffer != 0:
		ch.makeReady(c)
	case c.inputOver():
		ch.finish(c)
	default:
		ch.engine.receive(c)
	}
}

// dropSendQueue gives back what c's send queue borrowed.
func (ch *channel) dropSendQueue(c *conn) {
	b := ch.sendQueue(c)
	if b == nil {
		return
	}
	ch.stats.sendQueueBytes.Add(-uint64(b.bytes))
	c.sendQueue = ch.sendQueues.end(c.sendQueue)
	c.toSend(sendIdle)
	if b.ended = true; b.zeroCopies == 0 {
		ch.giveBack(b)
	}
}

// giveBack gives back what b borrowed.
func (ch *channel) giveBack(b *sendQueue) {
	if b.keep {
		b.head = 0
	}
	for _, s := range b.parts[b.head:] {
		if s.hasRef {
			ch.handler.Release(s.ref)
		}
	}
	for _, lent := range b.lent {
		ch.blocks.give(lent)
	}
	ch.memory.dying -= int64(b.dying)
}

// closeSlow closes connections whose peer took nothing for the send timeout.
func (ch *channel) closeSlow() {
	// Whole seconds: the last progress was up to one later than it says, so the limit is
	// rounded up and has to be exceeded.
	limit := ch.config.sendSeconds()
	kept := ch.slow[:0]
	for _, t := range ch.slow {
		c := ch.conns.find(t.slot(), t.gen())
		if c == nil {
			continue
		}
		if c.send == sendIdle {
			c.clear(flagSlow)
			continue
		}
		if limit > 0 && ch.second-ch.sendQueue(c).since > limit {
			ch.stats.sendTimeouts.Add(1)
			ch.config.log(2, "<%d closed: took nothing of its replies for %ds", ch.number(c), limit)
			ch.kill(c)
			continue
		}
		kept = append(kept, t)
	}
	ch.slow = kept
}
