package storetest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"
	"sync"

	"ringcached/bench/evictsim"
	"ringcached/bench/load"
	"ringcached/bench/sut"
	"ringcached/bench/tables"
)

// Options says which experiments compare the stores of servers, and how large they are.
type Options struct {
	Experiments []string          `json:"experiments"` // none: all
	Traces      []string          `json:"traces"`      // by name, and for eviction recorded ones, by path; none: all
	Subjects    []string          `json:"subjects"`    // servers by the names that ServerOptions knows, ringcached first
	Seed        uint64            `json:"seed"`
	Scale       Scale             `json:"scale"`
	Servers     sut.ServerOptions `json:"servers"` // MemoryMB is not used: each experiment has its own
	Cores       sut.Cores         `json:"cores"`   // empty lists: chosen
}

// Scale is how large the experiments are.
type Scale struct {
	DensityMB  int     `json:"density_mb"`  // -m of density
	RatioMB    int     `json:"ratio_mb"`    // -m of hit-ratio; there are ten times as many keys as it holds items
	RatioRate  int     `json:"ratio_rate"`  // requests per second, likewise
	RatioSeeds int     `json:"ratio_seeds"` // traces of each kind, likewise
	Warmup     float64 `json:"warmup"`      // requests before those that count, in multiples of the keys; of eviction too
	Counted    float64 `json:"counted"`     // requests that count, likewise
	Items      int     `json:"items"`       // of pause and memory
	PauseRate  int     `json:"pause_rate"`  // sets per second of pause
	SimKeys    int     `json:"sim_keys"`    // keys of eviction
	SimSeeds   int     `json:"sim_seeds"`   // traces of each kind, likewise
}

// FullScale takes about six minutes with two servers, QuickScale about ninety seconds.
var (
	FullScale = Scale{
		DensityMB: 64, RatioMB: 16, RatioRate: 6_000, RatioSeeds: 2, Warmup: 2.5, Counted: 1.5,
		Items: 10_000_000, PauseRate: 400_000, SimKeys: 100_000, SimSeeds: 1,
	}
	QuickScale = Scale{
		DensityMB: 64, RatioMB: 8, RatioRate: 10_000, RatioSeeds: 1, Warmup: 2, Counted: 1,
		Items: 2_000_000, PauseRate: 400_000, SimKeys: 20_000, SimSeeds: 1,
	}
)

// Experiment compares the servers in one respect.
type Experiment struct {
	Name, Title string
	run         func(ctx context.Context, s *session, r *Result) error
}

// Experiments are in the order in which they run.
func Experiments() []Experiment {
	return []Experiment{
		{"density", "items that fit into the memory, and what is wasted of it", runDensity},
		{"hit-ratio", "hits of read-through traces, where the cache holds a tenth of the keys", runHitRatio},
		{"pause", "latency of gets while the index grows", runPause},
		{"memory", "resident memory, and what an item costs beside its key and value", runMemory},
		{"eviction", "hit ratios of eviction policies, by simulation", runEviction},
	}
}

// Validate says what is wrong with the options, naming the command line's flags.
func (o *Options) Validate() error {
	var experiments, traces []string
	for _, e := range Experiments() {
		experiments = append(experiments, e.Name)
	}
	for _, t := range evictsim.Traces() {
		traces = append(traces, t.Name)
	}
	for _, name := range o.Experiments {
		if err := load.OneOf("experiment", name, experiments...); err != nil {
			return err
		}
	}
	for _, name := range o.Traces {
		if err := load.OneOf("trace", name, traces...); err != nil && !isFile(name) {
			return err
		}
	}
	if len(o.Subjects) == 0 {
		return errors.New("no server")
	}
	z := &o.Scale
	return cmp.Or(
		load.InRange("items", z.Items, 1000, 1<<30),
		load.InRange("pause-rate", z.PauseRate, 1000, 1<<30),
		load.InRange("memory", z.DensityMB, 4, 1<<16),
		load.InRange("ratio-memory", z.RatioMB, 4, 1<<16),
		load.InRange("ratio-rate", z.RatioRate, 1, 1<<30),
		load.InRange("seeds", z.RatioSeeds, 1, 1000),
		load.InRange("sim-keys", z.SimKeys, 1000, 1<<26),
		load.InRange("server-threads", o.Servers.Threads, 1, 1024),
	)
}

func isFile(name string) bool {
	info, err := os.Stat(name)
	return err == nil && !info.IsDir()
}

// traces are those that were asked for by name. What is a file is simulated by eviction.
func (o *Options) traces() []evictsim.Trace {
	return slices.DeleteFunc(evictsim.Traces(), func(t evictsim.Trace) bool {
		return len(o.Traces) > 0 && !slices.Contains(o.Traces, t.Name)
	})
}

// Report is the result of experiments with the store.
type Report struct {
	sut.Header
	Store map[string]*Result `json:"store,omitempty"` // by the experiment's name
}

// Run runs the experiments one after another and prints what each finds; stage is told what begins, and "" before
// something is printed. The report holds what was measured also when the error is not nil.
func Run(ctx context.Context, o Options, stage func(what string), out io.Writer) (*Report, error) {
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
	s := &session{options: &o, subjects: subjects, usable: usable, say: stage}
	s.report = &Report{Header: sut.NewHeader("store", &o), Store: make(map[string]*Result)}
	s.printHeading(out)
	for _, e := range Experiments() {
		if len(o.Experiments) > 0 && !slices.Contains(o.Experiments, e.Name) {
			continue
		}
		r := &Result{}
		if err = e.run(ctx, s, r); err != nil {
			if ctx.Err() == nil {
				err = fmt.Errorf("%s: %w", e.Name, err)
			}
			break
		}
		s.report.Store[e.Name] = r
		stage("")
		fmt.Fprintf(out, "%s: %s\n", e.Name, e.Title)
		r.Print(out)
	}
	s.report.Finish()
	return s.report, err
}

// PrintServers writes which servers took part.
func PrintServers(w io.Writer, r *Report) {
	for _, name := range slices.Sorted(maps.Keys(r.Servers)) {
		fmt.Fprintf(w, "%s: version %s\n", name, r.Servers[name].Version)
	}
}

// session is a run of experiments under way.
type session struct {
	options  *Options
	subjects []sut.Subject
	usable   []int      // cores
	starting sync.Mutex // a port is only known to be free when its last user listens
	say      func(what string)
	report   *Report
}

func (s *session) printHeading(w io.Writer) {
	c := &s.options.Cores
	threads := tables.Plural(s.options.Servers.Threads, "thread")
	fmt.Fprintf(w, "%s\nservers on core %s with %s, load on core %s\n",
		s.report.Environment.Machine(), tables.List(c.Server), threads, tables.List(c.Load))
	if c.Shared() {
		fmt.Fprintln(w, "WARNING: servers and load share a core: latencies mean little.")
	}
	fmt.Fprintln(w)
}

// each calls do with one server after the other, each new and with memoryMB megabytes for items.
func (s *session) each(ctx context.Context, memoryMB int, what string, do func(*probe)) error {
	for i := range s.subjects {
		s.say(s.subjects[i].Name + ": " + what)
		if err := s.with(ctx, &s.subjects[i], memoryMB, do); err != nil {
			return err
		}
	}
	return nil
}

// with starts the server, calls do, and stops it.
func (s *session) with(ctx context.Context, sub *sut.Subject, memoryMB int, do func(*probe)) error {
	o := s.options.Servers
	o.MemoryMB = memoryMB
	s.starting.Lock()
	in, err := sub.Start(ctx, &o, s.options.Cores.Server, &load.Workload{Connections: 4})
	if err == nil {
		s.report.Note(in, "")
	}
	s.starting.Unlock()
	if err != nil {
		return err
	}
	defer in.Stop()
	p := &probe{ctx: ctx, Instance: in}
	defer p.close()
	do(p)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case !in.Process.Running():
		return fmt.Errorf("the server died: %w", in.Process.Death())
	case p.err != nil:
		return fmt.Errorf("%s: %w", sub.Name, p.err)
	}
	return nil
}
