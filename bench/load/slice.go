package load

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Slice is what a sliced load did in one slice.
type Slice struct {
	// Elapsed is from the first request to the last reply: a little longer than asked for.
	Elapsed time.Duration
	Counts
}

// Slice lets a load that was started with Options.Sliced run for d. From d on no connection sends; the slice ends when every request is answered,
// lost or failed, so that Counts are of exactly the requests that were made in it. Between slices the load keeps its connections and costs no CPU.
//
// The server may have a little left to do after the last reply, such as giving back buffers or closing short connections: wait a millisecond before
// reading its CPU time. After an error the load is of no further use and must be stopped.
func (l *Load) Slice(ctx context.Context, d time.Duration) (Slice, error) {
	if !l.options.Sliced {
		return Slice{}, errors.New("load: Slice is for a load that was started with Options.Sliced")
	}
	before := l.counts()
	began := Now()
	for _, t := range l.threads {
		t.start <- began + int64(d)
	}
	err := l.awaitSlice(ctx, d)
	s := Slice{Elapsed: time.Duration(Now() - began), Counts: l.counts()}
	s.Counts.Add(&before, -1)
	return s, err
}

// awaitSlice waits until all threads are idle again.
func (l *Load) awaitSlice(ctx context.Context, d time.Duration) error {
	limit := time.NewTimer(d + l.options.Stall)
	defer limit.Stop()
	for _, t := range l.threads {
		select {
		case <-t.stopped:
		case <-l.done:
			if err := l.failure(); err != nil {
				return err
			}
			return errors.New("the load has ended")
		case <-ctx.Done():
			return ctx.Err()
		case <-limit.C:
			return fmt.Errorf("%w: no reply for %v", ErrStalled, l.options.Stall)
		}
	}
	return nil
}

// Total is what a sliced load did since its start, or since the last Total.
func (l *Load) Total() *Window {
	w := &Window{times: newTimes()}
	for _, t := range l.threads {
		t.rec.cut(w)
	}
	return w
}

// counts adds up what the threads counted since the last cut.
func (l *Load) counts() (c Counts) {
	for _, t := range l.threads {
		t.rec.Lock()
		c.Add(&t.rec.Counts, 1)
		t.rec.Unlock()
	}
	return c
}
