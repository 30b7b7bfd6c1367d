package batch

import (
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
	"ringcached/internal/contract"
	"ringcached/ring"
)

const (
	epollEvents = 512                // events that one epoll_wait brings
	epollBuffer = 16 << 10           // a read buffer
	epollStride = epollBuffer + 3*64 // from one to the next, so that their beginnings are in different sets of the cache
	epollAccept = 64                 // connections accepted before other events are handled
)

// epollEngine is the readiness way of the same work: sockets are registered once,
// level-triggered, and changed only when a peer does not take its replies or sends too
// much. A few connections are read at a time, each into one of the channel's buffers, and
// then handled.
type epollEngine struct {
	ch        *channel
	fd        int
	events    []unix.EpollEvent
	bufs      []byte // PrefetchMax of them, epollStride bytes apart
	inputs    []epollInput
	shown     [][]byte // room for what is shown to Handler.Prefetch
	accepting bool
	slots     datagramSlots

	datagramFailures int     // to receive datagrams, in a row
	datagramsRest    bool    // they are not watched for until the next tick
	resting          []token // connections whose send queue rests until then
}

// epollInput is what was received from a connection and is not handled yet.
type epollInput struct {
	c    *conn
	gen  uint32
	data []byte
	full bool // the buffer is: there may be more
}

func (e *epollEngine) start() (err error) {
	if e.fd, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	if e.bufs, err = ring.Map(contract.PrefetchMax * epollStride); err != nil {
		return err
	}
	e.inputs, e.shown = make([]epollInput, 0, contract.PrefetchMax), make([][]byte, 0, contract.PrefetchMax)
	e.events = make([]unix.EpollEvent, epollEvents)
	if len(e.ch.datagrams) > 0 {
		if e.slots, err = newDatagramSlots(datagramsAtOnce); err != nil {
			return err
		}
	}
	if err := e.control(unix.EPOLL_CTL_ADD, e.ch.wakeFD, unix.EPOLLIN, makeToken(kindWake, 0, 0)); err != nil {
		return err
	}
	return e.control(unix.EPOLL_CTL_ADD, e.ch.timerFD, unix.EPOLLIN, makeToken(kindTimer, 0, 0))
}

func (e *epollEngine) control(op, fd int, events uint32, t token) error {
	ev := unix.EpollEvent{Events: events, Fd: int32(uint32(t)), Pad: int32(uint32(t >> 32))}
	e.ch.stats.syscalls++
	if err := unix.EpollCtl(e.fd, op, fd, &ev); err != nil {
		return fmt.Errorf("epoll_ctl %d: %w", op, err)
	}
	return nil
}

func (e *epollEngine) poll(block bool) error {
	ch := e.ch
	ch.settle() // its sends were done when they were made
	ch.runModest()
	n, errno := e.wait(block)
	if errno != 0 && errno != unix.EINTR {
		return os.NewSyscallError("epoll_wait", errno)
	}
	ch.stats.enters++
	ch.stats.syscalls++
	if n == 0 {
		return nil
	}
	ch.stats.batches++
	ch.stats.cqes += uint64(n)
	ch.stats.reapSizes.count(uint32(n))
	for i := range e.events[:n] {
		ev := &e.events[i]
		t := token(uint32(ev.Fd)) | token(uint32(ev.Pad))<<32
		if t.kind() == kindPoll {
			if c := ch.conns.find(t.slot(), t.gen()); c != nil {
				e.ready(c, ev.Events)
			}
			continue
		}
		e.handleInputs()
		switch t.kind() {
		case kindRecvDatagram:
			e.datagramsIn(int32(ch.datagrams[t.slot()].fd))
		case kindAccept:
			e.acceptSome(t.slot())
		case kindWake:
			ch.woken()
		case kindTimer:
			ch.ticked()
		}
	}
	e.handleInputs()
	return nil
}

func (e *epollEngine) wait(block bool) (int, syscall.Errno) {
	events, n := unsafe.Pointer(&e.events[0]), uintptr(len(e.events))
	var got uintptr
	var errno syscall.Errno
	if block {
		got, _, errno = unix.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(e.fd), uintptr(events), n, ^uintptr(0), 0, 0)
	} else {
		got, _, errno = unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(e.fd), uintptr(events), n, 0, 0, 0)
	}
	if errno != 0 {
		return 0, errno
	}
	return int(got), 0
}

// ready handles an event of a connection.
func (e *epollEngine) ready(c *conn, events uint32) {
	gen := c.gen
	if events&unix.EPOLLOUT != 0 && c.send == sendDraining {
		e.drainNow(c)
		if c.gen != gen {
			return
		}
	}
	switch {
	case events&(unix.EPOLLIN|unix.EPOLLHUP|unix.EPOLLERR) == 0:
	case c.input == inputWanted:
		e.read(c)
	case events&unix.EPOLLERR != 0, events&unix.EPOLLHUP != 0 && c.send == sendDraining:
		e.ch.kill(c)
	case events&unix.EPOLLHUP != 0:
		e.unwatch(c)
	case c.receive == recvPoll: // input that is not wanted now: do not be told again
		c.toReceive(recvNone)
		e.watch(c)
	}
}

func (e *epollEngine) read(c *conn) {
	if c.wantsUpload() {
		e.receiveUpload(c)
		return
	}
	buf := e.bufs[len(e.inputs)*epollStride:][:e.ch.allowed.read]
	if c.is(flagBulky) {
		buf = buf[:bulkyInput]
	}
	n := e.recv(c, buf)
	if n == 0 {
		return
	}
	e.inputs = append(e.inputs, epollInput{c, c.gen, buf[:n], n == len(buf)})
	if len(e.inputs) == contract.PrefetchMax {
		e.handleInputs()
	}
}

// handleInputs handles what was received from connections that are still there.
func (e *epollEngine) handleInputs() {
	if len(e.inputs) > 1 {
		e.shown = e.shown[:0]
		for i := range e.inputs {
			if in := &e.inputs[i]; !in.c.is(flagTLS) {
				e.shown = append(e.shown, in.data)
			}
		}
		if len(e.shown) > 1 {
			e.ch.handler.Prefetch(e.shown)
		}
	}
	for i := range e.inputs {
		if in := &e.inputs[i]; in.c.gen == in.gen {
			e.handleInput(in)
		}
	}
	e.inputs = e.inputs[:0]
}

func (e *epollEngine) handleInput(in *epollInput) {
	c := in.c
	e.ch.received(c, in.data)
	if c.gen != in.gen {
		return
	}
	c.clear(flagBulky)
	if c.is(flagUpload) {
		c.set(flagBulky)
	}
	if in.full && c.wantsUpload() { // there is more
		e.receiveUpload(c)
	}
}

// recv receives into buf and returns how much, 0 if there is nothing to handle.
func (e *epollEngine) recv(c *conn, buf []byte) int {
	e.ch.stats.syscalls++
	e.ch.stats.receives++
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(c.fd), uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)), unix.MSG_DONTWAIT, 0, 0)
	return e.came(c, int(n), errno)
}

// came takes the outcome of a receive and returns how many bytes there are to handle.
func (e *epollEngine) came(c *conn, n int, errno syscall.Errno) int {
	switch {
	case errno == 0 && n > 0:
		return n
	case errno == 0:
		e.ch.ended(c)
	case errno == unix.EAGAIN || errno == unix.EINTR:
	default:
		e.ch.lost(c, "cannot receive", errno)
	}
	return 0
}

// receiveUpload receives into the Handler's memory.
func (e *epollEngine) receiveUpload(c *conn) {
	ch := e.ch
	parts := ch.uploadBuffer(c, uploadParts)
	var n int
	var msg unsafe.Pointer
	if len(parts) > 1 {
		msg = ch.out.uploadMessage(parts)
	}
	if msg == nil {
		n = e.recv(c, parts[0])
	} else {
		ch.stats.syscalls++
		ch.stats.receives++
		got, _, errno := unix.RawSyscall6(unix.SYS_RECVMSG, uintptr(c.fd), uintptr(msg), unix.MSG_DONTWAIT, 0, 0, 0)
		n = e.came(c, int(got), errno)
	}
	if n > 0 {
		ch.uploadAdvanced(c, n)
	}
}

// watch tells epoll what c's state wants to know.
func (e *epollEngine) watch(c *conn) {
	op := unix.EPOLL_CTL_MOD
	if !c.is(flagRegistered) {
		op = unix.EPOLL_CTL_ADD
		c.set(flagRegistered)
	}
	var events uint32
	if c.receive == recvPoll {
		events |= unix.EPOLLIN
	}
	if c.send == sendDraining {
		events |= unix.EPOLLOUT
	}
	if err := e.control(op, int(c.fd), events, c.token(kindPoll)); err != nil {
		e.ch.config.log(0, "<%d closed: %v", e.ch.number(c), err)
		e.ch.kill(c)
	}
}

// unwatch is for a peer that is gone while its input is not wanted now, which epoll tells
// again and again: a unix socket's. What it sent before is still received, see receive.
func (e *epollEngine) unwatch(c *conn) {
	if c.receive == recvPoll {
		c.toReceive(recvNone)
	}
	c.clear(flagRegistered)
	if err := e.control(unix.EPOLL_CTL_DEL, int(c.fd), 0, 0); err != nil {
		e.ch.kill(c)
	}
}

func (e *epollEngine) receive(c *conn) {
	if c.input != inputPaused {
		return
	}
	c.toInput(inputWanted)
	if c.receive == recvNone {
		c.toReceive(recvPoll)
		e.watch(c)
	}
}

// pause leaves the registration alone: most often nothing comes before receive, or
// before the end. Only when something does, ready changes it.
func (e *epollEngine) pause(c *conn) {
	if c.input == inputWanted {
		c.toInput(inputPaused)
	}
}

func (e *epollEngine) send(c *conn, out *Output, i uint32) {
	ch := e.ch
	r := &out.replies[i]
	ch.stats.syscalls++
	const flags = unix.MSG_DONTWAIT | unix.MSG_NOSIGNAL
	var n uintptr
	var errno syscall.Errno
	if r.count == 1 {
		s := &out.segments[r.first]
		n, _, errno = unix.RawSyscall6(unix.SYS_SENDTO, uintptr(c.fd), s.addr, uintptr(s.len), flags, 0, 0)
	} else if msg := out.replyMessage(r); msg != nil {
		n, _, errno = unix.RawSyscall6(unix.SYS_SENDMSG, uintptr(c.fd), uintptr(msg), flags, 0, 0, 0)
	} else {
		ch.stats.bytesWritten -= uint64(r.bytes)
		ch.lacks(c, errNoArena)
		return
	}
	switch {
	case errno == 0 && int(n) == r.bytes:
	case errno == 0:
		ch.unsent(c, out, r, int(n))
	case retriable(errno):
		ch.unsent(c, out, r, 0)
	default:
		ch.notSent(c, r, errno)
	}
}

func (e *epollEngine) drain(c *conn) {
	if c.send == sendDraining {
		return
	}
	c.toSend(sendDraining)
	e.watch(c)
}

// drainNow sends c's send queue until the socket takes no more.
func (e *epollEngine) drainNow(c *conn) {
	ch, gen := e.ch, c.gen
	for c.gen == gen && c.send != sendIdle {
		msg := ch.queueMessage(c)
		if msg == nil {
			return
		}
		ch.stats.sends++
		ch.stats.syscalls++
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDMSG, uintptr(c.fd), uintptr(msg), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0, 0)
		switch {
		case errno == unix.ENOBUFS || errno == unix.ENOMEM:
			e.restDrain(c, errno)
			return
		case retriable(errno):
			return
		case errno != 0:
			ch.lost(c, "cannot send", errno)
			return
		}
		ch.drained(c, int(n))
	}
	if c.gen == gen && c.life != lifeReleasing { // the send queue is empty: room is not of interest any more
		e.watch(c)
	}
}

// restDrain leaves c's send queue alone until the next tick: the socket takes something, but the kernel has no memory for it,
// which epoll would tell again and again.
func (e *epollEngine) restDrain(c *conn, errno syscall.Errno) {
	e.resting = append(e.resting, c.token(kindNone))
	c.toSend(sendQueued)
	e.watch(c)
	e.ch.server.complain("cannot send", errno)
}

func (e *epollEngine) release(c *conn) {
	e.ch.stats.syscalls++
	_ = unix.Close(int(c.fd)) // leaves epoll by itself
	if c.receive == recvPoll {
		c.toReceive(recvNone)
	}
	e.ch.freed(c)
}

func (e *epollEngine) accept() {
	if e.accepting {
		return
	}
	e.accepting = true
	for i, l := range e.ch.listeners {
		// An inherited socket is as its last user left it.
		err := unix.SetNonblock(l.fd, true)
		if err == nil {
			err = e.control(unix.EPOLL_CTL_ADD, l.fd, unix.EPOLLIN, makeToken(kindAccept, 0, uint32(i)))
		}
		if err != nil {
			e.stopAccept()
			e.ch.restAccept(err)
			return
		}
	}
}

func (e *epollEngine) acceptSome(listener uint32) {
	ch := e.ch
	socket := uintptr(ch.listeners[listener].fd)
	for range epollAccept {
		ch.stats.syscalls++
		fd, _, errno := unix.RawSyscall6(unix.SYS_ACCEPT4, socket, 0, 0, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
		switch {
		case errno == unix.EAGAIN || errno == unix.EINTR:
			return
		case errno != 0:
			if !ch.acceptFailed(errno) {
				e.stopAccept()
				return
			}
		default:
			ch.accepted(int32(fd), listener)
			if !e.accepting { // there is no room for more
				return
			}
		}
	}
}

func (e *epollEngine) stopAccept() {
	if !e.accepting {
		return
	}
	e.accepting = false
	for _, l := range e.ch.listeners {
		_ = e.control(unix.EPOLL_CTL_DEL, l.fd, 0, 0)
	}
}

func (e *epollEngine) install(*conn) (int, error) { return -1, errNoDescriptor }

func (e *epollEngine) pass(a arrival, to *channel) bool { return to.give(a) }

// allow: read asks the channel how much it may receive.
func (e *epollEngine) allow(*allowance) {}

func (e *epollEngine) tick() {
	if e.datagramsRest {
		e.datagramsRest = false
		e.receiveDatagrams()
	}
	for _, t := range e.resting {
		if c := e.ch.conns.find(t.slot(), t.gen()); c != nil && c.send != sendIdle {
			e.drain(c)
		}
	}
	e.resting = e.resting[:0]
}

func (e *epollEngine) quiet() bool { return !e.accepting }

func (e *epollEngine) stop() {
	e.ch.settle()
	e.free()
}

func (e *epollEngine) free() {
	if e.fd >= 0 {
		_ = unix.Close(e.fd)
	}
	if e.bufs != nil {
		_ = ring.Unmap(e.bufs)
	}
	e.slots.close()
	e.fd, e.bufs, e.inputs, e.shown = -1, nil, nil, nil
}

func (e *epollEngine) receiveDatagrams() {
	for i, l := range e.ch.datagrams {
		if err := e.control(unix.EPOLL_CTL_ADD, l.fd, unix.EPOLLIN, makeToken(kindRecvDatagram, 0, uint32(i))); err != nil {
			e.ch.config.log(0, "not receiving datagrams: %v", err)
		}
	}
}

func (e *epollEngine) stopDatagrams() {
	e.datagramsRest = false
	for _, l := range e.ch.datagrams {
		_ = e.control(unix.EPOLL_CTL_DEL, l.fd, 0, 0)
	}
}

// datagramsIn takes several requests with one system call.
func (e *epollEngine) datagramsIn(socket int32) {
	ch := e.ch
	ch.stats.syscalls++
	msgs := e.slots.msgs
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(socket), uintptr(unsafe.Pointer(&msgs[0])), uintptr(len(msgs)), unix.MSG_DONTWAIT, 0, 0)
	switch {
	case errno == unix.EAGAIN || errno == unix.EINTR:
		return
	case errno != 0:
		// One may be what a reply to somebody earlier brought back.
		if e.datagramFailures++; e.datagramFailures > 1 {
			e.stopDatagrams()
			e.datagramsRest = true // until the next tick
			ch.server.complain("cannot receive datagrams", errno)
		}
		return
	}
	e.datagramFailures = 0
	for i := range int(n) {
		from, in, whole := e.slots.message(i, int(msgs[i].sent))
		if whole {
			ch.datagramReceived(socket, from, in)
		} else {
			ch.stats.datagramsDropped.Add(1)
		}
		e.slots.reset(i)
	}
}

func (e *epollEngine) sendDatagrams(socket int32, msgs []mmsghdr) {
	ch := e.ch
	for len(msgs) > 0 {
		ch.stats.syscalls++
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(socket), uintptr(unsafe.Pointer(&msgs[0])), uintptr(len(msgs)), unix.MSG_DONTWAIT, 0, 0)
		if errno != 0 {
			// The first one failed: it is lost, the others may still go.
			ch.stats.datagramsDropped.Add(1)
			ch.stats.bytesWritten -= uint64(msgs[0].payload())
			n = 1
		}
		msgs = msgs[n:]
	}
}
