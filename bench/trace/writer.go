package trace

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"syscall"

	"github.com/zeebo/xxh3"
)

// Writer writes records in a format. What it was given is written for sure only after Flush.
type Writer struct {
	// LeftOut counts the requests that the format has no form for: increments in Meta's; deletes, increments and what
	// has no size in plain traces and OracleGeneral, where every record asks for an object of a size.
	LeftOut int64

	out    *bufio.Writer
	format Format
	line   []byte
}

// NewWriter makes a Writer. It leaves the next accesses of OracleGeneral to [Output].
func NewWriter(w io.Writer, format Format) *Writer {
	t := &Writer{out: bufio.NewWriterSize(w, 64<<10), format: format}
	if format == Meta {
		_, _ = t.out.WriteString("op_time,key,key_size,op,op_count,size,cache_hits,ttl\n")
	}
	return t
}

// Write writes a record.
func (w *Writer) Write(r *Record) (err error) {
	sized := r.ValueSize > 0 && (r.Op.Reads() || r.Op.Stores())
	switch {
	case len(r.Key) == 0:
		return errors.New("a record without a key")
	case w.format == Meta && r.Op > Delete, w.format >= Plain && !sized:
		w.LeftOut += r.Count
		return nil
	case w.format == OracleGeneral:
		w.line, err = appendRecord(w.line[:0], r)
	default:
		w.line = w.appendLine(w.line[:0], r)
	}
	times := r.Count
	if w.format == Meta {
		times = 1
	}
	for ; times > 0 && err == nil; times-- {
		_, err = w.out.Write(w.line)
	}
	return err
}

// Flush writes what is still in memory.
func (w *Writer) Flush() error { return w.out.Flush() }

func (w *Writer) appendLine(b []byte, r *Record) []byte {
	comma := func(n int64) { b = strconv.AppendInt(append(b, ','), n, 10) }
	b = w.appendKey(append(strconv.AppendInt(b, r.Time, 10), ','), r.Key)
	switch w.format {
	case Twitter:
		comma(int64(r.KeySize))
		comma(int64(r.ValueSize))
		b = strconv.AppendUint(append(b, ','), r.Client, 10)
		b = append(append(b, ','), r.Op.String()...)
		comma(r.TTL)
	case Meta:
		comma(int64(r.KeySize))
		name, hits := ",DELETE", int64(0)
		if r.Op.Stores() {
			name = ",SET"
		} else if r.Op.Reads() {
			name, hits = ",GET", r.Count*int64(min(r.ValueSize, 1))
		}
		b = append(b, name...)
		comma(r.Count)
		comma(int64(r.ValueSize))
		comma(hits)
		comma(r.TTL)
	default:
		comma(int64(r.ValueSize))
	}
	return append(b, '\n')
}

// appendKey appends a key, or its hash if it would not be read back: only Twitter's format has keys with commas.
func (w *Writer) appendKey(b, key []byte) []byte {
	bad := func(c byte) bool { return binaryByte(c) || c == '\r' || c == '\n' || c == ',' && w.format != Twitter }
	if len(key) > maxLineSize/2 || slices.ContainsFunc(key, bad) {
		return fmt.Appendf(b, "%016x", xxh3.Hash(key))
	}
	return append(b, key...)
}

// unlinked stands for a next access that is not known yet.
const unlinked = 1 << 63

// appendRecord appends a record of OracleGeneral. The id of a key that is no number is its hash.
func appendRecord(dst []byte, r *Record) ([]byte, error) {
	if r.Time > math.MaxUint32 {
		return nil, fmt.Errorf("a time of %d s does not fit into the 32 bits of oracleGeneral", r.Time)
	}
	id, ok := number(r.Key, clientField)
	if !ok || r.Key[0] == '0' && len(r.Key) > 1 {
		id = xxh3.Hash(r.Key)
	}
	dst = binary.LittleEndian.AppendUint32(dst, uint32(r.Time))
	dst = binary.LittleEndian.AppendUint64(dst, id)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(r.ValueSize))
	return binary.LittleEndian.AppendUint64(dst, unlinked), nil
}

// linkedAtOnce is how many ids are remembered at once, in about 400 MB.
const linkedAtOnce = 8 << 20

// link finds the next access of each record of a file, from its end on, once more for each limit ids, and copies it
// to w.
func link(f *os.File, w io.Writer, limit int) error {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil || size == 0 {
		return err
	}
	mem, err := syscall.Mmap(int(f.Fd()), 0, int(size), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		return err
	}
	defer func() { _ = syscall.Munmap(mem) }()
	for left := true; left; {
		left = false
		next := make(map[uint64]int)
		for n := len(mem) / recordSize; n > 0; n-- {
			record := mem[(n-1)*recordSize : n*recordSize]
			if binary.LittleEndian.Uint64(record[16:]) != unlinked {
				continue
			}
			id := binary.LittleEndian.Uint64(record[4:])
			at, known := next[id]
			switch {
			case known:
			case len(next) == limit:
				left = true
				continue
			default:
				at = -1
			}
			binary.LittleEndian.PutUint64(record[16:], uint64(int64(at)))
			next[id] = n
		}
	}
	_, err = w.Write(mem)
	return err
}
