package batch

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// engine is a channel's kernel interface. Everything that is not about it is the
// channel's, so that both engines do the same work. All methods run on the channel's
// thread.
type engine interface {
	// start makes the ring or the epoll instance, and watches wake-up and timer. If it fails, free has to follow.
	start() error
	// free is stop for an engine that has not served.
	free()
	// poll submits what was queued, reports to the channel how the last flush's sends
	// ended (unsent, settle), and delivers what happened. With block it waits for something.
	poll(block bool) error
	// receive wants c's input from here on: calls of channel.received, ended or kill. Of one
	// whose input was cut nothing is wanted any more.
	receive(c *conn)
	// pause wants no more of c's input. What the kernel received already still comes.
	pause(c *conn)
	// send sends reply i of out.
	send(c *conn, out *Output, i uint32)
	// sendDatagrams sends messages on a UDP socket. What the socket does not take is lost.
	sendDatagrams(socket int32, msgs []mmsghdr)
	// install makes an ordinary descriptor of a direct one, the caller's to close. It is called for direct ones only.
	install(c *conn) (fd int, err error)
	// drain sends the next part of c's backlog when the socket takes it.
	drain(c *conn)
	// release closes c's descriptor as soon as nothing refers to it and calls channel.freed.
	release(c *conn)
	// accept starts accepting, or goes on after acceptFailed said no.
	accept()
	// pass gives a connection that was accepted and has no record to another channel, unless that has ended.
	pass(a arrival, to *channel) bool
	// receiveDatagrams starts to receive from the UDP sockets.
	receiveDatagrams()
	// allow says what connections may hold from here on.
	allow(a *allowance)
	// tick is called about once a second.
	tick()
	// stopAccept ends accepting for good.
	stopAccept()
	// stopDatagrams leaves what comes on the UDP sockets to somebody else.
	stopDatagrams()
	// quiet reports that stopAccept and, if it was called, stopDatagrams have taken effect, and that no pass is under way.
	quiet() bool
	// stop frees everything. All connections must have been freed.
	stop()
}

// retriable reports that a send failed for now, not for good.
func retriable(errno syscall.Errno) bool {
	switch errno {
	case unix.EAGAIN, unix.EINTR, unix.ENOBUFS, unix.ENOMEM:
		return true
	}
	return false
}

func newEngine(ch *channel, c Choice) engine {
	if c.Engine == EngineURing {
		return &uringEngine{ch: ch, features: c.Features}
	}
	return &epollEngine{ch: ch, fd: -1}
}
