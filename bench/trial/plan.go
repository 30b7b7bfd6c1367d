package trial

import (
	"time"

	"ringcached/bench/load"
	"ringcached/bench/sut"
)

// Plan is a question and what is measured to answer it. It is part of its Result, so everything here is written to JSON.
type Plan struct {
	// Experiment and Name are the plan's name in two parts, such as batching and connections-50. Plans of one experiment are printed together.
	Experiment string `json:"experiment"`
	Name       string `json:"name"`
	Title      string `json:"title"`              // of the figure: what the load is
	Heading    string `json:"heading,omitempty"`  // of the experiment
	Question   string `json:"question,omitempty"` // of the experiment, in a sentence
	Source     string `json:"source,omitempty"`   // the claim that the experiment repeats, and whose it is; empty: our own question

	Mode    Mode     `json:"mode"`
	Axis    Axis     `json:"axis"`
	Servers []Server `json:"servers"`
	Points  []Point  `json:"points"`
	// Reference names the server that the others are compared with. Empty: there are no ratios beside those that targets ask for.
	Reference string   `json:"reference,omitempty"`
	Shows     []Metric `json:"shows"` // what is printed and plotted, the most important one first

	// Precision ends a point's measurement: the 95 % interval of each ratio is no wider than this part of it to either side. 0: the run's.
	Precision float64 `json:"precision,omitempty"`
	// Weight is the plan's share of the run's time, relative to other plans. 0: as many as it has rows.
	Weight   float64 `json:"weight,omitempty"`
	MinTurns int     `json:"min_turns,omitempty"` // at each point, 0: the mode's
	MaxTurns int     `json:"max_turns,omitempty"` // at each point, 0: no limit but time
	NoAA     bool    `json:"no_aa,omitempty"`     // no second process of the first server

	Cores       *sut.Cores `json:"cores,omitempty"`        // nil: the run's
	LoadThreads int        `json:"load_threads,omitempty"` // 0: the run's
	Syscalls    bool       `json:"syscalls,omitempty"`     // count system calls too
	// RateOf names an earlier plan of the experiment, and the label of one of its points: points' shares are of the least throughput there.
	RateOf *RateOf `json:"rate_of,omitempty"`
	// Problems say why there is less than was asked for: a feature that this kernel lacks, a server that is not installed.
	Problems []string `json:"problems,omitempty"`

	settle  settle // of idle connections
	clients int    // how many connections are made to find out what this process's end of one costs the kernel
}

// RateOf is a point of an earlier plan.
type RateOf struct {
	Plan  string `json:"plan"`
	Point string `json:"point"`
}

// Mode is how a plan is carried out.
type Mode string

// The modes.
const (
	SideBySide     Mode = "side-by-side"    // servers stand side by side, the load moves between them in slices
	FreshProcesses Mode = "fresh-processes" // a new process for each trial
)

// Server takes part in a plan.
type Server struct {
	Name  string   `json:"name"`           // in tables and figures, unique in the plan
	Start string   `json:"start"`          // what it is: uring, epoll, memcached, null, a variant or an address, see sut.ServerOptions
	Args  []string `json:"args,omitempty"` // flags of its own
	// Fixed: the points' flags are not for this server, it stands for all of them.
	Fixed bool `json:"fixed,omitempty"`
	Parks bool `json:"parks,omitempty"` // it parks idle connections, and is measured when it has
}

// Point is a place on a plan's axis: a load, and options of the servers.
type Point struct {
	X     float64       `json:"x"`
	Label string        `json:"label"` // unique in the plan
	Load  load.Workload `json:"load"`
	Args  []string      `json:"args,omitempty"`  // flags of the servers that are not fixed
	Idle  int           `json:"idle,omitempty"`  // connections that are open beside the load's and do nothing
	Share float64       `json:"share,omitempty"` // of the throughput that RateOf names; the load's rate follows from it
	// Threads of each server, 0: the run's.
	Threads int      `json:"threads,omitempty"`
	Targets []Target `json:"targets,omitempty"` // what the first server's ratios should be
}

// Target is the most that a ratio of CPU per operation may be: the plan's first server over another one.
type Target struct {
	Over string  `json:"over"`
	Most float64 `json:"most"`
	// Slack is how far above Most the whole interval may reach, as a part of Most: equals cannot meet "not behind" otherwise.
	Slack float64 `json:"slack,omitempty"`
	// Metric is what is compared; empty: CPU per operation. Memory has no ratio: Most is then bytes for each connection, and Over empty.
	Metric Metric `json:"metric,omitempty"`
}

// Axis is what varies from point to point.
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

// Metric names a quantity of a Row.
type Metric string

// The metrics. Less is better, but for throughput.
const (
	MetricCPU          Metric = "cpu"           // CPU time of the server for an operation, user and system, in microseconds
	MetricThroughput   Metric = "throughput"    // operations per second
	MetricP50          Metric = "p50"           // latency, microseconds
	MetricP99          Metric = "p99"           // latency, microseconds
	MetricP999         Metric = "p999"          // latency, microseconds
	MetricUserMemory   Metric = "user-memory"   // of the server's own for an idle connection, bytes, without pages of files
	MetricKernelMemory Metric = "kernel-memory" // of the server's end of an idle connection, bytes
)

// Options hold for all plans of a run.
type Options struct {
	// Time is what all plans together may take, 0: as long as it takes to be as precise as asked.
	Time      time.Duration     `json:"time_ns"`
	Precision float64           `json:"precision"` // see Plan, 0.02 is 2 %
	Slice     time.Duration     `json:"slice_ns"`  // of a load, side by side
	Trial     time.Duration     `json:"trial_ns"`  // the timed part of a trial of a fresh process
	Warmup    time.Duration     `json:"warmup_ns"` // before the first slice of a server, and in each trial
	Threads   int               `json:"threads"`   // of the load
	Driver    string            `json:"driver"`
	Seed      uint64            `json:"seed"`
	Servers   sut.ServerOptions `json:"servers"`
	Cores     sut.Cores         `json:"cores"`             // empty lists: chosen
	Profile   string            `json:"profile,omitempty"` // directory for profiles of rows that miss a target; empty: none
}

// Observer has the callbacks of Run, which calls them on its own goroutine. Any may be nil.
type Observer struct {
	Begin    func(*Report)  // the environment and the options are known
	Progress func(Progress) // from time to time
	Result   func(*Result)  // a plan is over
}

// Progress tells where a run is.
type Progress struct {
	Plan  *Plan
	Point string
	What  string // what was seen last, in a few words
	Left  time.Duration
}

// settle is how long to wait until a server's memory does not change any more: servers give back what they borrowed some time after a peak.
type settle struct {
	quiet, most time.Duration // without a change; in all
	parked      bool          // and before that until all idle connections are parked
}

// DefaultOptions are those that most people want: with quick two minutes for all experiments, without half an hour. Servers and cores are the
// caller's.
func DefaultOptions(quick bool) Options {
	o := Options{Precision: 0.02, Slice: 20 * time.Millisecond, Threads: 1, Driver: load.DriverAuto, Seed: 1}
	if quick {
		o.Time, o.Precision, o.Trial, o.Warmup = 2*time.Minute, 0.03, 150*time.Millisecond, 50*time.Millisecond
	} else {
		o.Time, o.Trial, o.Warmup = 30*time.Minute, 600*time.Millisecond, 150*time.Millisecond
	}
	return o
}
