package trial

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"
	"time"

	"ringcached/bench/sut"
)

// writing is what is left of a run's time for results to be written.
const writing = 2 * time.Second

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

// runner is a run under way.
type runner struct {
	o       *Options
	report  *Report
	watch   Observer
	began   time.Time
	weight  float64   // of the plans that are left
	aaLevel float64   // of the intervals of A/A: those of all plans together hold 1 with the probability level
	clients sut.Slabs // what both ends of a connection of this process cost the kernel, nil: not measured yet
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
	r.aaLevel = 1 - (1-level)/float64(max(compared, 1))
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
	defer func() {
		m.result.Seconds = time.Since(m.began).Seconds()
		if r.watch.Result != nil {
			r.watch.Result(m.result)
		}
	}()
	if p.RateOf != nil {
		if why := r.offerRates(p); why != "" {
			m.problem("", "", false, why)
			return nil
		}
	}
	m.o.Precision, m.o.Threads = cmp.Or(p.Precision, r.o.Precision), cmp.Or(p.LoadThreads, r.o.Threads)
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

// offerRates makes rates of the points' shares of what the slowest server took in an earlier plan. If that is unknown it says why.
func (r *runner) offerRates(p *Plan) (why string) {
	i := slices.IndexFunc(r.report.Results, func(one *Result) bool { return one.Plan.Experiment == p.Experiment && one.Plan.Name == p.RateOf.Plan })
	if i < 0 {
		return "no " + p.RateOf.Plan + " was measured, of which the rates are shares"
	}
	from := r.report.Results[i]
	least := math.Inf(1)
	for _, row := range from.Rows {
		if e, known := row.Estimates[MetricThroughput]; known && from.Plan.Points[row.Point].Label == p.RateOf.Point {
			least = min(least, e.Value)
		}
	}
	if math.IsInf(least, 1) {
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
