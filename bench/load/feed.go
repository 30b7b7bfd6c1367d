package load

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Feeder stores items as fast as a server takes them: sets with noreply, many in one write. Item i has the key "i" and i in decimal, padded
// with zeros.
type Feeder struct {
	conn    net.Conn
	in      *bufio.Reader
	keySize int
	values  *KeySpace
	middle  string // what stands between key and value of a set
	chunk   []byte
	halt    func() bool
}

// feedChunk is how many bytes of sets are sent at once.
const feedChunk = 64 << 10

// FeedTimeout bounds how long a server may take for a chunk.
const FeedTimeout = 30 * time.Second

// OpenFeed connects. The end of ctx ends what the feeder does, with an error.
func OpenFeed(ctx context.Context, addr string, keySize, valueSize int) (*Feeder, error) {
	c, err := Dial(ctx, addr, ConnectTimeout)
	if err != nil {
		return nil, err
	}
	f := &Feeder{conn: c, in: bufio.NewReader(c), keySize: keySize, values: NewKeySpace(0, keySize, valueSize)}
	f.middle = " 0 0 " + strconv.Itoa(valueSize) + " noreply\r\n"
	f.halt = context.AfterFunc(ctx, func() { _ = c.Close() })
	return f, nil
}

func (f *Feeder) Close() {
	f.halt()
	_ = f.conn.Close()
}

// Store stores the n items from first on, and returns when the server has handled all of them.
func (f *Feeder) Store(first, n int) error {
	for i, end := first, first+n; i < end; {
		f.chunk = f.chunk[:0]
		for ; i < end && len(f.chunk) < feedChunk; i++ {
			f.append(i)
		}
		if err := f.write(); err != nil {
			return err
		}
	}
	return f.sync()
}

// Remove deletes an item.
func (f *Feeder) Remove(i int) error {
	f.chunk = append(f.chunk[:0], "delete "...)
	f.chunk = AppendItemKey(f.chunk, uint32(i), f.keySize)
	f.chunk = append(f.chunk, " noreply\r\n"...)
	if err := f.write(); err != nil {
		return err
	}
	return f.sync()
}

// paceStep is how much of a paced feed is sent at once.
const paceStep = 100 * time.Microsecond

// Pace stores items as store does, but not more than rate of them in a second, evenly.
func (f *Feeder) Pace(first, n, rate int) error {
	start := time.Now()
	for i, end := first, first+n; i < end; {
		due := first + int(time.Since(start).Seconds()*float64(rate))
		if i >= due {
			ts := syscall.NsecToTimespec(int64(paceStep)) // a timer of the runtime would come in milliseconds
			_ = syscall.Nanosleep(&ts, nil)
			continue
		}
		f.chunk = f.chunk[:0]
		for ; i < min(due, end) && len(f.chunk) < feedChunk; i++ {
			f.append(i)
		}
		if err := f.write(); err != nil {
			return err
		}
	}
	return f.sync()
}

func (f *Feeder) append(i int) {
	f.chunk = append(f.chunk, "set "...)
	f.chunk = AppendItemKey(f.chunk, uint32(i), f.keySize)
	f.chunk = append(f.chunk, f.middle...)
	f.chunk = f.values.AppendValue(f.chunk, uint32(i))
	f.chunk = append(f.chunk, '\r', '\n')
}

// AppendItemKey appends the key of item i: an "i", and i in size-1 digits.
func AppendItemKey(dst []byte, i uint32, size int) []byte {
	at := len(dst)
	dst = append(dst, zeros[:size]...)
	dst[at] = 'i'
	for p := at + size - 1; i > 0 && p > at; p-- {
		dst[p] = byte('0' + i%10)
		i /= 10
	}
	return dst
}

var zeros = strings.Repeat("0", MaxKeySize)

func (f *Feeder) write() error {
	_ = f.conn.SetDeadline(time.Now().Add(FeedTimeout))
	if _, err := f.conn.Write(f.chunk); err != nil {
		return fmt.Errorf("storing items: %w", err)
	}
	return nil
}

// sync waits until the server has handled all that was sent. Whatever it says of a set with noreply is an error of it.
func (f *Feeder) sync() error {
	f.chunk = append(f.chunk[:0], "version\r\n"...)
	if err := f.write(); err != nil {
		return err
	}
	line, err := f.in.ReadString('\n')
	if err != nil {
		return fmt.Errorf("storing items: %w", err)
	}
	if !strings.HasPrefix(line, "VERSION ") {
		return fmt.Errorf("storing items: the server answered %q", strings.TrimSpace(line))
	}
	return nil
}
