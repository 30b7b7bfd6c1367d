package batch

import (
	"errors"
	"unsafe"

	"golang.org/x/sys/unix"
	"ringcached/batch/ktls"
	"ringcached/internal/record"
)

// What a connection that speaks TLS is sent is sealed when the batch is flushed, into the arena: the replies of a batch are copied together into records,
// and leave in one send as ever. A reply of more than sealAtOnce becomes a send queue, of which a part is sealed whenever the part before it is sent: so a
// large value holds up nobody, and takes no memory but where it lies. A record is sealed once, in the order in which the records are sent, since its number
// is a part of the key.

const (
	// sealAtOnce is the most plaintext of one connection that is sealed in a batch.
	sealAtOnce = 128 << 10
	// recordMax is the most plaintext of one record (RFC 8446, section 5.1).
	recordMax = record.MaxPlain
	// controlMax is room for an alert, or a KeyUpdate.
	controlMax = 64
)

// seal replaces r, c's reply of this batch, by records. It reports false where there is none to send now: r has become a send queue, or is kept for the
// one that there is, or c has ended.
func (ch *channel) seal(c *conn, out *Output, r *reply) bool {
	if c.is(flagKernelTLS) {
		return ch.sealedByKernel(c, r)
	}
	if b := ch.sendQueue(c); b != nil && b.unsealed() {
		return true // it goes behind, and is sealed like that
	}
	if r.bytes > min(sealAtOnce, 2*ch.allowed.reply) {
		ch.stats.sends-- // drain counts it
		ch.stats.bytesWritten -= uint64(r.bytes)
		had := c.send != sendIdle
		if !ch.postpone(c, out, r, 0) {
			ch.lacks(c, errNoSendQueue)
		} else if !had {
			ch.engine.drain(c)
		}
		return false
	}
	s := ch.tlsState(c)
	from := segments{at: r.first, of: out.segments}
	sealed := reply{conn: r.conn, gen: r.gen, first: -1, last: -1, sealed: true}
	put := func(room []byte, n int) {
		out.pos += n
		sealed.bytes += n
		out.append(&sealed, room[:n])
	}
	if s.KeyUpdateDue() {
		room := out.room(controlMax)
		if room == nil {
			return ch.notSealed(c, r)
		}
		put(room, len(ch.tls.ciphers.AppendKeyUpdate(c.slot, &s.State, room[:0], false)))
	}
	for left := r.bytes; left > 0; {
		n := min(left, recordMax)
		room := out.room(n + s.Overhead())
		if room == nil {
			return ch.notSealed(c, r)
		}
		from.read(room[s.Prefix():][:n])
		size := ch.tls.ciphers.Seal(c.slot, &s.State, room, n)
		if size == 0 { // its last record was sealed before
			break
		}
		ch.stats.tlsRecordsOut++
		put(room, size)
		left -= n
	}
	if c.is(flagAlert) {
		if room := out.room(controlMax); room != nil {
			put(room, len(ch.tls.ciphers.AppendAlert(c.slot, &s.State, room[:0], s.alert)))
		}
	}
	ch.stats.bytesWritten += uint64(sealed.bytes - r.bytes) // which wraps around if it must
	*r = sealed
	return r.bytes > 0
}

// notSealed ends c, as there is no memory to seal its reply in.
func (ch *channel) notSealed(c *conn, r *reply) bool {
	ch.stats.bytesWritten -= uint64(r.bytes)
	ch.lacks(c, errNoArena)
	return false
}

// room returns n bytes of the arena, which are taken by moving pos; nil: there is no memory.
func (o *Output) room(n int) []byte {
	if arenaChunk-o.pos < n && !o.nextChunk() {
		return nil
	}
	return o.chunks[o.cur][o.pos:][:n:n]
}

// append adds bytes that lie in the arena to r.
func (o *Output) append(r *reply, p []byte) {
	addr := uintptr(unsafe.Pointer(unsafe.SliceData(p)))
	if r.last >= 0 {
		if s := &o.segments[r.last]; s.addr+uintptr(s.len) == addr {
			s.len += len(p)
			return
		}
	}
	o.add(r, segment{addr: addr, len: len(p), next: -1})
}

// segments is a place in the bytes of a reply.
type segments struct {
	of   []segment
	at   int32
	done int // of the segment
}

// read copies the next len(p) bytes, which there must be.
func (s *segments) read(p []byte) {
	for len(p) > 0 {
		seg := &s.of[s.at]
		n := copy(p, unsafe.Slice(pointer(seg.addr), seg.len)[s.done:])
		p = p[n:]
		if s.done += n; s.done == seg.len {
			s.at, s.done = seg.next, 0
		}
	}
}

// unsealed reports that there is plaintext in b.
func (b *sendQueue) unsealed() bool { return len(b.parts) > b.head && b.parts[len(b.parts)-1].unsealed }

// sealNext seals the next part of c's send queue, if nothing that is sealed is left of it. It reports false if c has ended.
func (ch *channel) sealNext(c *conn, b *sendQueue) bool {
	if len(b.parts) == b.head || !b.parts[b.head].unsealed {
		return true
	}
	s := ch.tlsState(c)
	if b.window == nil {
		lent, ok := b.borrow(&ch.blocks, ch.allowed.window)
		if !ok {
			ch.lacks(c, errNoSendQueue)
			return false
		}
		b.window = lent.mem
	}
	n, taken := 0, 0
	if s.KeyUpdateDue() {
		n = len(ch.tls.ciphers.AppendKeyUpdate(c.slot, &s.State, b.window[:0], false))
	}
	for len(b.parts) > b.head && len(b.window)-n > 2*controlMax+s.Overhead() {
		room := b.window[n : len(b.window)-controlMax]
		size := ch.takeUnsealed(b, room[s.Prefix():][:min(recordMax, len(room)-s.Overhead())])
		sealed := ch.tls.ciphers.Seal(c.slot, &s.State, room, size)
		if sealed == 0 {
			ch.kill(c)
			return false
		}
		ch.stats.tlsRecordsOut++
		n += sealed
		taken += size
	}
	if len(b.parts) == b.head && c.is(flagAlert) {
		n += len(ch.tls.ciphers.AppendAlert(c.slot, &s.State, b.window[n:n], s.alert))
	}
	b.head-- // there is a place: newSendQueue leaves one, and each call uses one and gives it back when it is sent
	b.parts[b.head] = segment{addr: uintptr(unsafe.Pointer(&b.window[0])), len: n, next: -1}
	b.bytes += n - taken
	ch.stats.sendQueueBytes.Add(uint64(n - taken))
	return true
}

// takeUnsealed moves plaintext from b into p, and returns how much there was.
func (ch *channel) takeUnsealed(b *sendQueue, p []byte) (n int) {
	for len(b.parts) > b.head && n < len(p) {
		s := &b.parts[b.head]
		k := copy(p[n:], unsafe.Slice(pointer(s.addr), s.len))
		n += k
		if k < s.len {
			s.addr += uintptr(k)
			s.len -= k
			break
		}
		if s.hasRef {
			ch.handler.Release(s.ref)
		}
		b.head++
	}
	return n
}

// sayGoodbye has c's last record sent behind all its replies: an alert.
func (ch *channel) sayGoodbye(c *conn) {
	if !c.is(flagTLS) || ch.tlsState(c).Silent() {
		return
	}
	c.set(flagAlert)
	if c.is(flagKernelTLS) {
		return // endFinished sends it
	}
	if b := ch.sendQueue(c); b == nil || !b.unsealed() {
		ch.writerTo(c).reply()
	}
}

// refusalAlert is what a client of TLS is told for which there is no room: a fatal alert, internal_error, in the clear.
var refusalAlert = string([]byte{21, 3, 3, 0, 2, 2, byte(record.InternalError)})

// Where the kernel seals (Config.KernelTLS, package ktls), replies are sent like those of a plain connection, references to items too, but for what such a
// socket refuses: MSG_WAITALL, so that successful sends have completions, and zero copy. KeyUpdates and the last alert are records of their own, which are
// sent at once and in order: when no send of the connection is under way. A socket that has no room for one is asked again.

// owedStep is how many connections that are owed a record are looked at in a tick.
const owedStep = 64

// owed is a connection whose socket had no room for a record.
type owed struct {
	conn  token
	left  int    // bytes that the peer had not taken when they were last looked at
	since uint32 // second in which that changed
}

// startKernelTLS has the kernel seal what c is sent, where it can.
func (ch *channel) startKernelTLS(c *conn) {
	if !ch.config.KernelTLS {
		return
	}
	keys := ch.tlsState(c).KernelKeys()
	if !ch.server.kernelTLS.Seals(&keys) {
		return
	}
	// The socket of a peer that has sent its last byte cannot be changed any more: its replies are sealed here.
	if err := ktls.Enable(int(c.fd), &keys); err != nil {
		ch.config.log(1, "<%d the server encrypts for it, as the kernel does not: %v", ch.number(c), err)
		return
	}
	c.set(flagKernelTLS)
	ch.stats.tlsKernelConns.Add(1)
}

// sealedByKernel is seal for a connection for which the kernel does it.
func (ch *channel) sealedByKernel(c *conn, r *reply) bool {
	s := ch.tlsState(c)
	if s.KeyUpdateDue() && !ch.updateKernelKey(c) {
		ch.stats.bytesWritten -= uint64(r.bytes)
		return false
	}
	if r.bytes == 0 { // it was made for the KeyUpdate
		ch.stats.sends--
		return false
	}
	s.SealedElsewhere(r.bytes/recordMax + 1)
	return true
}

// updateKernelKey sends a KeyUpdate of c's, or notes that one is owed. It reports false if c has ended.
func (ch *channel) updateKernelKey(c *conn) bool {
	if c.send != sendIdle {
		ch.owe(c)
		return true
	}
	err := ktls.Update(int(c.fd), ch.tls.ciphers, c.slot, &ch.tlsState(c).State, false)
	switch {
	case err == nil:
	case errors.Is(err, unix.EAGAIN):
		ch.owe(c)
	default:
		ch.config.log(1, "<%d closed: its key cannot be changed: %v", ch.number(c), err)
		ch.kill(c)
		return false
	}
	return true
}

// sendAlert sends the last record of c, all of whose replies have gone to its socket. EAGAIN says that it is owed. After another error c has ended.
func (ch *channel) sendAlert(c *conn) error {
	alert := ch.tlsState(c).alert
	err := ktls.SendLast(int(c.fd), alert.Level(), byte(alert))
	switch {
	case err == nil:
		c.clear(flagAlert)
	case errors.Is(err, unix.EAGAIN):
		ch.owe(c)
	default: // the peer is gone
		ch.kill(c)
	}
	return err
}

// owe notes that c is owed a record, which is tried again soon.
func (ch *channel) owe(c *conn) {
	if c.is(flagOwed) {
		return
	}
	c.set(flagOwed)
	ch.owed = append(ch.owed, owed{c.token(kindNone), unknown, ch.second})
	ch.setTimer()
}

// payOwed tries again to send records that are owed.
func (ch *channel) payOwed() {
	now := ch.owed[:min(len(ch.owed), owedStep)]
	later := append([]owed(nil), ch.owed[len(now):]...)
	kept := now[:0]
	for _, o := range now {
		if ch.staysOwed(&o) {
			kept = append(kept, o)
		}
	}
	ch.owed = append(later, kept...)
}

// staysOwed tries again for one connection, and reports true if its peer takes nothing now.
func (ch *channel) staysOwed(o *owed) bool {
	c := ch.conns.find(o.conn.slot(), o.conn.gen())
	if c == nil || c.life >= lifeLingering {
		return false
	}
	if left := outstanding(int(c.fd)); left != o.left {
		o.left, o.since = left, ch.second
	}
	switch limit := ch.config.sendSeconds(); {
	case c.send != sendIdle || c.reply >= 0: // closeSlow looks after it
		return true
	case !c.closing():
		c.clear(flagOwed)
		ch.writerTo(c).reply() // the flush sends a KeyUpdate
		return false
	case limit > 0 && ch.second-o.since > limit:
		ch.stats.sendTimeouts.Add(1)
		ch.config.log(2, "<%d closed: took nothing of its replies for %ds", ch.number(c), limit)
		ch.kill(c)
		return false
	}
	err := ch.sendAlert(c)
	if err == nil {
		ch.ending = append(ch.ending, o.conn)
	}
	return errors.Is(err, unix.EAGAIN)
}
