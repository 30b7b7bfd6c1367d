package handshakes

import (
	"errors"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// conn is the transport of a handshake that runs: a [net.Conn] whose Read and Write switch to the thread's loop until the kernel can go on. The
// deadline is the loop's business.
type conn struct {
	thread  *thread
	attempt *attempt
	resume  func() (struct{}, bool) // runs the handshake until it waits, or, false, has ended
	wait    func(struct{}) bool     // called by the handshake: until it is resumed
	cut     bool                    // time is up: nothing waits any more
}

// Read reads at most what the kernel has, and waits if it has nothing.
func (c *conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		if c.cut {
			return 0, opError("read", os.ErrDeadlineExceeded)
		}
		n, _, err := unix.Recvfrom(c.attempt.fd, p, unix.MSG_DONTWAIT)
		switch {
		case n > 0:
			return n, nil
		case err == nil:
			return 0, io.EOF
		case errors.Is(err, unix.EAGAIN):
			err = c.block(unix.EPOLLIN)
		case errors.Is(err, unix.EINTR):
			continue
		}
		if err != nil {
			return 0, opError("read", err)
		}
	}
}

// Write writes all of p, and waits while the kernel takes nothing.
func (c *conn) Write(p []byte) (written int, err error) {
	for written < len(p) {
		if c.cut {
			return written, opError("write", os.ErrDeadlineExceeded)
		}
		n, err := unix.SendmsgN(c.attempt.fd, p[written:], nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		written += max(n, 0)
		switch {
		case errors.Is(err, unix.EAGAIN):
			err = c.block(unix.EPOLLOUT)
		case errors.Is(err, unix.EINTR):
			continue
		}
		if err != nil {
			return written, opError("write", err)
		}
	}
	return written, nil
}

// block waits until the descriptor is ready, or the time is up.
func (c *conn) block(events uint32) error {
	if err := c.thread.watch(unix.EPOLL_CTL_MOD, c.attempt.fd, events); err != nil {
		return err
	}
	c.wait(struct{}{})
	return nil
}

func opError(op string, err error) error {
	if errno := unix.Errno(0); errors.As(err, &errno) {
		err = os.NewSyscallError(op, errno)
	}
	return &net.OpError{Op: op, Net: "tcp", Err: err}
}

// Close does nothing: the descriptor is the thread's.
func (c *conn) Close() error { return nil }

// LocalAddr and RemoteAddr are unspecified: a handshake does not look at them.
func (c *conn) LocalAddr() net.Addr  { return &net.TCPAddr{} }
func (c *conn) RemoteAddr() net.Addr { return &net.TCPAddr{} }

// The deadlines do nothing: see conn.
func (c *conn) SetDeadline(time.Time) error      { return nil }
func (c *conn) SetReadDeadline(time.Time) error  { return nil }
func (c *conn) SetWriteDeadline(time.Time) error { return nil }
