package report

import (
	"fmt"

	"ringcached/bench/tables"
	"ringcached/bench/trial"
)

// quantity is how a metric is called and written.
type quantity struct {
	title, unit string // of a figure and a table
	short       string // in sentences
	text        func(float64) string
	more        bool // more is better
}

var quantities = map[trial.Metric]*quantity{
	trial.MetricCPU:          {"Server CPU per operation", "µs", "CPU us/op", decimals(3), false},
	trial.MetricThroughput:   {"Throughput", "operations/s", "operations/s", decimals(0), true},
	trial.MetricP50:          {"Latency, median", "µs", "p50 us", tables.Micro, false},
	trial.MetricP99:          {"Latency, 99th percentile", "µs", "p99 us", tables.Micro, false},
	trial.MetricP999:         {"Latency, 99.9th percentile", "µs", "p99.9 us", tables.Micro, false},
	trial.MetricUserMemory:   {"Memory of the server's own, per connection", "bytes", "own memory", decimals(0), false},
	trial.MetricKernelMemory: {"Kernel memory, per connection", "bytes", "kernel memory", decimals(0), false},
}

// quantityOf returns how a metric is written, also of one that a newer program added.
func quantityOf(m trial.Metric) *quantity {
	if q := quantities[m]; q != nil {
		return q
	}
	return &quantity{string(m), "?", string(m), decimals(3), false}
}

func decimals(n int) func(float64) string {
	return func(v float64) string { return fmt.Sprintf("%.*f", n, v) }
}

// interval is that of a ratio in brackets, "" if there is none.
func interval(e *trial.Estimate) string {
	if !e.Known() {
		return ""
	}
	return fmt.Sprintf(" (%.3f–%.3f)", e.Low, e.High)
}

// ratioText is a ratio with its interval: "0.934 (0.921–0.948)".
func ratioText(e *trial.Estimate) string { return fmt.Sprintf("%.3f", e.Value) + interval(e) }

// half is how far an interval reaches: "±2.1%", "" if there is none.
func half(e *trial.Estimate) string {
	if !e.Known() || e.Value == 0 {
		return ""
	}
	if percent := 50 * (e.High - e.Low) / e.Value; percent < 100 {
		return fmt.Sprintf("±%.1f%%", percent)
	}
	return "±>100%"
}

// state says why a row has no figure of a metric, "" if it has one.
func state(row *trial.Row, m trial.Metric) string {
	if row == nil {
		return "-"
	}
	_, known := row.Estimates[m]
	switch {
	case known:
		return ""
	case row.Overload:
		return "overloaded"
	case len(row.Estimates) == 0:
		return "failed"
	case row.LoadBound && m == trial.MetricThroughput:
		return "load-bound"
	}
	return "-"
}

// Change is what a ratio means for the server that it is of.
type Change string

// What there is to say of a ratio. But for the last one, the words are classes of the page's style sheet too.
const (
	Worse     Change = "worse"
	Better    Change = "better"
	Unchanged Change = "noise"
	Slight    Change = "below threshold" // more than noise, and less than what counts
	Unknown   Change = "too few samples"
)

// changeOf says what a ratio of a metric means.
func changeOf(e *trial.Estimate, m trial.Metric) Change {
	switch {
	case !e.Known():
		return Unknown
	case e.Low <= 1 && e.High >= 1:
		return Unchanged
	case (e.Value > 1) == quantityOf(m).more:
		return Better
	}
	return Worse
}

// class is the change's in the style sheet.
func (c Change) class() string {
	if c == Unknown {
		return "missing"
	}
	return string(c)
}
