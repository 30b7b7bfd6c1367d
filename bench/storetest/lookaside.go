package storetest

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"strconv"
	"time"

	"ringcached/bench/evictsim"

	"ringcached/bench/load"
)

// lookAside is a client with a cache in front of its data: it gets what a trace asks for, and stores what it missed. Each hit is checked.
//
// It sends gets in groups, and what a group missed with the next one, so that the server sees the order of the trace but for what lies
// within a group: nothing to a cache of thousands of items. A group never has a key twice: whether the second get hits is up to the first.
type lookAside struct {
	conn   net.Conn
	in     *bufio.Reader
	trace  *lookAsideTrace
	group  []evictsim.Request
	missed []evictsim.Request // of the last group, to be stored
	out    []byte
	hits   int // of the last group
}

// lookAsideGroup is how many gets are sent at once at most.
const lookAsideGroup = 32

// lookAsideTrace is what is asked for: requests, and what a request's number means to a server.
type lookAsideTrace struct {
	requests []evictsim.Request
	warmup   int // requests that do not count
	rate     int // requests per second at most
	values   map[uint32]*load.KeySpace
}

const lookAsideKey = 20 // bytes

// newLookAsideTrace prepares requests whose sizes are key and value together.
func newLookAsideTrace(requests []evictsim.Request, warmup, rate int) *lookAsideTrace {
	t := &lookAsideTrace{requests: requests, warmup: warmup, rate: rate, values: make(map[uint32]*load.KeySpace)}
	for _, r := range requests {
		if t.values[r.Size] == nil {
			t.values[r.Size] = load.NewKeySpace(0, lookAsideKey, int(r.Size)-lookAsideKey)
		}
	}
	return t
}

// run puts the trace to a server and returns the part of hits among what counts, from 0 to 1.
func (t *lookAsideTrace) run(ctx context.Context, addr string) (ratio float64, err error) {
	c, err := load.Dial(ctx, addr, load.ConnectTimeout)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	r := &lookAside{conn: c, in: bufio.NewReaderSize(c, 64<<10), trace: t}
	start := time.Now()
	hits, next := 0, 0
	for next < len(t.requests) {
		if ahead := time.Duration(float64(next)/float64(t.rate)*float64(time.Second)) - time.Since(start); ahead > time.Millisecond {
			time.Sleep(ahead)
		}
		n := r.gather(t.requests[next:], next < t.warmup, t.warmup-next)
		if err := r.exchange(); err != nil {
			return 0, err
		}
		if next >= t.warmup {
			hits += r.hits
		}
		next += n
	}
	return float64(hits) / float64(max(len(t.requests)-t.warmup, 1)), nil
}

// gather makes a group of the next requests, none of which is beyond the end of the warm-up while that lasts.
func (r *lookAside) gather(requests []evictsim.Request, warming bool, left int) int {
	most := min(lookAsideGroup, len(requests))
	if warming {
		most = min(most, left)
	}
	r.group = r.group[:0]
	for _, q := range requests[:most] {
		for _, p := range r.group {
			if p.Key == q.Key {
				return len(r.group)
			}
		}
		r.group = append(r.group, q)
	}
	return len(r.group)
}

// exchange stores what the last group missed, and gets this one.
func (r *lookAside) exchange() error {
	r.out = r.out[:0]
	for _, q := range r.missed {
		r.out = append(r.out, "set "...)
		r.out = load.AppendItemKey(r.out, q.Key, lookAsideKey)
		r.out = append(r.out, " 0 0 "...)
		r.out = strconv.AppendInt(r.out, int64(q.Size)-lookAsideKey, 10)
		r.out = append(r.out, '\r', '\n')
		r.out = r.trace.values[q.Size].AppendValue(r.out, q.Key)
		r.out = append(r.out, '\r', '\n')
	}
	for _, q := range r.group {
		r.out = append(r.out, "get "...)
		r.out = load.AppendItemKey(r.out, q.Key, lookAsideKey)
		r.out = append(r.out, '\r', '\n')
	}
	_ = r.conn.SetDeadline(time.Now().Add(load.FeedTimeout))
	if _, err := r.conn.Write(r.out); err != nil {
		return err
	}
	for range r.missed {
		line, err := r.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if string(line) != "STORED\r\n" {
			return fmt.Errorf("the server answered %q to a set", bytes.TrimSpace(line))
		}
	}
	r.missed, r.hits = r.missed[:0], 0
	for _, q := range r.group {
		hit, err := r.reply(q)
		if err != nil {
			return err
		}
		if hit {
			r.hits++
		} else {
			r.missed = append(r.missed, q)
		}
	}
	return nil
}

// reply reads and checks the answer to a get.
func (r *lookAside) reply(q evictsim.Request) (hit bool, err error) {
	line, err := r.in.ReadSlice('\n')
	if err != nil {
		return false, err
	}
	if string(line) == "END\r\n" {
		return false, nil
	}
	size := int(q.Size) - lookAsideKey
	want := append(load.AppendItemKey([]byte("VALUE "), q.Key, lookAsideKey), fmt.Sprintf(" 0 %d\r\n", size)...)
	if !bytes.Equal(line, want) {
		return false, fmt.Errorf("the server answered %q, want %q", line, want)
	}
	data, err := r.in.Peek(size + len("\r\nEND\r\n"))
	if err != nil {
		return false, err
	}
	if string(data[size:]) != "\r\nEND\r\n" || r.trace.values[q.Size].Differs(data[:size], q.Key, 0) >= 0 {
		return false, fmt.Errorf("the value of %s is not what was stored", want[len("VALUE "):len("VALUE ")+lookAsideKey])
	}
	_, err = r.in.Discard(len(data))
	return true, err
}
