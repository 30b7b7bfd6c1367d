package load

import (
	"crypto/tls"
	"io"
	"iter"
	"net"
	"syscall"
	"time"

	"ringcached/internal/handshake"
)

// greeting is a handshake under way. crypto/tls runs in a coroutine, to which the load thread hands what comes from the server; what crypto/tls writes
// is sent at once, since the few kilobytes of a handshake fit into the buffer of any socket. All its methods but those of net.Conn are the load
// thread's, which the coroutine is bound to.
type greeting struct {
	fd      int
	in      []byte // what came and was not read
	over    error  // why no more comes; nil: it does
	wait    func() bool
	advance func() (struct{}, bool)
	stop    func() // ends a handshake that is not over

	// When it is over:
	result handshake.Result
	err    error
}

// newGreeting begins a handshake: the client's hello is sent.
func newGreeting(fd int, config *tls.Config) *greeting {
	g := &greeting{fd: fd}
	g.advance, g.stop = iter.Pull(func(yield func(struct{}) bool) {
		g.wait = func() bool { return yield(struct{}{}) }
		g.result, g.err = handshake.Connect(g, config, time.Time{})
	})
	return g
}

// take goes on with what came, or why nothing comes any more. It reports whether the handshake is over; then rest is what came behind it.
func (g *greeting) take(in []byte, over error) (rest []byte, done bool) {
	g.in, g.over = in, over
	_, more := g.advance()
	if more {
		return nil, false
	}
	return append(g.result.Leftover, g.in...), true
}

// Read waits for what the server sends.
func (g *greeting) Read(p []byte) (int, error) {
	for len(g.in) == 0 {
		if g.over != nil {
			return 0, g.over
		}
		if !g.wait() {
			return 0, net.ErrClosed
		}
	}
	n := copy(p, g.in)
	g.in = g.in[n:]
	return n, nil
}

// Write sends.
func (g *greeting) Write(p []byte) (int, error) { return sendNow(g.fd, p) }

// sendNow sends what fits into the buffer of a socket.
func sendNow(fd int, p []byte) (int, error) {
	n, err := syscall.SendmsgN(fd, p, nil, nil, syscall.MSG_NOSIGNAL|syscall.MSG_DONTWAIT)
	for err == syscall.EINTR {
		n, err = syscall.SendmsgN(fd, p, nil, nil, syscall.MSG_NOSIGNAL|syscall.MSG_DONTWAIT)
	}
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	return max(n, 0), err
}

// The rest of net.Conn. The load bounds how long connecting takes, and closes.

func (g *greeting) Close() error                     { return nil }
func (g *greeting) LocalAddr() net.Addr              { return nil }
func (g *greeting) RemoteAddr() net.Addr             { return nil }
func (g *greeting) SetDeadline(time.Time) error      { return nil }
func (g *greeting) SetReadDeadline(time.Time) error  { return nil }
func (g *greeting) SetWriteDeadline(time.Time) error { return nil }
