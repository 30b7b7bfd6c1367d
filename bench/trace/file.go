package trace

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Standard is the name that means the standard input, or output, instead of a file.
const Standard = "-"

// What files begin with.
var (
	gzipMagic = []byte{0x1f, 0x8b}
	zstdMagic = []byte{0x28, 0xb5, 0x2f, 0xfd}
)

// File is a trace file that is open for reading.
type File struct {
	*Reader
	unpacker io.Closer // nil: not compressed
	file     *os.File
}

// Open opens a trace file, which may be compressed with gzip or Zstandard: its first bytes tell.
func Open(path string) (*File, error) {
	f := os.Stdin
	if path != Standard {
		var err error
		if f, err = os.Open(path); err != nil {
			return nil, err
		}
	}
	t := &File{file: f}
	if err := t.unpack(); err != nil {
		t.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

func (t *File) unpack() error {
	in := bufio.NewReaderSize(t.file, 256<<10)
	first, err := in.Peek(len(zstdMagic))
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	switch {
	case bytes.HasPrefix(first, gzipMagic):
		z, err := gzip.NewReader(in)
		if err != nil {
			return err
		}
		t.unpacker, t.Reader = z, NewReader(z)
	case bytes.HasPrefix(first, zstdMagic):
		z, err := zstd.NewReader(in)
		if err != nil {
			return err
		}
		t.unpacker, t.Reader = z.IOReadCloser(), NewReader(z)
	default:
		t.Reader = NewReader(in)
	}
	return nil
}

// Close closes the file. Nobody may be reading then.
func (t *File) Close() {
	if t.unpacker != nil {
		_ = t.unpacker.Close()
	}
	if t.file != os.Stdin {
		t.file.Close()
	}
}

// Output is a trace file that is being written.
type Output struct {
	*Writer
	packer io.WriteCloser // nil: not compressed
	file   *os.File
}

// Create creates a trace file, or empties it. It is compressed if the name ends in .gz or .zst.
func Create(path string) (*Output, error) {
	f := os.Stdout
	if path != Standard {
		var err error
		if f, err = os.Create(path); err != nil {
			return nil, err
		}
	}
	o := &Output{file: f}
	switch {
	case strings.HasSuffix(path, ".gz"):
		o.packer = gzip.NewWriter(f)
	case strings.HasSuffix(path, ".zst"):
		z, err := zstd.NewWriter(f)
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		o.packer = z
	default:
		o.Writer = NewWriter(f)
		return o, nil
	}
	o.Writer = NewWriter(o.packer)
	return o, nil
}

// Close writes what is still in memory and closes the file.
func (o *Output) Close() error {
	err := o.Flush()
	if o.packer != nil {
		err = errors.Join(err, o.packer.Close())
	}
	if o.file != os.Stdout {
		err = errors.Join(err, o.file.Close())
	}
	return err
}
