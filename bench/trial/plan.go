package trial

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"ringcached/bench/load"
	"ringcached/bench/sut"
)

// Plan is a question and what is measured to answer it. It is part of its Result, so everything here is written to JSON.
type Plan struct {
	Experiment string `json:"experiment"` // with Name the plan's name in two parts
	Name       string `json:"name"`
	Title      string `json:"title"`              // of the figure: what the load is
	Heading    string `json:"heading,omitempty"`  // of the experiment
	Question   string `json:"question,omitempty"` // of the experiment, in a sentence
	Source     string `json:"source,omitempty"`   // the claim that the experiment repeats, and whose it is; empty: our own question

	Mode      Mode     `json:"mode"`
	Axis      Axis     `json:"axis"`
	Servers   []Server `json:"servers"`
	Points    []Point  `json:"points"`
	Reference string   `json:"reference,omitempty"` // the server that others are compared with. Empty: there are no ratios but those of targets
	Shows     []Metric `json:"shows"`               // what is printed and plotted, the most important one first

	Precision float64 `json:"precision,omitempty"` // 0: the run's
	Weight    float64 `json:"weight,omitempty"`    // its share of the run's time, relative to other plans. 0: as many as it has rows
	MinTurns  int     `json:"min_turns,omitempty"` // at each point, 0: the mode's
	MaxTurns  int     `json:"max_turns,omitempty"` // at each point, 0: no limit but time
	NoAA      bool    `json:"no_aa,omitempty"`     // no second process of the first server

	Cores       *sut.Cores `json:"cores,omitempty"`        // nil: the run's
	LoadThreads int        `json:"load_threads,omitempty"` // 0: the run's
	Syscalls    bool       `json:"syscalls,omitempty"`     // count system calls too
	RateOf      *RateOf    `json:"rate_of,omitempty"`      // points' shares are of the least throughput there
	Problems    []string   `json:"problems,omitempty"`     // why there is less than was asked for, such as a server that is not installed

	settle  settle // of idle connections
	clients int    // how many connections are made to find out what this process's end of one costs the kernel
}

// RateOf is a point of an earlier plan of the experiment, by its label.
type RateOf struct {
	Plan  string `json:"plan"`
	Point string `json:"point"`
}

// Mode is how a plan is carried out.
type Mode string

const (
	// SideBySide is for CPU per operation: at each point all servers stand side by side, warmed, on the same cores, and the load moves between them
	// in slices. In a turn each has one slice, in a random order; the next turn has the mirrored order (A B B A), so that what changes steadily over
	// two turns cancels.
	SideBySide Mode = "side-by-side"
	// FreshProcesses is for memory, idle connections and latency, where history would matter: each trial has a new process.
	FreshProcesses Mode = "fresh-processes"
)

// Server takes part in a plan.
type Server struct {
	Name  string   `json:"name"`            // in tables and figures, unique in the plan
	Start string   `json:"start"`           // what it is: uring, epoll, memcached, null, a variant or an address, see sut.ServerOptions
	Args  []string `json:"args,omitempty"`  // flags of its own
	Fixed bool     `json:"fixed,omitempty"` // the points' flags are not for this server, it stands for all of them
	TLS   bool     `json:"tls,omitempty"`   // it speaks TLS and nothing else, and its clients do
	Parks bool     `json:"parks,omitempty"` // it parks idle connections, and is measured when it has
}

// Point is a place on a plan's axis: a load, and options of the servers.
type Point struct {
	X       float64       `json:"x"`
	Label   string        `json:"label"` // unique in the plan
	Load    load.Workload `json:"load"`
	Args    []string      `json:"args,omitempty"`    // flags of the servers that are not fixed
	Idle    int           `json:"idle,omitempty"`    // connections that are open beside the load's and do nothing
	Storm   float64       `json:"storm,omitempty"`   // connections a second that are opened beside the load, for one request each
	Share   float64       `json:"share,omitempty"`   // of the throughput that RateOf names; the load's rate follows from it
	Threads int           `json:"threads,omitempty"` // of each server, 0: the run's
	Targets []Target      `json:"targets,omitempty"` // what the first server's ratios should be
}

// Target is the most that a ratio of CPU per operation may be: the plan's first server over another one.
type Target struct {
	Over  string  `json:"over"`
	Most  float64 `json:"most"`
	Slack float64 `json:"slack,omitempty"` // how far above Most the whole interval may reach, as a part of Most: else equals could not meet 1
	// Metric is empty, or that of memory, which has no ratio: Most is then bytes for each connection, and Over empty.
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

// The scales of an axis. Points of names have a label and no order.
const (
	ScaleLinear Scale = "linear"
	ScaleLog    Scale = "log2"
	ScaleNames  Scale = "names"
)

// Metric names a quantity of a Row. Less is better, but for throughput.
type Metric string

// The metrics, which docs/results.md explains.
const (
	MetricCPU          Metric = "cpu"
	MetricThroughput   Metric = "throughput"
	MetricP50          Metric = "p50"
	MetricP99          Metric = "p99"
	MetricP999         Metric = "p999"
	MetricUserMemory   Metric = "user-memory"
	MetricKernelMemory Metric = "kernel-memory"
)

// Options hold for all plans of a run.
type Options struct {
	Time      time.Duration     `json:"time_ns"`   // that all plans together may take
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

// Validate says what is wrong with the options, naming the command line's flags.
func (o *Options) Validate() error {
	if !(o.Precision > 0 && o.Precision < 1) {
		return fmt.Errorf("precision: %g %% is not in 0..100 (exclusive)", 100*o.Precision)
	}
	var variants []string
	for _, v := range o.Servers.Variants {
		variants = append(variants, v.Name)
	}
	l := load.Options{Workload: load.DefaultWorkload(), Threads: o.Threads, Driver: o.Driver}
	return cmp.Or(
		load.InRange("time", o.Time, time.Second, 24*time.Hour),
		load.InRange("slice", o.Slice, 5*time.Millisecond, 10*time.Second),
		load.InRange("duration", o.Trial, 50*time.Millisecond, time.Hour),
		load.InRange("warmup", o.Warmup, 0, time.Hour),
		load.AtLeast("server-threads", o.Servers.Threads, 1),
		load.AtLeast("memory", o.Servers.MemoryMB, 8),
		twice("variant", variants), l.Validate(), o.Servers.ValidateTLS(),
	)
}

// validate says what is wrong with a plan, naming the command line's flags.
func (p *Plan) validate(o *Options) error {
	for i := range p.Points {
		l := load.Options{Workload: p.Points[i].Load, Threads: max(o.Threads, p.LoadThreads), Driver: o.Driver}
		if err := l.Validate(); err != nil {
			return fmt.Errorf("workload %s: %w", p.Points[i].Load.Name, err)
		}
	}
	var names, starts []string
	for _, s := range p.Servers {
		names, starts = append(names, s.Name), append(starts, s.Start)
	}
	_, err := o.Servers.Subjects(starts) // before the first is started
	if err = cmp.Or(twice("server", names), err); err == nil && len(names)*len(p.Points) == 0 {
		err = fmt.Errorf("%s: nothing to measure", p.FullName())
	}
	return err
}

// twice is the error for names of which two are the same, or nil.
func twice(what string, names []string) error {
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			return fmt.Errorf("%s %s is named twice", what, name)
		}
	}
	return nil
}

// weight is the plan's share of the run's time: a turn takes as long as there are servers that get a slice in it.
func (p *Plan) weight() float64 {
	rows := 0
	for i := range p.Points {
		for j := range p.Servers {
			if p.Servers[j].serves(&p.Points[i]) {
				rows++
			}
		}
	}
	if !p.NoAA {
		rows++
	}
	return cmp.Or(p.Weight, float64(rows))
}

// FullName is the experiment's name and the plan's.
func (p *Plan) FullName() string {
	if p.Experiment == "" || p.Experiment == p.Name {
		return p.Name
	}
	return p.Experiment + "/" + p.Name
}

// encrypts reports that a server of the plan speaks TLS.
func (p *Plan) encrypts() bool {
	return slices.ContainsFunc(p.Servers, func(s Server) bool { return s.TLS })
}

// running reports that the server is one that is not started here.
func (s *Server) running() bool { return load.IsAddress(s.Start) }

// serves says whether the server can answer the load of a point, and could be started as the point wants it.
func (s *Server) serves(p *Point) bool {
	w := &p.Load
	over := w.TransportOrTCP()
	switch {
	case s.TLS && (sut.PlainOnly(s.Start) || over != load.TransportTCP):
		return false
	case s.Start == sut.Null:
		return w.SuitsNull() && w.Rate == 0 && p.Share == 0 && p.Threads <= 1 && p.Idle == 0
	case s.Start == sut.Net && over == load.TransportUDP:
		return false
	case s.Start == sut.Valkey: // it speaks another protocol: it can have connections that do nothing
		return p.Idle > 0
	case s.running():
		return p.Threads == 0 && (over == load.TransportUnix) == (load.TransportOf(s.Start) == load.TransportUnix) && over != load.TransportUDP
	}
	return true
}
