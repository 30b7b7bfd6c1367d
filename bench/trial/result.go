package trial

import (
	"iter"
	"maps"

	"ringcached/bench/load"
	"ringcached/bench/sut"
)

// Report is what a run of plans gave, with the machine that it ran on. Fields that are empty were not measured.
type Report struct {
	sut.Header
	Results []*Result `json:"results,omitempty"`
}

// Result is what a plan gave: a row for each server at each point, and ratios between rows.
type Result struct {
	Plan     *Plan     `json:"plan"`
	Rows     []Row     `json:"rows"` // by point and then by server, as in the plan, without servers that cannot take part at a point
	Ratios   []Ratio   `json:"ratios,omitempty"`
	AA       []Ratio   `json:"aa,omitempty"` // of a second process of the first server over the first one, at some of the points
	Problems []Problem `json:"problems,omitempty"`
	Turns    int       `json:"turns"`             // of all points together
	Dropped  int       `json:"dropped,omitempty"` // samples that were disturbed, of all rows together
	Seconds  float64   `json:"seconds"`
}

// Row is one server at one point: what is known of it, and the samples that it is known from.
type Row struct {
	Point     int                 `json:"point"`               // in Plan.Points
	Server    string              `json:"server"`              // its name in Plan.Servers
	Args      []string            `json:"args,omitempty"`      // beside those that every server gets
	Threads   int                 `json:"threads,omitempty"`   // 0: it was not started here
	Estimates map[Metric]Estimate `json:"estimates,omitempty"` // that are known, none if the row has a problem that is a failure
	load.Counts
	Latency   load.Quantiles    `json:"latency_us"`           // over all samples, those that do not count too
	LoadBusy  float64           `json:"load_busy"`            // CPU time of the load for each second, and thread that has a core
	Busy      float64           `json:"busy"`                 // that part of its cores' time which the server used
	LoadBound bool              `json:"load_bound,omitempty"` // the load was the limit, not the server: throughput is the load's
	Overload  bool              `json:"overload,omitempty"`   // requests arrived faster than the server answered: latency only tells for how long
	Syscalls  *sut.SyscallCount `json:"syscalls,omitempty"`
	Caches    []sut.SlabCache   `json:"kernel_caches,omitempty"` // that hold most of MetricKernelMemory
	Profile   string            `json:"profile,omitempty"`       // the file, if one was made
	Samples   []Sample          `json:"samples"`
}

// Sample is one server in one turn: a slice of a load, or a trial of a fresh process.
type Sample struct {
	Turn        int     `json:"turn"` // from 1, in its point; samples of one turn were taken next to each other
	Seconds     float64 `json:"s"`
	Operations  int64   `json:"ops"`
	CPUPerOp    float64 `json:"cpu_us,omitempty"` // 0: unknown, the server was not started here
	CyclesPerOp float64 `json:"cycles,omitempty"` // 0: unknown
	// Latency has no quantiles of an open loop that are rather the load's delay than the server's.
	Latency      load.Quantiles `json:"latency_us"`
	Stolen       float64        `json:"stolen,omitempty"`      // the larger part of a core, the server's or the load's, that the machine's host took
	Foreign      float64        `json:"foreign,omitempty"`     // that part of the server's cores which others used
	Dropped      string         `json:"dropped,omitempty"`     // why the sample does not count; empty: it does
	UserMemory   float64        `json:"user_memory,omitempty"` // for each idle connection, bytes, as KernelMemory
	KernelMemory float64        `json:"kernel_memory,omitempty"`

	busy, loadBusy float64        // as Row's
	open           *load.OpenLoop // nil: a closed loop
}

// Estimate is a quantity with its 95 % confidence interval. With fewer than six samples there is no interval: Low is 0 and High is -1.
type Estimate struct {
	Value   float64 `json:"value"`
	Low     float64 `json:"low"`
	High    float64 `json:"high"`
	Samples int     `json:"samples"`
}

// Ratio compares two servers at a point: Of over Over, in the turns in which both have a sample that counts.
type Ratio struct {
	Point  int    `json:"point"`
	Metric Metric `json:"metric"`
	Of     string `json:"of"`
	Over   string `json:"over"`
	Estimate
	Target  *Target `json:"target,omitempty"`  // of the plan, nil: there is none
	Verdict Verdict `json:"verdict,omitempty"` // of the target
}

// Verdict says what an interval tells of a target.
type Verdict string

// Verdicts.
const (
	Met       Verdict = "met"
	Missed    Verdict = "MISSED"
	Undecided Verdict = "not decided" // the interval holds the target
)

// Problem is what is missing or wrong in a result.
type Problem struct {
	Point  string `json:"point,omitempty"`  // its label; empty: of the whole plan
	Server string `json:"server,omitempty"` // its name; empty: of all
	Text   string `json:"text"`
	// Failure: the result is not to be trusted, and the exit code is 1. Other problems say why there is less than was asked for.
	Failure bool `json:"failure,omitempty"`
}

// Row returns that of a server at a point, nil if there is none.
func (r *Result) Row(point int, server string) *Row {
	for i := range r.Rows {
		if r.Rows[i].Point == point && r.Rows[i].Server == server {
			return &r.Rows[i]
		}
	}
	return nil
}

// Known reports that there is an interval.
func (e *Estimate) Known() bool { return e.High >= e.Low }

// Certain reports that the interval excludes 1: the difference is more than noise.
func (r *Ratio) Certain() bool { return r.Known() && (r.Low > 1 || r.High < 1) }

// Failures lists what makes the report untrustworthy, a line each.
func (r *Report) Failures() (lines []string) {
	for _, one := range r.Results {
		for i := range one.Problems {
			if one.Problems[i].Failure {
				lines = append(lines, one.Plan.FullName()+": "+one.Problems[i].String())
			}
		}
	}
	return lines
}

// String is the problem in a line.
func (p *Problem) String() string {
	text := p.Text
	if p.Point != "" {
		text = p.Point + ": " + text
	}
	if p.Server != "" {
		text = p.Server + ", " + text
	}
	return text
}

// metrics has where a sample has each metric.
var metrics = map[Metric]func(*Sample) float64{
	MetricCPU:          func(s *Sample) float64 { return s.CPUPerOp },
	MetricThroughput:   (*Sample).perSecond,
	MetricP50:          func(s *Sample) float64 { return s.Latency.P50 },
	MetricP99:          func(s *Sample) float64 { return s.Latency.P99 },
	MetricP999:         func(s *Sample) float64 { return s.Latency.P999 },
	MetricUserMemory:   func(s *Sample) float64 { return s.UserMemory },
	MetricKernelMemory: func(s *Sample) float64 { return s.KernelMemory },
}

func (s *Sample) perSecond() float64 {
	if s.Seconds <= 0 {
		return 0
	}
	return float64(s.Operations) / s.Seconds
}

// Value is a sample's figure of a metric, 0 where it is unknown.
func (s *Sample) Value(m Metric) float64 {
	if of := metrics[m]; of != nil {
		return of(s)
	}
	return 0
}

// figures are those of a metric by turn, of the samples that count.
func (r *Row) figures(m Metric) iter.Seq2[int, float64] {
	return func(yield func(int, float64) bool) {
		for i := range r.Samples {
			if s := &r.Samples[i]; s.Dropped == "" && s.Value(m) > 0 && !yield(s.Turn, s.Value(m)) {
				return
			}
		}
	}
}

// Compare estimates a metric of one server over another one's at a point, from the turns in which both have a sample that counts, with an interval
// that leaves a probability of beyond on either side. There are no samples where a row has no estimate of the metric.
func (r *Result) Compare(point int, of, over string, m Metric, beyond float64) Estimate {
	a, b := r.Row(point, of), r.Row(point, over)
	if a == nil || b == nil || a.Estimates[m].Samples == 0 || b.Estimates[m].Samples == 0 {
		return Estimate{High: -1}
	}
	return pairedRatio(a, b, m, beyond)
}

func pairedRatio(a, b *Row, m Metric, beyond float64) Estimate {
	others := maps.Collect(b.figures(m))
	var ratios []float64
	for turn, value := range a.figures(m) {
		if others[turn] > 0 {
			ratios = append(ratios, value/others[turn])
		}
	}
	return estimate(ratios, beyond)
}

// Middle estimates a metric of a row by itself, as Compare estimates a ratio: so rows of different results can be compared.
func (r *Row) Middle(m Metric, beyond float64) Estimate {
	var values []float64
	for _, value := range r.figures(m) {
		values = append(values, value)
	}
	return estimate(values, beyond)
}
