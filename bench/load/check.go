package load

import (
	"bytes"
	"fmt"
	"strconv"
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
	refused      string // the error line that the server answered with, or empty
}

// maxLine is the longest reply line that is waited for; a longer one is wrong.
const maxLine = 1024

// checker reads the reply to one request after the other, from pieces of any size, and compares every byte with what it must be.
type checker struct {
	keys *KeySpace
	// replyMid is what stands between key and value of a reply: flags, length and line end.
	replyMid []byte

	next    int    // keys of the request before this one are answered
	current uint32 // key of the value that is being read
	value   int    // bytes of value and line end that are still to come; 0: a line is next
	line    []byte // beginning of a line that came in pieces
	out     outcome

	canned int // every reply has that many bytes, whatever they are; 0: they are looked at
	seen   int // of such a reply
}

func newChecker(keys *KeySpace) checker {
	mid := append([]byte(" 0 "), strconv.Itoa(keys.size)...)
	return checker{keys: keys, replyMid: append(mid, '\r', '\n')}
}

// feed reads from in, as part of the reply to p. It returns how many bytes it used and whether the reply is complete; then take returns its outcome.
// An incomplete reply uses all of in. The error is a *WrongReply or
// ErrConnectionRefused.
func (c *checker) feed(in []byte, p *pending) (n int, done bool, err error) {
	if c.canned > 0 {
		n, done = c.feedCanned(len(in), p)
		return n, done, nil
	}
	for n < len(in) {
		var used int
		if c.value > 0 {
			used, err = c.feedValue(in[n:], p)
		} else if used = c.fastHeader(in[n:], p); used == 0 {
			used, done, err = c.feedLine(in[n:], p)
		}
		n += used
		if done || err != nil {
			return n, done, err
		}
	}
	return n, false, nil
}

// feedCanned is feed for the replies of a NullServer.
func (c *checker) feedCanned(have int, p *pending) (n int, done bool) {
	n = min(have, c.canned-c.seen)
	if c.seen += n; c.seen < c.canned {
		return n, false
	}
	c.out.hits = len(p.keys)
	return n, true
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
	c.value, c.line = 0, c.line[:0]
}

// fastHeader recognises a whole header line of the next key in one piece, which is the way of nearly all replies. It returns 0 where
// feedLine has to look.
func (c *checker) fastHeader(in []byte, p *pending) int {
	const prefix = "VALUE "
	n := len(prefix) + c.keys.keySize + len(c.replyMid)
	if p.set || len(in) < n || len(c.line) > 0 || c.next == len(p.keys) {
		return 0
	}
	key := c.keys.key(p.keys[c.next])
	if string(in[:len(prefix)]) != prefix || !bytes.Equal(in[len(prefix):len(prefix)+len(key)], key) || !bytes.Equal(in[len(prefix)+len(key):n], c.replyMid) {
		return 0
	}
	c.begin(p.keys[c.next])
	return n
}

// begin makes the value of key, which is p.keys[c.next], the next thing to read.
func (c *checker) begin(key uint32) {
	c.current = key
	c.value = c.keys.size + 2
	c.next++
	c.out.hits++
}

func (c *checker) feedValue(in []byte, p *pending) (n int, err error) {
	if off := c.keys.size + 2 - c.value; off < c.keys.size {
		n = min(len(in), c.keys.size-off)
		if at := c.keys.Differs(in[:n], c.current, off); at >= 0 {
			return n, c.wrong(p, "value of key %s differs at byte %d of %d", c.keys.key(c.current), off+at, c.keys.size)
		}
		c.value -= n
	}
	for n < len(in) && c.value > 0 && c.value <= 2 {
		want := "\n\r"[c.value-1]
		if in[n] != want {
			return n, c.wrong(p, "value of key %s ends in %q where its line end should be", c.keys.key(c.current), in[n])
		}
		n++
		c.value--
	}
	return n, nil
}

// feedLine reads up to a line end, and understands the line once it is whole.
func (c *checker) feedLine(in []byte, p *pending) (n int, done bool, err error) {
	end := bytes.IndexByte(in, '\n')
	if end < 0 {
		c.line = append(c.line, in[:min(len(in), maxLine)]...)
		if len(c.line) >= maxLine {
			return len(in), false, c.wrong(p, "no line end within %d bytes: %.60q", maxLine, c.line)
		}
		return len(in), false, nil
	}
	line := in[:end+1]
	if len(c.line) > 0 {
		c.line = append(c.line, line...)
		line = c.line
	}
	c.line = c.line[:0]
	if len(line) < 2 || line[len(line)-2] != '\r' {
		return end + 1, false, c.wrong(p, "line %.60q does not end in \\r\\n", line)
	}
	done, err = c.understand(line[:len(line)-2], p)
	return end + 1, done, err
}

func (c *checker) understand(line []byte, p *pending) (done bool, err error) {
	switch {
	case p.set && string(line) == "STORED":
		return true, nil
	case !p.set && string(line) == "END":
		c.out.misses += len(p.keys) - c.next
		return true, nil
	case !p.set && bytes.HasPrefix(line, []byte("VALUE ")):
		return false, c.header(line, p)
	case string(line) == RefusalLine:
		return false, ErrConnectionRefused
	case bytes.HasPrefix(line, []byte("SERVER_ERROR")), bytes.HasPrefix(line, []byte("CLIENT_ERROR")), bytes.HasPrefix(line, []byte("ERROR")):
		c.out.refused = fmt.Sprintf("%.100q in reply to %q", line, c.describe(p))
		return true, nil
	}
	return false, c.wrong(p, "unexpected line %.60q", line)
}

// header matches a VALUE line with the keys that were asked for and not answered yet; those that it passes over are misses.
func (c *checker) header(line []byte, p *pending) error {
	fields := bytes.Fields(line)
	if len(fields) != 4 {
		return c.wrong(p, "malformed line %.60q", line)
	}
	at := c.next
	for at < len(p.keys) && !bytes.Equal(fields[1], c.keys.key(p.keys[at])) {
		at++
	}
	if at == len(p.keys) {
		return c.wrong(p, "key %.60q was not asked for, or is out of order", fields[1])
	}
	if string(fields[2]) != "0" {
		return c.wrong(p, "key %s has flags %.20q, want 0", fields[1], fields[2])
	}
	if string(fields[3]) != strconv.Itoa(c.keys.size) {
		return c.wrong(p, "key %s has length %.20q, want %d", fields[1], fields[3], c.keys.size)
	}
	c.out.misses += at - c.next
	c.next = at
	c.begin(p.keys[at])
	return nil
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
