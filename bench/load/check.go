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
	end      []byte // of the reply to a get that runs
	stored   []byte // the reply to a set; of the binary protocol, before the opaque value
	tail     int    // bytes of line end behind a value

	next    int    // keys of the request before this one are answered
	current uint32 // key of the value that is being read
	value   int    // bytes of value and line end that are still to come; 0: a header is next
	head    []byte // beginning of a header that came in pieces
	want    []byte // the header that was made last
	out     outcome

	canned int // every reply has that many bytes, whatever they are; 0: they are looked at
	seen   int // of such a reply
}

func newChecker(w *Workload, keys *KeySpace) checker {
	c := checker{keys: keys, protocol: w.Protocol, runs: true, tail: 2}
	switch w.Protocol {
	case ProtocolMeta:
		c.runs, c.after = false, fmt.Appendf(nil, "VA %d\r\n", keys.size)
		c.end, c.stored = []byte("EN\r\n"), []byte("HD\r\n")
	case ProtocolBinary:
		c.runs, c.tail = w.Multiget > 1, 0
		opcode, keySize := byte(opGet), 0
		if c.runs {
			opcode, keySize = opGetKQ, keys.keySize
			c.end = append([]byte{0x81, opNoop}, make([]byte, binaryHeader-2)...)
		}
		c.before = []byte{0x81, opcode, byte(keySize >> 8), byte(keySize), binaryFlags, 0, 0, 0}
		c.before = binary.BigEndian.AppendUint32(c.before, uint32(binaryFlags+keySize+keys.size))
		c.stored = append([]byte{0x81, opSet}, make([]byte, 10)...)
	default:
		c.before, c.after = []byte("VALUE "), fmt.Appendf(nil, " 0 %d\r\n", keys.size)
		c.end, c.stored = []byte("END\r\n"), []byte("STORED\r\n")
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
		} else if used = c.hit(in[n:], p); used == 0 {
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

// header makes the header of a key's hit. It is valid until the next one is made.
func (c *checker) header(key uint32) []byte {
	h := append(c.want[:0], c.before...)
	if c.protocol == ProtocolBinary {
		h = binary.BigEndian.AppendUint32(h, key)
		h = append(h, make([]byte, binaryHeader+binaryFlags-16)...)
	}
	if c.runs {
		h = append(h, c.keys.key(key)...)
	}
	c.want = append(h, c.after...)
	return c.want
}

// matches reports that in begins with a header, whose CAS number may be any.
func (c *checker) matches(in, header []byte) bool {
	if c.protocol != ProtocolBinary {
		return bytes.HasPrefix(in, header)
	}
	return len(in) >= len(header) && string(in[:16]) == string(header[:16]) && string(in[binaryHeader:len(header)]) == string(header[binaryHeader:])
}

// hit takes the whole header of the next key's value in one piece, which is the way of nearly all replies, and returns its length. It returns 0
// where feedHeader has to look.
func (c *checker) hit(in []byte, p *pending) int {
	if p.set || len(c.head) > 0 || c.next == len(p.keys) || !c.matches(in, c.header(p.keys[c.next])) {
		return 0
	}
	c.begin(p, c.next)
	return len(c.want)
}

// begin makes the value of a key of the request the next thing to read. The keys before it, which were not answered yet, are misses.
func (c *checker) begin(p *pending, at int) {
	c.out.misses += at - c.next
	c.out.hits++
	c.current, c.next = p.keys[at], at+1
	c.value = c.keys.size + c.tail
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
	done, err = c.understand(head[:size], p)
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

// understand looks at a header that is no hit of the next key in one piece.
func (c *checker) understand(head []byte, p *pending) (done bool, err error) {
	end := c.end
	if p.set && c.protocol == ProtocolBinary {
		end = append(binary.BigEndian.AppendUint32(append(c.want[:0], c.stored...), p.keys[0]), make([]byte, 8)...)
	} else if p.set {
		end = c.stored
	}
	if len(end) > 0 && len(head) == len(end) && c.matches(head, end) {
		if !p.set {
			c.out.misses += len(p.keys) - c.next
		}
		return true, nil
	}
	for at := c.next; at < len(p.keys) && !p.set; at++ {
		if c.matches(head, c.header(p.keys[at])) {
			c.begin(p, at)
			return false, nil
		}
	}
	if c.protocol == ProtocolBinary && head[0] == 0x81 {
		return c.understandStatus(head, p)
	}
	line, whole := bytes.CutSuffix(head, []byte("\r\n"))
	switch {
	case !whole:
		return false, c.wrong(p, "line %.60q does not end in \\r\\n", head)
	case string(line) == RefusalLine:
		return false, ErrConnectionRefused
	case bytes.HasPrefix(line, []byte("SERVER_ERROR")), bytes.HasPrefix(line, []byte("CLIENT_ERROR")), bytes.HasPrefix(line, []byte("ERROR")):
		c.out.refused = fmt.Sprintf("%.100q in reply to %q", line, c.describe(p))
		return true, nil
	case !p.set && c.next < len(p.keys):
		return false, c.wrong(p, "unexpected line %.60q, where %.60q, the header of a later key, or the end is due", line, c.header(p.keys[c.next]))
	}
	return false, c.wrong(p, "unexpected line %.60q, where the end is due", line)
}

// understandStatus looks at what has a status other than 0: a miss, or an error.
func (c *checker) understandStatus(head []byte, p *pending) (done bool, err error) {
	opcode, status, opaque := head[1], binary.BigEndian.Uint16(head[6:]), binary.BigEndian.Uint32(head[12:])
	expected := opaque == p.keys[0] && (p.set && opcode == opSet || !p.set && opcode == opGet)
	if c.runs && !p.set {
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
		return fmt.Sprintf("set %s 0 0 %d", c.keys.key(p.keys[0]), c.keys.size)
	case len(p.keys) > 1:
		return fmt.Sprintf("get %s and %d more", c.keys.key(p.keys[0]), len(p.keys)-1)
	}
	return fmt.Sprintf("get %s", c.keys.key(p.keys[0]))
}
