package trace

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"

	"ringcached/bench/evictsim"
)

const (
	// maxLineSize is the length of the longest line, in bytes. The buffer has its end, too.
	maxLineSize = bufferSize - 3
	bufferSize  = 256 << 10
	// recordSize is that of OracleGeneral: u32 time, u64 id, u32 size and i64 next access, little-endian, without
	// padding. The next access is the number, from 1, of the next record with the id, and -1 if there is none.
	recordSize = 4 + 8 + 4 + 8
	// looked is how many of the first lines or records tell the format: the first line of a file that was split may
	// be a part of one.
	looked = 10
)

// Reader reads the records of a trace one after the other, in constant memory.
type Reader struct {
	// SkipBad says that what is no request is counted instead of being an error.
	SkipBad  bool
	Bad      int64
	FirstBad string
	// Rate is how many requests of a trace without times are in a second. 0: its times are 0.
	Rate int64

	in     *bufio.Reader
	layout *layout // of lines; nil: of OracleGeneral
	number int64   // of the line or record that was read last, from 1
	key    []byte
	served int64
}

// NewReader makes a Reader of what is not compressed. It reads as much as the format is found by: the error says what
// else there is.
func NewReader(r io.Reader) (*Reader, error) {
	t := &Reader{in: bufio.NewReaderSize(r, bufferSize)}
	for head := []byte(nil); ; {
		_, err := t.in.Peek(len(head) + 1) // no more: the rest of a pipe may be long in coming
		head, _ = t.in.Peek(t.in.Buffered())
		all := errors.Is(err, io.EOF)
		if err != nil && !all && !errors.Is(err, bufio.ErrBufferFull) {
			return nil, err
		}
		switch {
		case len(head) == 0:
			t.layout = &layouts[0]
			return t, nil
		case t.detectLines(head, all) || (all || len(head) >= looked*recordSize) && areRecords(head):
			return t, nil
		case err != nil || bytes.Count(head, []byte("\n")) >= looked:
			line, _, _ := bytes.Cut(head, []byte("\n"))
			return nil, fmt.Errorf("no trace: line 1 is %.40q, where there should be %s", line, expected)
		}
	}
}

// detectLines finds the layout by the first line that has one, and skips a header.
func (r *Reader) detectLines(head []byte, all bool) bool {
	for rest, n := head, 0; n < looked && len(rest) > 0; n++ {
		line, more, whole := bytes.Cut(rest, []byte("\n"))
		if !whole && !all || slices.ContainsFunc(line, binaryByte) {
			return false
		}
		line, rest = bytes.TrimSuffix(line, []byte("\r")), more
		if n == 0 {
			if r.layout = headerLayout(line); r.layout != nil {
				r.number = 1
				_, _ = r.in.Discard(len(head) - len(rest))
				return true
			}
		}
		for i := range layouts {
			if layouts[i].parse(&Record{}, line) == "" {
				r.layout = &layouts[i]
				return true
			}
		}
	}
	return false
}

// binaryByte reports that a byte is not in a text, one that a record of OracleGeneral ends with.
func binaryByte(c byte) bool { return c == 0 || c == 0x7f || c == 0xff }

// areRecords reports that the head of a file has records of OracleGeneral, which are of about one time.
func areRecords(head []byte) bool {
	n := min(len(head)/recordSize, looked)
	for i := range n {
		b := head[i*recordSize:]
		apart := int64(binary.LittleEndian.Uint32(b)) - int64(binary.LittleEndian.Uint32(head))
		if recordProblem(b) != "" || max(apart, -apart) > 1<<24 {
			return false
		}
	}
	return n > 0
}

// recordProblem says why 24 bytes are no record, as they are not in a damaged file. Writers that do not know the next
// access leave it 0, and some have the greatest number for none.
func recordProblem(b []byte) string {
	next := int64(binary.LittleEndian.Uint64(b[16:]))
	switch {
	case next != math.MaxInt64 && (next < -1 || next > 1<<48):
		return fmt.Sprintf("a next access of %d", next)
	case [recordSize]byte(b) == [recordSize]byte{}:
		return "24 bytes of zero"
	}
	return ""
}

// Format is the format of the trace. Of an empty one it is Twitter's.
func (r *Reader) Format() Format {
	if r.layout == nil {
		return OracleGeneral
	}
	return r.layout.format
}

// Timed reports that the trace says when requests were made. Meta's of 2022-06 and 2023-12 do not.
func (r *Reader) Timed() bool { return r.layout == nil || r.layout.has(timeField) }

// Read reads the next record into rec. The error is io.EOF at the end, a BadRecord for what is no request, after
// which Read goes on behind it, or what kept the trace from being read.
func (r *Reader) Read(rec *Record) error {
	for {
		text, err := r.next()
		if errors.Is(err, io.EOF) && len(text) == 0 {
			return io.EOF
		}
		unit := "line"
		if r.layout == nil {
			unit = "record"
		}
		if r.number++; err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("%s %d: %w", unit, r.number, err)
		}
		problem := r.parse(rec, text)
		if problem == "" {
			if r.Rate > 0 && !r.Timed() {
				rec.Time = r.served / r.Rate
			}
			r.served += rec.Count
			return nil
		}
		if header := headerLayout(text); r.layout != nil && header != nil { // of a file that follows in the same stream
			r.layout = header
			continue
		}
		bad := BadRecord(fmt.Sprintf("%s %d: %s: %q", unit, r.number, problem, text[:min(len(text), 80)]))
		if !r.SkipBad {
			return bad
		}
		if r.Bad++; r.FirstBad == "" {
			r.FirstBad = bad.Error()
		}
	}
}

// Each hands the records to write, the first most requests of them or, if that is 0, all, until write fails or the
// context ends. A record is valid until write returns.
func (r *Reader) Each(ctx context.Context, most int64, write func(*Record) error) error {
	var rec Record
	var err error
	for left, n := cmp.Or(most, math.MaxInt64), 0; left > 0 && err == nil; left, n = left-rec.Count, n+1 {
		if n%4096 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if err = r.Read(&rec); err == nil {
			rec.Count = min(rec.Count, left)
			err = write(&rec)
		} else if errors.Is(err, io.EOF) {
			return nil
		}
	}
	return err
}

// Accesses reads the gets of a trace, at most as many as said, for a simulation, with the number of keys. Sizes are 1.
func Accesses(ctx context.Context, path string, most int) (requests []evictsim.Request, keys int, err error) {
	f, err := Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = f.Close() }()
	numbers := make(map[string]uint32)
	err = f.Each(ctx, 0, func(r *Record) error {
		if !r.Op.Reads() {
			return nil
		}
		n, known := numbers[string(r.Key)]
		if !known {
			n = uint32(len(numbers))
			numbers[string(r.Key)] = n
		}
		for range r.Count {
			if len(requests) == most {
				return io.EOF
			}
			requests = append(requests, evictsim.Request{Key: n, Size: 1})
		}
		return nil
	})
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, 0, fmt.Errorf("%s: %w", path, err)
	}
	return requests, len(numbers), nil
}

// next reads the next line or record, which may be cut off at the end. A line that is too long is as long as the
// buffer.
func (r *Reader) next() ([]byte, error) {
	if r.layout == nil {
		b, err := r.in.Peek(recordSize)
		_, _ = r.in.Discard(len(b)) // which stay where they are until more is read
		return b, err
	}
	line, err := r.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		for line = bytes.Clone(line); errors.Is(err, bufio.ErrBufferFull); {
			_, err = r.in.ReadSlice('\n')
		}
	}
	return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r")), err
}

// parse reads a line or record and says what is wrong with it.
func (r *Reader) parse(rec *Record, b []byte) string {
	if r.layout != nil {
		if len(b) > maxLineSize {
			return fmt.Sprintf("longer than %d bytes", maxLineSize)
		}
		return r.layout.parse(rec, b)
	}
	if len(b) < recordSize {
		return fmt.Sprintf("cut off after %d bytes of %d", len(b), recordSize)
	}
	r.key = strconv.AppendUint(r.key[:0], binary.LittleEndian.Uint64(b[4:]), 10)
	size := int(binary.LittleEndian.Uint32(b[12:]))
	*rec = Record{
		Time: int64(binary.LittleEndian.Uint32(b)), Key: r.key, KeySize: len(r.key), ValueSize: size,
		Client: clientOf(r.key), Count: 1,
	}
	return recordProblem(b)
}
