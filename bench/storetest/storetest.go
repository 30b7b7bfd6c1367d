package storetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"

	"ringcached/bench/evictsim"

	"ringcached/bench/load"
	"ringcached/bench/sut"
	"ringcached/bench/tables"
)

// Options says which experiments compare the stores of servers, and how large they are.
type Options struct {
	Experiments []string          `json:"experiments"` // none: all
	Traces      []string          `json:"traces"`      // of hit-ratio and eviction, by name; none: all
	Subjects    []string          `json:"subjects"`    // servers by the names that ServerOptions knows, ringcached first
	Seed        uint64            `json:"seed"`
	Scale       Scale             `json:"scale"`
	Servers     sut.ServerOptions `json:"servers"` // MemoryMB is not used: each experiment has its own
	Cores       sut.Cores         `json:"cores"`   // empty lists: chosen
}

// Scale is how large the experiments are.
type Scale struct {
	DensityMB int `json:"density_mb"` // -m of density
	// Of hit-ratio. There are ten times as many keys as the memory holds items.
	RatioMB    int     `json:"ratio_mb"`    // -m
	RatioRate  int     `json:"ratio_rate"`  // requests per second
	RatioSeeds int     `json:"ratio_seeds"` // traces of each kind
	Warmup     float64 `json:"warmup"`      // requests before those that count, in multiples of the keys; of eviction too
	Counted    float64 `json:"counted"`     // requests that count, likewise
	Items      int     `json:"items"`       // of pause and memory
	PauseRate  int     `json:"pause_rate"`  // sets per second of pause
	SimKeys    int     `json:"sim_keys"`    // keys of eviction
	SimSeeds   int     `json:"sim_seeds"`   // traces of each kind
}

// FullScale takes about six minutes with two servers, QuickScale about ninety seconds.
var (
	FullScale = Scale{
		DensityMB: 64, RatioMB: 16, RatioRate: 6_000, RatioSeeds: 2, Warmup: 2.5, Counted: 1.5, Items: 10_000_000, PauseRate: 400_000, SimKeys: 100_000, SimSeeds: 1,
	}
	QuickScale = Scale{
		DensityMB: 64, RatioMB: 8, RatioRate: 10_000, RatioSeeds: 1, Warmup: 2, Counted: 1, Items: 2_000_000, PauseRate: 400_000, SimKeys: 20_000, SimSeeds: 1,
	}
)

// Result is what an experiment found.
type Result interface {
	// Print writes it for people.
	Print(w io.Writer)
}

// experiment is one of the experiments.
type experiment struct {
	name, title string
	run         func(ctx context.Context, s *storing) (Result, error)
}

// experiments are those there are, in the order in which they run.
var experiments = []experiment{
	{"density", "items that fit into the memory, and what is wasted of it", runDensity},
	{"hit-ratio", "hits of read-through traces, where the cache holds a tenth of the keys", runHitRatio},
	{"pause", "latency of gets while the index grows", runPause},
	{"memory", "resident memory, and what an item costs beside its key and value", runMemory},
	{"eviction", "hit ratios of eviction policies, by simulation", runEviction},
}

// Experiments lists the names of the experiments, each with what it shows.
func Experiments() (names, titles []string) {
	for _, e := range experiments {
		names, titles = append(names, e.name), append(titles, e.title)
	}
	return names, titles
}

// Validate says what is wrong with the options, naming the command line's flags.
func (o *Options) Validate() error {
	names, _ := Experiments()
	var traces []string
	for _, t := range evictsim.Traces() {
		traces = append(traces, t.Name)
	}
	for _, l := range []struct {
		what         string
		asked, known []string
	}{{"experiment", o.Experiments, names}, {"trace", o.Traces, traces}} {
		for _, name := range l.asked {
			if !slices.Contains(l.known, name) {
				return fmt.Errorf("%s %q is not one of %s", l.what, name, strings.Join(l.known, ", "))
			}
		}
	}
	if len(o.Subjects) == 0 {
		return errors.New("no server")
	}
	z := &o.Scale
	for _, r := range []struct {
		flag      string
		value     int
		low, high int
	}{
		{"server-threads", o.Servers.Threads, 1, 1024},
		{"memory", z.DensityMB, 4, 1 << 16},
		{"ratio-memory", z.RatioMB, 4, 1 << 16},
		{"ratio-rate", z.RatioRate, 1, 1 << 30},
		{"seeds", z.RatioSeeds, 1, 1000},
		{"items", z.Items, 1000, 1 << 30},
		{"pause-rate", z.PauseRate, 1000, 1 << 30},
		{"sim-keys", z.SimKeys, 1000, 1 << 26},
	} {
		if r.value < r.low || r.value > r.high {
			return fmt.Errorf("%s: %d is not in %d..%d", r.flag, r.value, r.low, r.high)
		}
	}
	return nil
}

// traces are those that were asked for.
func (o *Options) traces() []evictsim.Trace {
	return slices.DeleteFunc(evictsim.Traces(), func(t evictsim.Trace) bool { return len(o.Traces) > 0 && !slices.Contains(o.Traces, t.Name) })
}

// Report is the result of experiments with the store.
type Report struct {
	sut.Header
	Store map[string]Result `json:"store,omitempty"` // by the experiment's name
}

// Observer has the callbacks of Run, which calls them on its own goroutine. Any may be nil.
type Observer struct {
	Begin  func(*Report)                      // the environment is known
	Stage  func(what string)                  // something begins
	Result func(name, title string, r Result) // an experiment is over
}

// Run runs the experiments one after another. The report holds what was measured also when the error is not nil.
func Run(ctx context.Context, o Options, watch Observer) (*Report, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	subjects, err := o.Servers.Subjects(o.Subjects)
	if err != nil {
		return nil, err
	}
	usable, err := o.Cores.Occupy(1)
	if err != nil {
		return nil, err
	}
	defer func() { _ = sut.PinProcess(usable) }()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(len(o.Cores.Load) + 1))
	s := &storing{options: &o, subjects: subjects, usable: usable, watch: watch, report: &Report{Header: sut.NewHeader("store", &o)}}
	s.report.Store = make(map[string]Result)
	if watch.Begin != nil {
		watch.Begin(s.report)
	}
	for _, e := range experiments {
		if len(o.Experiments) > 0 && !slices.Contains(o.Experiments, e.name) {
			continue
		}
		var r Result
		if r, err = e.run(ctx, s); err != nil {
			if ctx.Err() == nil {
				err = fmt.Errorf("%s: %w", e.name, err)
			}
			break
		}
		s.report.Store[e.name] = r
		if watch.Result != nil {
			watch.Result(e.name, e.title, r)
		}
	}
	s.report.Finish()
	return s.report, err
}

// storing is a run of experiments under way.
type storing struct {
	options  *Options
	subjects []sut.Subject
	usable   []int      // cores
	mu       sync.Mutex // held while a server starts
	watch    Observer
	report   *Report
}

func (s *storing) stage(format string, args ...any) {
	if s.watch.Stage != nil {
		s.watch.Stage(fmt.Sprintf(format, args...))
	}
}

// with starts the server with memoryMB megabytes for items, calls do, and stops it.
func (s *storing) with(ctx context.Context, sub *sut.Subject, memoryMB int, do func(*sut.Instance) error) error {
	in, err := s.start(ctx, sub, memoryMB)
	if err != nil {
		return err
	}
	defer in.Stop()
	err = do(in)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if in.Process != nil && !in.Process.Running() {
		return fmt.Errorf("the server died: %w", in.Process.Death())
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", sub.Name, err)
	}
	return err
}

func (s *storing) start(ctx context.Context, sub *sut.Subject, memoryMB int) (*sut.Instance, error) {
	o := s.options.Servers
	o.MemoryMB = memoryMB
	s.mu.Lock() // a port is only known to be free when its last user listens
	defer s.mu.Unlock()
	in, err := sub.Start(ctx, &o, s.options.Cores.Server, &load.Workload{Connections: 4})
	if err == nil {
		s.report.Note(in, "")
	}
	return in, err
}

// PrintHeading writes what a report of experiments with the store begins with.
func PrintHeading(w io.Writer, r *Report) {
	e, o := &r.Environment, r.Options.(*Options)
	fmt.Fprintln(w, e.Machine())
	fmt.Fprintf(w, "servers on core %s with %s, load on core %s\n", tables.List(o.Cores.Server), tables.Plural(o.Servers.Threads, "thread"), tables.List(o.Cores.Load))
	if o.Cores.Shared() {
		fmt.Fprintln(w, "WARNING: servers and load share a core: latencies mean little.")
	}
	fmt.Fprintln(w)
}

// PrintServers writes which servers took part.
func PrintServers(w io.Writer, r *Report) {
	for _, name := range r.Options.(*Options).Subjects {
		if s, ok := r.Servers[name]; ok {
			fmt.Fprintf(w, "%s: version %s\n", name, s.Version)
		}
	}
}
