package htmlreport

import (
	"slices"

	trial "ringcached/bench/oldtrial"
)

// metric is what the page knows of a trial.Metric.
type metric struct {
	id    trial.Metric
	title string // of a figure
	short string // in a sentence: "more CPU"
	unit  unit
	more  bool // more is better
	point func(*trial.Point) trial.Estimate
	round func(*trial.Round) float64 // nil: no quantity of rounds
}

var metrics = []metric{
	{
		id: trial.MetricCPU, title: "Server CPU per operation", short: "CPU per operation", unit: seconds,
		point: func(p *trial.Point) trial.Estimate { return p.CPUPerOp },
		round: func(r *trial.Round) float64 { return r.CPUPerOp },
	},
	{
		id: trial.MetricThroughput, title: "Throughput, operations per second", short: "throughput", unit: perSecond, more: true,
		point: func(p *trial.Point) trial.Estimate { return p.PerSecond },
		round: func(r *trial.Round) float64 { return r.PerSecond },
	},
	{
		id: trial.MetricP50, title: "Latency, median", short: "median latency", unit: seconds,
		point: func(p *trial.Point) trial.Estimate { return p.P50 },
		round: func(r *trial.Round) float64 { return r.Latency.P50 },
	},
	{
		id: trial.MetricP99, title: "Latency, 99th percentile", short: "p99 latency", unit: seconds,
		point: func(p *trial.Point) trial.Estimate { return p.P99 },
		round: func(r *trial.Round) float64 { return r.Latency.P99 },
	},
	{
		id: trial.MetricP999, title: "Latency, 99.9th percentile", short: "p99.9 latency", unit: seconds,
		point: func(p *trial.Point) trial.Estimate { return p.P999 },
		round: func(r *trial.Round) float64 { return r.Latency.P999 },
	},
	{
		id: trial.MetricUserMemory, title: "Memory of the server's own, per connection", short: "memory of its own", unit: bytesUnit,
		point: func(p *trial.Point) trial.Estimate { return memory(p).User },
	},
	{
		id: trial.MetricKernelMemory, title: "Kernel memory, per connection", short: "kernel memory", unit: bytesUnit,
		point: func(p *trial.Point) trial.Estimate { return memory(p).Kernel },
	},
}

// comparatives are the words for less and more of it.
func (m *metric) comparatives() (less, more string) {
	if m.unit == bytesUnit || m.id == trial.MetricCPU {
		return "less", "more"
	}
	return "lower", "higher"
}

func memory(p *trial.Point) trial.ConnectionMemory {
	if p.Memory == nil {
		return trial.ConnectionMemory{}
	}
	return *p.Memory
}

// metricOf returns what is known of the metric, nil for one of a newer program.
func metricOf(id trial.Metric) *metric {
	i := slices.IndexFunc(metrics, func(m metric) bool { return m.id == id })
	if i < 0 {
		return nil
	}
	return &metrics[i]
}

// shown are the metrics of a part's figures.
func shown(p *trial.Part) (some []*metric) {
	for _, id := range p.Shows {
		if m := metricOf(id); m != nil {
			some = append(some, m)
		}
	}
	return some
}

// known reports whether the estimate says anything. No quantity here is 0 if it was measured.
func known(e trial.Estimate) bool { return e.Rounds > 0 && e.Median != 0 }

// bounded reports whether the estimate has an interval.
func bounded(e trial.Estimate) bool { return e.High >= e.Low }
