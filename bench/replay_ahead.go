package bench

import (
	"context"
	"errors"

	"ringcached/bench/trace"
)

// traceBatch is some records of a trace, in their order.
type traceBatch struct {
	records []trace.Record
	keys    []byte // of the records
	// In a replay that is paced all records are of one second of the trace. index is how many it had before these, and total how many it
	// has, as far as is known.
	index, total int
	err          error // why nothing follows; nil: there is more

	badLines     int64
	firstBadLine string
}

// traceAhead reads a trace before it is needed. Times in a trace are whole seconds, and where a request lies within its second is guessed from
// its place among those of the second; so the next second is read while one is replayed.
type traceAhead struct {
	file    *trace.File
	paced   bool
	skipBad bool
	out     chan *traceBatch
	free    chan *traceBatch

	next     trace.Record // if have
	have     bool
	second   int64 // of the last batch
	index    int   // its records so far
	previous int   // records of the second before
}

// Bounds of a batch. A second with more than the first is a number of batches; how many requests it has is then guessed from the second before.
const (
	pacedBatch   = 1 << 16
	unpacedBatch = 1 << 10
	aheadBatches = 3
)

// readTrace reads the file on a goroutine of its own, which closes it. The last batch has the error.
func readTrace(ctx context.Context, file *trace.File, o *ReplayOptions) *traceAhead {
	a := &traceAhead{file: file, paced: o.Speed > 0, skipBad: o.SkipBad, out: make(chan *traceBatch), free: make(chan *traceBatch, aheadBatches)}
	for range aheadBatches {
		a.free <- &traceBatch{}
	}
	go a.run(ctx)
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
		b.records, b.keys, b.badLines, b.firstBadLine = b.records[:0], b.keys[:0], 0, ""
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

// fill reads records into a batch: until it is full, or in a replay that is paced, the second is over.
func (a *traceAhead) fill(b *traceBatch) (err error) {
	most, over := unpacedBatch, false
	if a.paced {
		most = pacedBatch
	}
	for len(b.records) < most && err == nil {
		if !a.have {
			if err = a.read(b); err != nil {
				break
			}
		}
		if len(b.records) > 0 && a.paced && a.next.Time != b.records[0].Time {
			a.have, over = true, true
			break
		}
		a.have = false
		b.keys = append(b.keys, a.next.Key...) // if they move, older records keep the old ones
		a.next.Key = b.keys[len(b.keys)-len(a.next.Key):]
		b.records = append(b.records, a.next)
	}
	if len(b.records) == 0 {
		return err
	}
	if t := b.records[0].Time; t != a.second {
		a.second, a.previous, a.index = t, a.index, 0
	}
	b.index = a.index
	a.index += len(b.records)
	if b.total = a.index; !over {
		b.total = max(a.index, a.previous)
	}
	return err
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
