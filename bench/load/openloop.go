package load

import (
	"math"
	"math/rand/v2"
	"slices"
)

// poisson draws the times at which requests arrive. The gaps between them are exponential, so when the next one
// arrives has nothing to do with when others did.
type poisson struct {
	src *rand.Rand
	gap float64 // on average, nanoseconds
	at  float64 // of the next arrival, as now counts; infinite until begin
}

func newPoisson(rate float64, seed, stream uint64) poisson {
	return poisson{src: rand.New(rand.NewPCG(seed, stream)), gap: 1e9 / rate, at: math.Inf(1)}
}

func (p *poisson) begin(at int64) {
	p.at = float64(at)
	p.next()
}

func (p *poisson) next() { p.at += p.gap * p.src.ExpFloat64() }

// openLoop is when the requests of a load thread arrive, and how the thread keeps to that.
//
// The requests that wait for a connection take no memory: the same process is drawn twice, once to count what arrives
// and once to send it, and what lies between the two is the queue.
type openLoop struct {
	OpenLoop         // of this slice
	counted  poisson // what Arrived counts
	sent     poisson
	taken    int64 // of sent, in this slice
	limit    int64 // no more arrive in the slice
	ended    bool  // no more is sent in this slice
}

// arrivalStream keeps the numbers that arrivals are drawn from apart from those of keys.
const arrivalStream = 1 << 32

func newOpenLoop(rate float64, seed, thread uint64) *openLoop {
	p := func() poisson { return newPoisson(rate, seed, arrivalStream|thread) }
	return &openLoop{counted: p(), sent: p()}
}

// begin lets limit requests arrive from now on. Those of the last slice that were not sent are forgotten.
func (o *openLoop) begin(at, limit int64) {
	for ; o.taken < o.Arrived; o.taken++ {
		o.sent.next()
	}
	o.OpenLoop, o.taken, o.limit, o.ended = OpenLoop{}, 0, limit, false
	o.counted.begin(at)
	o.sent.begin(at)
}

// end notes how the slice ends, with so many requests that were sent, and are neither answered nor given up.
func (o *openLoop) end(at, underway int64) {
	if !o.ended {
		o.wait(at)
		o.ended, o.Queued, o.Unanswered = true, o.look(at), underway
	}
}

// due reports that a request has arrived that was not taken.
func (o *openLoop) due(at int64) bool { return o.sent.at <= float64(at) }

// waits reports that a request waits for a connection to be sent on.
func (o *openLoop) waits(at int64) bool { return o.taken < o.limit && o.due(at) }

// take returns when the oldest request arrived that was not taken: it is to be sent now.
func (o *openLoop) take() (arrival int64) {
	arrival = int64(o.sent.at)
	o.sent.next()
	o.taken++
	return arrival
}

// look returns how many requests have arrived and were not taken.
func (o *openLoop) look(at int64) (queue int64) {
	for o.Arrived < o.limit && o.counted.at <= float64(at) {
		o.Arrived++
		o.counted.next()
	}
	return o.Arrived - o.taken
}

// wait notes the queue. It is called when no connection is idle, before one becomes so.
func (o *openLoop) wait(at int64) { o.LongestQueue = max(o.LongestQueue, o.look(at)) }

// cut adds what happened in the slice to w.
func (o *openLoop) cut(w *OpenLoop, underway int64) {
	o.end(Now(), underway)
	w.Arrived += o.Arrived
	w.LongestQueue = max(w.LongestQueue, o.LongestQueue)
	w.Queued += o.Queued
	w.Unanswered += o.Unanswered
}

// line has the connections that wait for something to be asked, the one that has waited longest first.
type line struct {
	conns []*conn // from first on
	first int
}

func (l *line) empty() bool { return l.first == len(l.conns) }

func (l *line) add(c *conn) {
	if len(l.conns) == cap(l.conns) && l.first > 0 {
		l.conns, l.first = l.conns[:copy(l.conns, l.conns[l.first:])], 0
	}
	l.conns = append(l.conns, c)
}

func (l *line) take() *conn {
	l.first++
	return l.conns[l.first-1]
}

func (l *line) remove(c *conn) {
	if at := slices.Index(l.conns[l.first:], c); at >= 0 {
		l.conns = slices.Delete(l.conns, l.first+at, l.first+at+1)
	}
}

// OpenLoop is how a load kept to its rate in a window.
type OpenLoop struct {
	Arrived int64 `json:"arrived"` // requests
	// Lateness is the load generator's own: from when a request had arrived and a connection was idle, to when the
	// request was handed to the kernel. It is part of the latency.
	Lateness Quantiles `json:"lateness_us"`
	// LongestQueue is how many requests waited for a connection at the worst moment, in one load thread.
	LongestQueue int64 `json:"longest_queue"`
	// At the window's end, Queued requests had not been sent, and Unanswered ones had been, but were neither answered
	// nor lost.
	Queued     int64 `json:"queued"`
	Unanswered int64 `json:"unanswered"`
	// Late: the latencies are rather the generator's than the server's, since its p99 of lateness is more than a
	// quarter of the p99 of latency.
	Late bool `json:"generator_late,omitempty"`
	// Short: less than 98 % of what arrived was answered or lost, and requests were queued at the end. Either the
	// server or the generator is too slow for the rate; latencies then only tell how long the window was.
	Short bool `json:"short,omitempty"`
}

const (
	lateShare  = 0.25
	shortShare = 0.98
)

// Tells reports that a quantile of latency is rather the server's than the generator's, going by the same quantile of
// lateness.
func (o *OpenLoop) Tells(lateness, latency float64) bool { return lateness <= lateShare*latency }

// judge finds out whether the load kept to its rate. The other fields of w are final.
func (o *OpenLoop) judge(w *Window) {
	o.Lateness = QuantilesOf(w.lateness)
	o.Late = !o.Tells(o.Lateness.P99, w.Quantiles().P99)
	o.Short = o.Queued > 0 && float64(w.Operations+w.Lost) < shortShare*float64(o.Arrived)
}
