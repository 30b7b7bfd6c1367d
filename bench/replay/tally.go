package replay

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"ringcached/bench/trace"

	"ringcached/bench/load"
	"ringcached/bench/sut"
)

// Report is the result of a replay.
type Report struct {
	sut.Header
	Replay *Result `json:"replay,omitempty"`
}

// Result is what a replay gave.
type Result struct {
	Trace        string  `json:"trace"`
	Addr         string  `json:"addr"`
	Server       string  `json:"server_version"`
	Speed        float64 `json:"speed"`
	Seconds      float64 `json:"seconds"`
	TraceSeconds float64 `json:"trace_seconds"` // from the first request's time to the last one's
	// Requests are those of the trace that were answered; fills are not among them.
	Requests  int64   `json:"requests"`
	PerSecond float64 `json:"requests_per_second"`
	// HitRatio is the part of the gets that hit, from 0 to 1. Without gets it is 0.
	HitRatio   float64           `json:"hit_ratio"`
	Operations []ReplayOperation `json:"operations"`
	Fills      *ReplayOperation  `json:"fills,omitempty"`
	// Unsized are misses that could not be filled, for the trace has no size: they missed when they were recorded too.
	Unsized int64 `json:"misses_without_size,omitempty"`
	// Latency counts from when a request was due, if the replay was paced; else from when it was sent.
	Latency load.Quantiles `json:"latency_us"`
	// Lateness is from when requests were due until they were sent. Nil: the replay was not paced.
	Lateness     *load.Quantiles `json:"lateness_us,omitempty"`
	ErrorReplies int64           `json:"error_replies"`
	BadLines     int64           `json:"malformed_lines"`
	FirstBadLine string          `json:"first_malformed_line,omitempty"`
	Before       *ServerMemory   `json:"memory_before,omitempty"` // nil: the server does not tell
	After        *ServerMemory   `json:"memory_after,omitempty"`
	Interrupted  bool            `json:"interrupted,omitempty"`
	Problems     []string        `json:"problems,omitempty"`
}

// ReplayOperation is what became of the requests of one kind.
type ReplayOperation struct {
	Name string `json:"name"`
	// Done are hits, and what was stored, deleted or counted; Not are misses, and conditions that were not met; NoNumber are increments of
	// values that are no numbers; Refused are error replies.
	Done     int64          `json:"done"`
	Not      int64          `json:"not"`
	NoNumber int64          `json:"no_number,omitempty"`
	Refused  int64          `json:"error_replies"`
	Latency  load.Quantiles `json:"latency_us"`
}

// gets is the number of gets that hit or missed.
func (r *Result) gets() (n int64) {
	for _, o := range r.Operations {
		if o.Name == trace.Get.String() || o.Name == trace.Gets.String() {
			n += o.Done + o.Not
		}
	}
	return n
}

// Failed says why the replay must not be believed, or is empty.
func (r *Result) Failed() string {
	switch {
	case r.ErrorReplies > 0:
		return fmt.Sprintf("%d error replies", r.ErrorReplies)
	case r.Requests == 0 && !r.Interrupted:
		return "no request was answered"
	}
	return ""
}

// replayTally counts for all connections of a replay.
type replayTally struct {
	mu       sync.Mutex
	ops      []replayCount // of each operation, and of fills
	latency  *hdrhistogram.Histogram
	lateness *hdrhistogram.Histogram
	last     int64 // lateness of the last request, nanoseconds
	unsized  int64
	problems []string
}

type replayCount struct {
	kinds   [outcomeKindCount]int64
	latency *hdrhistogram.Histogram
}

func newReplayTally() *replayTally {
	t := &replayTally{latency: load.NewHistogram(), lateness: load.NewHistogram(), ops: make([]replayCount, len(trace.Ops())+1)}
	for i := range t.ops {
		t.ops[i].latency = load.NewHistogram()
	}
	return t
}

// add counts what was done.
func (t *replayTally) add(done []replayOutcome) {
	t.mu.Lock()
	defer t.mu.Unlock()
	record := func(h *hdrhistogram.Histogram, ns int64) { _ = h.RecordValue(min(max(ns, 0), load.HighestLatency)) } // cannot fail within the range
	for i := range done {
		d := &done[i]
		at := int(d.op)
		if d.fill {
			at = len(t.ops) - 1
		}
		t.ops[at].kinds[d.kind]++
		record(t.ops[at].latency, d.latency)
		if d.refused != "" && len(t.problems) < load.MaxProblems && !slices.Contains(t.problems, d.refused) {
			t.problems = append(t.problems, d.refused)
		}
		if d.fill {
			continue
		}
		record(t.latency, d.latency)
		if d.paced {
			record(t.lateness, d.late)
			t.last = d.late
		}
		if d.unsized {
			t.unsized++
		}
	}
}

// gets adds up what became of gets.
func (t *replayTally) gets() (hits, misses int64) {
	for _, op := range []trace.Op{trace.Get, trace.Gets} {
		hits += t.ops[op].kinds[outcomeDone]
		misses += t.ops[op].kinds[outcomeNot]
	}
	return hits, misses
}

func (t *replayTally) progress() Progress {
	t.mu.Lock()
	defer t.mu.Unlock()
	hits, misses := t.gets()
	p := Progress{Requests: t.latency.TotalCount(), HitRatio: math.NaN(), Late: time.Duration(t.last)}
	if hits+misses > 0 {
		p.HitRatio = float64(hits) / float64(hits+misses)
	}
	return p
}

// result writes what was counted.
func (t *replayTally) result(r *Result, elapsed time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r.Seconds, r.Requests = elapsed.Seconds(), t.latency.TotalCount()
	r.PerSecond = float64(r.Requests) / r.Seconds
	if hits, misses := t.gets(); hits+misses > 0 {
		r.HitRatio = float64(hits) / float64(hits+misses)
	}
	r.Latency = load.QuantilesOf(t.latency)
	if t.lateness.TotalCount() > 0 {
		late := load.QuantilesOf(t.lateness)
		r.Lateness = &late
	}
	names := trace.Ops()
	for i := range t.ops {
		c := &t.ops[i]
		if c.latency.TotalCount() == 0 {
			continue
		}
		op := ReplayOperation{
			Done: c.kinds[outcomeDone], Not: c.kinds[outcomeNot], NoNumber: c.kinds[outcomeNoNumber], Refused: c.kinds[outcomeRefused],
			Latency: load.QuantilesOf(c.latency),
		}
		r.ErrorReplies += op.Refused
		if i < len(names) {
			op.Name = names[i].String()
			r.Operations = append(r.Operations, op)
		} else {
			op.Name = "fill"
			r.Fills = &op
		}
	}
	r.Unsized, r.Problems = t.unsized, slices.Clone(t.problems)
}
