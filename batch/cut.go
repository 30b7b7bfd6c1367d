package batch

import (
	"errors"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"ringcached/internal/contract"
)

// A channel that stops answers what had arrived, and drops what comes later. It cannot end the input of a connection with shutdown(SHUT_RD):
// once its output is ended as well, a byte more from the peer would reset it, and the replies that are under way would be lost. So it asks the
// kernel how much had arrived, and receives until it has that much.

// errNoDescriptor: a direct descriptor cannot be made an ordinary one here.
var errNoDescriptor = errors.New("no ordinary descriptor")

// cutInput goes on with ending the input of c, which is being looked at again and again until c has ended.
func (ch *channel) cutInput(c *conn) {
	if c.is(stateEOF | stateFinishing | stateReleasing) {
		return // it ends by itself
	}
	if !c.is(stateCut) {
		if !ch.hasAll(c) {
			return
		}
		delete(ch.stop.arrived, c.token(kindIgnore))
		c.endsFor(contract.ReasonShutdown)
		ch.engine.pause(c)
		c.state |= stateCut
	}
	// A receive that is being cancelled may have received something yet.
	if !c.is(stateCancelling) || time.Since(ch.stop.cutAt) > lostTime {
		ch.ended(c)
	}
}

// hasAll reports that c has received all that had arrived when it was first asked.
func (ch *channel) hasAll(c *conn) (all bool) {
	s, t := &ch.stop, c.token(kindIgnore)
	err := ch.withDescriptor(c, func(fd int) {
		upTo, asked := s.arrived[t]
		if c.is(stateLocal) && !asked {
			_ = unix.Shutdown(fd, unix.SHUT_RD) // a unix socket keeps what the peer has not read
			s.arrived[t] = 0
		}
		unread, err := unix.IoctlGetInt(fd, unix.SIOCINQ)
		if all = err != nil || unread == 0; all || c.is(stateLocal) {
			return
		}
		info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			return // as long as it sends
		}
		if !asked {
			s.arrived[t] = info.Bytes_received
			return
		}
		// More may arrive between the two questions, so the second is what is unread.
		if unread, err = unix.IoctlGetInt(fd, unix.SIOCINQ); err == nil {
			all = info.Bytes_received-uint64(unread) >= upTo
		}
	})
	if errors.Is(err, errNoDescriptor) {
		quiet := time.Since(s.input) > quietTime || time.Since(s.cutAt) > lostTime
		return quiet && !c.is(stateReady) && c.backlog == 0
	}
	return all
}

// withDescriptor calls f with an ordinary descriptor of c's socket. For a direct one the kernel makes it. An error that is not
// errNoDescriptor may pass.
func (ch *channel) withDescriptor(c *conn, f func(fd int)) error {
	if !ch.direct {
		f(int(c.fd))
		return nil
	}
	fd, err := ch.engine.install(c)
	if err != nil {
		return err
	}
	f(fd)
	return unix.Close(fd)
}

// passing reports that what the error says may be over soon.
func passing(err error) bool {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return false
	}
	switch errno {
	case unix.EAGAIN, unix.EBUSY, unix.EMFILE, unix.ENFILE, unix.ENOMEM:
		return true
	}
	return false
}
