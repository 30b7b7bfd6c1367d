package load

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"unsafe"

	"ringcached/ring"
)

// NullServer does nothing but I/O: for every Request bytes that it receives on a connection it sends Reply canned ones. It uses the ring as the
// real server does, in batches, with one receive per connection into shared buffers and one send per connection and batch, but it parses and stores
// nothing. So what an operation costs it is what the kernel takes, the least that any server on the same ring can cost.
//
// What begins with a "v" is answered with a version, so that it can be told when the server is there.
type NullServer struct {
	Request int // bytes of a request
	Reply   int // bytes of its reply
}

const (
	nullEntries   = 512
	nullBuffers   = 1024 // as many as ringcached has, of the same size
	nullBufSize   = 2112
	nullRegion    = 1 << 20 // canned bytes that can be sent at once, at least
	nullVersion   = "VERSION null\r\n"
	nullMaxReply  = 1 << 26
	nullListenLen = 1024
)

// The user data of an operation: what it is, and the connection's descriptor.
const (
	nullAccept = iota << 32
	nullRecv
	nullSend
	nullDrain // a send that waits
)

// nullConn is a connection, by its descriptor.
type nullConn struct {
	open     bool
	received int  // bytes of a request that is not complete yet
	owed     int  // bytes that are to be sent
	at       int  // where in a reply they begin
	sending  int  // bytes of the send under way
	blocked  bool // a send that waits is under way
	armed    bool // a receive is
	ended    bool // by the client
	queued   bool // in dirty
}

// nullLoop is a running NullServer.
type nullLoop struct {
	*NullServer
	r         *ring.Ring
	bufs      *ring.BufRing
	listener  int
	tcp       bool   // else unix
	canned    []byte // mapped: replies, one after another
	conns     []nullConn
	dirty     []int // descriptors of connections that something is owed to
	multishot bool
	skip      bool // successful sends have no completion
	stopped   atomic.Bool
	over      bool // the listener was shut down, or accepted something after stopped
	sendFlags uint32
}

// Run serves on addr, host:port or unix:PATH, one thread, until the context ends; it calls ready with the address. Connections that are open at the end are closed.
func (n *NullServer) Run(ctx context.Context, addr string, ready func(net.Addr)) error {
	if n.Request < 1 || n.Reply < 1 || n.Reply > nullMaxReply {
		return fmt.Errorf("requests of %d bytes and replies of %d: 1 byte is the least, and %d the most for a reply", n.Request, n.Reply, nullMaxReply)
	}
	l, err := net.Listen(SplitAddr(addr))
	if err != nil {
		return err
	}
	if u, ok := l.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
		defer func() { _ = os.Remove(l.Addr().String()) }()
	}
	file, err := l.(interface{ File() (*os.File, error) }).File()
	if err := errors.Join(err, l.Close()); err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	loop := &nullLoop{NullServer: n, listener: int(file.Fd()), tcp: l.Addr().Network() == "tcp"}
	failed := make(chan error, 1)
	go func() { failed <- loop.run() }()
	ready(l.Addr()) // the file listens on
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		loop.stop(l.Addr())
		return <-failed
	}
}

func (n *nullLoop) run() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer n.release()
	if err := n.setup(); err != nil {
		return err
	}
	for !n.over {
		if err := n.turn(); err != nil {
			return err
		}
	}
	return nil
}

// stop ends the accept, and with it the loop. That of a unix socket does not notice a shutdown, but one more connection.
func (n *nullLoop) stop(at net.Addr) {
	if n.tcp {
		_ = syscall.Shutdown(n.listener, syscall.SHUT_RDWR)
		return
	}
	n.stopped.Store(true)
	if c, err := net.Dial(at.Network(), at.String()); err == nil {
		_ = c.Close()
	}
}

func (n *nullLoop) setup() error {
	features, err := ring.Probe()
	if err != nil {
		return err
	}
	n.multishot, n.skip = features.Has(ring.MultishotRecv), features.Has(ring.PartialSend)
	n.sendFlags = syscall.MSG_DONTWAIT | syscall.MSG_NOSIGNAL
	if n.skip {
		n.sendFlags |= syscall.MSG_WAITALL
	}
	if n.r, err = ring.New(ring.Options{Entries: nullEntries, CQEntries: 8 * nullEntries, Features: features}); err != nil {
		return err
	}
	if n.bufs, err = ring.NewBufRing(n.r, recvGroup, nullBuffers, nullBuffers, nullBufSize); err != nil {
		return err
	}
	if n.canned, err = ring.Map((max(nullRegion/n.Reply, 1) + 1) * n.Reply); err != nil {
		return err
	}
	for i := range n.canned {
		n.canned[i] = 'x'
	}
	for end := n.Reply; end <= len(n.canned); end += n.Reply {
		copy(n.canned[max(end-2, 0):end], "\r\n")
	}
	if n.tcp { // accepted sockets take it over
		if err := syscall.SetsockoptInt(n.listener, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1); err != nil {
			return err
		}
	}
	// The ring waits for connections by itself: operations on a non-blocking descriptor would fail instead.
	if err := syscall.SetNonblock(n.listener, false); err != nil {
		return err
	}
	n.accept()
	return nil
}

// turn submits what the last one caused, waits, and handles what has come.
func (n *nullLoop) turn() error {
	switch errno := n.r.Enter(1, -1); errno {
	case 0, syscall.EINTR, syscall.EAGAIN, syscall.EBUSY:
	default:
		return fmt.Errorf("io_uring_enter: %w", errno)
	}
	for n.r.Pending() > 0 {
		n.submit()
	}
	ready := n.r.Ready()
	for i := range ready { // sends first: a connection must not be owed more before it is known what its last send did
		if cqe := n.r.CQE(i); cqe.UserData>>32<<32 == nullSend {
			n.sent(int(uint32(cqe.UserData)), int(cqe.Res))
		}
	}
	for i := range ready {
		cqe := *n.r.CQE(i)
		fd := int(uint32(cqe.UserData))
		switch cqe.UserData >> 32 << 32 {
		case nullAccept:
			n.accepted(&cqe)
		case nullRecv:
			n.received(fd, &cqe)
		case nullDrain:
			n.conns[fd].blocked = false
			n.took(fd, int(cqe.Res))
		}
	}
	n.r.Advance(ready)
	n.bufs.Publish()
	n.flush()
	return nil
}

// submit hands over what is queued. The kernel takes it sooner or later: it fails only for lack of memory, or by a signal.
func (n *nullLoop) submit() { _, _ = n.r.Submit() }

func (n *nullLoop) sqe() *ring.SQE {
	for {
		if e := n.r.SQE(); e != nil {
			return e
		}
		n.submit()
	}
}

func (n *nullLoop) accept() {
	e := n.sqe()
	e.PrepAccept(n.listener, syscall.SOCK_CLOEXEC, true, false)
	e.SetUserData(nullAccept)
}

func (n *nullLoop) accepted(cqe *ring.CQE) {
	if fd := int(cqe.Res); fd >= 0 {
		for len(n.conns) <= fd {
			n.conns = append(n.conns, nullConn{})
		}
		n.conns[fd] = nullConn{open: true}
		n.receive(fd, true)
	}
	switch {
	case cqe.Res == -int32(syscall.EINVAL), n.stopped.Load():
		n.over = true
	case !cqe.More():
		n.accept()
	}
}

func (n *nullLoop) receive(fd int, pollFirst bool) {
	e := n.sqe()
	e.PrepRecv(fd, recvGroup, n.multishot, pollFirst)
	e.SetUserData(nullRecv | uint64(fd))
	n.conns[fd].armed = true
}

func (n *nullLoop) received(fd int, cqe *ring.CQE) {
	c := &n.conns[fd]
	if id, ok := cqe.Buffer(); ok {
		in := n.bufs.Take(id, max(int(cqe.Res), 0))
		if c.received == 0 && len(in) > 0 && in[0] == 'v' {
			_, _ = syscall.Write(fd, []byte(nullVersion))
		} else {
			c.received += len(in)
			c.owed += c.received / n.Request * n.Reply
			c.received %= n.Request
			n.note(fd)
		}
		n.bufs.Recycle(id)
	}
	if cqe.More() {
		return
	}
	c.armed = false
	if cqe.Res > 0 || cqe.Res == -int32(syscall.ENOBUFS) {
		n.receive(fd, !cqe.SocketNonEmpty())
		return
	}
	c.ended = true
	n.close(fd)
}

// note makes sure that flush looks at the connection.
func (n *nullLoop) note(fd int) {
	if c := &n.conns[fd]; c.owed > 0 && !c.queued {
		c.queued = true
		n.dirty = append(n.dirty, fd)
	}
}

// flush sends each connection what it is owed.
func (n *nullLoop) flush() {
	for _, fd := range n.dirty {
		c := &n.conns[fd]
		c.queued = false
		if c.blocked || c.ended || c.owed == 0 {
			continue
		}
		c.sending = min(c.owed, len(n.canned)-c.at)
		part := n.canned[c.at : c.at+c.sending]
		if c.sending < c.owed || c.at > 0 { // the rest of a send that fell short, or more than fits: one that waits
			c.blocked = true
			n.send(fd, part, syscall.MSG_NOSIGNAL|syscall.MSG_WAITALL, nullDrain)
			continue
		}
		n.send(fd, part, n.sendFlags, nullSend)
		if n.skip {
			c.owed = 0 // unless a completion says otherwise
		}
	}
	n.dirty = n.dirty[:0]
}

func (n *nullLoop) send(fd int, b []byte, flags uint32, op uint64) {
	e := n.sqe()
	e.PrepSend(fd, unsafe.Pointer(&b[0]), len(b), flags)
	e.SetUserData(op | uint64(fd))
	if op == nullSend && n.skip {
		e.SkipSuccess()
	}
}

// sent takes the end of a send of the last flush: one that fell short, or any where every send has a completion.
func (n *nullLoop) sent(fd, res int) {
	c := &n.conns[fd]
	if n.skip {
		c.owed += c.sending
	}
	if res == -int(syscall.EAGAIN) {
		res = 0
	}
	n.took(fd, res)
}

// took notes how much of what is owed was sent.
func (n *nullLoop) took(fd, res int) {
	c := &n.conns[fd]
	if res < 0 {
		c.owed, c.at = 0, 0 // the receive will notice
	} else {
		c.owed -= res
		c.at = (c.at + res) % n.Reply
	}
	n.note(fd)
	n.close(fd)
}

// close closes the connection if it has ended and nothing of it is under way.
func (n *nullLoop) close(fd int) {
	if c := &n.conns[fd]; c.ended && !c.armed && !c.blocked {
		_ = syscall.Close(fd)
		c.open, c.ended = false, false
	}
}

// release ends all connections and frees the ring; its memory stays mapped, since receives may still be under way for a moment.
func (n *nullLoop) release() {
	for fd := range n.conns {
		if n.conns[fd].open {
			_ = syscall.Shutdown(fd, syscall.SHUT_RDWR)
			_ = syscall.Close(fd)
		}
	}
	if n.r != nil {
		_ = n.r.Close()
	}
}
