package gonet

import (
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"ringcached/internal/contract"
)

const (
	bufferMin = 4 << 10  // of a new connection's input, as a bufio.Reader has
	bufferMax = 16 << 10 // it grows so far where requests come in numbers, and beyond for one request
	// memoryRetry is the pause before input is shown again for which the worker had no memory.
	memoryRetry = time.Millisecond
	// quiet is how long a connection must have sent nothing, while the server stops, before it ends.
	quiet = 100 * time.Millisecond
	// lingering is how long the peer of a connection that the server ends may take to close its end.
	lingering = 500 * time.Millisecond
)

// past is a deadline that makes whatever waits end at once.
var past = time.Unix(1, 0)

var (
	errHungUp  = errors.New("the server hangs up")
	errAborted = errors.New("the connection is not wanted any more")
)

// socket is a *net.TCPConn or a *net.UnixConn.
type socket interface {
	net.Conn
	syscall.Conn
	CloseWrite() error
}

// conn is a connection with its goroutine, which runs run. No other reads or writes the socket.
type conn struct {
	shard   *shard
	nc      socket
	slot    uint32        // the worker's number for it
	writing atomic.Uint32 // the second in which a write began, plus one; 0: none

	// The shard's lock guards what follows, but the connection's goroutine, which alone changes buf and part, reads them.
	buf      []byte
	from, to int       // of buf: what was not handled
	part     []byte    // memory of the worker's where the next input belongs; nil: it belongs into buf
	parts    [1][]byte // memory of what UploadBuffer appends to
	pushes   bool      // the worker has something to say unasked
	aborted  bool
	ending   bool // the server stops, and input has a deadline
}

// run serves the connection.
func (c *conn) run() {
	sh, why := c.shard, contract.ReasonError
	switch err := c.serve(); {
	case errors.Is(err, errAborted):
	case errors.Is(err, io.EOF):
		why = contract.ReasonNormal
	case errors.Is(err, errHungUp):
		why = contract.ReasonNormal
		c.linger()
	case sh.server.ctx.Err() != nil:
		why = contract.ReasonShutdown
		c.linger()
	}
	sh.mu.Lock()
	sh.worker.Closed(c.slot, why)
	sh.conns[c.slot] = nil
	sh.unlock()
	_ = c.nc.Close()
	sh.server.conns.Add(-1)
}

// serve reads and answers until it says why no more is to be read.
func (c *conn) serve() error {
	for {
		to := c.part
		if to == nil {
			to = c.buf[c.to:min(len(c.buf), c.to+bufferMax)]
		}
		n, err := c.nc.Read(to)
		switch {
		case n > 0:
			err = c.handle(n)
		case errors.Is(err, os.ErrDeadlineExceeded):
			err = c.interrupted(err)
		}
		if err != nil {
			return err
		}
	}
}

// handle has n bytes of input handled and sends the replies. The worker may stop between requests, for others' sake.
func (c *conn) handle(n int) error {
	sh := c.shard
	out := replyPool.Get().(*replies)
	defer replyPool.Put(out)
	sh.received.Add(uint64(n))
	sh.mu.Lock()
	var next contract.Next
	if c.part != nil {
		next = sh.worker.UploadAdvance(c.slot, n, out)
	} else {
		c.to += n
		for {
			var k int
			k, next = sh.worker.Data(c.slot, c.buf[c.from:c.to], out)
			c.from += k
			if c.aborted || c.from == c.to || next != contract.Yield && next != contract.Wait {
				break
			}
			if next == contract.Wait {
				sh.endUnwanted()
			}
			stuck := next == contract.Wait || k == 0 && out.bytes == 0
			sh.unlock()
			err := c.send(out)
			if stuck {
				time.Sleep(memoryRetry)
			}
			if sh.mu.Lock(); err != nil {
				sh.mu.Unlock()
				return err
			}
		}
	}
	err := c.prepare(next)
	sh.unlock()
	return errors.Join(c.send(out), err)
}

// prepare makes room for what the worker wants next. The shard's lock is held.
func (c *conn) prepare(next contract.Next) error {
	c.part = nil
	switch rest := c.to - c.from; {
	case c.aborted:
		return errAborted
	case next == contract.Close, next != contract.Upload && rest > contract.PartialMax:
		return errHungUp
	case next == contract.Crowded, next == contract.Wait:
		c.shard.endUnwanted()
	case next == contract.Upload && rest == 0:
		if parts := c.shard.worker.UploadBuffer(c.slot, c.parts[:0]); len(parts) > 0 && len(parts[0]) > 0 {
			c.part = parts[0]
		}
	}
	if c.ending {
		c.listen()
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

// send sends the replies, in one system call if the socket takes them, gives back what they refer to, and empties them.
func (c *conn) send(out *replies) error {
	if out.bytes == 0 && len(out.references) == 0 {
		return nil
	}
	sh := c.shard
	sh.sent.Add(uint64(out.bytes))
	c.writing.Store(sh.server.second.Load() + 1)
	err := out.writeTo(c.nc)
	c.writing.Store(0)
	if len(out.references) > 0 {
		sh.mu.Lock()
		for _, ref := range out.references {
			sh.worker.Release(ref)
		}
		sh.mu.Unlock()
	}
	out.reset()
	return err
}

// endStalled ends a connection whose write has taken too long. The shard's lock is held.
func (c *conn) endStalled() {
	s := c.shard.server
	limit, began := uint32(s.config.SendTimeout/time.Second), c.writing.Load()
	if limit > 0 && began != 0 && s.second.Load() >= began+limit {
		c.abort()
	}
}

// interrupt makes the connection's goroutine stop reading, for interrupted. The shard's lock is held.
func (c *conn) interrupt() { _ = c.nc.SetReadDeadline(past) }

// interrupted goes on after interrupt: it sends what the worker has to say unasked. While the server stops, a
// connection that has sent nothing for a while ends with err.
func (c *conn) interrupted(err error) error {
	out := replyPool.Get().(*replies)
	defer replyPool.Put(out)
	for more := true; more; {
		c.shard.mu.Lock()
		switch {
		case c.aborted:
			err = errAborted
		case c.pushes || !c.ending:
			c.pushes, err = c.pushes && c.shard.worker.Push(c.slot, out), nil
			c.listen()
		}
		more = c.pushes
		c.shard.mu.Unlock()
		if err = errors.Join(c.send(out), err); err != nil {
			return err
		}
	}
	return nil
}

// listen sets how long the connection waits for input. The shard's lock is held.
func (c *conn) listen() {
	var until time.Time
	if c.ending = c.shard.server.ctx.Err() != nil; c.ending {
		until = time.Now().Add(quiet)
	}
	_ = c.nc.SetReadDeadline(until)
}

// abort makes the connection end at once, whatever its goroutine waits for. The shard's lock is held.
func (c *conn) abort() {
	c.aborted = true
	_ = c.nc.SetDeadline(past)
}

// linger is for a connection that the server ends: to close it while its peer sends would reset it, and what the peer
// has not taken yet would be lost. So it ends the output, and drops input until the peer closes too.
func (c *conn) linger() {
	err := c.nc.CloseWrite()
	_ = c.nc.SetReadDeadline(time.Now().Add(lingering))
	for err == nil {
		_, err = c.nc.Read(c.buf)
	}
}

const (
	// repliesMax is when replies are Full, in bytes, and referencesMax in values: writev(2) takes 1024 pieces.
	repliesMax    = 256 << 10
	referencesMax = 500
	// keepMax is the largest buffer that is kept for others' replies.
	keepMax = 1 << 20
)

// replies is a contract.Replies: pieces of memory, of which some lie in the store.
type replies struct {
	buf        []byte
	begun      int         // of buf: where what is not in pieces begins
	pieces     net.Buffers // in order
	references []uint64    // the pieces of the store
	bytes      int         // of all
	unsent     net.Buffers // what writeTo has left of pieces
}

var _ contract.Replies = (*replies)(nil)

var replyPool = sync.Pool{New: func() any { return new(replies) }}

// Reserve implements contract.Replies. Pieces stay where they are when buf moves.
func (r *replies) Reserve(n int) []byte {
	if n > contract.ReserveMax {
		panic("gonet: more room asked for than contract.ReserveMax")
	}
	r.buf = slices.Grow(r.buf, n)
	return r.buf[len(r.buf):]
}

// Commit implements contract.Replies.
func (r *replies) Commit(n int) {
	r.buf = r.buf[:len(r.buf)+n]
	r.bytes += n
}

// cut makes what was committed a piece.
func (r *replies) cut() {
	if r.begun < len(r.buf) {
		r.pieces = append(r.pieces, r.buf[r.begun:])
		r.begun = len(r.buf)
	}
}

// Reference implements contract.Replies.
func (r *replies) Reference(p []byte, ref uint64) {
	r.cut()
	r.pieces, r.references = append(r.pieces, p), append(r.references, ref)
	r.bytes += len(p)
}

// Full implements contract.Replies.
func (r *replies) Full() bool { return r.bytes >= repliesMax || len(r.references) >= referencesMax }

// writeTo writes all pieces.
func (r *replies) writeTo(nc net.Conn) (err error) {
	if r.cut(); len(r.pieces) == 1 {
		_, err = nc.Write(r.pieces[0])
		return err
	}
	r.unsent = r.pieces
	_, err = r.unsent.WriteTo(nc)
	return err
}

// reset empties r for others.
func (r *replies) reset() {
	r.buf, r.begun, r.pieces, r.references, r.bytes = r.buf[:0], 0, r.pieces[:0], r.references[:0], 0
	if cap(r.buf) > keepMax {
		r.buf = nil
	}
}
