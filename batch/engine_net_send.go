package batch

import (
	"errors"
	"net"
	"os"
	"runtime"
	"time"
	"unsafe"
)

// netOutput is an Output of one connection, in a sync.Pool between two batches.
type netOutput struct {
	*Output
	vec  net.Buffers
	vecs [][]byte // memory of vec
}

// newNetOutput makes one whose arena is freed when the garbage collector finds that the pool has dropped it.
func newNetOutput(memory *clientMemory) (*netOutput, error) {
	out, err := newOutput(&account{of: memory, shared: true}, batchLimit)
	if err != nil {
		return nil, err
	}
	runtime.SetFinalizer(out, (*Output).close)
	return &netOutput{Output: out}, nil
}

// takeOutput lends an empty Output.
func (e *netEngine) takeOutput() (*netOutput, error) {
	memory := e.server.memory
	out, found := e.outputs.Get().(*netOutput)
	if !found {
		var err error
		if out, err = newNetOutput(memory); err != nil {
			e.server.lacks(errNoArena)
			return nil, err
		}
	}
	out.limit = memory.allowance().reply
	return out, nil
}

// errStalled: the peer took nothing for the send timeout.
var errStalled = errors.New("the peer takes nothing")

// count counts what is about to be sent, before the client can know of it. The shard is locked.
func (c *netConn) count(out *netOutput) {
	k := &c.shard.stats
	if c.reply >= 0 {
		n := out.replies[c.reply].bytes
		k.sends++
		k.bytesWritten += uint64(n) // less what turns out not to be sent
		k.sendSizes.count(uint32(n))
		c.unsent.Store(int64(n))
		c.arena.Store(int64(len(out.chunks) * arenaChunk))
	}
	k.publish()
}

// send sends what count counted, gives back what it refers to, and empties out. It waits for the peer.
func (c *netConn) send(out *netOutput) (err error) {
	if c.reply >= 0 {
		r := &out.replies[c.reply]
		c.reply = -1
		var n int
		if r.failed {
			c.shard.engine.server.lacks(errNoArena)
			err = errNoArena
		} else {
			n, err = c.write(out, r)
		}
		c.unsent.Store(0)
		c.arena.Store(0)
		if out.refs > 0 || n < r.bytes {
			c.settle(out, r.bytes-n)
		}
	}
	out.reset()
	for out.trim() {
	}
	return err
}

// settle gives back references, and counts out what was not sent.
func (c *netConn) settle(out *netOutput, unsent int) {
	sh := c.shard
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.stats.bytesWritten -= uint64(unsent)
	for i := range out.segments {
		if s := &out.segments[i]; s.hasRef {
			sh.handler.Release(s.ref)
		}
	}
}

// write writes a reply, in one system call if the socket takes it, and returns how much it took.
func (c *netConn) write(out *netOutput, r *reply) (sent int, err error) {
	first := &out.segments[r.first]
	piece := unsafe.Slice(pointer(first.addr), first.len)
	if r.count > 1 {
		out.vecs = out.vecs[:0]
		for i := r.first; i >= 0; i = out.segments[i].next {
			s := &out.segments[i]
			out.vecs = append(out.vecs, unsafe.Slice(pointer(s.addr), s.len))
		}
		out.vec = out.vecs
	}
	since := c.shard.engine.second.Load()
	for {
		var n int64
		if r.count > 1 {
			n, err = out.vec.WriteTo(c.nc) // leaves the rest in vec
		} else {
			var k int
			k, err = c.nc.Write(piece)
			piece, n = piece[k:], int64(k)
		}
		sent += int(n)
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return sent, err
		}
		if n > 0 {
			since = c.shard.engine.second.Load()
		}
		if err := c.stalled(since); err != nil {
			return sent, err
		}
	}
}

// stalled decides what to do when the write deadline has passed. The write began, or the peer was last seen to take something, in the second
// since. It sets another deadline, a tick away so that what the peer takes is seen in time, or says why no more is to be sent.
func (c *netConn) stalled(since uint32) error {
	e := c.shard.engine
	limit := e.config.sendSeconds()
	waited := e.second.Load() - since
	if c.aborted.Load() {
		return errUnwanted
	}
	if waited > limit {
		return errStalled
	}
	_ = c.nc.SetWriteDeadline(time.Now().Add(tick))
	if c.aborted.Load() { // its deadline may be the one that was replaced
		return errUnwanted
	}
	return nil
}

// push sends what the Handler has to say unasked. Who asked for something has the connection first.
func (c *netConn) push() {
	sh := c.shard
	out, err := sh.engine.takeOutput()
	if err != nil {
		c.abort()
		return
	}
	c.sending.Lock()
	for more := true; more; {
		sh.mu.Lock()
		if more = !c.left; more {
			out.begin(&c.conn)
			more = sh.handler.Push(c.slot, out.Output)
			c.count(out)
		}
		c.pushing = more
		sh.mu.Unlock()
		if err := c.send(out); err != nil {
			c.failed(err)
			c.abort()
			break
		}
	}
	c.sending.Unlock()
	sh.engine.outputs.Put(out)
}
