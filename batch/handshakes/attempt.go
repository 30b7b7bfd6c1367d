package handshakes

import (
	"time"

	"golang.org/x/sys/unix"

	"ringcached/internal/handshake"
)

// state is where a connection is on its way; see the package's comment.
type state uint8

const (
	silent state = iota
	queued
	running
	lingering
	ended
)

// attempt is a connection of the pool. It belongs to one thread, and is on one of its lists. What only a running one needs is in conn.
type attempt struct {
	fd         int
	peer       handshake.Peer
	state      state
	deadline   time.Time
	done       func(handshake.Result, bool)
	conn       *conn // nil: not running
	result     handshake.Result
	err        error    // why the handshake failed, if package handshake says so
	prev, next *attempt // in the list
}

// list is a list of attempts, the earliest deadline first: all that are added get the same time.
type list struct{ first, last *attempt }

func (l *list) add(a *attempt) {
	a.prev, a.next = l.last, nil
	if l.last != nil {
		l.last.next = a
	} else {
		l.first = a
	}
	l.last = a
}

func (l *list) remove(a *attempt) {
	if a.prev != nil {
		a.prev.next = a.next
	} else {
		l.first = a.next
	}
	if a.next != nil {
		a.next.prev = a.prev
	} else {
		l.last = a.prev
	}
	a.prev, a.next = nil, nil
}

// lingerTime is how long a connection whose handshake failed may last to read its alert, and lingerBytes how much of its input is discarded
// meanwhile: more than what is on its way from a client that waits for an answer.
const (
	lingerTime  = time.Second
	lingerBytes = 256 << 10
)

// discard reads what the client of a failed handshake still sends. It reports whether the client may send more.
func discard(fd int, buffer []byte) bool {
	for read := 0; read < lingerBytes; {
		n, _, err := unix.Recvfrom(fd, buffer, unix.MSG_DONTWAIT)
		switch {
		case err == unix.EAGAIN:
			return true
		case err == unix.EINTR:
		case err != nil || n == 0:
			return false
		}
		read += max(n, 0)
	}
	return false
}

// makeBlocking clears O_NONBLOCK.
func makeBlocking(fd int) error {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err == nil && flags&unix.O_NONBLOCK != 0 {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_SETFL, flags&^unix.O_NONBLOCK)
	}
	return err
}
