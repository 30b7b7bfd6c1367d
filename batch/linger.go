package batch

import (
	"golang.org/x/sys/unix"
)

// lingering is a connection that the server ended before its peer had taken all replies.
// Closing a socket with unread input resets the connection, and what was not taken is
// lost; so its output is ended, and its input dropped, until the peer has everything.
type lingering struct {
	conn  token
	left  int    // bytes that the peer had not taken when they were last looked at
	since uint32 // second in which that changed
}

// hangUp is finish for a connection that the Handler ended: the peer may be sending still.
func (ch *channel) hangUp(c *conn) {
	c.state |= stateHungUp
	ch.finish(c)
}

// part ends a finished connection whose replies have all gone to its socket.
func (ch *channel) part(c *conn) {
	if !c.is(stateHungUp) || c.is(stateEOF|stateLocal) || ch.stopping {
		ch.release(c)
		return
	}
	left := ch.outstanding(c)
	if left == 0 || unix.Shutdown(int(c.fd), unix.SHUT_WR) != nil {
		ch.release(c)
		return
	}
	c.state |= stateLingering
	ch.lingering = append(ch.lingering, lingering{c.token(kindIgnore), left, ch.second})
	ch.engine.receive(c)
}

// closeLingering closes the connections whose peer has taken everything, or nothing for
// the send timeout.
func (ch *channel) closeLingering() {
	limit := ch.config.sendSeconds()
	kept := ch.lingering[:0]
	for _, l := range ch.lingering {
		c := ch.conns.find(l.conn.slot(), l.conn.gen())
		if c == nil || c.is(stateReleasing) {
			continue
		}
		// The end of the output counts as a byte.
		left := ch.outstanding(c)
		if left != l.left {
			l.left, l.since = left, ch.second
		}
		if left == 0 || limit > 0 && ch.second-l.since > limit {
			ch.release(c)
			continue
		}
		kept = append(kept, l)
	}
	ch.lingering = kept
}

// outstanding is how many bytes that c's socket has sent, or is to send, its peer has not
// acknowledged. Direct descriptors cannot be asked: 0.
func (ch *channel) outstanding(c *conn) int {
	n, err := unix.IoctlGetInt(ch.descriptor(c), unix.SIOCOUTQ)
	if err != nil {
		return 0
	}
	return n
}
