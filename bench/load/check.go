package load

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// WrongReply is a reply that a correct server could not have given. The connection is of no further use: where the next reply begins is unknown.
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

// checker reads the reply to one request after the other, from pieces of any size, and compares every byte with what it must be. A reply is some
// values, each behind a header, and an end, which is a header without a value.
type checker struct {
	keys     *KeySpace
	protocol string
	runs     bool   // an end follows the values, or is the reply to a set; else one value is the whole reply
	before   []byte // what stands before the key in the header of a hit; of the binary protocol, before the opaque value
	after    []byte // what stands behind it
	tail     int    // bytes of line end behind a value

	next    int    // keys of the request before this one are answered
	current uint32 // key of the value that is being read
	value   int    // bytes of value and line end that are still to come; 0: a header is next
	head    []byte // beginning of a header that came in pieces
	out     outcome

	canned int // every reply has that many bytes, whatever they are; 0: they are looked at
	seen   int // of such a reply
}

func newChecker(w *Workload, keys *KeySpace) checker {
	c := checker{keys: keys, protocol: w.Protocol, runs: true, tail: 2}
	switch w.Protocol {
	case ProtocolMeta:
		c.runs, c.after = false, fmt.Appendf(nil, "VA %d\r\n", keys.size)
	case ProtocolBinary:
		c.runs, c.tail = w.Multiget > 1, 0
		opcode, keySize := byte(opGet), 0
		if c.runs {
			opcode, keySize = opGetKQ, keys.keySize
		}
		c.before = []byte{0x81, opcode, byte(keySize >> 8), byte(keySize), binaryFlags, 0, 0, 0}
		c.before = binary.BigEndian.AppendUint32(c.before, uint32(binaryFlags+keySize+keys.size))
	default:
		c.before, c.after = []byte("VALUE "), fmt.Appendf(nil, " 0 %d\r\n", keys.size)
	}
	return c
}

// feed reads from in, as part of the reply to p. It returns how many bytes it used and whether the reply is complete; then take returns its outcome.
// An incomplete reply uses all of in. The error is a *WrongReply or ErrConnectionRefused.
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
		} else if used = c.hit(in[n:], p); used > 0 {
			c.begin(p.keys[c.next])
		} else {
			used, done, err = c.feedHeader(in[n:], p)
		}
		n += used
		if !c.runs && c.out.hits > 0 && c.value == 0 {
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

// hit recognises the whole header of the next key's value in one piece, which is the way of nearly all replies, and returns its length. It returns 0
// where feedHeader has to look.
func (c *checker) hit(in []byte, p *pending) int {
	if p.set || len(c.head) > 0 || c.next == len(p.keys) || !bytes.HasPrefix(in, c.before) {
		return 0
	}
	n := len(c.before)
	var key []byte
	switch c.protocol {
	case ProtocolMeta:
	case ProtocolBinary:
		n = binaryHeader + binaryFlags
		if len(in) < n || binary.BigEndian.Uint32(in[12:]) != p.keys[c.next] || binary.BigEndian.Uint32(in[binaryHeader:]) != 0 {
			return 0
		}
		if c.runs {
			key = c.keys.key(p.keys[c.next])
		}
	default:
		key = c.keys.key(p.keys[c.next])
	}
	if !bytes.HasPrefix(in[n:], key) || !bytes.HasPrefix(in[n+len(key):], c.after) {
		return 0
	}
	return n + len(key) + len(c.after)
}

// begin makes the value of key, which is p.keys[c.next], the next thing to read.
func (c *checker) begin(key uint32) {
	c.current = key
	c.value = c.keys.size + c.tail
	c.next++
	c.out.hits++
}

func (c *checker) feedValue(in []byte, p *pending) (n int, err error) {
	if off := c.keys.size + c.tail - c.value; off < c.keys.size {
		n = min(len(in), c.keys.size-off)
		if at := c.keys.Differs(in[:n], c.current, off); at >= 0 {
			return n, c.wrong(p, "value of key %s differs at byte %d of %d", c.keys.key(c.current), off+at, c.keys.size)
		}
		c.value -= n
	}
	for n < len(in) && c.value > 0 && c.value <= c.tail {
		want := "\n\r"[c.value-1]
		if in[n] != want {
			return n, c.wrong(p, "value of key %s ends in %q where its line end should be", c.keys.key(c.current), in[n])
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
	head = head[:size]
	if c.protocol == ProtocolBinary && head[0] == 0x81 {
		done, err = c.understandBinary(head, p)
	} else {
		done, err = c.understand(head, p)
	}
	return size - had, done, err
}

// headerSize returns the length of the header that begins like this, or 0 where more is needed to know it. A server that refuses a connection says so
// in a line, in the binary protocol too.
func (c *checker) headerSize(head []byte) int {
	if c.protocol != ProtocolBinary || head[0] != 0x81 {
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

// understand looks at a line of the text or the meta protocol that is no hit of the next key in one piece.
func (c *checker) understand(head []byte, p *pending) (done bool, err error) {
	stored, end, hit := "STORED", "END", "VALUE "
	switch c.protocol {
	case ProtocolMeta:
		stored, end, hit = "HD", "EN", "VA "
	case ProtocolBinary:
		stored, end, hit = "\n", "\n", "\n" // no line
	}
	line, whole := bytes.CutSuffix(head, []byte("\r\n"))
	switch {
	case !whole:
		return false, c.wrong(p, "line %.60q does not end in \\r\\n", head)
	case p.set && string(line) == stored:
		return true, nil
	case !p.set && string(line) == end:
		c.out.misses += len(p.keys) - c.next
		return true, nil
	case !p.set && bytes.HasPrefix(line, []byte(hit)):
		key, _, _ := bytes.Cut(line[len(hit):], []byte(" "))
		return false, c.late(key, head, p)
	case string(line) == RefusalLine:
		return false, ErrConnectionRefused
	case bytes.HasPrefix(line, []byte("SERVER_ERROR")), bytes.HasPrefix(line, []byte("CLIENT_ERROR")), bytes.HasPrefix(line, []byte("ERROR")):
		c.out.refused = fmt.Sprintf("%.100q in reply to %q", line, c.describe(p))
		return true, nil
	}
	return false, c.wrong(p, "unexpected line %.60q", line)
}

// late takes the header of a hit. The keys before this one, which were asked for and not answered yet, are misses.
func (c *checker) late(key, head []byte, p *pending) error {
	if c.runs {
		at := c.next
		for at < len(p.keys) && !bytes.Equal(key, c.keys.key(p.keys[at])) {
			at++
		}
		if at == len(p.keys) {
			return c.wrong(p, "key %.60q was not asked for, or is out of order", key)
		}
		c.out.misses += at - c.next
		c.next = at
	}
	if c.hit(head, p) == 0 {
		return c.wrong(p, "header %.90q is not that of key %s with flags 0 and %d bytes", head, c.keys.key(p.keys[c.next]), c.keys.size)
	}
	c.begin(p.keys[c.next])
	return nil
}

// emptyReply is what stands between opcode and opaque value where a reply has neither extras nor body, and status 0.
const emptyReply = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

// understandBinary looks at a header of the binary protocol, with what belongs to it, that is no hit of the next key in one piece.
func (c *checker) understandBinary(head []byte, p *pending) (done bool, err error) {
	opcode, status, body := head[1], binary.BigEndian.Uint16(head[6:]), head[binaryHeader:]
	want, opaque := byte(opGet), p.keys[0]
	switch {
	case p.set:
		want = opSet
	case c.runs && opcode == opNoop:
		want, opaque = opNoop, 0
	case c.runs:
		want, opaque = opGetKQ, binary.BigEndian.Uint32(head[12:])
	}
	switch {
	case opcode != want || opaque != binary.BigEndian.Uint32(head[12:]):
		return false, c.wrong(p, "unexpected header % x", head[:binaryHeader])
	case want == opGet && status == 1:
		c.out.misses++
		return true, nil
	case status != 0:
		c.out.refused = fmt.Sprintf("status %#x, %.100q, in reply to %q", status, body, c.describe(p))
		return want != opGetKQ, nil // the Noop's reply is still to come
	case want != opGet && want != opGetKQ && string(head[2:12]) == emptyReply:
		if want == opNoop {
			c.out.misses += len(p.keys) - c.next
		}
		return true, nil
	case want == opSet || want == opNoop || len(body) < binaryFlags:
		return false, c.wrong(p, "malformed header % x", head)
	}
	return false, c.late(body[binaryFlags:], head, p)
}

func (c *checker) wrong(p *pending, format string, args ...any) error {
	return &WrongReply{Request: c.describe(p), Problem: fmt.Sprintf(format, args...)}
}

func (c *checker) describe(p *pending) string {
	switch {
	case p.set:
		return fmt.Sprintf("set %s 0 0 %d", c.keys.key(p.keys[0]), c.keys.size)
	case len(p.keys) > 1:
		return fmt.Sprintf("get %s and %d more", c.keys.key(p.keys[0]), len(p.keys)-1)
	}
	return fmt.Sprintf("get %s", c.keys.key(p.keys[0]))
}
