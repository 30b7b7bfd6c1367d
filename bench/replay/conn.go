package replay

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"time"

	"ringcached/bench/trace"

	"ringcached/bench/load"
)

// replayConn is a connection of a replay, which a goroutine serves: it takes requests from the queue, sends some at once, and reads their
// replies. What it missed it stores before it goes on.
type replayConn struct {
	r     *replaying
	conn  net.Conn
	in    *bufio.Reader
	out   *bufio.Writer
	line  []byte
	value replayValue // that is being sent
	queue chan *replayRequest
	held  *replayRequest // taken from the queue, for the next group
	group []*replayRequest
	fills []*replayRequest // of the group, gets that missed
	done  []replayOutcome  // of the group, and of its fills
	// uniques remembers the numbers of the last gets for the cas that follow. Keys whose hashes meet forget each other.
	uniques [rememberedUniques]struct{ hash, unique uint64 }
}

const (
	rememberedUniques = 512
	replayQueue       = 256 // requests that wait for a connection
	// replayGroupBytes is how many bytes the requests of a group have together, if there is more than one. They fit into the buffers of the
	// sockets, so that they can be sent while the server waits for us to read.
	replayGroupBytes = 32 << 10
)

func (r *replaying) dial(ctx context.Context) (*replayConn, error) {
	conn, err := load.Dial(ctx, r.options.Addr, load.ConnectTimeout)
	if err != nil {
		return nil, err
	}
	return &replayConn{
		r: r, conn: conn, in: bufio.NewReaderSize(conn, 32<<10), out: bufio.NewWriterSize(conn, 32<<10), queue: make(chan *replayRequest, replayQueue),
	}, nil
}

// run serves the connection until the queue is closed and empty.
func (c *replayConn) run() error {
	for c.gather() {
		if err := c.exchange(); err != nil {
			if errors.Is(err, io.EOF) {
				err = load.ErrClosedEarly
			} else if errors.Is(err, os.ErrDeadlineExceeded) {
				err = fmt.Errorf("%w: no reply for %v", load.ErrStalled, c.r.options.Stall)
			}
			c.r.tally.add(c.done)
			return err
		}
		c.r.tally.add(c.done)
		for _, q := range c.group {
			c.r.pool.Put(q)
		}
	}
	return nil
}

// gather waits for a request, and makes a group of it and of what else is in the queue. A key is not in a group twice: what the second request
// of it meets is up to the first and its fill. It returns false when there are no more requests, or the replay's time is over: what is in the
// queue then is not sent.
func (c *replayConn) gather() bool {
	q := c.held
	if c.held = nil; q == nil {
		if q = <-c.queue; q == nil {
			return false
		}
	}
	if c.r.ends > 0 && load.Now() >= c.r.ends {
		return false
	}
	c.group = append(c.group[:0], q)
	for sum := q.bytes(); len(c.group) < c.r.options.Pipeline; {
		select {
		case q = <-c.queue:
		default:
			return true
		}
		if q == nil {
			return true // closed, which the next call finds too
		}
		if sum += q.bytes(); sum > replayGroupBytes || c.asks(q.key) {
			c.held = q
			return true
		}
		c.group = append(c.group, q)
	}
	return true
}

// asks reports that the group has a request of the key.
func (c *replayConn) asks(key []byte) bool {
	for _, q := range c.group {
		if bytes.Equal(q.key, key) {
			return true
		}
	}
	return false
}

// bytes is about the size of the request.
func (q *replayRequest) bytes() int {
	const line = 100 // what stands beside key and value, at most
	if stores(q.op) {
		return line + len(q.key) + q.size
	}
	return line + len(q.key)
}

// stores reports that a request of the kind brings a value.
func stores(op trace.Op) bool {
	switch op {
	case trace.Set, trace.Add, trace.Replace, trace.Cas, trace.Append, trace.Prepend:
		return true
	}
	return false
}

// exchange sends the group and reads its replies, and then stores what was missed.
func (c *replayConn) exchange() error {
	c.done, c.fills = c.done[:0], c.fills[:0]
	_ = c.conn.SetDeadline(time.Now().Add(c.r.options.Stall))
	for _, q := range c.group {
		q.sent = load.Now()
		if err := c.write(q, q.op, q.ttl); err != nil {
			return err
		}
	}
	if err := c.out.Flush(); err != nil {
		return err
	}
	for _, q := range c.group {
		out, err := c.reply(q)
		if err != nil {
			return err
		}
		end := load.Now()
		out.latency = end - q.sent
		if q.due > 0 {
			out.latency, out.late, out.paced = end-q.due, q.sent-q.due, true
		}
		if out.kind == outcomeNot && (q.op == trace.Get || q.op == trace.Gets) && c.r.options.Fill {
			if q.size > 0 {
				c.fills = append(c.fills, q)
			} else {
				out.unsized = true
			}
		}
		c.done = append(c.done, out)
	}
	if err := c.fill(); err != nil {
		return err
	}
	if n := c.in.Buffered(); n > 0 {
		return &load.WrongReply{Problem: fmt.Sprintf("%d bytes that no request asked for", n)}
	}
	return nil
}

// fill stores what was missed.
func (c *replayConn) fill() error {
	if len(c.fills) == 0 {
		return nil
	}
	begin := load.Now()
	for _, q := range c.fills {
		if err := c.write(q, trace.Set, 0); err != nil {
			return err
		}
	}
	if err := c.out.Flush(); err != nil {
		return err
	}
	for _, q := range c.fills {
		q.op = trace.Set
		out, err := c.reply(q)
		if err != nil {
			return err
		}
		out.fill, out.latency = true, load.Now()-begin
		c.done = append(c.done, out)
	}
	return nil
}

// write renders a request.
func (c *replayConn) write(q *replayRequest, op trace.Op, ttl int64) error {
	b := append(append(append(c.line[:0], op.String()...), ' '), q.key...)
	switch {
	case op == trace.Incr || op == trace.Decr:
		b = append(b, " 1"...)
	case stores(op):
		b = strconv.AppendInt(append(b, ' '), int64(q.size), 10) // the flags
		b = strconv.AppendInt(append(b, ' '), ttl, 10)
		b = strconv.AppendInt(append(b, ' '), int64(q.size), 10)
		if op == trace.Cas {
			b = strconv.AppendUint(append(b, ' '), c.unique(q.hash), 10)
		}
	}
	c.line = append(b, '\r', '\n')
	if _, err := c.out.Write(c.line); err != nil || !stores(op) {
		return err
	}
	if err := c.writeValue(q, op); err != nil {
		return err
	}
	_, err := c.out.WriteString("\r\n")
	return err
}

func (c *replayConn) writeValue(q *replayRequest, op trace.Op) error {
	extra := extras[op]
	c.value = valueOf(q.hash, q.size)
	for done := 0; done < q.size; {
		var piece []byte
		if extra != nil {
			piece = extra[:min(len(extra), q.size-done)]
		} else {
			piece = c.value.piece(done)
		}
		n, err := c.out.Write(piece)
		if err != nil {
			return err
		}
		done += n
	}
	return nil
}

// extras are what append and prepend send, again and again.
var extras = map[trace.Op][]byte{
	trace.Append:  bytes.Repeat([]byte{appendedByte}, 4096),
	trace.Prepend: bytes.Repeat([]byte{prependedByte}, 4096),
}

// unique is the number for a cas: that of the last gets of the key on this connection, or 0, which no item has.
func (c *replayConn) unique(hash uint64) uint64 {
	if u := &c.uniques[hash%rememberedUniques]; u.hash == hash {
		return u.unique
	}
	return 0
}
