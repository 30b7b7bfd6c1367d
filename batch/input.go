package batch

import (
	"slices"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
	"ringcached/internal/contract"
	"ringcached/internal/record"
)

const (
	// inputLimit: with so much input unhandled, a connection's input is not received.
	// What the kernel had received already comes on top.
	inputLimit = 64 << 10
	// readyQuanta is how many further quanta connections get in one batch.
	readyQuanta = 64
)

// received takes input of c. The bytes are handled at once unless others come
// first, or c has replies that its peer does not take.
func (ch *channel) received(c *conn, data []byte) {
	ch.stats.bytesRead += uint64(len(data))
	if c.closing() || c.is(flagTLS) && c.input == inputEOF { // by a record that said so: the socket may go on
		return
	}
	if c.inputBuffer == 0 && c.send == sendIdle && !ch.spent() {
		if c.is(flagTLS) {
			ch.receivedSealed(c, data)
			return
		}
		if rest := ch.serve(c, data); len(rest) > 0 && c.life != lifeReleasing {
			_ = ch.keep(c, rest)
		}
		return
	}
	if !ch.keep(c, data) {
		return
	}
	switch {
	case c.is(flagReady) || c.send != sendIdle:
		if ch.inputBuffer(c).size() >= ch.allowed.input {
			ch.engine.pause(c)
		}
	case ch.spent():
		ch.wait(c)
	default:
		ch.serveBuffered(c)
	}
}

// serve gives c a quantum with the given input and returns what is left of it.
func (ch *channel) serve(c *conn, in []byte) []byte {
	ch.pace.quantum()
	ch.slowdown.Quantum()
	n, next := ch.handler.Data(c.slot, in, ch.writerTo(c))
	rest := in[n:]
	if n > 0 { // not for a piece of a request, of which a client could send one byte at a time for ever
		c.active = ch.second
	}
	c.clear(flagUpload | flagGreedy)
	switch next {
	case contract.Upload:
		if !c.is(flagTLS) {
			c.set(flagUpload)
		}
	case contract.Crowded:
		ch.endUnwanted()
	case contract.Wait:
		if ended := ch.endUnwanted(); len(rest) > 0 {
			if ended {
				ch.makeReady(c)
			} else {
				ch.waitForMemory(c)
			}
			return rest
		}
	case contract.Yield:
		c.set(flagGreedy)
		if len(rest) > 0 {
			ch.makeReady(c)
			return rest
		}
	case contract.Close:
		ch.hangUp(c)
		return nil
	case contract.More:
		if len(rest) > contract.PartialMax {
			ch.config.log(1, "<%d closed: request of over %d bytes without an end", ch.number(c), contract.PartialMax)
			ch.hangUp(c)
			return nil
		}
	}
	if c.inputOver() {
		ch.finish(c)
		return nil
	}
	return rest
}

// serveBuffered gives c a quantum with its input buffer.
func (ch *channel) serveBuffered(c *conn) {
	s := ch.inputBuffer(c)
	var event record.Event
	if s.tls {
		event = ch.openBuffered(c, s)
	}
	rest := s.rest()
	if len(rest) > 0 || !s.tls || c.inputOver() {
		rest = ch.serve(c, rest)
	}
	if c.inputBuffer == 0 { // closed meanwhile
		return
	}
	s.off = s.end() - len(rest)
	held := s.size()
	if held == 0 {
		ch.dropInputBuffer(c)
	}
	if (held < ch.allowed.input || !c.is(flagReady)) && !c.closing() && !c.inputOver() {
		ch.engine.receive(c)
	}
	ch.recordsEnded(c, event)
}

// inputBuffer returns c's; nil: it has none.
func (ch *channel) inputBuffer(c *conn) *inputBuffer { return ch.inputHandles.of(c.inputBuffer) }

// keep adds input to c's input buffer. It reports false where there is no memory for it: then c has ended.
func (ch *channel) keep(c *conn, data []byte) bool {
	s, err := ch.inputBuffer(c), error(nil)
	if s == nil {
		if s, err = ch.inputBuffers.get(); err == nil {
			s.conn, s.tls, s.began = c.token(kindNone), c.is(flagTLS), ch.second
			c.inputBuffer = ch.inputHandles.lend(s)
		}
	}
	if err == nil && len(s.buf)+len(data) > cap(s.buf) {
		err = ch.inputBuffers.grow(s, len(data))
	}
	if err != nil {
		ch.lacks(c, err)
		return false
	}
	s.buf = append(s.buf, data...)
	return true
}

func (ch *channel) dropInputBuffer(c *conn) {
	if c.inputBuffer != 0 {
		ch.inputBuffers.put(ch.inputBuffer(c))
		c.inputBuffer = ch.inputHandles.end(c.inputBuffer)
	}
}

// makeReady queues c for another quantum with its input buffer.
func (ch *channel) makeReady(c *conn) {
	if !c.is(flagReady) {
		c.set(flagReady)
		ch.ready = append(ch.ready, c.token(kindNone))
	}
}

// wait queues c, whose input came too late for this batch: first of all if it is not one of those that fill the batches, so that
// its request waits for no more than the rest of this one.
func (ch *channel) wait(c *conn) {
	if c.is(flagGreedy) {
		ch.makeReady(c)
	} else if !c.is(flagReady) {
		c.set(flagReady)
		ch.modest = append(ch.modest, c.token(kindNone))
	}
}

// runModest gives quanta to those that came too late for the last batch and are to come first in this one. The engine calls it
// before it delivers input.
func (ch *channel) runModest() {
	for len(ch.modest) > 0 && !ch.spent() {
		t := ch.modest[0]
		ch.modest = ch.modest[1:]
		if c := ch.readyConn(t); c != nil {
			c.clear(flagReady)
			ch.serveBuffered(c)
		}
	}
	if len(ch.modest) == 0 {
		ch.modest = nil
	}
}

// readyConn returns the queued connection, unless it has become pointless to serve it.
func (ch *channel) readyConn(t token) *conn {
	c := ch.conns.find(t.slot(), t.gen())
	if c != nil && (c.closing() || c.inputBuffer == 0 || c.send != sendIdle) {
		c.clear(flagReady)
		return nil
	}
	return c
}

// runReady gives quanta to the queued connections, round by round, until the queue is
// empty, enough quanta were given for one batch, or nobody may have more replies in it.
func (ch *channel) runReady() {
	for quanta := readyQuanta; quanta > 0 && len(ch.ready) > 0; {
		round := ch.ready
		ch.ready, ch.spare = ch.spare[:0], round
		served := 0
		for i, t := range round {
			if quanta <= 0 || ch.spent() {
				// The others have the first quanta of the next batch, before those that had some in this one.
				rest := append(round[:copy(round, round[i:])], ch.ready...)
				ch.ready, ch.spare = rest, ch.ready[:0]
				return
			}
			c := ch.readyConn(t)
			if c == nil {
				continue
			}
			if ch.writerTo(c).Full() {
				ch.ready = append(ch.ready, t)
				continue
			}
			c.clear(flagReady)
			quanta--
			served++
			ch.serveBuffered(c)
		}
		if served == 0 {
			return
		}
	}
}

// ended takes the end of c's input: replies to what came before it are still sent.
func (ch *channel) ended(c *conn) {
	switch c.input {
	case inputCutting:
		c.toInput(inputCut)
	case inputCut: // a receive that was cancelled has ended late
	case inputEOF: // a record of TLS has said so
	default:
		c.toInput(inputEOF)
	}
	if c.life == lifeLingering {
		ch.kill(c)
		return
	}
	if c.closing() || c.is(flagReady) || (c.send != sendIdle && c.inputBuffer != 0) {
		return
	}
	ch.finish(c)
}

const (
	inputBufferSize  = blockSize // room of a new input buffer; it grows as it must
	keepInputBuffers = 1 << 20   // room of all input buffers kept for reuse
)

// inputBuffer is input that was not handled yet: the beginning of a request, or requests
// that have to wait for others.
type inputBuffer struct {
	buf  []byte // of lent
	off  int    // handled
	lent run
	conn token // whose it is

	// Of a connection that speaks TLS buf[off:opened] is plaintext, and from sealed on there are records that were not opened.
	tls            bool
	opened, sealed int
	began          uint32 // second in which the record at sealed began to come
}

// rest is what can be handled.
func (s *inputBuffer) rest() []byte { return s.buf[s.off:s.end()] }

// end is where that ends.
func (s *inputBuffer) end() int {
	if s.tls {
		return s.opened
	}
	return len(s.buf)
}

// size is how many bytes were not handled, with those that were not opened.
func (s *inputBuffer) size() int {
	if s.tls {
		return s.opened - s.off + len(s.buf) - s.sealed
	}
	return len(s.buf) - s.off
}

// moveTo moves what was not handled to the beginning of to, which may be the memory that it is in.
func (s *inputBuffer) moveTo(to []byte) {
	to = append(to[:0], s.rest()...)
	if s.tls {
		sealed := s.buf[s.sealed:]
		s.opened, s.sealed = len(to), len(to)
		to = append(to, sealed...)
	}
	s.buf, s.off = to, 0
}

// inputBufferPool keeps input buffers that nobody needs for those who will.
type inputBufferPool struct {
	blocks *blockPool
	kept   []*inputBuffer
	room   int  // of all that are kept, in bytes
	used   bool // one was taken since the last trim
}

func (p *inputBufferPool) get() (*inputBuffer, error) {
	p.used = true
	if n := len(p.kept); n > 0 {
		s := p.kept[n-1]
		p.kept[n-1] = nil
		p.kept = p.kept[:n-1]
		p.room -= cap(s.buf)
		return s, nil
	}
	lent, err := p.blocks.lend(inputBufferSize)
	if err != nil {
		return nil, err
	}
	return &inputBuffer{buf: lent.mem[:0], lent: lent}, nil
}

// grow makes room for n more bytes.
func (p *inputBufferPool) grow(s *inputBuffer, n int) error {
	if s.size()+n <= cap(s.buf) {
		s.moveTo(s.buf)
		return nil
	}
	lent, err := p.blocks.lend(max(s.size()+n, 2*cap(s.buf)))
	if err != nil {
		return err
	}
	s.moveTo(lent.mem)
	p.blocks.give(s.lent)
	s.lent = lent
	return nil
}

// put keeps s if there is room. Larger ones make room: few large input buffers in the place of many would leave everybody else without.
func (p *inputBufferPool) put(s *inputBuffer) {
	for p.room+cap(s.buf) > keepInputBuffers {
		i := p.largest()
		if i < 0 || cap(p.kept[i].buf) <= cap(s.buf) {
			p.blocks.give(s.lent)
			return
		}
		p.room -= cap(p.kept[i].buf)
		p.blocks.give(p.kept[i].lent)
		p.kept = slices.Delete(p.kept, i, i+1)
	}
	s.buf, s.off, s.conn, s.tls, s.opened, s.sealed = s.buf[:0], 0, 0, false, 0, 0
	p.kept = append(p.kept, s)
	p.room += cap(s.buf)
}

// largest returns the place of the largest input buffer that is kept, -1 if none is.
func (p *inputBufferPool) largest() int {
	at := -1
	for i, s := range p.kept {
		if at < 0 || cap(s.buf) > cap(p.kept[at].buf) {
			at = i
		}
	}
	return at
}

// trim gives all back if none was taken since the last trim.
func (p *inputBufferPool) trim() {
	if !p.used {
		p.drop()
	}
	p.used = false
}

// drop gives all back.
func (p *inputBufferPool) drop() {
	for _, s := range p.kept {
		p.blocks.give(s.lent)
	}
	p.kept, p.room = nil, 0
}

// memoryWaitersAtOnce is how many inputs that the Handler made wait are shown to it again in one iteration.
const memoryWaitersAtOnce = 32

// waitForMemory queues c until the Handler may take the rest of its input. It counts as ready for so long, so that what comes is kept for it.
func (ch *channel) waitForMemory(c *conn) {
	c.set(flagReady)
	ch.memoryWaiters = append(ch.memoryWaiters, c.token(kindNone))
	ch.setTimer()
}

// retryMemoryWaiters makes some of the queue ready. Half of them are those who came last: where many wait for long, these can still be served in time. The others
// are the first of the queue, so that everybody is served: one may be what the last ones wait for. Those that have to wait on go to the end.
func (ch *channel) retryMemoryWaiters() {
	n := len(ch.memoryWaiters)
	if n <= memoryWaitersAtOnce {
		ch.ready = append(ch.ready, ch.memoryWaiters...)
		ch.memoryWaiters = ch.memoryWaiters[:0]
		return
	}
	const half = memoryWaitersAtOnce / 2
	ch.ready = append(append(ch.ready, ch.memoryWaiters[n-half:]...), ch.memoryWaiters[:half]...)
	ch.memoryWaiters = ch.memoryWaiters[:copy(ch.memoryWaiters, ch.memoryWaiters[half:n-half])]
}

const (
	// uploadParts is how many pieces of memory one receive fills at most.
	uploadParts = 64
	// bulkyInput is how much a connection whose requests have large values is sent in one
	// receive, header and all: what is received beyond the header has to be copied.
	bulkyInput = 2 << 10
)

// wantsUpload reports that what c receives next goes straight into memory of the Handler's.
func (c *conn) wantsUpload() bool { return c.is(flagUpload) && c.inputBuffer == 0 }

// uploadBuffer is the memory that c's next bytes belong in, up to most pieces of it. It is valid until the next call.
func (ch *channel) uploadBuffer(c *conn, most int) [][]byte {
	return ch.handler.UploadBuffer(c.slot, ch.parts[:0:most])
}

// uploadMessage names the parts for a recvmsg, in memory of the arena; nil: there is none.
func (o *Output) uploadMessage(parts [][]byte) unsafe.Pointer {
	msg, vec := o.message(len(parts))
	for i := range vec {
		p := parts[i]
		vec[i] = iovec{uintptr(unsafe.Pointer(unsafe.SliceData(p))), len(p)}
	}
	return msg
}

// uploadAdvanced takes n bytes of c's input that were received into memory of the Handler's.
func (ch *channel) uploadAdvanced(c *conn, n int) {
	ch.stats.bytesRead += uint64(n)
	ch.stats.bytesUploaded += uint64(n)
	c.active = ch.second
	if c.closing() {
		return
	}
	switch ch.handler.UploadAdvance(c.slot, n, ch.writerTo(c)) {
	case contract.Upload:
		return
	case contract.Crowded:
		ch.endUnwanted()
	}
	c.clear(flagUpload)
}

// closeIdle closes connections that for the idle timeout sent neither a whole request nor
// anything of a value. Those that do not take their replies are closeSlow's.
func (ch *channel) closeIdle() {
	limit := uint32(ch.config.IdleTimeout / time.Second)
	ch.conns.each(func(c *conn) {
		// Seconds are counted whole: only more than limit of them is limit for certain.
		if ch.second-c.active <= limit || c.send != sendIdle || !c.is(flagAnnounced) || c.is(flagReady) || c.closing() {
			return
		}
		if !ch.handler.Idle(c.slot) {
			return
		}
		ch.kick(c)
	})
}

// endUnwanted closes connections that the Handler wants no more of: their clients do not send the rest of what they began. It says whether there were
// any.
func (ch *channel) endUnwanted() bool {
	before := ch.excess
	ch.handler.Unwanted(ch.endOne)
	return ch.excess != before
}

// endOne closes one of them. One that is idle is left alone while it is the server that does not take its input.
func (ch *channel) endOne(slot uint32, idle, sure bool) bool {
	c := ch.conns.at(slot)
	if c.closing() {
		return true
	}
	if !idle {
		if !sure && (ch.hasUnhandled(c) || ch.hasInput(c)) {
			return false
		}
		ch.config.log(2, "<%d closed: its value held memory, and did not come", ch.number(c))
		ch.excess++
		ch.kill(c)
		return true
	}
	if c.send != sendIdle || c.is(flagReady) {
		return false
	}
	ch.kick(c)
	return true
}

// hasInput says that c's socket has input that was not received. Direct descriptors cannot be asked: no.
func (ch *channel) hasInput(c *conn) bool {
	n, err := unix.IoctlGetInt(ch.descriptor(c), unix.TIOCINQ)
	return err == nil && n > 0
}

// kick closes an idle connection.
func (ch *channel) kick(c *conn) {
	c.endsFor(contract.ReasonIdle)
	ch.stats.idleKicks.Add(1)
	ch.config.log(2, "Closing idle fd %d", ch.number(c))
	ch.finish(c)
}
