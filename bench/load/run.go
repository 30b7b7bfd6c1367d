package load

import (
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"io"
	"syscall"
	"time"

	"ringcached/bench/tables"
)

// RunOptions says what one load on one server does.
type RunOptions struct {
	Options
	Duration time.Duration `json:"duration_ns"`
	Warmup   time.Duration `json:"warmup_ns"` // before the measured window; none where Requests bounds the load
	Preload  bool          `json:"preload"`   // store all keys first
	Stage    func(string)  `json:"-"`         // is called with what begins
}

// RunResult is what came of it.
type RunResult struct {
	Addr     string   `json:"addr"`
	Server   string   `json:"server_version"`
	Workload Workload `json:"workload"`
	TLS      *Session `json:"tls,omitempty"` // nil: plain connections
	Driver   string   `json:"driver"`
	Threads  int      `json:"threads"`
	Seconds  float64  `json:"seconds"`
	Counts
	PerSecond    float64   `json:"ops_per_second"`
	Latency      Quantiles `json:"latency_us"`
	Open         *OpenLoop `json:"open_loop,omitempty"` // nil: a closed loop
	LoadCPUPerOp float64   `json:"load_cpu_us_per_op"`
	LoadBusy     float64   `json:"load_busy"`
	Interrupted  bool      `json:"interrupted,omitempty"`
	Problems     []string  `json:"problems,omitempty"`
}

// Validate says what is wrong with the options, naming the command line's flags.
func (o *RunOptions) Validate() error {
	return cmp.Or(InRange("duration", o.Duration, 1, 24*time.Hour), InRange("warmup", o.Warmup, 0, time.Hour),
		o.Options.Validate())
}

// Run puts the load on the server and reports what it did. Replies that were wrong and connections that broke are
// counted, during the warm-up too, and make the run a failed one without an error; an error says that there is
// nothing to report, or why the run ended early. The end of the context only shortens the run.
func Run(ctx context.Context, o RunOptions) (*RunResult, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	version, err := o.AskVersion(ctx)
	if err != nil {
		return nil, err
	}
	stage := o.Stage
	if stage == nil {
		stage = func(string) {}
	}
	if o.Preload {
		stage(fmt.Sprintf("storing %d keys of %d B", o.Workload.Keys, o.Workload.ValueSize))
		if err := o.Endpoint.Preload(ctx, &o.Workload); err != nil {
			return nil, err
		}
	}
	l, err := Start(ctx, o.Options)
	if err != nil {
		return nil, err
	}
	defer l.Stop()
	warm := &Window{}
	if o.Warmup > 0 && o.Requests == 0 {
		stage(fmt.Sprint("warming up for ", o.Warmup))
		if warm, err = l.Measure(ctx, o.Warmup); err != nil {
			return nil, err
		}
	}
	stage(fmt.Sprint("measuring for ", o.Duration))
	before := ownCPUTime()
	w, err := l.Measure(ctx, o.Duration)
	used := (ownCPUTime() - before).Seconds()
	w.Counts.Add(&Counts{Wrong: warm.Wrong, Refused: warm.Refused, Broken: warm.Broken})
	return &RunResult{
		Addr: o.Addr, Server: version, Workload: o.Workload, TLS: l.Session(), Driver: l.Driver, Threads: max(o.Threads, 1),
		Seconds: w.Elapsed.Seconds(), Counts: w.Counts, PerSecond: w.PerSecond(), Latency: w.Quantiles(), Open: w.Open,
		LoadCPUPerOp: used * 1e6 / float64(max(w.Operations, 1)),
		LoadBusy:     used / w.Elapsed.Seconds() / float64(max(o.Threads, 1)),
		Interrupted:  ctx.Err() != nil,
		Problems:     l.Problems(),
	}, err
}

// ownCPUTime is what this process has used, user and system.
func ownCPUTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // cannot fail for this process
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Failed says why the run must not be believed, or is empty.
func (r *RunResult) Failed() string {
	switch {
	case r.Errors() > 0:
		return fmt.Sprintf("%d wrong replies, %d error replies, %d broken connections", r.Wrong, r.Refused, r.Broken)
	case r.Open != nil && r.Open.Short:
		return fmt.Sprintf("%d requests arrived and %d were answered: the server or the load generator is too slow"+
			" for the rate", r.Open.Arrived, r.Operations)
	case r.Operations == 0:
		return "no operation was completed"
	case r.Open != nil && r.Open.Late:
		return fmt.Sprintf("the load generator was late: its p99 of lateness is %s us of the latency's %s us",
			tables.Micro(r.Open.Lateness.P99), tables.Micro(r.Latency.P99))
	}
	return ""
}

//go:embed run.txt
var runText string

var runParts = tables.NewText(runText, nil)

// PrintRun writes a run's result for people.
func PrintRun(w io.Writer, r *RunResult) { runParts.Show(w, "run", r) }
