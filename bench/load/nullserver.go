package load

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"ringcached/ring"
)

// NullServer does nothing but I/O: for every Request bytes that it receives on a connection it sends Reply canned
// ones. It uses the ring as the real server does, with one receive per connection into shared buffers, but it parses
// and stores nothing. So what an operation costs it is what the kernel takes, the least that any server on the same
// ring can cost.
//
// What begins with a "v" is answered with a version, so that it can be told when the server is there.
type NullServer struct {
	Request int // bytes of a request
	Reply   int // bytes of its reply
}

const (
	nullEntries  = 512
	nullBuffers  = 1024 // as many as ringcached has, of the same size
	nullBufSize  = 2112
	nullRegion   = 1 << 20 // canned bytes that can be sent at once, at least
	nullVersion  = "VERSION null\r\n"
	nullMaxReply = 1 << 26
)

// The user data of an operation: what it is, of a send how many bytes, and the connection's descriptor.
const (
	nullAccept = iota
	nullRecv
	nullSend

	nullKind = 60
	nullSize = 32
)

// nullLoop is a running NullServer.
type nullLoop struct {
	*NullServer
	r         *ring.Ring
	bufs      *ring.BufRing
	listener  int
	tcp       bool   // else unix
	canned    []byte // mapped
	partial   []int  // by descriptor of a connection: bytes of a request that is not complete yet; -1: no connection
	multishot bool
	quiet     bool // successful sends have no completion
	over      bool
}

// Run serves on addr, host:port or unix:PATH, one thread, until the context ends; it calls ready with the address.
// Connections that are open at the end are closed.
func (n *NullServer) Run(ctx context.Context, addr string, ready func(net.Addr)) error {
	if n.Request < 1 || n.Reply < 1 || n.Reply > nullMaxReply {
		return fmt.Errorf("requests of %d bytes and replies of %d: 1 byte is the least, and %d the most for a reply",
			n.Request, n.Reply, nullMaxReply)
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
	go func() { failed <- loop.run(ctx) }()
	ready(l.Addr())                       // the file listens on
	defer context.AfterFunc(ctx, func() { // a connection ends the wait
		if c, err := net.Dial(l.Addr().Network(), l.Addr().String()); err == nil {
			_ = c.Close()
		}
	})()
	return <-failed
}

func (n *nullLoop) run(ctx context.Context) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer n.release()
	if err := n.setup(); err != nil {
		return err
	}
	for !n.over {
		if errno := n.r.Enter(1, -1); !passes(errno) {
			return fmt.Errorf("io_uring_enter: %w", errno)
		}
		ready := n.r.Ready()
		for i := range ready {
			cqe := *n.r.CQE(i)
			fd := int(uint32(cqe.UserData))
			switch cqe.UserData >> nullKind {
			case nullAccept:
				n.over = ctx.Err() != nil
				n.accepted(&cqe)
			case nullRecv:
				n.received(fd, &cqe)
			case nullSend:
				size := int(cqe.UserData >> nullSize & (1<<(nullKind-nullSize) - 1))
				if cqe.Res > 0 && int(cqe.Res) < size {
					n.send(fd, int(cqe.Res)%n.Reply, size-int(cqe.Res))
				}
			}
		}
		n.r.Advance(ready)
		n.bufs.Publish()
	}
	return nil
}

func (n *nullLoop) setup() error {
	features, err := ring.Probe()
	if err != nil {
		return err
	}
	n.multishot, n.quiet = features.Has(ring.MultishotRecv), features.Has(ring.PartialSend)
	n.r, err = ring.New(ring.Options{Entries: nullEntries, CQEntries: 8 * nullEntries, Features: features})
	if err != nil {
		return err
	}
	if n.bufs, err = ring.NewBufRing(n.r, recvGroup, nullBuffers, nullBuffers, nullBufSize); err != nil {
		return err
	}
	if n.canned, err = ring.Map(max(nullRegion/n.Reply, 1) * n.Reply); err != nil {
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

// sqe prepares an operation. The kernel takes what is queued sooner or later: it fails only for lack of memory, or by
// a signal.
func (n *nullLoop) sqe(kind uint64, size, fd int, prepare func(e *ring.SQE)) {
	e := n.r.SQE()
	for ; e == nil; e = n.r.SQE() {
		_, _ = n.r.Submit()
	}
	prepare(e)
	e.SetUserData(kind<<nullKind | uint64(size)<<nullSize | uint64(fd))
}

func (n *nullLoop) accept() {
	n.sqe(nullAccept, 0, 0, func(e *ring.SQE) { e.PrepAccept(n.listener, syscall.SOCK_CLOEXEC, true, false) })
}

func (n *nullLoop) accepted(cqe *ring.CQE) {
	if fd := int(cqe.Res); fd >= 0 {
		for len(n.partial) <= fd {
			n.partial = append(n.partial, -1)
		}
		n.partial[fd] = 0
		n.receive(fd, true)
	}
	if !cqe.More() && !n.over {
		n.accept()
	}
}

func (n *nullLoop) receive(fd int, pollFirst bool) {
	n.sqe(nullRecv, 0, fd, func(e *ring.SQE) { e.PrepRecv(fd, recvGroup, n.multishot, pollFirst) })
}

func (n *nullLoop) received(fd int, cqe *ring.CQE) {
	if id, ok := cqe.Buffer(); ok {
		in := n.bufs.Take(id, max(int(cqe.Res), 0))
		if n.partial[fd] == 0 && len(in) > 0 && in[0] == 'v' {
			_, _ = syscall.Write(fd, []byte(nullVersion))
		} else {
			have := n.partial[fd] + len(in)
			n.partial[fd] = have % n.Request
			n.send(fd, 0, have/n.Request*n.Reply)
		}
		n.bufs.Recycle(id)
	}
	switch {
	case cqe.More():
	case cqe.Res > 0 || cqe.Res == -int32(syscall.ENOBUFS):
		n.receive(fd, !cqe.SocketNonEmpty())
	default:
		n.partial[fd] = -1
		_ = syscall.Close(fd)
	}
}

// send sends size bytes of replies, of the first of which at bytes are sent. Sends that a slow client makes wait may
// overtake each other: they are all the same.
func (n *nullLoop) send(fd, at, size int) {
	for size > 0 {
		part := n.canned[at:min(at+size, len(n.canned))]
		n.sqe(nullSend, len(part), fd, func(e *ring.SQE) {
			e.PrepSend(fd, unsafe.Pointer(&part[0]), len(part), syscall.MSG_NOSIGNAL|syscall.MSG_WAITALL)
			if n.quiet {
				e.SkipSuccess()
			}
		})
		at, size = 0, size-len(part)
	}
}

// release ends all connections and frees the ring; its memory stays mapped, since receives may still be under way for
// a moment.
func (n *nullLoop) release() {
	for fd, partial := range n.partial {
		if partial >= 0 {
			_ = syscall.Shutdown(fd, syscall.SHUT_RDWR)
			_ = syscall.Close(fd)
		}
	}
	if n.r != nil {
		_ = n.r.Close()
	}
}
