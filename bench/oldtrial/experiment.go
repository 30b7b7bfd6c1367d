package oldtrial

import (
	"fmt"

	"ringcached/bench/load"
	"ringcached/bench/sut"
	"ringcached/bench/tables"
)

// Experiment is a question and what was measured to answer it. The named ones repeat experiments of the MegaPipe paper, and ask what else
// one wants to know before choosing an engine.
type Experiment struct {
	Name     string `json:"name"`
	Title    string `json:"title"`
	Question string `json:"question"` // in a sentence
	Source   string `json:"source"`   // the claim that it repeats and whose; empty: our own question
	Parts    []Part `json:"parts,omitempty"`
	// Problems say why there is less than was asked for: a feature that this kernel lacks, a server that is not installed.
	Problems []string `json:"problems,omitempty"`
}

// Part is a figure of an experiment: the same quantities of several servers along one axis. In each round every point of every series has
// one trial, in an order that rotates.
type Part struct {
	Name  string `json:"name"`
	Title string `json:"title"`
	Axis  Axis   `json:"axis"`
	// Baseline names the series that the others are compared with, point by point.
	Baseline string   `json:"baseline"`
	Shows    []Metric `json:"shows"` // what its plots show, the most important one first
	Series   []Series `json:"series"`
}

// Axis is what varies within a part.
type Axis struct {
	Label string `json:"label"`
	Unit  string `json:"unit,omitempty"`
	Scale Scale  `json:"scale"`
}

// Scale is how an axis is drawn.
type Scale string

// The scales of an axis.
const (
	ScaleLinear Scale = "linear"
	ScaleLog    Scale = "log2"  // the points double, more or less
	ScaleNames  Scale = "names" // points have a label and no order
)

// Metric names a quantity of a Point.
type Metric string

// The metrics of points. Each has a plot of its own.
const (
	MetricThroughput   Metric = "throughput"    // Point.PerSecond
	MetricCPU          Metric = "cpu"           // Point.CPUPerOp
	MetricP50          Metric = "p50"           // Point.P50
	MetricP99          Metric = "p99"           // Point.P99
	MetricP999         Metric = "p999"          // Point.P999
	MetricUserMemory   Metric = "user-memory"   // Memory.User
	MetricKernelMemory Metric = "kernel-memory" // Memory.Kernel
)

// Series is one server along the axis.
type Series struct {
	Name   string   `json:"name"`
	Server string   `json:"server"`         // one of the report's Servers
	Args   []string `json:"args,omitempty"` // its flags beside those that all get
	// Fixed: the axis is about flags of another server. One trial in a round stands for all points, so each has the same rounds.
	Fixed  bool    `json:"fixed,omitempty"`
	Points []Point `json:"points"`
}

// Point is what one series gave at one place of the axis. If a round failed, or more than a third of them were limited by the load instead of the
// server, or had more arrive than the server could take, there is no estimate; Summary says so. Estimates leave out what the load limited.
type Point struct {
	X         float64       `json:"x"`
	Label     string        `json:"label"`
	Args      []string      `json:"args,omitempty"`    // flags of the server beside those of its series
	Threads   int           `json:"threads,omitempty"` // of the server; 0: it was not started here
	Workload  load.Workload `json:"workload"`
	Summary   Summary       `json:"summary"`
	PerSecond Estimate      `json:"ops_per_second"`
	CPUPerOp  Estimate      `json:"server_cpu_us_per_op"` // zero: unknown
	P50       Estimate      `json:"p50_us"`
	P99       Estimate      `json:"p99_us"`
	P999      Estimate      `json:"p999_us"`
	// CPURatio is this point's CPU per operation over the baseline's at the same place. Nil for the baseline, and where there is no round of both.
	CPURatio *Ratio            `json:"cpu_per_op_ratio,omitempty"`
	Memory   *ConnectionMemory `json:"memory,omitempty"`
	Rounds   []Round           `json:"rounds"`
}

// ConnectionMemory is what an idle connection costs, in bytes.
type ConnectionMemory struct {
	User   Estimate `json:"user"`   // resident memory of the server's own, without pages of files
	Kernel Estimate `json:"kernel"` // of all slab caches that grew
	// Caches are the kernel's slab caches that hold most of it.
	Caches []sut.SlabCache `json:"caches,omitempty"`
}

// Estimate is a quantity over several rounds: the median, and a 95 % confidence interval of it (medianInterval), or, with fewer rounds than
// that takes, of the mean by Student's t. With fewer than two rounds there is no interval: Low is 0 and High is -1.
type Estimate struct {
	Median float64 `json:"median"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
	Rounds int     `json:"rounds"`
}

// NewEstimate makes an Estimate of the rounds' values. Of no values the median is 0.
func NewEstimate(values []float64) Estimate {
	if len(values) == 0 {
		return Estimate{High: -1}
	}
	e := Estimate{Median: Median(values), High: -1, Rounds: len(values)}
	switch {
	case len(values) >= rankedRounds:
		e.Low, e.High = medianInterval(values)
	case len(values) > 1:
		_, e.Low, e.High = interval(values)
	}
	return e
}

// Short is the metric and its unit in a table.
func (m Metric) Short() string {
	switch m {
	case MetricCPU:
		return "CPU us/op"
	case MetricThroughput:
		return "ops/s"
	case MetricP99:
		return "p99 us"
	}
	return string(m)
}

func (m Metric) Format(v float64) string {
	switch m {
	case MetricCPU:
		return fmt.Sprintf("%.3f", v)
	case MetricThroughput:
		return fmt.Sprintf("%.0f", v)
	}
	return tables.Micro(v)
}
