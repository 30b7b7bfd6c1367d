package trace

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
)

// maxLineSize is the length of a line, in bytes, from which on it is malformed.
const maxLineSize = 256 << 10

// BadLine is a line that is no request.
type BadLine struct {
	Line    int64 // from 1
	Text    string
	Problem string
}

func (e *BadLine) Error() string { return fmt.Sprintf("line %d: %s: %q", e.Line, e.Problem, e.Text) }

// shown is how much of a malformed line its error tells, in bytes.
const shown = 80

// Reader reads the records of a trace one after the other, in constant memory.
type Reader struct {
	in   *bufio.Reader
	line int64 // that was read last
}

// NewReader makes a Reader of what is not compressed.
func NewReader(r io.Reader) *Reader { return &Reader{in: bufio.NewReaderSize(r, maxLineSize)} }

// Line is the number of the line that was read last, from 1.
func (r *Reader) Line() int64 { return r.line }

// Read reads the next record into rec. The error is io.EOF at the end, a *BadLine for a line that is no record, after which Read goes on
// with the next one, or what kept the line from being read.
func (r *Reader) Read(rec *Record) error {
	line, err := r.in.ReadSlice('\n')
	if errors.Is(err, io.EOF) && len(line) == 0 {
		return io.EOF
	}
	r.line++
	switch {
	case err == nil:
		line = line[:len(line)-1]
	case errors.Is(err, bufio.ErrBufferFull):
		text := head(line)
		if err := r.skipLine(); err != nil {
			return err
		}
		return &BadLine{r.line, text, fmt.Sprintf("longer than %d bytes", maxLineSize)}
	case !errors.Is(err, io.EOF):
		return fmt.Errorf("line %d: %w", r.line, err)
	}
	line = bytes.TrimSuffix(line, []byte("\r"))
	if problem := rec.parse(line); problem != "" {
		return &BadLine{r.line, head(line), problem}
	}
	return nil
}

// skipLine reads the rest of a line that is too long.
func (r *Reader) skipLine() error {
	for {
		_, err := r.in.ReadSlice('\n')
		if err == nil || errors.Is(err, io.EOF) {
			return nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return fmt.Errorf("line %d: %w", r.line, err)
		}
	}
}

func head(line []byte) string { return string(line[:min(len(line), shown)]) }

// parse reads a line and says what is wrong with it. The key may contain commas: what the first and the last five fields leave is the key's.
func (rec *Record) parse(line []byte) (problem string) {
	const behind = 5 // fields after the key
	var fields [behind][]byte
	when, rest, _ := bytes.Cut(line, []byte(","))
	for i := behind - 1; i >= 0; i-- {
		at := bytes.LastIndexByte(rest, ',')
		if at < 0 {
			return "fewer than seven fields"
		}
		fields[i], rest = rest[at+1:], rest[:at]
	}
	rec.Key = rest
	texts := [...][]byte{when, fields[0], fields[1], fields[2], fields[4]}
	var numbers [len(texts)]uint64
	for i, f := range numberFields {
		var ok bool
		if numbers[i], ok = number(texts[i], f.most); !ok {
			return fmt.Sprintf("the %s is no number up to %d", f.name, f.most)
		}
	}
	var ok bool
	if rec.Op, ok = parseOp(fields[3]); !ok {
		return "unknown operation"
	}
	if len(rec.Key) == 0 {
		return "no key"
	}
	rec.Time, rec.KeySize, rec.ValueSize, rec.Client, rec.TTL = int64(numbers[0]), int(numbers[1]), int(numbers[2]), numbers[3], int64(numbers[4])
	return ""
}

// numberFields are the fields that are numbers, in their order.
var numberFields = [...]struct {
	name string
	most uint64
}{
	{"time", MaxTime}, {"key size", MaxKeySize}, {"value size", MaxValueSize}, {"client", math.MaxUint64}, {"TTL", MaxTTL},
}

// number reads a decimal number of digits only.
func number(text []byte, most uint64) (n uint64, ok bool) {
	if len(text) == 0 {
		return 0, false
	}
	for _, c := range text {
		d := uint64(c - '0')
		if d > 9 || n > (math.MaxUint64-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	return n, n <= most
}
