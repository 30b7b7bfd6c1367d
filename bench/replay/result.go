package replay

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"math"
	"slices"
	"sync"
	"text/template"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"ringcached/bench/load"
	"ringcached/bench/sut"
	"ringcached/bench/tables"
	"ringcached/bench/trace"
)

// Report is the result of a replay.
type Report struct {
	sut.Header
	Replay *Result `json:"replay,omitempty"`
}

// Result is what a replay gave.
type Result struct {
	Trace        string  `json:"trace"`
	Format       string  `json:"trace_format"`
	Addr         string  `json:"addr"`
	Server       string  `json:"server_version"`
	Speed        float64 `json:"speed"`
	Seconds      float64 `json:"seconds"`
	TraceSeconds float64 `json:"trace_seconds"` // from the first request's time to the last one's
	// Requests are those of the trace that were answered; fills are not among them.
	Requests   int64       `json:"requests"`
	PerSecond  float64     `json:"requests_per_second"`
	HitRatio   float64     `json:"hit_ratio"` // the part of the gets that hit, from 0 to 1; without gets 0
	Operations []Operation `json:"operations"`
	Fills      *Operation  `json:"fills,omitempty"`
	// Unsized are misses that could not be filled, for the trace has no size: they missed when they were recorded too.
	Unsized int64 `json:"misses_without_size,omitempty"`
	// Latency counts from when a request was due, if the replay was paced; else from when it was sent.
	Latency load.Quantiles `json:"latency_us"`
	// Lateness is from when requests were due until they were sent. Nil: the replay was not paced.
	Lateness     *load.Quantiles  `json:"lateness_us,omitempty"`
	ErrorReplies int64            `json:"error_replies"`
	BadLines     int64            `json:"malformed_lines"`
	FirstBadLine string           `json:"first_malformed_line,omitempty"`
	Before       map[string]int64 `json:"memory_before,omitempty"` // memoryStats; nil: the server has none
	After        map[string]int64 `json:"memory_after,omitempty"`
	Interrupted  bool             `json:"interrupted,omitempty"`
	Problems     []string         `json:"problems,omitempty"`
}

// Operation is what became of the requests of one kind.
type Operation struct {
	Name string `json:"name"`
	// Done are hits, and what was stored, deleted or counted; Not are misses, and conditions that were not met;
	// NoNumber are increments of values that are no numbers; Refused are error replies.
	Done     int64          `json:"done"`
	Not      int64          `json:"not"`
	NoNumber int64          `json:"no_number,omitempty"`
	Refused  int64          `json:"error_replies"`
	Latency  load.Quantiles `json:"latency_us"`

	times *hdrhistogram.Histogram
}

// count is the counter of what became of a request.
func (o *Operation) count(kind outcome) *int64 {
	return [...]*int64{&o.Done, &o.Not, &o.NoNumber, &o.Refused}[kind]
}

// outcome is how a request ended.
type outcome uint8

const (
	done     outcome = iota
	missed           // or a condition was not met
	noNumber         // of an increment: the value is none
	refused          // an error reply
)

func opName(op trace.Op) string {
	if op == fill {
		return "fill"
	}
	return op.String()
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

// memoryStats are the statistics that a server tells of its memory: items, bytes with its headers, and evictions
// since it started.
var memoryStats = []string{"curr_items", "bytes", "limit_maxbytes", "evictions"}

// serverMemory asks for them. Servers that have none of the name, such as proxies, give an error.
func serverMemory(ctx context.Context, at load.Endpoint) (map[string]int64, error) {
	stats, err := at.AskStats(ctx, "")
	if err != nil {
		return nil, err
	}
	memory := map[string]int64{}
	for _, name := range memoryStats {
		if memory[name], err = sut.StatNumber(stats, name); err != nil {
			return nil, err
		}
	}
	return memory, nil
}

// tally counts for all connections of a replay.
type tally struct {
	mu       sync.Mutex
	ops      [fill + 1]Operation
	latency  *hdrhistogram.Histogram // of all but fills, from when a request was due or, if it was not paced, sent
	lateness *hdrhistogram.Histogram
	last     int64 // lateness of the last request, nanoseconds
	unsized  int64
	problems load.Problems
}

func newTally() *tally {
	t := &tally{latency: load.NewHistogram(), lateness: load.NewHistogram()}
	for op := range t.ops {
		t.ops[op] = Operation{Name: opName(trace.Op(op)), times: load.NewHistogram()}
	}
	return t
}

// add counts requests that were answered.
func (t *tally) add(requests []*request, filling bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, q := range requests {
		latency := q.answered - q.sent
		if q.due > 0 {
			t.last, latency = q.sent-q.due, q.answered-q.due
			load.Record(t.lateness, t.last)
		}
		*t.ops[q.op].count(q.kind)++
		load.Record(t.ops[q.op].times, latency)
		if q.refused != "" {
			t.problems.Add(q.refused)
		}
		if q.op != fill {
			load.Record(t.latency, latency)
		}
		if filling && q.op.Reads() && q.kind == missed && q.size == 0 {
			t.unsized++
		}
	}
}

// progress is what was counted so far.
func (t *tally) progress(elapsed time.Duration) Progress {
	t.mu.Lock()
	defer t.mu.Unlock()
	get, gets := &t.ops[trace.Get], &t.ops[trace.Gets]
	hits := get.Done + gets.Done
	return Progress{elapsed, t.latency.TotalCount(), float64(hits) / float64(hits+get.Not+gets.Not), time.Duration(t.last)}
}

// finish writes what was counted.
func (t *tally) finish(r *Result, elapsed time.Duration) {
	p := t.progress(elapsed)
	r.Seconds, r.Requests, r.PerSecond = elapsed.Seconds(), p.Requests, float64(p.Requests)/elapsed.Seconds()
	if !math.IsNaN(p.HitRatio) {
		r.HitRatio = p.HitRatio
	}
	r.Latency = load.QuantilesOf(t.latency)
	if t.lateness.TotalCount() > 0 {
		late := load.QuantilesOf(t.lateness)
		r.Lateness = &late
	}
	for op := range t.ops {
		o := &t.ops[op]
		r.ErrorReplies += o.Refused
		switch o.Latency = load.QuantilesOf(o.times); {
		case o.times.TotalCount() == 0:
		case op == int(fill):
			r.Fills = o
		default:
			r.Operations = append(r.Operations, *o)
		}
	}
	r.Unsized, r.Problems = t.unsized, t.problems
}

//go:embed replay.txt
var replayText string

var replayParts = tables.NewText(replayText, template.FuncMap{
	"asked": func(r *Result) bool {
		return slices.ContainsFunc(r.Operations, func(o Operation) bool {
			return (o.Name == trace.Get.String() || o.Name == trace.Gets.String()) && o.Done+o.Not > 0
		})
	},
	"noNumbers": func(r *Result) (n int64) {
		for _, o := range r.Operations {
			n += o.NoNumber
		}
		return n
	},
})

// Print writes a replay's result for people.
func Print(w io.Writer, r *Result) { replayParts.Show(w, "replay", r) }
