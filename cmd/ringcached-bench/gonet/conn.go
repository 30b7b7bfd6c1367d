package gonet

import (
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"ringcached/internal/contract"
)

const (
	bufferMin = 4 << 10  // of a new connection's input, as a bufio.Reader has
	bufferMax = 16 << 10 // it grows so far where requests come in numbers, and beyond for one request
	// memoryRetry is the pause before input is shown again for which the worker had no memory.
	memoryRetry = time.Millisecond
	// lingering is how long the peer of a connection that the server ends may take to close its end.
	lingering = 500 * time.Millisecond
)

// past is a deadline that makes whatever waits end at once.
var past = time.Unix(1, 0)

var (
	errHungUp  = errors.New("the server hangs up")
	errAborted = errors.New("the connection is not wanted any more")
	errStalled = errors.New("the peer takes nothing")
)

// socket is a *net.TCPConn or a *net.UnixConn.
type socket interface {
	net.Conn
	syscall.Conn
	CloseWrite() error
}

// conn is a connection with its goroutine, which runs run.
type conn struct {
	shard   *shard
	nc      socket
	slot    uint32      // the worker's number for it
	aborted atomic.Bool // all deadlines are past, and stay so

	sending     sync.Mutex // is held from before requests are handled until their replies are sent, and for what is pushed
	deadlineSet uint32     // the second in which the write deadline was set last, plus one; sending guards it

	// The shard's lock guards what follows. Only the connection's goroutine changes buf and part, and may use them without.
	buf      []byte
	from, to int       // of buf: what was not handled
	part     []byte    // memory of the worker's where the next input belongs; nil: it belongs into buf
	parts    [1][]byte // memory of what UploadBuffer appends to
	active   uint32    // the second of the last request
	pushing  bool      // push runs, or is about to
	left     bool      // the worker does not know it any more
}

// run serves the connection.
func (c *conn) run() {
	s := c.shard.server
	err := c.serve()
	why := contract.ReasonError
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, errHungUp):
		why = contract.ReasonNormal
	case s.stopping():
		why = contract.ReasonShutdown
	}
	if errors.Is(err, errHungUp) || why == contract.ReasonShutdown {
		c.linger()
	}
	c.shard.leave(c, why)
	_ = c.nc.Close()
	s.conns.Add(-1)
}

// serve reads and answers until it says why no more is to be read.
func (c *conn) serve() error {
	for {
		if c.shard.server.stopping() {
			c.expectEnd()
		}
		to := c.part
		if to == nil {
			to = c.buf[c.to:min(len(c.buf), c.to+bufferMax)]
		}
		n, err := c.nc.Read(to)
		if n > 0 {
			if err := c.handle(n); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
	}
}

// handle has n bytes of input handled and sends the replies.
func (c *conn) handle(n int) error {
	sh := c.shard
	out := sh.server.takeReplies()
	defer sh.server.replies.Put(out)
	sh.stats.reads.Add(1)
	sh.stats.bytesRead.Add(uint64(n))
	c.sending.Lock()
	defer c.sending.Unlock()
	sh.mu.Lock()
	next, err := c.consume(n, out)
	if err == nil {
		err = c.prepare(next)
	}
	sh.endBatch()
	sh.mu.Unlock()
	return errors.Join(c.send(out), err)
}

// consume gives the worker n bytes of input, piece by piece as it likes. The shard's lock is held, and released between the pieces so that
// other connections have the worker too.
func (c *conn) consume(n int, out *replies) (next contract.Next, err error) {
	sh := c.shard
	c.active = sh.server.second.Load()
	if c.part != nil {
		return sh.worker.UploadAdvance(c.slot, n, out), nil
	}
	c.to += n
	for {
		var k int
		k, next = sh.worker.Data(c.slot, c.buf[c.from:c.to], out)
		c.from += k
		wait := next == contract.Wait && c.from < c.to
		if !wait && (next != contract.Yield || c.from == c.to) {
			return next, nil
		}
		if wait {
			sh.endUnwanted()
		}
		if err = c.letOthers(k > 0 && !wait, wait, out); err != nil {
			return next, err
		}
	}
}

// letOthers releases the worker for a moment. Replies are sent meanwhile if there are many, or if the worker made no progress.
func (c *conn) letOthers(progress, wait bool, out *replies) (err error) {
	sh := c.shard
	sh.endBatch()
	sh.mu.Unlock()
	defer sh.mu.Lock()
	if out.Full() || !progress {
		err = c.send(out)
	}
	if wait {
		time.Sleep(memoryRetry)
	} else if !progress {
		runtime.Gosched()
	}
	if err == nil && c.aborted.Load() {
		err = errAborted
	}
	return err
}

// prepare makes room for what the worker wants next. The shard's lock is held.
func (c *conn) prepare(next contract.Next) error {
	sh := c.shard
	c.part = nil
	switch rest := c.to - c.from; {
	case next == contract.Close:
		return errHungUp
	case next == contract.Crowded, next == contract.Wait:
		sh.endUnwanted()
	case next == contract.Upload && rest == 0:
		if parts := sh.worker.UploadBuffer(c.slot, c.parts[:0]); len(parts) > 0 && len(parts[0]) > 0 {
			c.part = parts[0]
		}
	case rest > contract.PartialMax:
		return errHungUp
	}
	c.makeRoom()
	return nil
}

// makeRoom moves what was not handled to the beginning of the buffer, or into one of another size.
func (c *conn) makeRoom() {
	rest, size := c.buf[c.from:c.to], len(c.buf)
	switch {
	case len(rest) == size, c.to == size && size < bufferMax:
		size *= 2
	case len(rest) == 0 && size > bufferMax:
		size = bufferMax
	}
	to := c.buf
	if size != len(to) {
		to = make([]byte, size)
	}
	c.from, c.to, c.buf = 0, copy(to, rest), to
}

// send sends the replies, gives back what they refer to, and empties them. sending is held, the shard's lock is not.
func (c *conn) send(out *replies) error {
	if out.bytes == 0 && len(out.references) == 0 {
		return nil
	}
	sh := c.shard
	sh.stats.writes.Add(1)
	sh.stats.bytesWritten.Add(uint64(out.bytes))
	err := c.write(out)
	if len(out.references) > 0 {
		sh.mu.Lock()
		for i := range out.references {
			sh.worker.Release(out.references[i].ref)
		}
		sh.mu.Unlock()
	}
	out.reset()
	return err
}

// write writes the replies, in one system call if the socket takes them. It fails when the peer takes nothing for the send timeout, to a second.
func (c *conn) write(out *replies) error {
	limit := c.shard.server.config.SendTimeout
	out.begin()
	for {
		if now := c.shard.server.second.Load() + 1; limit > 0 && now != c.deadlineSet { // once a second costs nothing
			c.deadlineSet = now
			_ = c.nc.SetWriteDeadline(time.Now().Add(limit + time.Second))
		}
		if c.aborted.Load() { // its deadline may be the one that was replaced
			return errAborted
		}
		n, err := out.writeTo(c.nc)
		switch {
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return err
		case n == 0:
			return errStalled
		}
		c.deadlineSet = 0
	}
}

// push sends what the worker has to say unasked. A request that is being answered goes first.
func (c *conn) push() {
	sh := c.shard
	out := sh.server.takeReplies()
	defer sh.server.replies.Put(out)
	c.sending.Lock()
	defer c.sending.Unlock()
	for more := true; more; {
		sh.mu.Lock()
		if more = !c.left; more {
			more = sh.worker.Push(c.slot, out)
		}
		c.pushing = more
		sh.mu.Unlock()
		if c.send(out) != nil {
			c.abort()
			return
		}
	}
}

// abort makes the connection end at once, whatever its goroutine waits for.
func (c *conn) abort() {
	c.aborted.Store(true)
	_ = c.nc.SetDeadline(past)
}

// expectEnd makes the connection end if it sends nothing soon.
func (c *conn) expectEnd() {
	_ = c.nc.SetReadDeadline(time.Now().Add(quiet))
	if c.aborted.Load() {
		_ = c.nc.SetReadDeadline(past)
	}
}

// linger is for a connection that the server ends: to close it while its peer sends would reset it, and what the peer has not taken yet would
// be lost. So it ends the output, and drops input until the peer closes too.
func (c *conn) linger() {
	if c.nc.CloseWrite() != nil {
		return
	}
	_ = c.nc.SetReadDeadline(time.Now().Add(lingering))
	for !c.aborted.Load() {
		if _, err := c.nc.Read(c.buf); err != nil {
			return
		}
	}
}

// hasInput reports that there is input to be read.
func (c *conn) hasInput() bool {
	var n int32
	fd := descriptor(c.nc)
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), syscall.TIOCINQ, uintptr(unsafe.Pointer(&n)))
	return errno == 0 && n > 0
}
