package replay

import (
	"context"
	"errors"
	"io"
	"math"

	"ringcached/bench/trace"

	"ringcached/bench/load"
)

// aheadRequest is a request of a batch. There may be millions of them, so it is small and has no pointers.
type aheadRequest struct {
	time   int64 // seconds, of the trace
	ttl    int64 // seconds, as in the trace
	keyEnd uint32
	size   uint32 // of the value
	conn   uint32 // the number of the connection that serves the client
	op     trace.Op
}

// traceBatch is some requests of a trace, in their order.
type traceBatch struct {
	requests []aheadRequest
	keys     []byte // of the requests, as servers are asked for them, one after the other
	// In a replay that is paced all requests are of one second of the trace. index is how many it had before these, and total how many it
	// has, as far as is known.
	index, total int
	err          error // why nothing follows; nil: there is more

	badLines     int64
	firstBadLine string
}

// key returns the key of a request.
func (b *traceBatch) key(i int) []byte {
	begin := uint32(0)
	if i > 0 {
		begin = b.requests[i-1].keyEnd
	}
	return b.keys[begin:b.requests[i].keyEnd]
}

// traceAhead reads a trace before it is needed. Times in a trace are whole seconds, and where a request lies within its second is guessed from
// its place among those of the second; so the next second is read, as a whole, while one is replayed.
type traceAhead struct {
	file     *trace.File
	paced    bool
	skipBad  bool
	conns    uint64
	most     int // requests of a batch
	mostKeys int // bytes of the keys of a batch, but for the last one
	// left is how many requests are to be read. A replay that is paced has no limit here: when its last requests are due is told from all of
	// their second.
	left int64
	out  chan *traceBatch
	free chan *traceBatch

	next     trace.Record // if have
	have     bool
	second   int64 // of the last batch
	index    int   // its requests so far
	previous int   // requests of the second before
}

// Bounds of a batch. A second with more than the first two is a number of batches; how many requests it has is then guessed from the second
// before. A request takes 32 bytes beside its key, so two batches are 512 MB at most.
const (
	pacedBatch     = 4 << 20
	pacedBatchKeys = 128 << 20 // bytes
	unpacedBatch   = 1 << 10
	aheadBatches   = 2 // one is read while the other is replayed
)

// readTrace reads the file on a goroutine of its own, which closes it. The last batch has the error.
func readTrace(ctx context.Context, file *trace.File, o *Options) *traceAhead {
	a := newAhead(file, o)
	for range aheadBatches {
		a.free <- &traceBatch{}
	}
	go a.run(ctx)
	return a
}

func newAhead(file *trace.File, o *Options) *traceAhead {
	a := &traceAhead{
		file: file, paced: o.Speed > 0, skipBad: o.SkipBad, conns: uint64(o.Connections),
		most: unpacedBatch, mostKeys: pacedBatchKeys, left: math.MaxInt64,
		out: make(chan *traceBatch), free: make(chan *traceBatch, aheadBatches),
	}
	if a.paced {
		a.most = pacedBatch
	} else if o.Limit > 0 {
		a.left = o.Limit
	}
	return a
}

func (a *traceAhead) run(ctx context.Context) {
	defer close(a.out)
	defer a.file.Close()
	for {
		var b *traceBatch
		select {
		case b = <-a.free:
		case <-ctx.Done():
			return
		}
		b.requests, b.keys, b.badLines, b.firstBadLine = b.requests[:0], b.keys[:0], 0, ""
		b.err = a.fill(b)
		last := b.err != nil // the batch is the other's as soon as it is sent
		select {
		case a.out <- b:
		case <-ctx.Done():
			return
		}
		if last {
			return
		}
	}
}

// fill reads requests into a batch: until it is full or, in a replay that is paced, the second is over.
func (a *traceAhead) fill(b *traceBatch) (err error) {
	over := false
	for len(b.requests) < a.most && len(b.keys) < a.mostKeys {
		if a.left == 0 {
			err = io.EOF
			break
		}
		if !a.have {
			if err = a.read(b); err != nil {
				break
			}
		}
		if len(b.requests) > 0 && a.paced && a.next.Time != b.requests[0].time {
			a.have, over = true, true
			break
		}
		a.have = false
		b.add(&a.next, a.conns)
		a.left--
	}
	if len(b.requests) == 0 {
		return err
	}
	if t := b.requests[0].time; t != a.second {
		a.second, a.previous, a.index = t, a.index, 0
	}
	b.index = a.index
	a.index += len(b.requests)
	if b.total = a.index; !over {
		b.total = max(a.index, a.previous)
	}
	return err
}

// add appends a record.
func (b *traceBatch) add(rec *trace.Record, conns uint64) {
	b.keys = traceKey(b.keys, rec)
	b.requests = append(b.requests, aheadRequest{
		time: rec.Time, ttl: rec.TTL, keyEnd: uint32(len(b.keys)), size: uint32(rec.ValueSize), conn: uint32(load.Mix(rec.Client) % conns), op: rec.Op,
	})
}

// read reads the next record that is one.
func (a *traceAhead) read(b *traceBatch) error {
	for {
		err := a.file.Read(&a.next)
		if err == nil || !a.skipBad {
			return err
		}
		var bad *trace.BadLine
		if !errors.As(err, &bad) {
			return err
		}
		if b.badLines++; b.firstBadLine == "" {
			b.firstBadLine = bad.Error()
		}
	}
}
