package load

import (
	"fmt"
	"slices"

	"github.com/HdrHistogram/hdrhistogram-go"

	"ringcached/bench/tables"
)

// Counts is what a load did in a stretch of time.
type Counts struct {
	// Operations are completed requests; a multiget is one.
	Operations int64 `json:"operations"`
	Sets       int64 `json:"sets"`
	Hits       int64 `json:"hits"`
	Misses     int64 `json:"misses"`
	// Lost counts requests over UDP that had no reply in time. They are in none of the latencies.
	Lost int64 `json:"lost,omitempty"`
	// Connects counts connections that were opened, over UDP sockets.
	Connects int64 `json:"connects"`
	// Resumed counts those of them that resumed a TLS session.
	Resumed  int64 `json:"resumed,omitempty"`
	BytesIn  int64 `json:"bytes_in"`
	BytesOut int64 `json:"bytes_out"`
	// Wrong counts replies that no correct server gives, Refused error replies, Broken connections that failed or
	// ended too early.
	Wrong   int64 `json:"wrong_replies"`
	Refused int64 `json:"error_replies"`
	Broken  int64 `json:"broken_connections"`
}

// Errors is the number of things that went wrong. What UDP lost is none of them.
func (c *Counts) Errors() int64 { return c.Wrong + c.Refused + c.Broken }

// Add adds d.
func (c *Counts) Add(d *Counts) {
	c.Operations += d.Operations
	c.Sets += d.Sets
	c.Hits += d.Hits
	c.Misses += d.Misses
	c.Lost += d.Lost
	c.Connects += d.Connects
	c.Resumed += d.Resumed
	c.BytesIn += d.BytesIn
	c.BytesOut += d.BytesOut
	c.Wrong += d.Wrong
	c.Refused += d.Refused
	c.Broken += d.Broken
}

// Latencies are tracked from 256 ns to a minute with three significant digits. A longer one counts as a minute.
const (
	lowestLatency  = 256
	HighestLatency = 60_000_000_000
)

// times are histograms, in nanoseconds.
type times struct {
	Latency  *hdrhistogram.Histogram // in an open loop since the request's arrival
	lateness *hdrhistogram.Histogram // of the load in an open loop, see OpenLoop; else nil
}

func newTimes(open bool) (t times) {
	t.Latency = NewHistogram()
	if open {
		t.lateness = NewHistogram()
	}
	return t
}

// NewHistogram makes a histogram of times in nanoseconds, of the range and precision of all latencies here.
func NewHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(lowestLatency, HighestLatency, 3)
}

// Quantiles are latencies in microseconds.
type Quantiles struct {
	P50  float64 `json:"p50"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Max  float64 `json:"max"`
}

// Quantiles returns the window's latencies.
func (w *Window) Quantiles() Quantiles { return QuantilesOf(w.Latency) }

// String tells latencies in a line.
func (q Quantiles) String() string {
	return fmt.Sprintf("p50 %s  p99 %s  p99.9 %s  max %s us",
		tables.Micro(q.P50), tables.Micro(q.P99), tables.Micro(q.P999), tables.Micro(q.Max))
}

// QuantilesOf are those of times in nanoseconds.
func QuantilesOf(h *hdrhistogram.Histogram) Quantiles {
	at := func(q float64) float64 { return float64(h.ValueAtQuantile(q)) / 1e3 }
	return Quantiles{P50: at(50), P99: at(99), P999: at(99.9), Max: float64(h.Max()) / 1e3}
}

// recorder counts for one load thread, which has it for itself during a slice.
type recorder struct {
	Counts
	times
	open     *openLoop // nil: a closed loop
	underway int64     // groups of requests that were sent, and are neither answered nor given up
	problems Problems
}

// Problems are the first few different things that went wrong.
type Problems []string

// Add adds one, unless there are enough of them, or it is there.
func (p *Problems) Add(text string) {
	const most = 5
	if len(*p) < most && !slices.Contains(*p, text) {
		*p = append(*p, text)
	}
}

func newRecorder(open bool) *recorder { return &recorder{times: newTimes(open)} }

func (r *recorder) complete(p *pending, o outcome, latency int64) {
	r.Operations++
	if p.set {
		r.Sets++
	}
	r.Hits += int64(o.hits)
	r.Misses += int64(o.misses)
	if o.refused != "" {
		r.Refused++
		r.problems.Add(o.refused)
	}
	Record(r.Latency, latency)
}

// Record counts a time in nanoseconds.
func Record(h *hdrhistogram.Histogram, t int64) {
	_ = h.RecordValue(min(max(t, 0), HighestLatency)) // cannot fail within the range
}

// cut adds what was counted since the last cut to w, and begins anew. Problems stay: they are reported at the end,
// whenever they happened.
func (r *recorder) cut(w *Window) {
	w.Counts.Add(&r.Counts)
	w.Latency.Merge(r.Latency)
	r.Counts = Counts{}
	r.Latency.Reset()
	if r.open != nil {
		if w.Open == nil {
			w.Open = &OpenLoop{}
		}
		r.open.cut(w.Open, r.underway)
		w.lateness.Merge(r.lateness)
		r.lateness.Reset()
	}
}
