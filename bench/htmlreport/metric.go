package htmlreport

import (
	"slices"

	"ringcached/bench"
)

// metric is what the page knows of a bench.Metric.
type metric struct {
	id    bench.Metric
	title string // of a figure
	short string // in a sentence: "more CPU"
	unit  unit
	more  bool // more is better
	point func(*bench.Point) bench.Estimate
	round func(*bench.Round) float64 // nil: no quantity of rounds
}

var metrics = []metric{
	{
		id: bench.MetricCPU, title: "Server CPU per operation", short: "CPU per operation", unit: seconds,
		point: func(p *bench.Point) bench.Estimate { return p.CPUPerOp },
		round: func(r *bench.Round) float64 { return r.CPUPerOp },
	},
	{
		id: bench.MetricThroughput, title: "Throughput, operations per second", short: "throughput", unit: perSecond, more: true,
		point: func(p *bench.Point) bench.Estimate { return p.PerSecond },
		round: func(r *bench.Round) float64 { return r.PerSecond },
	},
	{
		id: bench.MetricP50, title: "Latency, median", short: "median latency", unit: seconds,
		point: func(p *bench.Point) bench.Estimate { return p.P50 },
		round: func(r *bench.Round) float64 { return r.Latency.P50 },
	},
	{
		id: bench.MetricP99, title: "Latency, 99th percentile", short: "p99 latency", unit: seconds,
		point: func(p *bench.Point) bench.Estimate { return p.P99 },
		round: func(r *bench.Round) float64 { return r.Latency.P99 },
	},
	{
		id: bench.MetricP999, title: "Latency, 99.9th percentile", short: "p99.9 latency", unit: seconds,
		point: func(p *bench.Point) bench.Estimate { return p.P999 },
		round: func(r *bench.Round) float64 { return r.Latency.P999 },
	},
	{
		id: bench.MetricUserMemory, title: "Memory of the server's own, per connection", short: "memory of its own", unit: bytesUnit,
		point: func(p *bench.Point) bench.Estimate { return memory(p).User },
	},
	{
		id: bench.MetricKernelMemory, title: "Kernel memory, per connection", short: "kernel memory", unit: bytesUnit,
		point: func(p *bench.Point) bench.Estimate { return memory(p).Kernel },
	},
}

// comparatives are the words for less and more of it.
func (m *metric) comparatives() (less, more string) {
	if m.unit == bytesUnit || m.id == bench.MetricCPU {
		return "less", "more"
	}
	return "lower", "higher"
}

func memory(p *bench.Point) bench.ConnectionMemory {
	if p.Memory == nil {
		return bench.ConnectionMemory{}
	}
	return *p.Memory
}

// metricOf returns what is known of the metric, nil for one of a newer program.
func metricOf(id bench.Metric) *metric {
	i := slices.IndexFunc(metrics, func(m metric) bool { return m.id == id })
	if i < 0 {
		return nil
	}
	return &metrics[i]
}

// shown are the metrics of a part's figures.
func shown(p *bench.Part) (some []*metric) {
	for _, id := range p.Shows {
		if m := metricOf(id); m != nil {
			some = append(some, m)
		}
	}
	return some
}

// known reports whether the estimate says anything. No quantity here is 0 if it was measured.
func known(e bench.Estimate) bool { return e.Rounds > 0 && e.Median != 0 }

// bounded reports whether the estimate has an interval.
func bounded(e bench.Estimate) bool { return e.High >= e.Low }
