package replay

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"time"

	"ringcached/bench/load"
	"ringcached/bench/trace"
)

// conn is a connection of a replay, which a goroutine serves: it takes requests from the queue, sends some at once,
// and reads their replies. What it missed it stores before it goes on.
type conn struct {
	*load.Client
	r     *replaying
	out   *bufio.Writer
	line  []byte
	value []byte // that is being sent or checked, or what is repeated in it
	draw  rand.PCG
	read  []byte // the value that was read
	queue chan *request
	held  *request // taken from the queue, for the next group
	group []*request
	fills []*request // of gets of the group that missed
	// uniques remembers the numbers of the last gets for the cas that follow. Keys whose hashes meet forget each other.
	uniques [rememberedUniques]struct{ hash, unique uint64 }
}

const (
	rememberedUniques = 512
	queueLength       = 256
	// groupBytes is how many bytes the requests of a group have together, if there is more than one. They fit into
	// the buffers of the sockets, so that they can be sent while the server waits for us to read.
	groupBytes = 32 << 10
)

func (r *replaying) dial(ctx context.Context) (*conn, error) {
	c, err := r.options.Connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	return &conn{Client: c, r: r, out: bufio.NewWriterSize(c, 32<<10), queue: make(chan *request, queueLength)}, nil
}

// run serves the connection until the queue is closed and empty.
func (c *conn) run() error {
	for c.gather() {
		err := c.exchange()
		switch {
		case errors.Is(err, io.EOF):
			return load.ErrClosedEarly
		case errors.Is(err, os.ErrDeadlineExceeded):
			return fmt.Errorf("%w: no reply for %v", load.ErrStalled, c.r.options.Stall)
		case err != nil:
			return err
		}
	}
	return nil
}

// gather waits for a request, and makes a group of it and of what else is in the queue. A key is not in a group
// twice: what the second request of it meets is up to the first and its fill. It returns false when there are no more
// requests, or the replay's time is over: what is in the queue then is not sent.
func (c *conn) gather() bool {
	c.group = c.group[:0]
	for sum := 0; len(c.group) < c.r.options.Pipeline; {
		q, first := c.held, len(c.group) == 0
		if c.held = nil; q == nil && first {
			q = <-c.queue
		} else if q == nil {
			select {
			case q = <-c.queue:
			default:
				return true
			}
		}
		if q == nil || first && c.r.ends > 0 && load.Now() >= c.r.ends {
			return !first // that the queue is closed the next call finds too
		}
		sum += q.bytes()
		same := func(g *request) bool { return bytes.Equal(g.key, q.key) }
		if !first && (sum > groupBytes || slices.ContainsFunc(c.group, same)) {
			c.held = q
			return true
		}
		c.group = append(c.group, q)
	}
	return true
}

// bytes is about the size of the request.
func (q *request) bytes() int {
	const line = 100 // what stands beside key and value, at most
	if q.stores() {
		return line + len(q.key) + q.size
	}
	return line + len(q.key)
}

func (q *request) stores() bool { return q.op.Stores() || q.op == fill }

// exchange sends the group and reads its replies, and then stores what was missed.
func (c *conn) exchange() error {
	_ = c.SetDeadline(time.Now().Add(c.r.options.Stall))
	if err := c.ask(c.group); err != nil {
		return err
	}
	c.fills = c.fills[:0]
	for _, q := range c.group {
		if q.kind == missed && q.op.Reads() && q.size > 0 && c.r.options.Fill {
			q.op, q.due, q.ttl = fill, 0, 0
			c.fills = append(c.fills, q)
		}
	}
	if len(c.fills) > 0 {
		if err := c.ask(c.fills); err != nil {
			return err
		}
	}
	if n := c.In.Buffered(); n > 0 {
		return &load.WrongReply{Problem: fmt.Sprintf("%d bytes that no request asked for", n)}
	}
	return nil
}

// ask sends requests, reads their replies and counts them.
func (c *conn) ask(group []*request) error {
	for _, q := range group {
		q.sent = load.Now()
		if err := c.write(q); err != nil {
			return err
		}
	}
	err := c.out.Flush()
	for i, q := range group {
		if err == nil {
			err = c.reply(q)
		}
		if err != nil {
			group = group[:i]
			break
		}
		q.answered = load.Now()
	}
	c.r.tally.add(group, c.r.options.Fill)
	return err
}

// write renders a request.
func (c *conn) write(q *request) error {
	name := "set"
	if q.op != fill {
		name = q.op.String()
	}
	b := append(append(append(c.line[:0], name...), ' '), q.key...)
	switch {
	case q.op == trace.Incr || q.op == trace.Decr:
		b = append(b, " 1"...)
	case q.stores():
		b = strconv.AppendInt(append(b, ' '), int64(q.size), 10) // the flags
		b = strconv.AppendInt(append(b, ' '), c.r.timeToLive(q.ttl), 10)
		b = strconv.AppendInt(append(b, ' '), int64(q.size), 10)
		if q.op == trace.Cas { // 0, which no item has, unless this connection's last gets of the key is remembered
			u := &c.uniques[q.hash%rememberedUniques]
			if u.hash != q.hash {
				u = &struct{ hash, unique uint64 }{}
			}
			b = strconv.AppendUint(append(b, ' '), u.unique, 10)
		}
	}
	c.line = append(b, '\r', '\n')
	if _, err := c.out.Write(c.line); err != nil || !q.stores() {
		return err
	}
	if err := c.writeValue(q); err != nil {
		return err
	}
	_, err := c.out.WriteString("\r\n")
	return err
}

const (
	// maxRelativeTTL is the longest time to live in seconds that memcached's protocol takes for one; larger numbers
	// are dates.
	maxRelativeTTL = 60 * 60 * 24 * 30
	// maxExpiry is the last date: memcached takes 31 bits.
	maxExpiry = math.MaxInt32
)

// timeToLive is the expiry to be sent for a time to live in a trace.
func (r *replaying) timeToLive(ttl int64) int64 {
	if ttl <= 0 || r.options.TTL == TTLIgnored {
		return 0
	}
	if r.options.TTL == TTLScaled {
		ttl = int64(min(math.Ceil(float64(ttl)/r.options.Speed), maxExpiry)) // it may have been infinite
	}
	if ttl > maxRelativeTTL {
		ttl += time.Now().Unix()
	}
	return min(ttl, maxExpiry)
}

// answers are the lines for requests that were done, and behind them those for what was not.
var answers = [trace.OpCount + 1][]string{
	trace.Get: {"", "END"}, trace.Gets: {"", "END"}, trace.Set: {"STORED"}, fill: {"STORED"},
	trace.Add: {"STORED", "NOT_STORED"}, trace.Replace: {"STORED", "NOT_STORED"},
	trace.Append: {"STORED", "NOT_STORED"}, trace.Prepend: {"STORED", "NOT_STORED"},
	trace.Cas: {"STORED", "EXISTS", "NOT_FOUND"}, trace.Delete: {"DELETED", "NOT_FOUND"},
	trace.Incr: {"", "NOT_FOUND"}, trace.Decr: {"", "NOT_FOUND"},
}

// reply reads and checks the reply to a request.
func (c *conn) reply(q *request) error {
	line, err := c.readLine(q)
	if err != nil {
		return err
	}
	if q.kind = done; q.op.Reads() && bytes.HasPrefix(line, []byte("VALUE ")) {
		return c.readValue(q, line)
	}
	for i, answer := range answers[q.op] {
		if len(line) > 0 && string(line) == answer {
			q.kind = min(outcome(i), missed)
			return nil
		}
	}
	if q.op == trace.Incr || q.op == trace.Decr {
		if _, ok := decimal(bytes.TrimRight(line, " ")); ok {
			return nil
		}
		if string(line) == "CLIENT_ERROR cannot increment or decrement non-numeric value" {
			q.kind = noNumber
			return nil
		}
	}
	if string(line) == load.RefusalLine {
		return load.ErrConnectionRefused
	}
	switch word, _, _ := bytes.Cut(line, []byte(" ")); string(word) {
	case "SERVER_ERROR", "CLIENT_ERROR", "ERROR":
		q.kind, q.refused = refused, fmt.Sprintf("%.100q in reply to %s of %d B", line, opName(q.op), q.size)
		return nil
	}
	return q.wrong("unexpected line %.60q", line)
}

// wrong makes the error for a reply that no correct server gives.
func (q *request) wrong(format string, args ...any) error {
	return &load.WrongReply{Request: opName(q.op) + " " + string(q.key), Problem: fmt.Sprintf(format, args...)}
}

// readLine reads a line, without its end. It is valid until the next read.
func (c *conn) readLine(q *request) ([]byte, error) {
	line, err := c.In.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return nil, q.wrong("no line end within %d bytes: %.60q", len(line), line)
	}
	if err != nil {
		return nil, err
	}
	text, ok := bytes.CutSuffix(line, []byte("\r\n"))
	if !ok {
		return nil, q.wrong("line %.60q does not end in \\r\\n", line)
	}
	return text, nil
}

// readValue reads the rest of the reply to a get, whose first line this is: flags and size follow the key, and after
// a gets a number for cas.
func (c *conn) readValue(q *request, line []byte) error {
	text, ok := bytes.CutPrefix(line[len("VALUE "):], q.key)
	if !ok || len(text) == 0 || text[0] != ' ' {
		return q.wrong("the key of %.100q was not asked for", line)
	}
	var numbers [3]uint64
	text, more := text[1:], true
	for i := 0; i < 2+int(q.op) && ok; i++ {
		var number []byte
		number, text, more = bytes.Cut(text, []byte(" "))
		numbers[i], ok = decimal(number)
	}
	if !ok || more || numbers[1] > 1<<40 {
		return q.wrong("malformed line %.100q", line)
	}
	if q.op == trace.Gets {
		c.uniques[q.hash%rememberedUniques] = struct{ hash, unique uint64 }{q.hash, numbers[2]}
	}
	if err := c.checkValue(q, int(numbers[1]), int(numbers[0])); err != nil {
		return err
	}
	for _, want := range []string{"", "END"} {
		line, err := c.readLine(q)
		if err != nil {
			return err
		}
		if string(line) != want {
			return q.wrong("%.60q where %q should be", line, want)
		}
	}
	return nil
}

// decimal reads a number of digits only.
func decimal(text []byte) (uint64, bool) {
	if len(text) == 0 || text[0] < '0' || text[0] > '9' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(text), 10, 64)
	return n, err == nil
}
