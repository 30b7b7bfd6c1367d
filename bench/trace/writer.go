package trace

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// Writer writes records as lines. What it was given is written for sure only after Flush.
type Writer struct {
	out  *bufio.Writer
	line []byte
}

// NewWriter makes a Writer.
func NewWriter(w io.Writer) *Writer { return &Writer{out: bufio.NewWriterSize(w, 64<<10)} }

// Write writes a record. It refuses what a Reader would not read back.
func (w *Writer) Write(r *Record) error {
	switch {
	case len(r.Key) == 0:
		return errors.New("a record without a key")
	case bytes.IndexByte(r.Key, '\n') >= 0:
		return fmt.Errorf("the key %q has a line end", r.Key)
	case r.Time < 0 || r.Time > MaxTime || r.KeySize < 0 || r.KeySize > MaxKeySize || r.ValueSize < 0 || r.ValueSize > MaxValueSize ||
		r.TTL < 0 || r.TTL > MaxTTL || r.Op >= opCount:
		return fmt.Errorf("a record of key %q that is out of bounds: %+v", r.Key, *r)
	}
	b := append(strconv.AppendInt(w.line[:0], r.Time, 10), ',')
	b = append(append(b, r.Key...), ',')
	b = append(strconv.AppendInt(b, int64(r.KeySize), 10), ',')
	b = append(strconv.AppendInt(b, int64(r.ValueSize), 10), ',')
	b = append(strconv.AppendUint(b, r.Client, 10), ',')
	b = append(append(b, opNames[r.Op]...), ',')
	b = append(strconv.AppendInt(b, r.TTL, 10), '\n')
	w.line = b
	if len(b) > maxLineSize {
		return fmt.Errorf("the key %q is too long", head(r.Key))
	}
	_, err := w.out.Write(b)
	return err
}

// Flush writes what is still in memory.
func (w *Writer) Flush() error { return w.out.Flush() }
