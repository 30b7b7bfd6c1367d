package batch

import (
	"golang.org/x/sys/unix"
)

// lingering is a connection that the server ended before its peer had taken all replies.
// Closing a socket with unread input resets the connection, and so does input that comes
// later; what was not taken is lost then. So its output is ended, and its input dropped,
// until the peer has everything.
type lingering struct {
	conn  token
	left  int    // bytes that the peer had not taken when they were last looked at
	since uint32 // second in which that changed
}

// lingerStep is how many of them one tick of a channel that stops looks at, so that it does little else when there are many.
const lingerStep = 256

// hangUp is finish for a connection that the Handler ended: the peer may be sending still.
func (ch *channel) hangUp(c *conn) {
	c.state |= stateHungUp
	ch.finish(c)
}

// part ends a finished connection whose replies have all gone to its socket.
func (ch *channel) part(c *conn) {
	if !ch.lingers(c) {
		ch.release(c)
		return
	}
	left, ended := 0, false
	err := ch.withDescriptor(c, func(fd int) {
		left = outstanding(fd)
		ended = left > 0 && unix.Shutdown(fd, unix.SHUT_WR) == nil
	})
	if err != nil && passing(err) { // its output is ended later
		left, ended = unknown, true
	}
	if !ended {
		ch.release(c)
		return
	}
	c.state &^= stateEOF | stateCut
	c.state |= stateLingering
	ch.lingering = append(ch.lingering, lingering{c.token(kindIgnore), left, ch.second})
	ch.engine.receive(c)
}

// lingers reports that c, which the server ends, is worth waiting for. What a unix socket was sent stays when it is closed, and a peer that
// has sent its last byte cannot make this end reset.
func (ch *channel) lingers(c *conn) bool {
	return (ch.stopping || c.is(stateHungUp)) && !c.is(stateLocal) && (!c.is(stateEOF) || c.is(stateCut))
}

// closeLingering closes the connections whose peer has taken everything, or nothing for
// the send timeout.
func (ch *channel) closeLingering() {
	now := ch.lingering
	if ch.stopping {
		now = now[:min(len(now), lingerStep)]
	}
	later := ch.lingering[len(now):]
	kept := now[:0]
	for _, l := range now {
		if ch.goesOnLingering(&l) {
			kept = append(kept, l)
		}
	}
	if len(later) > 0 {
		kept = append(append([]lingering{}, later...), kept...)
	}
	ch.lingering = kept
}

// unknown is how many bytes are outstanding when the kernel cannot tell yet.
const unknown = -1

// goesOnLingering looks whether the connection's peer has taken anything, and closes it when there is nothing to wait for.
func (ch *channel) goesOnLingering(l *lingering) bool {
	c := ch.conns.find(l.conn.slot(), l.conn.gen())
	if c == nil || c.is(stateReleasing) {
		return false
	}
	left := 0
	err := ch.withDescriptor(c, func(fd int) {
		if left = outstanding(fd); left > 0 && l.left == unknown {
			_ = unix.Shutdown(fd, unix.SHUT_WR)
		}
	})
	if err != nil && passing(err) {
		left = l.left
	}
	// The end of the output counts as a byte.
	if left != l.left {
		l.left, l.since = left, ch.second
	}
	if limit := ch.config.sendSeconds(); left == 0 || limit > 0 && ch.second-l.since > limit {
		ch.release(c)
		return false
	}
	return true
}

// outstanding is how many bytes that the socket has sent, or is to send, its peer has not
// acknowledged.
func outstanding(fd int) int {
	n, err := unix.IoctlGetInt(fd, unix.SIOCOUTQ)
	if err != nil {
		return 0
	}
	return n
}
