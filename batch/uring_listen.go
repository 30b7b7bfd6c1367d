package batch

import (
	"slices"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
	"ringcached/ring"
)

func (e *uringEngine) accept() {
	if e.accepts {
		return
	}
	e.accepts = true
	for i, l := range e.ch.listeners {
		// Operations on a non-blocking descriptor may fail with EAGAIN instead of waiting.
		if err := unix.SetNonblock(l.fd, false); err != nil {
			e.ch.server.complain("accepting may fail", err)
		}
		if !e.accepting[i] { // else its end, a cancel that is under way, starts it again
			e.armAccept(uint32(i))
		}
	}
}

func (e *uringEngine) armAccept(listener uint32) {
	sqe := e.sqe()
	// Not SOCK_NONBLOCK, for the same reason as the listeners in accept.
	flags := uint32(unix.SOCK_CLOEXEC)
	if e.ch.direct {
		flags = 0 // meaningless there, and refused
	}
	sqe.PrepAccept(e.ch.listeners[listener].fd, flags, true, e.ch.direct)
	e.accepting[listener] = true
	e.queue(sqe, makeToken(kindAccept, 0, listener))
}

func (e *uringEngine) acceptEnded(t token, cqe *ring.CQE) {
	ch := e.ch
	again := true
	if cqe.Res >= 0 {
		ch.accepted(cqe.Res, t.slot())
	} else {
		again = ch.acceptFailed(syscall.Errno(-cqe.Res))
	}
	if cqe.More() {
		return
	}
	e.accepting[t.slot()] = false
	if !again && cqe.Res != -int32(unix.ECANCELED) {
		e.stopAccept() // all listeners rest together
	}
	if e.accepts {
		e.armAccept(t.slot())
	}
}

func (e *uringEngine) stopAccept() {
	if !e.accepts {
		return
	}
	e.accepts = false
	for i := range e.ch.listeners {
		e.cancel(makeToken(kindAccept, 0, uint32(i)))
	}
}

func (e *uringEngine) quiet() bool {
	return !slices.Contains(e.accepting, true) && e.passing == 0 && (!e.datagrams.stopping || e.datagrams.armed == 0)
}

// A token's generation tells of an arrival that is passed on: the channel that it goes to, its label, and whether it came by the unix socket.
const (
	labelGen = 12 // bits of the channel's number, which is below maxThreads
	localGen = 1 << 23
)

func (a arrival) gen(to *channel) uint32 {
	gen := uint32(to.id) | uint32(a.label)<<labelGen
	if a.local {
		gen |= localGen
	}
	return gen
}

// arrivalOf is the arrival that gen made the generation of.
func arrivalOf(fd int32, gen uint32) arrival {
	return arrival{fd: fd, local: gen&localGen != 0, label: uint8(gen >> labelGen)}
}

// receiver is the number of the channel that it goes to.
func receiver(gen uint32) uint32 { return gen & (1<<labelGen - 1) }

func (e *uringEngine) pass(a arrival, to *channel) bool {
	if !e.ch.direct {
		return to.give(a)
	}
	fd := to.ringFD.Load()
	if fd == 0 || !to.inbox.expect() { // it has no ring yet, or has ended
		return false
	}
	gen := a.gen(to)
	sqe := e.sqe()
	sqe.PrepSendDirect(int(fd), int(a.fd), uint64(makeToken(kindArrive, gen, 0)))
	e.passing++
	e.queue(sqe, makeToken(kindPass, gen, uint32(a.fd)))
	return true
}

// passEnded takes the end of pass: the other ring has a descriptor of its own, or else the connection stays here.
func (e *uringEngine) passEnded(t token, cqe *ring.CQE) {
	ch := e.ch
	e.passing--
	if cqe.Res >= 0 {
		sqe := e.sqe()
		sqe.PrepCloseDirect(int(t.slot()))
		sqe.SkipSuccess()
		e.queue(sqe, makeToken(kindClose, 0, 0))
		return
	}
	to := ch.server.channels[receiver(t.gen())]
	to.load.Add(-1)
	to.inbox.came()
	ch.load.Add(1)
	ch.openArrival(arrivalOf(int32(t.slot()), t.gen()))
}

// arrived takes a direct descriptor that another ring has sent.
func (e *uringEngine) arrived(t token, cqe *ring.CQE) {
	e.ch.openArrival(arrivalOf(cqe.Res, t.gen()))
	e.ch.inbox.came()
}

const (
	datagramGroup   = 1  // the group of the buffers for datagrams
	datagramBuffers = 64 // of them
	// datagramSpace is a buffer: struct io_uring_recvmsg_out, address, payload.
	datagramSpace = (16 + datagramName + datagramBuffer + 63) &^ 63
)

// uringDatagrams is what the UDP sockets of a channel have under way: one multishot
// recvmsg each, or, where the kernel lacks it, some that receive one message each.
type uringDatagrams struct {
	bufs      *ring.BufRing
	slots     datagramSlots // without multishot; with it, the first one says how large an address is
	unstarted []token       // receives to start once datagrams are wanted
	again     []token       // receives to start again after this batch
	failed    []bool        // for each receive: its last end was an error
	armed     int
	stopping  bool
}

func (e *uringEngine) startDatagrams() (err error) {
	d, sockets := &e.datagrams, e.ch.datagrams
	if len(sockets) == 0 {
		return nil
	}
	each := datagramsAtOnce
	if e.multishot {
		if d.bufs, err = ring.NewBufRing(e.r, datagramGroup, datagramBuffers, datagramBuffers, datagramSpace); err != nil {
			return err
		}
		each = 1
	}
	if d.slots, err = newDatagramSlots(each * len(sockets)); err != nil {
		return err
	}
	d.failed = make([]bool, len(d.slots.msgs))
	for i := range d.slots.msgs {
		d.unstarted = append(d.unstarted, makeToken(kindRecvDatagram, uint32(i), uint32(i/each)))
	}
	return nil
}

func (e *uringEngine) receiveDatagrams() {
	d := &e.datagrams
	d.again, d.unstarted = d.unstarted, nil
	e.armDatagrams()
}

func (e *uringEngine) stopDatagrams() {
	d := &e.datagrams
	d.stopping = true
	d.again = nil
	for i := range d.slots.msgs {
		e.cancel(makeToken(kindRecvDatagram, uint32(i), uint32(i*len(e.ch.datagrams)/len(d.slots.msgs))))
	}
}

// armDatagrams starts receives again, now that the batch's buffers are back.
func (e *uringEngine) armDatagrams() {
	d := &e.datagrams
	if d.bufs != nil {
		d.bufs.Publish()
	}
	for _, t := range d.again {
		d.slots.reset(int(t.gen()))
		sqe := e.sqe()
		sqe.PrepRecvmsg(e.ch.datagrams[t.slot()].fd, unsafe.Pointer(&d.slots.msgs[t.gen()]), datagramGroup, e.multishot)
		d.armed++
		e.queue(sqe, t)
	}
	d.again = d.again[:0]
}

func (e *uringEngine) datagramEnded(t token, cqe *ring.CQE) {
	d := &e.datagrams
	socket := int32(e.ch.datagrams[t.slot()].fd)
	if id, ok := cqe.Buffer(); ok {
		if n := int(cqe.Res); n >= 16+datagramName {
			e.datagramIn(socket, d.bufs.Take(id, n))
		} else {
			d.bufs.Take(id, 0)
		}
		d.bufs.Recycle(id)
	} else if !e.multishot && cqe.Res >= 0 {
		from, in, whole := d.slots.message(int(t.gen()), int(cqe.Res))
		if whole {
			e.ch.datagramReceived(socket, from, in)
		} else {
			e.ch.stats.datagramsDropped.Add(1)
		}
	}
	if cqe.More() {
		return
	}
	d.armed--
	errno := syscall.Errno(max(0, -cqe.Res))
	if errno == unix.ENOBUFS {
		e.ch.stats.noBuffers.Add(1)
		errno = 0 // they are back
	}
	again := d.failed[t.gen()]
	d.failed[t.gen()] = errno != 0
	switch {
	case d.stopping:
	case errno != 0 && again: // one error may be what a reply to somebody earlier brought back
		e.rest(t, "cannot receive datagrams", errno)
	default:
		d.again = append(d.again, t)
	}
}

// datagramIn takes a request apart that multishot recvmsg received: its header, the
// address in the room that was asked for, and the payload.
func (e *uringEngine) datagramIn(socket int32, buf []byte) {
	head := (*ring.RecvmsgOut)(unsafe.Pointer(&buf[0]))
	if head.Flags&unix.MSG_TRUNC != 0 || head.NameLen > datagramName {
		e.ch.stats.datagramsDropped.Add(1)
		return
	}
	e.ch.datagramReceived(socket, buf[16:16+head.NameLen], buf[16+datagramName:])
}

func (e *uringEngine) sendDatagrams(socket int32, msgs []mmsghdr) {
	for i := range msgs {
		sqe := e.sqe()
		sqe.PrepSendmsg(int(socket), unsafe.Pointer(&msgs[i]), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		sqe.SkipSuccess()
		e.queue(sqe, makeToken(kindSendDatagram, 0, uint32(msgs[i].payload())))
	}
}

// datagramSent takes the end of a send that failed. The token says how much of a reply it
// was to bring.
func (e *uringEngine) datagramSent(t token, cqe *ring.CQE) {
	if cqe.Res < 0 {
		e.ch.stats.datagramsDropped.Add(1)
		e.ch.stats.bytesWritten -= uint64(t.slot())
	}
}

func (d *uringDatagrams) close() {
	if d.bufs != nil {
		_ = d.bufs.Close()
	}
	d.slots.close()
}
