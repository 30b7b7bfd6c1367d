package batch

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

	"golang.org/x/sys/unix"
	"ringcached/internal/contract"
)

const (
	netBuffer     = 4 << 10     // of a new connection's input, as a bufio.Reader has
	netBufferMost = epollBuffer // it grows so far where requests come in numbers
)

// past is a deadline that makes whatever waits end at once.
var past = time.Unix(1, 0)

// errUnwanted ends a connection from which no more is to be read.
var errUnwanted = errors.New("no more input is wanted")

// netSocket is a *net.TCPConn or a *net.UnixConn.
type netSocket interface {
	net.Conn
	syscall.Conn
	CloseRead() error
	CloseWrite() error
}

// netConn is a connection of the net engine, with its goroutine, which runs run and is the only one to close the socket.
type netConn struct {
	conn  // reply belongs to who has sending; the shard's lock guards the rest
	shard *netShard
	nc    netSocket

	sending sync.Mutex   // is held from before requests are handled until their replies are sent, and for what is pushed
	unsent  atomic.Int64 // bytes that are being sent
	arena   atomic.Int64 // bytes of memory in which they lie, without what they refer to

	aborted atomic.Bool // ends at once: all deadlines are past, and stay so

	cut  bool // nothing is read any more but what had arrived,
	owed int  // so many bytes

	// The shard's lock guards what follows. Only the connection's goroutine changes buf and part, so that it may use them without.
	buf      []byte
	from, to int       // of buf: what was not handled
	part     []byte    // memory of the Handler's where the next input belongs; nil: it belongs into buf
	parts    [1][]byte // memory of what Room gives
	pushing  bool      // push runs, or is about to
	left     bool      // the Handler does not know it any more
}

func newNetConn(e *netEngine, nc netSocket, l listener) *netConn {
	c := &netConn{nc: nc, buf: make([]byte, netBuffer)}
	c.shard = e.shards[(e.opened.Add(1)-1)%uint32(len(e.shards))]
	c.fd, c.reply, c.label = int32(descriptorOf(nc)), -1, l.label
	if l.isUnix() {
		c.state |= stateLocal
	}
	// Deadlines are not set for each read and write: that one has passed only means that it is time to look, see overdue and stalled.
	if t := e.config.IdleTimeout; t > 0 {
		_ = nc.SetReadDeadline(time.Now().Add(t))
	}
	if t := e.config.SendTimeout; t > 0 {
		_ = nc.SetWriteDeadline(time.Now().Add(t))
	}
	return c
}

// run serves the connection.
func (c *netConn) run() {
	for {
		n, err := c.receive()
		if n > 0 && !c.handle(n) {
			break
		}
		if err != nil {
			c.inputEnded(err)
			break
		}
	}
	c.linger()
	c.shard.leave(c)
	if n := len(c.buf) - netBuffer; n > 0 { // what an idle connection has is not counted
		c.shard.engine.server.memory.tell(int64(-n))
	}
	_ = c.nc.Close()
	c.shard.engine.depart()
}

// receive waits for input and reads it to where it belongs.
func (c *netConn) receive() (n int, err error) {
	for {
		to := c.part
		if to == nil {
			to = c.buf[c.to:min(len(c.buf), c.to+netBufferMost)]
		}
		if c.shard.engine.inputOver.Load() {
			if to, err = c.cutInput(to); err != nil {
				return 0, err
			}
		}
		n, err = c.nc.Read(to)
		if c.cut {
			c.owed -= n
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		if err = c.overdue(); err != nil {
			return n, err
		}
	}
}

// overdue decides what to do when the read deadline has passed: it sets another one, or says why no more is to be read.
func (c *netConn) overdue() error {
	sh, e := c.shard, c.shard.engine
	limit := uint32(e.config.IdleTimeout / time.Second)
	sh.mu.Lock()
	// Seconds are counted whole: only more than limit of them is limit for certain.
	rest := limit + 1 - min(e.second.Load()-c.active, limit+1)
	kick := rest == 0 && limit > 0 && !c.aborted.Load() && !c.hasInput() && sh.handler.Idle(c.slot)
	if kick {
		c.endsFor(contract.ReasonIdle)
	}
	sh.mu.Unlock()
	if kick {
		sh.stats.idleKicks.Add(1)
		e.config.log(2, "Closing idle fd %d", c.fd)
		return errUnwanted
	}
	_ = c.nc.SetReadDeadline(time.Now().Add(max(time.Duration(rest)*time.Second, tick)))
	if c.aborted.Load() { // its deadline may be the one that was replaced
		return errUnwanted
	}
	return nil
}

// stayActive makes the end of a write that took long count for the idle timeout, as a request does.
func (c *netConn) stayActive() {
	if now := c.shard.engine.second.Load(); now != c.active {
		c.shard.mu.Lock()
		c.active = now
		c.shard.mu.Unlock()
	}
}

// hasInput reports that there is input to be read: a read whose deadline has passed does not look for any.
func (c *netConn) hasInput() bool {
	n, err := unix.IoctlGetInt(int(c.fd), unix.TIOCINQ)
	return err == nil && n > 0
}

// inputEnded notes that and why there is no more input.
func (c *netConn) inputEnded(err error) {
	c.shard.mu.Lock()
	defer c.shard.mu.Unlock()
	switch {
	case c.shard.engine.inputOver.Load():
		c.endsFor(contract.ReasonShutdown)
	case c.reason == contract.ReasonNormal && !errors.Is(err, io.EOF):
		c.endsFor(contract.ReasonError)
	}
	if errors.Is(err, io.EOF) {
		c.state |= stateEOF
	}
	c.state |= stateFinishing
}

// handle has n bytes of input handled and sends the replies. It reports whether the connection goes on.
func (c *netConn) handle(n int) (goOn bool) {
	sh := c.shard
	out, err := sh.engine.takeOutput()
	if err != nil {
		c.failed(err)
		return false
	}
	c.sending.Lock()
	sh.mu.Lock()
	next, err := c.serve(n, out)
	goOn = c.goesOn(next)
	sh.endBatch()
	c.count(out)
	replies := c.reply >= 0
	sh.mu.Unlock()
	sh.engine.limitMemory(c)
	if e := c.send(out); err == nil {
		err = e
	}
	c.sending.Unlock()
	sh.engine.outputs.Put(out)
	if replies {
		c.stayActive()
	}
	if err != nil {
		c.failed(err)
		return false
	}
	return goOn
}

// serve gives the Handler n bytes of input, in turns between which others may have its lock.
func (c *netConn) serve(n int, out *netOutput) (next contract.Next, err error) {
	sh := c.shard
	sh.stats.receives++
	sh.stats.bytesRead += uint64(n)
	out.begin(&c.conn)
	if c.part != nil {
		sh.stats.bytesFilled += uint64(n)
		c.active = sh.engine.second.Load()
		return sh.handler.UploadAdvance(c.slot, n, out.Output), nil
	}
	c.to += n
	c.state |= stateReady
	for {
		var k int
		k, next = sh.handler.Data(c.slot, c.buf[c.from:c.to], out.Output)
		c.from += k
		if k > 0 { // not for a piece of a request, of which a client could send one byte at a time for ever
			c.active = sh.engine.second.Load()
		}
		if next == contract.Wait && c.from < c.to {
			sh.endUnwanted()
			if err = c.rest(out); err != nil {
				return contract.Close, err
			}
			continue
		}
		if next != contract.Yield || c.from == c.to {
			c.state &^= stateReady
			return next, nil
		}
		if err = c.yield(k > 0, out); err != nil {
			return contract.Close, err
		}
	}
}

// yield lets others have the Handler, and sends the replies if there are many, or if what comes next has to wait.
func (c *netConn) yield(progress bool, out *netOutput) (err error) {
	sh := c.shard
	sh.endBatch()
	sending := c.reply >= 0 && (!progress || out.Full())
	if sending {
		c.count(out)
	}
	sh.mu.Unlock()
	if sending {
		err = c.send(out)
	} else if !progress {
		runtime.Gosched()
	}
	sh.mu.Lock()
	out.begin(&c.conn)
	if err == nil && c.aborted.Load() {
		err = errUnwanted
	}
	return err
}

// rest is yield for input for which the Handler has no memory now.
func (c *netConn) rest(out *netOutput) error {
	err := c.yield(false, out)
	c.shard.mu.Unlock()
	time.Sleep(starveTick)
	c.shard.mu.Lock()
	if err == nil && c.aborted.Load() {
		err = errUnwanted
	}
	return err
}

// goesOn does what the Handler wants next, and makes room for it.
func (c *netConn) goesOn(next contract.Next) bool {
	sh := c.shard
	c.part = nil
	switch rest := c.to - c.from; {
	case next == contract.Close:
		c.state |= stateHungUp | stateFinishing
		return false
	case next == contract.Crowded, next == contract.Wait:
		sh.endUnwanted()
	case next == contract.Upload && rest == 0:
		if parts := sh.handler.UploadBuffer(c.slot, c.parts[:0]); len(parts) > 0 && len(parts[0]) > 0 {
			c.part = parts[0]
		}
	case rest > contract.PartialMax:
		sh.engine.config.log(1, "<%d closed: request of over %d bytes without an end", c.fd, contract.PartialMax)
		c.state |= stateHungUp | stateFinishing
		return false
	}
	before := len(c.buf)
	c.makeRoom()
	if n := len(c.buf) - before; n != 0 {
		sh.engine.server.memory.tell(int64(n))
	}
	return true
}

// makeRoom moves what was not handled to the beginning of the buffer, or into one of another size.
func (c *netConn) makeRoom() {
	rest, size := c.buf[c.from:c.to], len(c.buf)
	switch {
	case len(rest) == size, c.to == size && size < netBufferMost:
		size *= 2
	case len(rest) == 0 && size > netBufferMost:
		size = netBufferMost
	}
	to := c.buf
	if size != len(to) {
		to = make([]byte, size)
	}
	c.from, c.to, c.buf = 0, copy(to, rest), to
}

// failed takes an error of sending.
func (c *netConn) failed(err error) {
	sh, e := c.shard, c.shard.engine
	why := contract.ReasonError
	if e.inputOver.Load() && c.aborted.Load() {
		why = contract.ReasonShutdown
	}
	sh.mu.Lock()
	c.reason = why
	sh.mu.Unlock()
	if errors.Is(err, errStalled) {
		sh.stats.sendTimeouts.Add(1)
		e.config.log(2, "<%d closed: took nothing of its replies for %v", c.fd, e.config.SendTimeout)
	}
}

// abort makes the connection end at once, whatever its goroutine waits for.
func (c *netConn) abort() {
	c.aborted.Store(true)
	_ = c.nc.SetDeadline(past)
}

// linger is for a connection that the server ends: closing it would reset it, if its peer is sending still, and what the peer has not
// taken would be lost. So its output is ended, and its input dropped, until the peer has all, or has taken nothing for the send timeout.
func (c *netConn) linger() {
	e := c.shard.engine
	c.shard.mu.Lock()
	wanted := c.cut || c.is(stateHungUp) && c.reason == contract.ReasonNormal
	ends := !wanted || c.is(stateEOF|stateLocal) || c.aborted.Load()
	c.shard.mu.Unlock()
	if ends {
		return
	}
	limit := e.config.sendSeconds()
	since, left := e.second.Load(), c.outstanding()
	if left == 0 || c.nc.CloseWrite() != nil {
		return
	}
	for looked := since; ; {
		wait := tick
		if e.server.stopping.Load() {
			wait = lingerLook
		}
		_ = c.nc.SetReadDeadline(time.Now().Add(wait))
		if c.aborted.Load() {
			return
		}
		if _, err := c.nc.Read(c.buf); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
		now := e.second.Load()
		if now == looked && wait == tick {
			continue
		}
		looked = now
		// The end of the output counts as a byte.
		if n := c.outstanding(); n != left {
			since, left = now, n
		}
		if left == 0 || limit > 0 && now-since > limit {
			return
		}
	}
}

// outstanding is how many bytes the peer has not acknowledged.
func (c *netConn) outstanding() int {
	n, err := unix.IoctlGetInt(int(c.fd), unix.SIOCOUTQ)
	if err != nil {
		return 0
	}
	return n
}

// toSocket is what Server.Socket tells of the connection.
func (c *netConn) toSocket() contract.Socket {
	k := contract.Socket{Conn: c.slot, FD: int(c.fd), Transport: "tcp", Phase: c.phase(), Idle: int(c.shard.engine.second.Load() - c.active)}
	if c.is(stateLocal) {
		k.Transport, k.Path = "unix", c.shard.engine.config.Unix
		return k
	}
	k.Peer = askAddress(unix.SYS_GETPEERNAME, k.FD)
	k.Local = askAddress(unix.SYS_GETSOCKNAME, k.FD)
	return k
}

// phase says what the connection is doing.
func (c *netConn) phase() contract.Phase {
	switch {
	case c.unsent.Load() > 0:
		return contract.PhaseSending
	case c.is(stateFinishing):
		return contract.PhaseClosing
	case c.is(stateReady):
		return contract.PhaseReady
	case c.to > c.from:
		return contract.PhasePartial
	}
	return contract.PhaseIdle
}
