package storetest

import (
	"bufio"
	"bytes"
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
	in := bufio.NewReaderSize(conn, 64<<10)
	values := make(map[uint32]*load.KeySpace) // by the size of items
	var missed []evictsim.Request
	var out []byte
	hits := 0
	for start, at := time.Now(), 0; at < len(requests); {
		if ahead := time.Duration(float64(at)/float64(rate)*float64(time.Second)) - time.Since(start); ahead > time.Millisecond {
			time.Sleep(ahead)
		}
		group := nextGroup(requests[at:], warmup-at)
		out = out[:0]
		for _, q := range missed {
			out = fmt.Appendf(load.AppendItemKey(append(out, "set "...), q.Key, lookAsideKey), " 0 0 %d\r\n", q.Size-lookAsideKey)
			out = append(values[q.Size].AppendValue(out, q.Key), "\r\n"...)
		}
		out = append(out, "get"...)
		for _, q := range group {
			if out = load.AppendItemKey(append(out, ' '), q.Key, lookAsideKey); values[q.Size] == nil {
				values[q.Size] = load.NewKeySpace(0, lookAsideKey, int(q.Size)-lookAsideKey)
			}
		}
		_ = conn.SetDeadline(time.Now().Add(load.FeedTimeout))
		if _, err := conn.Write(append(out, "\r\n"...)); err != nil {
			return 0, err
		}
		for range missed {
			if line, err := in.ReadSlice('\n'); err != nil || string(line) != "STORED\r\n" {
				return 0, cmpError(err, "the server answered %q to a set", line)
			}
		}
		if missed, err = readGroup(in, group, values, missed[:0]); err != nil {
			return 0, err
		}
		if at >= warmup {
			hits += len(group) - len(missed)
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

// readGroup reads and checks the answer to a get of a group, and adds what it missed.
func readGroup(in *bufio.Reader, group []evictsim.Request, values map[uint32]*load.KeySpace, missed []evictsim.Request) ([]evictsim.Request, error) {
	var data []byte
	line, err := in.ReadString('\n')
	for _, q := range group {
		size := int(q.Size) - lookAsideKey
		if err != nil || line != fmt.Sprintf("VALUE %s 0 %d\r\n", load.AppendItemKey(nil, q.Key, lookAsideKey), size) {
			missed = append(missed, q)
			continue
		}
		data = slices.Grow(data[:0], size+2)[:size+2]
		if _, err := io.ReadFull(in, data); err != nil {
			return missed, err
		}
		if !bytes.HasSuffix(data, []byte("\r\n")) || values[q.Size].Differs(data[:size], q.Key, 0) >= 0 {
			return missed, fmt.Errorf("the value of %q is not what was stored", line)
		}
		line, err = in.ReadString('\n')
	}
	if err != nil || line != "END\r\n" {
		return missed, cmpError(err, "the server answered %q to a get", line)
	}
	return missed, nil
}

// cmpError is err, or if that is nil, what was wrong with a line.
func cmpError(err error, format string, line any) error {
	if err == nil {
		err = fmt.Errorf(format, line)
	}
	return err
}
