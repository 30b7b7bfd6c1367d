package conversation

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"regexp"
	"testing"
	"time"
)

// Mode is how what the client says reaches the server.
type Mode uint8

const (
	Whole     Mode = iota // every request with its value in one piece
	Split                 // byte by byte
	Pipelined             // all requests together, as far as the conversation allows
)

func (m Mode) String() string { return [...]string{"whole", "split", "pipelined"}[m] }

// A split conversation is cut into single bytes up to bytewise, and into pieces of an odd size behind it: a packet for each byte of a large
// value would take minutes and show nothing new.
const (
	bytewise = 8192
	oddPiece = 997
)

// cut gives the pieces of what is said at once in a split conversation. The last bytes are single again.
func cut(b []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for n := 0; n < len(b); {
			end := n + 1
			if n >= bytewise && n+oddPiece < len(b) {
				end = n + oddPiece
			}
			if !yield(b[n:end]) {
				return
			}
			n = end
		}
	}
}

// peer is a server to talk to, and the connection to it.
type peer interface {
	connect() error
	// say sends b, in pieces of one byte if split. It does not fail if the server has closed.
	say(b []byte, split bool) error
	wait(seconds int) error
	// realTime says that seconds also pass while nobody waits.
	realTime() bool
	// Read gives what the server answered; io.EOF means that it closed, errSilent that nothing came.
	io.Reader
	hangup() error
}

// errSilent is what a peer's Read gives when the server does not answer.
var errSilent = errors.New("the server does not answer")

// talk is a conversation that is being held.
type talk struct {
	script *Script
	peer   peer
	mode   Mode
	names  map[string]string
	in     *bufio.Reader // nil: not connected
	binary bool          // what the client said last was
	began  time.Time
}

// run holds the conversation.
func (s *Script) run(t testing.TB, p peer, mode Mode) {
	t.Helper()
	c := &talk{script: s, peer: p, mode: mode, names: map[string]string{}, began: time.Now()}
	at, err := c.all()
	if err != nil {
		t.Fatalf("%s.txt:%d (%v): %v", s.Name, at, mode, err)
	}
}

// all takes group after group of lines: some that the client says, then the answers to them.
func (c *talk) all() (at int, err error) {
	lines := c.script.lines
	for len(lines) > 0 {
		at = lines[0].number
		n, said, err := c.group(lines)
		if err != nil {
			return at, err
		}
		if len(said) > 0 {
			if err := c.say(said); err != nil {
				return at, err
			}
		}
		for i, l := range lines[:n] {
			if at, err = l.number, c.answer(l, lines[i+1:]); err != nil {
				return at, err
			}
		}
		lines = lines[n:]
	}
	return at, c.finish()
}

// group is how many lines go together, and what the client says in them. In a pipeline only a pause, a new connection or a name that is
// not known yet ends a group.
func (c *talk) group(lines []line) (n int, said []byte, err error) {
	answers := false
	for i, l := range lines {
		switch {
		case l.kind == wait || l.kind == connect || l.kind == closed:
			return i + 1, said, nil
		case !l.sends():
			answers = true
			continue
		case answers && c.mode != Pipelined:
			return i, said, nil
		}
		b, missing, err := l.bytes(c.names)
		if err != nil {
			return 0, nil, err
		}
		if missing != "" {
			if i == 0 {
				return 0, nil, fmt.Errorf("nothing matched %q", missing)
			}
			return i, said, nil
		}
		said = append(said, b...)
		c.binary = l.kind == request
	}
	return len(lines), said, nil
}

func (c *talk) say(b []byte) error {
	if c.in == nil {
		if err := c.peer.connect(); err != nil {
			return err
		}
		c.in = bufio.NewReaderSize(c.peer, 1<<16)
	}
	return c.peer.say(b, c.mode == Split)
}

// answer checks one line; rest are the lines behind it.
func (c *talk) answer(l line, rest []line) error {
	if c.in == nil && !l.sends() && l.kind != wait && l.kind != connect {
		return errors.New("not connected")
	}
	switch l.kind {
	case expect:
		return c.expect(l)
	case expectSeconds:
		return c.expectSeconds(l)
	case expectReply:
		return c.expectFrame(l)
	case skipReplies:
		return c.skipFrames(rest)
	case match:
		return c.match(l.pattern)
	case skip:
		return c.skip(rest)
	case wait:
		return c.peer.wait(l.seconds)
	case connect:
		c.in = nil
		return c.peer.hangup()
	case closed:
		if b, err := c.in.ReadByte(); err == nil {
			return fmt.Errorf("the server said %q and did not close", b)
		} else if !errors.Is(err, io.EOF) {
			return err
		}
		c.in = nil
		return c.peer.hangup()
	}
	return nil
}

func (c *talk) expect(l line) error {
	want, missing, err := expand(l.text, c.names)
	if err != nil {
		return err
	}
	if missing != "" {
		return fmt.Errorf("nothing matched %q", missing)
	}
	got := make([]byte, len(want))
	n, err := io.ReadFull(c.in, got)
	if err != nil {
		return fmt.Errorf("want %s, got %s: %w", brief(want), brief(got[:n]), err)
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("want %s, got %s", brief(want), brief(got))
	}
	return nil
}

// brief is b for a message.
func brief(b []byte) string {
	const most = 200
	if len(b) > most {
		return fmt.Sprintf("%q... (%d bytes)", b[:most], len(b))
	}
	return fmt.Sprintf("%q", b)
}

func (c *talk) match(pattern *regexp.Regexp) error {
	got, err := c.in.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("want %s, got %s: %w", pattern, brief(got), err)
	}
	text := bytes.TrimSuffix(got, []byte("\r\n"))
	groups := pattern.FindSubmatch(text)
	if groups == nil {
		return fmt.Errorf("want %s, got %s", pattern, brief(got))
	}
	for i, name := range pattern.SubexpNames() {
		if err := c.take(name, string(groups[i])); err != nil {
			return fmt.Errorf("in %s: %w", brief(got), err)
		}
	}
	return nil
}

// take is given what a group of a pattern matched.
func (c *talk) take(name, got string) error {
	if want, ok := parseSeconds(name); ok {
		return want.check(got, c.slack())
	}
	if name != "" {
		c.names[name] = got
	}
	return nil
}

// slack is how many seconds may have passed on the server's clock, other than those that the conversation waited for, since any earlier
// line.
func (c *talk) slack() int {
	if !c.peer.realTime() {
		return 0
	}
	return int(time.Since(c.began)/time.Second) + 1
}

// skip passes over lines until one is like what is expected next, which it leaves.
func (c *talk) skip(rest []line) error {
	if len(rest) == 0 || rest[0].kind != expect && rest[0].kind != match {
		return errors.New("<... without an expectation behind it")
	}
	next := rest[0]
	var want []byte
	if next.kind == expect {
		var err error
		if want, _, err = expand(next.text, c.names); err != nil {
			return err
		}
	}
	for {
		got, err := c.peekLine()
		if err != nil {
			return fmt.Errorf("no line is like %s%s: %w", want, next.pattern, err)
		}
		if next.kind == expect && bytes.Equal(got, want) ||
			next.kind == match && next.pattern.Match(bytes.TrimSuffix(got, []byte("\r\n"))) {
			return nil
		}
		if _, err := c.in.Discard(len(got)); err != nil {
			return err
		}
	}
}

// peekLine gives the next line without taking it.
func (c *talk) peekLine() ([]byte, error) {
	for n := 1; ; n++ {
		b, err := c.in.Peek(n)
		if err != nil {
			return nil, err
		}
		if b = b[:c.in.Buffered()]; bytes.IndexByte(b, '\n') >= 0 {
			b, err = c.in.Peek(bytes.IndexByte(b, '\n') + 1)
			return b, err
		}
		n = len(b)
	}
}

// finish makes sure that nothing more was answered and that the connection still works: an unknown command is an ERROR, and a Noop is
// answered.
func (c *talk) finish() error {
	if c.in == nil {
		return nil
	}
	last, answer := line{kind: send, text: `and-that-was-all\r\n`}, line{kind: expect, text: `ERROR\r\n`}
	if c.binary {
		last, answer = line{kind: request, text: "noop opaque=0xa11"}, line{kind: expectReply, text: "noop opaque=0xa11"}
	}
	b, _, err := last.bytes(c.names)
	if err != nil {
		return err
	}
	if err := c.say(b); err != nil {
		return err
	}
	if err := c.answer(answer, nil); err != nil {
		return fmt.Errorf("at the end: %w", err)
	}
	return c.peer.hangup()
}
