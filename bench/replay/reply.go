package replay

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"ringcached/bench/trace"

	"ringcached/bench/load"
)

// outcomeKind is how a request ended.
type outcomeKind uint8

const (
	outcomeDone      outcomeKind = iota
	outcomeNot                   // a miss, or a condition that was not met
	outcomeNoNumber              // of an increment: the value is none
	outcomeRefused               // an error reply
	outcomeKindCount             // how many there are
)

// replayOutcome is what is counted of a request.
type replayOutcome struct {
	op      trace.Op
	kind    outcomeKind
	fill    bool  // it is no request of the trace but follows a miss
	unsized bool  // it is a miss that could not be filled
	paced   bool  // late counts
	latency int64 // nanoseconds, from when the request was due if it is paced
	late    int64 // nanoseconds from when it was due until it was sent
	refused string
}

// replayReplies are the lines that answer requests without a value.
var replayReplies = map[trace.Op]struct{ done, not []string }{
	trace.Set:     {done: []string{"STORED"}},
	trace.Add:     {[]string{"STORED"}, []string{"NOT_STORED"}},
	trace.Replace: {[]string{"STORED"}, []string{"NOT_STORED"}},
	trace.Append:  {[]string{"STORED"}, []string{"NOT_STORED"}},
	trace.Prepend: {[]string{"STORED"}, []string{"NOT_STORED"}},
	trace.Cas:     {[]string{"STORED"}, []string{"EXISTS", "NOT_FOUND"}},
	trace.Delete:  {[]string{"DELETED"}, []string{"NOT_FOUND"}},
	trace.Incr:    {not: []string{"NOT_FOUND"}},
	trace.Decr:    {not: []string{"NOT_FOUND"}},
}

// noNumber is what memcached answers to an increment of what is no number.
const noNumber = "CLIENT_ERROR cannot increment or decrement non-numeric value"

// reply reads and checks the reply to a request.
func (c *replayConn) reply(q *replayRequest) (replayOutcome, error) {
	out := replayOutcome{op: q.op}
	line, err := c.readLine(q)
	if err != nil {
		return out, err
	}
	if q.op == trace.Get || q.op == trace.Gets {
		if bytes.HasPrefix(line, []byte("VALUE ")) {
			return out, c.readValue(q, line)
		}
		if string(line) == "END" {
			out.kind = outcomeNot
			return out, nil
		}
	}
	known := replayReplies[q.op]
	for _, l := range known.done {
		if string(line) == l {
			return out, nil
		}
	}
	for _, l := range known.not {
		if string(line) == l {
			out.kind = outcomeNot
			return out, nil
		}
	}
	if q.op == trace.Incr || q.op == trace.Decr {
		if _, ok := decimal(bytes.TrimRight(line, " ")); ok {
			return out, nil
		}
		if string(line) == noNumber {
			out.kind = outcomeNoNumber
			return out, nil
		}
	}
	if string(line) == load.RefusalLine {
		return out, load.ErrConnectionRefused
	}
	for _, prefix := range []string{"SERVER_ERROR", "CLIENT_ERROR", "ERROR"} {
		if bytes.HasPrefix(line, []byte(prefix)) {
			out.kind, out.refused = outcomeRefused, fmt.Sprintf("%.100q in reply to %v of %d B", line, q.op, q.size)
			return out, nil
		}
	}
	return out, q.wrong("unexpected line %.60q", line)
}

// wrong makes the error for a reply that no correct server gives.
func (q *replayRequest) wrong(format string, args ...any) error {
	return &load.WrongReply{Request: fmt.Sprintf("%v %s", q.op, q.key), Problem: fmt.Sprintf(format, args...)}
}

// readLine reads a line, without its end. It is valid until the next read.
func (c *replayConn) readLine(q *replayRequest) ([]byte, error) {
	line, err := c.in.ReadSlice('\n')
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

// readValue reads the rest of the reply to a get, whose first line this is.
func (c *replayConn) readValue(q *replayRequest, line []byte) error {
	size, flags, err := c.header(q, line)
	if err != nil {
		return err
	}
	if err := c.checkValue(q, size, flags); err != nil {
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

// header reads "VALUE key flags size [unique]".
func (c *replayConn) header(q *replayRequest, line []byte) (size, flags int, err error) {
	rest, ok := bytes.CutPrefix(line[len("VALUE "):], q.key)
	if !ok || len(rest) == 0 || rest[0] != ' ' {
		return 0, 0, q.wrong("the key of %.100q was not asked for", line)
	}
	fields := [3]uint64{}
	n := 0
	for rest = rest[1:]; n < len(fields); n++ {
		field, more, found := bytes.Cut(rest, []byte(" "))
		if fields[n], ok = decimal(field); !ok {
			return 0, 0, q.wrong("malformed line %.100q", line)
		}
		if rest = more; !found {
			n++
			break
		}
	}
	wanted := 2
	if q.op == trace.Gets {
		wanted = 3
	}
	if n != wanted || len(rest) > 0 || fields[1] > 1<<40 {
		return 0, 0, q.wrong("malformed line %.100q", line)
	}
	if q.op == trace.Gets {
		u := &c.uniques[q.hash%rememberedUniques]
		u.hash, u.unique = q.hash, fields[2]
	}
	return int(fields[1]), int(fields[0]), nil
}

// decimal reads a number of digits only.
func decimal(text []byte) (uint64, bool) {
	if len(text) == 0 || text[0] < '0' || text[0] > '9' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(text), 10, 64)
	return n, err == nil
}

// foreign explains what else than a wrong server gives an unexpected value.
const foreign = "(was the server empty when the replay began?)"

// checkValue reads the value of an item whose flags say which size was stored. It is that value, if the trace appends with bytes of its own before
// and after it, and if the trace increments perhaps another number.
func (c *replayConn) checkValue(q *replayRequest, size, stored int) error {
	if stored > 0 && stored < numberSize && c.r.counted.Load() {
		return c.checkNumber(q, size)
	}
	if stored > size || stored < size && !c.r.extended.Load() {
		return q.wrong("%d bytes with flags %d, which should be the same %s", size, stored, foreign)
	}
	before, err := c.skipRun(prependedByte, size-stored)
	if err != nil {
		return err
	}
	v := valueOf(q.hash, stored)
	for done := 0; done < stored; {
		want := v.piece(done)
		got, err := c.some(len(want))
		if err != nil {
			return err
		}
		if !bytes.Equal(got, want[:len(got)]) {
			return q.wrong("its value of %d bytes differs from byte %d on %s", size, before+done, foreign)
		}
		done += len(got)
		_, _ = c.in.Discard(len(got))
	}
	after, err := c.skipRun(appendedByte, size-stored-before)
	if err == nil && before+stored+after < size {
		err = q.wrong("its value of %d bytes differs from byte %d on", size, before+stored+after)
	}
	return err
}

// checkNumber reads a value that arithmetic may have changed: some number, with spaces behind it where it lost digits, between what was
// prepended and appended. The spaces may be many: an increment of a number with a space and more behind it makes spaces of all of that.
func (c *replayConn) checkNumber(q *replayRequest, size int) error {
	added := 0 // at most
	if c.r.extended.Load() {
		added = size
	}
	done, err := c.skipRun(prependedByte, added)
	if err != nil {
		return err
	}
	text, err := c.in.Peek(min(numberSize, size-done)) // 64 bits have as many digits
	if err != nil {
		return err
	}
	digits := len(text) - len(bytes.TrimLeft(text, "0123456789"))
	if _, ok := decimal(text[:digits]); !ok {
		return q.wrong("its value of %d bytes has no number from byte %d on: %.60q %s", size, done, text, foreign)
	}
	_, _ = c.in.Discard(digits)
	done += digits
	for _, run := range []struct {
		of   byte
		most int
	}{{' ', size - done}, {appendedByte, added}} {
		n, err := c.skipRun(run.of, min(run.most, size-done))
		if err != nil {
			return err
		}
		done += n
	}
	if done < size {
		return q.wrong("its value of %d bytes, a number, goes on wrongly from byte %d on %s", size, done, foreign)
	}
	return nil
}

// some returns up to n of the next bytes, at least one, without consuming them.
func (c *replayConn) some(n int) ([]byte, error) {
	if _, err := c.in.Peek(1); err != nil {
		return nil, err
	}
	return c.in.Peek(min(n, c.in.Buffered()))
}

// skipRun consumes the bytes b that come next, n at most.
func (c *replayConn) skipRun(b byte, n int) (skipped int, err error) {
	for skipped < n {
		next, err := c.some(n - skipped)
		if err != nil {
			return skipped, err
		}
		run := 0
		for run < len(next) && next[run] == b {
			run++
		}
		_, _ = c.in.Discard(run)
		if skipped += run; run < len(next) {
			break
		}
	}
	return skipped, nil
}
