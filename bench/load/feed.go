package load

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Feeder stores items as fast as a server takes them: sets, many in one write. Item i has the key "i" and i in decimal, padded with zeros.
type Feeder struct {
	*Client
	ctx     context.Context
	prefix  byte // of keys
	keySize int
	values  *KeySpace
	middle  string // what stands between key and value of a set
	replies bool   // each set is answered, which is checked; else noreply
	chunk   []byte
}

const (
	feedChunk   = 64 << 10               // bytes of sets that are sent at once
	paceStep    = 100 * time.Microsecond // how much of a paced feed is sent at once
	FeedTimeout = 30 * time.Second       // how long a server may take for a chunk
)

// OpenFeed connects. The end of ctx ends what the feeder does, with an error. Its sets are with noreply.
func OpenFeed(ctx context.Context, addr string, keySize, valueSize int) (*Feeder, error) {
	c, err := Connect(ctx, addr)
	if err != nil {
		return nil, err
	}
	f := &Feeder{Client: c, ctx: ctx, prefix: 'i', keySize: keySize, values: NewKeySpace(0, keySize, valueSize)}
	f.middle = " 0 0 " + strconv.Itoa(valueSize) + " noreply\r\n"
	return f, nil
}

// Preload stores every key of the workload once, so that gets find them: over TCP where the workload is for UDP.
func Preload(ctx context.Context, addr string, w *Workload) error {
	f, err := OpenFeed(ctx, addr, w.KeySize, w.ValueSize)
	if err == nil {
		defer f.Close()
		f.prefix, f.middle, f.replies = 'k', strings.Replace(f.middle, " noreply", "", 1), true
		err = f.Store(0, w.Keys)
	}
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("preloading: %w", err)
	}
	return nil
}

// Store stores the n items from first on, and returns when the server has handled all of them.
func (f *Feeder) Store(first, n int) error { return f.Pace(first, n, 0) }

// Pace stores items as Store does, but not more than rate of them in a second, evenly; 0: no such limit.
func (f *Feeder) Pace(first, n, rate int) error {
	start := time.Now()
	for i, end := first, first+n; i < end; {
		due := end
		if rate > 0 {
			due = min(end, first+int(time.Since(start).Seconds()*float64(rate)))
		}
		if i >= due {
			SleepUntil(f.ctx, Now()+int64(paceStep))
			continue
		}
		from := i
		for f.chunk = f.chunk[:0]; i < due && len(f.chunk) < feedChunk; i++ {
			f.chunk = appendKey(append(f.chunk, "set "...), f.prefix, uint32(i), f.keySize)
			f.chunk = f.values.AppendValue(append(f.chunk, f.middle...), uint32(i))
			f.chunk = append(f.chunk, "\r\n"...)
		}
		if err := f.write(i - from); err != nil {
			return err
		}
	}
	if f.replies {
		return nil
	}
	return f.sync()
}

// Remove deletes an item.
func (f *Feeder) Remove(i int) error {
	f.chunk = AppendItemKey(append(f.chunk[:0], "delete "...), uint32(i), f.keySize)
	f.chunk = append(f.chunk, " noreply\r\n"...)
	if err := f.write(0); err != nil {
		return err
	}
	return f.sync()
}

// AppendItemKey appends the key of item i: an "i", and i in size-1 digits.
func AppendItemKey(dst []byte, i uint32, size int) []byte { return appendKey(dst, 'i', i, size) }

func appendKey(dst []byte, prefix byte, i uint32, size int) []byte {
	at := len(dst)
	dst = append(dst, zeros[:size]...)
	dst[at] = prefix
	for p := at + size - 1; i > 0 && p > at; p-- {
		dst[p] = byte('0' + i%10)
		i /= 10
	}
	return dst
}

var zeros = strings.Repeat("0", MaxKeySize)

// write sends the chunk, with so many sets, and reads their replies meanwhile: a server that cannot get rid of its replies does not read either,
// and a unix socket holds but a few hundred of them.
func (f *Feeder) write(sets int) error {
	_ = f.SetDeadline(time.Now().Add(FeedTimeout))
	var writing sync.WaitGroup
	var wrote error
	writing.Go(func() { _, wrote = f.Conn.Write(f.chunk) })
	if !f.replies {
		sets = 0
	}
	for range sets {
		if err := f.expect("STORED"); err != nil {
			_ = f.Conn.Close() // ends the write
			writing.Wait()
			return err
		}
	}
	if writing.Wait(); wrote != nil {
		return fmt.Errorf("storing items: %w", wrote)
	}
	return nil
}

func (f *Feeder) expect(prefix string) error {
	line, err := f.Line()
	switch {
	case err != nil:
		return fmt.Errorf("storing items: %w", err)
	case line == RefusalLine:
		return ErrConnectionRefused
	case !strings.HasPrefix(line, prefix):
		return fmt.Errorf("storing items: the server answered %q", line)
	}
	return nil
}

// sync waits until the server has handled all that was sent. Whatever it says of a set with noreply is an error of it.
func (f *Feeder) sync() error {
	_ = f.SetDeadline(time.Now().Add(FeedTimeout))
	if _, err := io.WriteString(f, "version\r\n"); err != nil {
		return fmt.Errorf("storing items: %w", err)
	}
	return f.expect("VERSION ")
}
