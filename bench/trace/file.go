package trace

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Standard is the name that means the standard input, or output, instead of a file.
const Standard = "-"

// closers end what a file consists of, the last one first.
type closers []func() error

func (c closers) Close() (err error) {
	for i := len(c) - 1; i >= 0; i-- {
		err = errors.Join(err, c[i]())
	}
	return err
}

// File is a trace file that is open for reading. Nobody may be reading when it is closed.
type File struct {
	*Reader
	closers
}

// Open opens a trace file, which may be compressed with gzip or Zstandard: its first bytes tell.
func Open(path string) (_ *File, err error) {
	f := os.Stdin
	t := &File{}
	if path != Standard {
		if f, err = os.Open(path); err != nil {
			return nil, err
		}
		t.closers = closers{f.Close}
	}
	in := bufio.NewReaderSize(f, 256<<10)
	content := io.Reader(in)
	first, err := in.Peek(4)
	switch {
	case err != nil && !errors.Is(err, io.EOF):
	case bytes.HasPrefix(first, []byte{0x1f, 0x8b}):
		content, err = gzip.NewReader(in) // which need not be closed
	case string(first) == "\x28\xb5\x2f\xfd",
		len(first) == 4 && first[0]>>4 == 5 && string(first[1:]) == "\x2a\x4d\x18": // as pzstd begins
		var z *zstd.Decoder
		if z, err = zstd.NewReader(in); err == nil {
			content, t.closers = z, append(t.closers, z.IOReadCloser().Close)
		}
	default:
		err = nil
	}
	if err == nil {
		t.Reader, err = NewReader(content)
	}
	if err != nil {
		_ = t.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

// Output is a trace file that is being written.
type Output struct {
	*Writer
	closers
}

// Create creates a trace file, or empties it. It is compressed if the name ends in .gz or .zst. OracleGeneral takes
// its size once more on the disk until it is closed.
func Create(path string, format Format) (_ *Output, err error) {
	f, dir := os.Stdout, os.TempDir()
	o := &Output{}
	if path != Standard {
		if f, err = os.Create(path); err != nil {
			return nil, err
		}
		o.closers, dir = closers{f.Close}, filepath.Dir(path)
	}
	packed := io.Writer(f)
	switch filepath.Ext(path) {
	case ".gz":
		z := gzip.NewWriter(f)
		packed, o.closers = z, append(o.closers, z.Close)
	case ".zst":
		z, _ := zstd.NewWriter(f) // which fails for bad options only
		packed, o.closers = z, append(o.closers, z.Close)
	}
	to := packed
	if format == OracleGeneral {
		var records *os.File
		if records, err = os.CreateTemp(dir, ".trace-"); err == nil {
			err = os.Remove(records.Name()) // nothing is left behind, however this ends
			to = records
			o.closers = append(o.closers, records.Close, func() error { return link(records, packed, linkedAtOnce) })
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), o.closers.Close())
	}
	o.Writer = NewWriter(to, format)
	return o, nil
}

// Close writes what is still in memory and closes the file.
func (o *Output) Close() error { return errors.Join(o.Flush(), o.closers.Close()) }
