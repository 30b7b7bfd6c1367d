package load

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
)

// WrongReply is a reply that a correct server could not have given. The connection is of no further use: where the
// next reply begins is unknown.
type WrongReply struct {
	Request string // what was asked, shortened
	Problem string
}

func (e *WrongReply) Error() string {
	return fmt.Sprintf("wrong reply to %q: %s", e.Request, e.Problem)
}

// pending is a request that waits for its reply.
type pending struct {
	set  bool
	keys []uint32
}

// outcome is how a request ended.
type outcome struct {
	hits, misses int
	refused      string // the error that the server answered with, or empty
}

// maxLine is the longest reply line, or error of the binary protocol, that is waited for; a longer one is wrong.
const maxLine = 1024

// checker reads the reply to one request after the other, from pieces of any size, and compares every byte with what it
// must be. A reply is some values, each behind a header, and an end, which is a header without a value.
type checker struct {
	d       *dialect
	next    int    // keys of the request before this one are answered
	current uint32 // key of the value that is being read
	value   int    // bytes of value and line end that are still to come; 0: a header is next
	head    []byte // beginning of a header that came in pieces
	out     outcome

	canned int // every reply has that many bytes, whatever they are; 0: they are looked at
	seen   int // of such a reply
}

// feed reads from in, as part of the reply to p. It returns how many bytes it used and whether the reply is complete;
// then take returns its outcome. An incomplete reply uses all of in. The error is a *WrongReply or
// ErrConnectionRefused.
func (c *checker) feed(in []byte, p *pending) (n int, done bool, err error) {
	if c.canned > 0 {
		n = min(len(in), c.canned-c.seen)
		c.seen += n
		c.out.hits = len(p.keys)
		return n, c.seen == c.canned, nil
	}
	for n < len(in) && !done && err == nil {
		var used int
		if c.value > 0 {
			used, err = c.feedValue(in[n:], p)
		} else if used = c.hit(in[n:], p); used == 0 {
			used, done, err = c.feedHeader(in[n:], p)
		}
		n += used
		if !c.d.runs && c.out.hits > 0 && c.value == 0 {
			done = true
		}
	}
	return n, done && err == nil, err
}

// take returns the outcome of the reply that feed completed, and makes ready for the next one.
func (c *checker) take() outcome {
	o := c.out
	c.next, c.seen, c.out = 0, 0, outcome{}
	return o
}

// reset forgets a reply that was begun: the connection is gone.
func (c *checker) reset() {
	c.take()
	c.value, c.head = 0, c.head[:0]
}

// hit takes the whole header of the next key's value in one piece, which is the way of nearly all replies, and
// returns its length. It returns 0 where feedHeader has to look.
func (c *checker) hit(in []byte, p *pending) int {
	if p.set || len(c.head) > 0 || c.next == len(p.keys) {
		return 0
	}
	n := c.d.match(in, &c.d.hit, p.keys[c.next])
	if n > 0 {
		c.begin(p, c.next)
	}
	return n
}

// begin makes the value of a key of the request the next thing to read. The keys before it, which were not answered
// yet, are misses.
func (c *checker) begin(p *pending, at int) {
	c.out.misses += at - c.next
	c.out.hits++
	c.current, c.next = p.keys[at], at+1
	c.value = c.d.keys.size + len(c.d.tail)
}

func (c *checker) feedValue(in []byte, p *pending) (n int, err error) {
	keys, tail := c.d.keys, c.d.tail
	if off := keys.size + len(tail) - c.value; off < keys.size {
		n = min(len(in), keys.size-off)
		if at := keys.Differs(in[:n], c.current, off); at >= 0 {
			return n, c.wrong(p, "value of key %s differs at byte %d of %d", keys.key(c.current), off+at, keys.size)
		}
		c.value -= n
	}
	for n < len(in) && c.value > 0 && c.value <= len(tail) {
		if in[n] != tail[len(tail)-c.value] {
			return n, c.wrong(p, "value of key %s ends in %q where its line end should be", keys.key(c.current), in[n])
		}
		n++
		c.value--
	}
	return n, nil
}

// feedHeader reads up to the end of a header, and understands it once it is whole.
func (c *checker) feedHeader(in []byte, p *pending) (n int, done bool, err error) {
	head, had := in, len(c.head)
	if had > 0 {
		c.head = append(c.head, in[:min(len(in), maxLine)]...)
		head = c.head
	}
	size := c.headerSize(head)
	if size > maxLine || size == 0 && len(head) >= maxLine {
		return len(in), false, c.wrong(p, "no line end within %d bytes: %.60q", maxLine, head)
	}
	if size == 0 || size > len(head) {
		if had == 0 {
			c.head = append(c.head, in...)
		}
		return len(in), false, nil
	}
	c.head = c.head[:0]
	done, err = c.understand(head[:size], p)
	return size - had, done, err
}

// headerSize returns the length of the header that begins like this, or 0 where more is needed to know it. A server
// that refuses a connection says so in a line, in the binary protocol too.
func (c *checker) headerSize(head []byte) int {
	if !c.d.binary || head[0] != binaryReply {
		return bytes.IndexByte(head, '\n') + 1
	}
	if len(head) < binaryHeader {
		return 0
	}
	size := binaryHeader + int(binary.BigEndian.Uint32(head[8:]))
	if hit := head[1] == opGet || head[1] == opGetKQ; hit && binary.BigEndian.Uint16(head[6:]) == 0 {
		size = min(size, binaryHeader+int(head[4])+int(binary.BigEndian.Uint16(head[2:])))
	}
	return size
}

// errorWords are what error replies begin with.
var errorWords = []string{"SERVER_ERROR", "CLIENT_ERROR", "ERROR"}

// understand looks at a header that is no hit of the next key in one piece.
func (c *checker) understand(head []byte, p *pending) (done bool, err error) {
	due, key := &c.d.done, uint32(0)
	if p.set {
		due, key = &c.d.stored, p.keys[0]
	}
	if c.d.match(head, due, key) == len(head) {
		if !p.set {
			c.out.misses += len(p.keys) - c.next
		}
		return true, nil
	}
	for at := c.next; at < len(p.keys) && !p.set; at++ {
		if c.d.match(head, &c.d.hit, p.keys[at]) > 0 {
			c.begin(p, at)
			return false, nil
		}
	}
	if c.d.binary && head[0] == binaryReply {
		return c.understandStatus(head, p)
	}
	line, whole := bytes.CutSuffix(head, []byte("\r\n"))
	switch {
	case !whole:
		return false, c.wrong(p, "line %.60q does not end in \\r\\n", head)
	case string(line) == RefusalLine:
		return false, ErrConnectionRefused
	case slices.ContainsFunc(errorWords, func(word string) bool { return bytes.HasPrefix(line, []byte(word)) }):
		c.out.refused = fmt.Sprintf("%.100q in reply to %q", line, c.describe(p))
		return true, nil
	case !p.set && c.next < len(p.keys):
		return false, c.wrong(p, "unexpected line %.60q, where %.60q, the header of a later key, or the end is due",
			line, c.d.append(nil, &c.d.hit, p.keys[c.next]))
	}
	return false, c.wrong(p, "unexpected line %.60q, where the end is due", line)
}

// understandStatus looks at what has a status other than 0: a miss, or an error.
func (c *checker) understandStatus(head []byte, p *pending) (done bool, err error) {
	opcode, status, opaque := head[1], binary.BigEndian.Uint16(head[6:]), binary.BigEndian.Uint32(head[12:])
	expected := opaque == p.keys[0] && (p.set && opcode == opSet || !p.set && opcode == opGet)
	if c.d.runs && !p.set {
		expected = opcode == opGetKQ || opcode == opNoop && opaque == 0
	}
	switch {
	case !expected || status == 0:
		return false, c.wrong(p, "unexpected header % x", head[:binaryHeader])
	case opcode == opGet && status == 1:
		c.out.misses++
	default:
		c.out.refused = fmt.Sprintf("status %#x, %.100q, in reply to %q", status, head[binaryHeader:], c.describe(p))
	}
	return opcode != opGetKQ, nil // whose Noop's reply is still to come
}

func (c *checker) wrong(p *pending, format string, args ...any) error {
	return &WrongReply{Request: c.describe(p), Problem: fmt.Sprintf(format, args...)}
}

func (c *checker) describe(p *pending) string {
	switch {
	case p.set:
		return fmt.Sprintf("set %s 0 0 %d", c.d.keys.key(p.keys[0]), c.d.keys.size)
	case len(p.keys) > 1:
		return fmt.Sprintf("get %s and %d more", c.d.keys.key(p.keys[0]), len(p.keys)-1)
	}
	return fmt.Sprintf("get %s", c.d.keys.key(p.keys[0]))
}
