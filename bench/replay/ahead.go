package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"ringcached/bench/load"
	"ringcached/bench/trace"
)

// request is a request on its way through a connection, and what became of it.
type request struct {
	op     trace.Op // or fill
	key    []byte
	hash   uint64 // of the key
	size   int    // of the value
	ttl    int64  // seconds, as in the trace
	client uint64 // its number, mixed
	due    int64  // by load.Now, and until the dispatcher has it from the replay's beginning; 0: at once

	sent, answered int64 // by load.Now
	kind           outcome
	refused        string // the error reply
}

// fill is the operation of a set that follows a miss.
const fill = trace.OpCount

// batch is some requests of a trace, in their order; if the replay is paced, of one second.
type batch struct {
	requests    []request
	keys        []byte // that the requests' are parts of
	first, last int64  // seconds of the trace
	bad         int64  // what was no request so far, and the first of that
	firstBad    string
	err         error // why nothing follows; nil: there is more
}

// Bounds of a batch. A second with more is a number of batches; how many requests it has is then guessed from the
// second before.
const (
	pacedBatch   = 1 << 20
	batchKeys    = 128 << 20 // bytes
	unpacedBatch = 1 << 10
)

// ahead reads a trace before it is needed. Times in a trace are whole seconds, and where a request lies within its
// second is guessed from its place among those of the second; so the next second is read, as a whole, while one is
// replayed.
type ahead struct {
	file     *trace.File
	speed    float64
	most     int   // requests of a batch
	mostKeys int   // bytes of the keys of a batch, but for the last one
	left     int64 // requests to be read; a paced replay reads the whole second that its limit is in

	next     trace.Record // of which Count are to be sent yet
	origin   int64        // the first second
	second   int64        // of the last batch
	index    int          // its requests so far
	previous int          // requests of the second before
	due      int64        // of the last request
}

func newAhead(file *trace.File, o *Options) *ahead {
	a := &ahead{file: file, speed: o.Speed, most: unpacedBatch, mostKeys: batchKeys, left: math.MaxInt64, origin: -1}
	if o.Speed > 0 {
		a.most = pacedBatch
	} else if o.Limit > 0 {
		a.left = o.Limit
	}
	return a
}

// run reads the file, which it closes. The last batch has the error.
func (a *ahead) run(ctx context.Context, out chan<- *batch) {
	defer func() { _ = a.file.Close() }()
	for ended := false; !ended; {
		b := &batch{}
		b.err = a.read(b)
		ended = b.err != nil // the batch is the other's as soon as it is sent
		select {
		case out <- b:
		case <-ctx.Done():
			return
		}
	}
}

// read reads requests into a batch: until it is full or, in a replay that is paced, the second is over.
func (a *ahead) read(b *batch) (err error) {
	over := false
	for len(b.requests) < a.most && len(b.keys) < a.mostKeys && err == nil && !over {
		if a.left == 0 {
			err = io.EOF
		} else if a.next.Count == 0 {
			err = a.file.Read(&a.next)
		} else if over = a.speed > 0 && len(b.requests) > 0 && a.next.Time != b.first; !over {
			b.add(&a.next)
			a.next.Count--
			a.left--
		}
	}
	b.bad, b.firstBad = a.file.Bad, a.file.FirstBad
	if a.speed > 0 && len(b.requests) > 0 {
		a.pace(b, over)
	}
	return err
}

// pace spreads requests over their second: none is due before the one that came before it.
func (a *ahead) pace(b *batch, over bool) {
	if a.origin < 0 {
		a.origin = b.first
	}
	if b.first != a.second {
		a.second, a.previous, a.index = b.first, a.index, 0
	}
	total := a.index + len(b.requests)
	if !over {
		total = max(total, a.previous)
	}
	for i := range b.requests {
		ns := (float64(b.first-a.origin) + float64(a.index+i)/float64(total)) * 1e9 / a.speed
		a.due = max(a.due, int64(min(ns, math.MaxInt64/2)))
		b.requests[i].due = a.due
	}
	a.index += len(b.requests)
}

// add appends a request of a record.
func (b *batch) add(rec *trace.Record) {
	at := len(b.keys)
	b.keys = appendKey(b.keys, rec)
	key := b.keys[at:len(b.keys):len(b.keys)]
	if at == 0 {
		b.first, b.last = rec.Time, rec.Time
	}
	b.last = max(b.last, rec.Time)
	b.requests = append(b.requests, request{
		op: rec.Op, key: key, hash: keyHash(key), size: rec.ValueSize, ttl: rec.TTL, client: load.Mix(rec.Client),
	})
}

// appendKey appends the key that a server is asked for of the key in a trace: as long as the trace says that it was,
// and no longer than the protocol allows. A key that is shorter is padded; of one that is longer, or that no text
// protocol could carry, there is a hash.
func appendKey(dst []byte, r *trace.Record) []byte {
	size := min(r.KeySize, load.MaxKeySize)
	at := len(dst)
	if len(r.Key) <= size && !slices.ContainsFunc(r.Key, unprintable) {
		dst = append(dst, r.Key...)
	} else {
		dst = appendKeyHash(dst, r.Key, size)
	}
	return append(dst, padding[:at+size-len(dst)]...)
}

// unprintable reports that a byte may not be in a key.
func unprintable(c byte) bool { return c <= ' ' || c == 0x7f }

var padding = strings.Repeat("-", load.MaxKeySize)

// dispatch hands the requests to the connections of their clients, each when it is due, until there are no more,
// there were enough, or the context ends. The error is that of the trace.
func (r *replaying) dispatch(ctx context.Context, batches <-chan *batch) error {
	if r.ends > 0 {
		var end context.CancelFunc
		ctx, end = context.WithTimeout(ctx, time.Duration(r.ends-load.Now()))
		defer end()
	}
	var origin, first, last, sent int64
	for {
		var b *batch
		select {
		case b = <-batches:
		case <-ctx.Done():
			return nil
		}
		if sent == 0 {
			origin, first, last = load.Now(), b.first, b.first
		}
		last = max(last, b.last)
		r.result.TraceSeconds, r.result.BadLines, r.result.FirstBadLine = float64(last-first), b.bad, b.firstBad
		for i := range b.requests {
			q := &b.requests[i]
			if r.options.Speed > 0 {
				q.due += origin
				load.SleepUntil(ctx, q.due)
			}
			switch q.op {
			case trace.Append, trace.Prepend:
				r.extended.Store(true)
			case trace.Incr, trace.Decr:
				r.counted.Store(true)
			}
			select {
			case r.conns[q.client%uint64(len(r.conns))].queue <- q:
			case <-ctx.Done():
				return nil
			}
			if sent++; sent == r.options.Limit {
				return nil
			}
		}
		switch {
		case errors.Is(b.err, io.EOF):
			return nil
		case b.err != nil:
			return fmt.Errorf("%s: %w", r.options.Trace, b.err)
		}
	}
}
