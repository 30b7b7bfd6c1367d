package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"syscall"
	"time"

	"ringcached/bench/trace"

	"ringcached/bench/load"
)

// replayRequest is a request on its way through a connection. It belongs to the dispatcher, then to the connection, and goes back to the pool.
type replayRequest struct {
	op   trace.Op
	key  []byte
	hash uint64 // of the key
	size int    // of the value
	ttl  int64
	due  int64 // when it is to be sent, by the clock of now; 0: at once
	sent int64
}

// dispatch hands the requests to the connections, each when it is due, until there are no more, there were enough, or the context ends. The
// error is that of the trace.
func (r *replaying) dispatch(ctx context.Context, ahead *traceAhead) error {
	if r.ends > 0 {
		var end context.CancelFunc
		ctx, end = context.WithTimeout(ctx, time.Duration(r.ends-load.Now()))
		defer end()
	}
	var start int64 // by the clock of now: when the trace's first second had been read
	for n := int64(0); ; {
		var b *traceBatch
		select {
		case b = <-ahead.out:
		case <-ctx.Done():
		}
		if b == nil {
			return nil
		}
		r.badLines += b.badLines
		if r.firstBadLine == "" {
			r.firstBadLine = b.firstBadLine
		}
		for i := range b.requests {
			at := b.requests[i].time
			if n == 0 {
				r.first, r.last, start = at, at, load.Now()
			}
			due := int64(0)
			if r.options.Speed > 0 {
				due = r.dueAt(start, b, i)
				sleepUntil(ctx, due)
			}
			if ctx.Err() != nil || !r.send(ctx, b, i, due) {
				return nil
			}
			r.last = max(r.last, at)
			if n++; n == r.options.Limit {
				return nil
			}
		}
		if b.err != nil {
			return r.ended(b.err)
		}
		ahead.free <- b
	}
}

// ended says what is wrong with the end of a trace.
func (r *replaying) ended(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return fmt.Errorf("%s: %w", r.options.Trace, err)
}

// dueAt is when a request of a batch is to be sent, by the clock of now: never before the one that came before it.
func (r *replaying) dueAt(start int64, b *traceBatch, i int) int64 {
	second := float64(b.requests[i].time-r.first) + float64(b.index+i)/float64(b.total)
	ns := second * 1e9 / r.options.Speed
	r.due = max(r.due, start, start+int64(min(ns, math.MaxInt64/2)))
	return r.due
}

// sleepUntil sleeps until a moment by the clock of now, or the context ends.
func sleepUntil(ctx context.Context, due int64) {
	const coarse = 2 * time.Millisecond // the runtime's timers may be a millisecond late
	if wait := time.Duration(due - load.Now()); wait > 2*coarse {
		t := time.NewTimer(wait - coarse)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
	if wait := due - load.Now(); wait > 0 {
		ts := syscall.NsecToTimespec(wait)
		_ = syscall.Nanosleep(&ts, nil)
	}
}

// send hands a request of a batch to the connection of its client, and waits while that has too many. It reports that it did.
func (r *replaying) send(ctx context.Context, b *traceBatch, i int, due int64) bool {
	a := &b.requests[i]
	q, _ := r.pool.Get().(*replayRequest)
	if q == nil {
		q = &replayRequest{key: make([]byte, 0, load.MaxKeySize)}
	}
	q.op, q.size, q.due = a.op, int(a.size), due
	q.key = append(q.key[:0], b.key(i)...)
	q.hash = keyHash(q.key)
	q.ttl = r.timeToLive(a.ttl)
	switch q.op {
	case trace.Append, trace.Prepend:
		r.extended.Store(true)
	case trace.Incr, trace.Decr:
		r.counted.Store(true)
	}
	select {
	case r.conns[a.conn].queue <- q:
		return true
	case <-ctx.Done():
		return false
	}
}

const (
	// maxRelativeTTL is the longest time to live in seconds that memcached's protocol takes for one; larger numbers are dates.
	maxRelativeTTL = 60 * 60 * 24 * 30
	// maxExpiry is the last date: memcached takes 31 bits.
	maxExpiry = math.MaxInt32
)

// timeToLive is the expiry to be sent for a time to live in a trace.
func (r *replaying) timeToLive(ttl int64) int64 {
	if ttl <= 0 || r.options.TTL == TTLIgnored {
		return 0
	}
	if r.options.TTL == TTLScaled {
		ttl = int64(min(math.Ceil(float64(ttl)/r.options.Speed), maxExpiry)) // it may have been infinite
	}
	if ttl > maxRelativeTTL {
		ttl += time.Now().Unix()
	}
	return min(ttl, maxExpiry)
}
