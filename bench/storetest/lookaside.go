package storetest

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"ringcached/bench/evictsim"
	"ringcached/bench/load"
)

// lookAsideKey is the size of keys in bytes, and lookAsideGroup how many of them are asked for at once at most.
const lookAsideKey, lookAsideGroup = 20, 32

// lookAside puts requests to a server, rate of them in a second at most, as a client with a cache in front of its data does: it gets what is asked
// for, and stores what it missed. It returns the part of hits after the first warmup requests, each of which is checked.
//
// Gets go out in groups, with the sets of what the last group missed in front, so the server sees the order of the trace but for what lies within a
// group: nothing to a cache of thousands of items. A group never has a key twice: whether the second get hits is up to the first.
func lookAside(ctx context.Context, addr string, requests []evictsim.Request, warmup, rate int) (ratio float64, err error) {
	conn, err := load.Dial(ctx, addr, load.ConnectTimeout)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	c := &aside{in: bufio.NewReaderSize(conn, 64<<10), values: make(map[uint32]*load.KeySpace)}
	hits := 0
	for start, at := time.Now(), 0; at < len(requests); {
		if ahead := time.Duration(float64(at)/float64(rate)*float64(time.Second)) - time.Since(start); ahead > time.Millisecond {
			time.Sleep(ahead)
		}
		group := nextGroup(requests[at:], warmup-at)
		_ = conn.SetDeadline(time.Now().Add(load.FeedTimeout))
		if _, err := conn.Write(c.appendRequests(nil, group)); err != nil {
			return 0, err
		}
		if err := c.readReplies(group); err != nil {
			return 0, err
		}
		if at >= warmup {
			hits += len(group) - len(c.missed)
		}
		at += len(group)
	}
	return float64(hits) / float64(max(len(requests)-warmup, 1)), nil
}

// nextGroup is the first of the requests, none of which is beyond the end of the warm-up, left requests from here, while that lasts.
func nextGroup(requests []evictsim.Request, left int) []evictsim.Request {
	most := min(lookAsideGroup, len(requests))
	if left > 0 {
		most = min(most, left)
	}
	for n := range most {
		if slices.ContainsFunc(requests[:n], func(p evictsim.Request) bool { return p.Key == requests[n].Key }) {
			return requests[:n]
		}
	}
	return requests[:most]
}

// aside is a connection that looks aside.
type aside struct {
	in     *bufio.Reader
	values map[uint32]*load.KeySpace // by the size of items
	missed []evictsim.Request        // by the last group
}

func (c *aside) valuesOf(q evictsim.Request) *load.KeySpace {
	if c.values[q.Size] == nil {
		c.values[q.Size] = load.NewKeySpace(0, lookAsideKey, int(q.Size)-lookAsideKey)
	}
	return c.values[q.Size]
}

// appendRequests appends sets of what was missed, and a get of the group.
func (c *aside) appendRequests(out []byte, group []evictsim.Request) []byte {
	for _, q := range c.missed {
		out = fmt.Appendf(load.AppendItemKey(append(out, "set "...), q.Key, lookAsideKey), " 0 0 %d\r\n", q.Size-lookAsideKey)
		out = append(c.valuesOf(q).AppendValue(out, q.Key), "\r\n"...)
	}
	out = append(out, "get"...)
	for _, q := range group {
		out = load.AppendItemKey(append(out, ' '), q.Key, lookAsideKey)
	}
	return append(out, "\r\n"...)
}

// readReplies reads and checks the replies, and notes what the group missed.
func (c *aside) readReplies(group []evictsim.Request) error {
	for range c.missed {
		if line, err := c.in.ReadString('\n'); err != nil || line != "STORED\r\n" {
			return cmp.Or(err, fmt.Errorf("the server answered %q to a set", line))
		}
	}
	c.missed = c.missed[:0]
	line, err := c.in.ReadString('\n')
	for _, q := range group {
		size := int(q.Size) - lookAsideKey
		if err != nil || line != fmt.Sprintf("VALUE %s 0 %d\r\n", load.AppendItemKey(nil, q.Key, lookAsideKey), size) {
			c.missed = append(c.missed, q)
			continue
		}
		data := make([]byte, size+len("\r\n"))
		if _, err := io.ReadFull(c.in, data); err != nil {
			return err
		}
		if string(data[size:]) != "\r\n" || c.valuesOf(q).Differs(data[:size], q.Key, 0) >= 0 {
			return fmt.Errorf("the value of %q is not what was stored", line)
		}
		line, err = c.in.ReadString('\n')
	}
	if err != nil || line != "END\r\n" {
		return cmp.Or(err, fmt.Errorf("the server answered %q to a get", line))
	}
	return nil
}
