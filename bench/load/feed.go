package load

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"ringcached/internal/record"
)

// Preload stores every key of the workload once, so that gets find them: over TCP where the workload is for UDP. It
// is a load of sets by itself.
func (e Endpoint) Preload(ctx context.Context, w *Workload) error {
	sets := DefaultWorkload()
	sets.Keys, sets.KeySize, sets.ValueSize = w.Keys, w.KeySize, w.ValueSize
	sets.Connections, sets.Gets, sets.Sets, sets.Transport = 1, 0, 1, TransportOf(e.Addr)
	chunk := feedChunk
	if e.TLS != nil { // memcached 1.6.18 forgets what it has decrypted and has no room for, until more comes
		chunk = record.MaxPlain
	}
	sets.Pipeline = min(max(chunk/sets.groupMax(), 1), maxPipeline)
	l, err := Start(ctx, Options{
		Endpoint: e, Workload: sets, Driver: DriverEpoll, Requests: int64(w.Keys), inOrder: true, Stall: FeedTimeout,
	})
	if err == nil {
		defer l.Stop()
		var stored *Window
		if stored, err = l.Measure(ctx, 24*time.Hour); err == nil && stored.Errors() > 0 {
			err = errors.New(l.Problems()[0])
		}
	}
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("preloading: %w", err)
	}
	return ctx.Err()
}

// Feeder stores items as fast as a server takes them: sets with noreply, many in one write. Item i has the key "i"
// and i in decimal, padded with zeros.
type Feeder struct {
	*Client
	ctx     context.Context
	keySize int
	values  *KeySpace
	middle  string // what stands between key and value of a set
	chunk   []byte
}

const (
	feedChunk   = 64 << 10               // bytes of sets that are sent at once
	paceStep    = 100 * time.Microsecond // how much of a paced feed is sent at once
	FeedTimeout = 30 * time.Second       // how long a server may take for a chunk
)

// OpenFeed connects. The end of ctx ends what the feeder does, with an error.
func (e Endpoint) OpenFeed(ctx context.Context, keySize, valueSize int) (*Feeder, error) {
	c, err := e.Connect(ctx)
	if err != nil {
		return nil, err
	}
	middle := fmt.Sprintf(" 0 0 %d noreply\r\n", valueSize)
	return &Feeder{Client: c, ctx: ctx, keySize: keySize, values: NewKeySpace(0, keySize, valueSize), middle: middle}, nil
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
		for f.chunk = f.chunk[:0]; i < due && len(f.chunk) < feedChunk; i++ {
			f.chunk = AppendItemKey(append(f.chunk, "set "...), uint32(i), f.keySize)
			f.chunk = f.values.AppendValue(append(f.chunk, f.middle...), uint32(i))
			f.chunk = append(f.chunk, "\r\n"...)
		}
		if err := f.write(); err != nil {
			return err
		}
	}
	return f.sync()
}

// Remove deletes an item.
func (f *Feeder) Remove(i int) error {
	f.chunk = AppendItemKey(append(f.chunk[:0], "delete "...), uint32(i), f.keySize)
	f.chunk = append(f.chunk, " noreply\r\n"...)
	if err := f.write(); err != nil {
		return err
	}
	return f.sync()
}

// AppendItemKey appends the key of item i: an "i", and i in size-1 digits.
func AppendItemKey(dst []byte, i uint32, size int) []byte { return AppendKey(dst, 'i', i, 10, size) }

// write sends the chunk.
func (f *Feeder) write() error {
	_ = f.SetDeadline(time.Now().Add(FeedTimeout))
	if _, err := f.Conn.Write(f.chunk); err != nil {
		return fmt.Errorf("storing items: %w", err)
	}
	return nil
}

// sync waits until the server has handled all that was sent. Whatever it says of a set with noreply is an error of it.
func (f *Feeder) sync() error {
	_ = f.SetDeadline(time.Now().Add(FeedTimeout))
	line := ""
	err := f.Exchange("version\r\n", func(of []byte) bool {
		line = strings.TrimRight(string(of), "\r\n")
		return false
	})
	switch {
	case err != nil:
		return fmt.Errorf("storing items: %w", err)
	case line == RefusalLine:
		return ErrConnectionRefused
	case !strings.HasPrefix(line, "VERSION "):
		return fmt.Errorf("storing items: the server answered %q", line)
	}
	return nil
}
