package trial

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"

	"ringcached/bench/load"
	"ringcached/bench/sut"
)

// writing is what is left of a run's time for results to be written.
const writing = 2 * time.Second

// Validate says what is wrong with the options, naming the command line's flags.
func (o *Options) Validate() error {
	switch {
	case o.Time < time.Second || o.Time > 24*time.Hour:
		return fmt.Errorf("time: %v is not in 1s..24h", o.Time)
	case !(o.Precision > 0 && o.Precision < 1):
		return fmt.Errorf("precision: %g %% is not in 0..100 (exclusive)", 100*o.Precision)
	case o.Slice < 5*time.Millisecond || o.Slice > 10*time.Second:
		return fmt.Errorf("slice: %v is not in 5ms..10s", o.Slice)
	case o.Trial < 50*time.Millisecond || o.Trial > time.Hour:
		return fmt.Errorf("duration: %v is not in 50ms..1h", o.Trial)
	case o.Warmup < 0 || o.Warmup > time.Hour:
		return fmt.Errorf("warmup: %v is not in 0..1h", o.Warmup)
	case o.Servers.Threads < 1:
		return fmt.Errorf("server-threads: %d is below 1", o.Servers.Threads)
	case o.Servers.MemoryMB < 8:
		return fmt.Errorf("memory: %d MB is below 8", o.Servers.MemoryMB)
	}
	for i, v := range o.Servers.Variants {
		if slices.ContainsFunc(o.Servers.Variants[:i], func(other sut.Variant) bool { return other.Name == v.Name }) {
			return fmt.Errorf("variant %s is named twice", v.Name)
		}
	}
	l := load.Options{Workload: load.DefaultWorkload(), Threads: o.Threads, Driver: o.Driver}
	return l.Validate()
}

// validate says what is wrong with a plan, naming the command line's flags.
func (p *Plan) validate(o *Options) error {
	for i := range p.Points {
		l := load.Options{Workload: p.Points[i].Load, Threads: max(o.Threads, p.LoadThreads), Driver: o.Driver}
		if err := l.Validate(); err != nil {
			return fmt.Errorf("workload %s: %w", p.Points[i].Load.Name, err)
		}
	}
	for i, s := range p.Servers {
		if slices.ContainsFunc(p.Servers[:i], func(other Server) bool { return other.Name == s.Name }) {
			return fmt.Errorf("server %s is named twice", s.Name)
		}
	}
	for _, s := range p.Servers { // before the first is started
		if _, err := o.Servers.Subjects([]string{s.Start}); err != nil {
			return err
		}
	}
	if len(p.Servers) == 0 || len(p.Points) == 0 {
		return fmt.Errorf("%s: nothing to measure", p.FullName())
	}
	return nil
}

// runner is a run under way.
type runner struct {
	o       *Options
	report  *Report
	watch   Observer
	began   time.Time
	weight  float64          // of the plans that are left
	aaLevel float64          // see aaRatio
	clients []sut.SlabGrowth // what this process's end of a connection costs the kernel, nil: not measured yet
}

// Run carries out plans, one after the other, and returns a report of that kind. It moves this process to the cores of the load meanwhile. The
// report holds what was measured also when the error is not nil: the context ended, or nothing could be measured at all.
func Run(ctx context.Context, kind string, plans []*Plan, o Options, watch Observer) (*Report, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	r := &runner{o: &o, watch: watch, began: time.Now()}
	compared := 0
	for _, p := range plans {
		if err := p.validate(&o); err != nil {
			return nil, err
		}
		r.weight += p.weight()
		if !p.NoAA {
			compared++
		}
	}
	if o.Profile != "" {
		if err := checkProfiler(o.Profile); err != nil {
			return nil, err
		}
	}
	r.aaLevel = level
	if compared > 1 {
		r.aaLevel = 1 - (1-level)/float64(compared)
	}
	usable, err := o.Cores.Occupy(o.Threads)
	if err != nil {
		return nil, err
	}
	defer func() { _ = sut.PinProcess(usable) }()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(max(o.Threads, 1) + 1))
	r.report = &Report{Header: sut.NewHeader(kind, &o)}
	if watch.Begin != nil {
		watch.Begin(r.report)
	}
	for _, p := range plans {
		if err = r.plan(ctx, p); err != nil {
			r.report.Interrupted = ctx.Err() != nil
			break
		}
	}
	r.report.Finish()
	return r.report, err
}

// weight is the plan's share of the run's time: a turn takes as long as there are servers that get a slice in it.
func (p *Plan) weight() float64 {
	if p.Weight > 0 {
		return p.Weight
	}
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
	return float64(rows)
}

// plan carries out a plan in its share of the time that is left.
func (r *runner) plan(ctx context.Context, p *Plan) error {
	left := r.o.Time - writing - time.Since(r.began)
	share := time.Duration(float64(left) * p.weight() / r.weight)
	r.weight -= p.weight()
	m := &measuring{runner: r, plan: p, o: *r.o, result: &Result{Plan: p}, began: time.Now(), deadline: time.Now().Add(share)}
	r.report.Results = append(r.report.Results, m.result)
	for _, text := range p.Problems {
		m.result.Problems = append(m.result.Problems, Problem{Text: text})
	}
	defer m.over()
	if p.RateOf != nil {
		if why := r.offerRates(p); why != "" {
			m.problem("", "", false, why)
			return nil
		}
	}
	m.o.Precision = cmp.Or(p.Precision, r.o.Precision)
	if p.LoadThreads > 0 {
		m.o.Threads = p.LoadThreads
	}
	if p.Cores != nil {
		m.o.Cores = *p.Cores
		if err := sut.PinProcess(p.Cores.Load); err != nil {
			return err
		}
		defer func() { _ = sut.PinProcess(r.o.Cores.Load) }()
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(max(m.o.Threads, 1) + 1))
	}
	m.open()
	measure := m.sideBySide
	if p.Mode == FreshProcesses {
		measure = m.freshProcesses
	}
	err := measure(ctx)
	m.summarise()
	if err == nil {
		err = m.profiles(ctx)
	}
	return err
}

// over tells that a plan is.
func (m *measuring) over() {
	m.result.Seconds = time.Since(m.began).Seconds()
	if m.watch.Result != nil {
		m.watch.Result(m.result)
	}
}

// offerRates makes rates of the points' shares of what the slowest server took in an earlier plan. If that is unknown it says why.
func (r *runner) offerRates(p *Plan) (why string) {
	i := slices.IndexFunc(r.report.Results, func(one *Result) bool { return one.Plan.Experiment == p.Experiment && one.Plan.Name == p.RateOf.Plan })
	if i < 0 {
		return "no " + p.RateOf.Plan + " was measured, of which the rates are shares"
	}
	from := r.report.Results[i]
	least := 0.0
	for j := range from.Rows {
		row := &from.Rows[j]
		if from.Plan.Points[row.Point].Label != p.RateOf.Point {
			continue
		}
		if e, known := row.Estimates[MetricThroughput]; known && (least == 0 || e.Value < least) {
			least = e.Value
		}
	}
	if least == 0 {
		return fmt.Sprintf("nobody's throughput at %s is known, of which the rates are shares", p.RateOf.Point)
	}
	for j := range p.Points {
		pt := &p.Points[j]
		pt.Load.Rate = float64(int(pt.Share * least))
		pt.X, pt.Label = pt.Load.Rate, rateLabel(pt.Load.Rate)
	}
	return ""
}

// rateLabel tells a rate in a few characters.
func rateLabel(perSecond float64) string {
	switch {
	case perSecond >= 1e5:
		return fmt.Sprintf("%.0fk/s", perSecond/1e3)
	case perSecond >= 1e3:
		return fmt.Sprintf("%.1fk/s", perSecond/1e3)
	}
	return fmt.Sprintf("%.0f/s", perSecond)
}

// ownCPU reads the CPU time of this process.
func ownCPU() (time.Duration, error) {
	r, err := sut.NewCPUReader(os.Getpid())
	if err != nil {
		return 0, err
	}
	return r.Read()
}
