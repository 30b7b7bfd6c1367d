package batch

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

func (e *epollEngine) receiveDatagrams() {
	for i, l := range e.ch.datagrams {
		if err := e.control(unix.EPOLL_CTL_ADD, l.fd, unix.EPOLLIN, makeToken(kindDatagram, 0, uint32(i))); err != nil {
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

// datagramsIn takes a turn's worth of requests with one system call.
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
