package trial

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"
	"time"

	"ringcached/bench/sut"
)

// Observer has the callbacks of Run, which calls them on its own goroutine. Any may be nil.
type Observer struct {
	Begin    func(*Report)  // the environment and the options are known
	Progress func(Progress) // from time to time
	Result   func(*Result)  // a plan's result is final: it is over, or the run is
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
	over    time.Time // when measuring ends
	weight  float64   // of the plans whose share has not begun
	begun   []*measuring
	aaLevel float64   // of the intervals of A/A: those of all plans together hold 1 with the probability level
	clients sut.Slabs // what both ends of a connection of this process cost the kernel, nil: not measured yet

	perWeight float64 // nanoseconds of a share for each of a plan's weight
	// visit measures a point of a plan once more. It is measuring's method of that name, but in tests of how time is divided.
	visit func(ctx context.Context, m *measuring, s *spot, share time.Duration) error
}

// newRunner prepares a run of plans, whose time begins now.
func newRunner(plans []*Plan, o *Options, watch Observer) *runner {
	r := &runner{o: o, watch: watch, over: time.Now().Add(o.Time - min(writing, o.Time/10)), report: new(Report)}
	r.visit = func(ctx context.Context, m *measuring, s *spot, share time.Duration) error {
		return m.visit(ctx, s, share)
	}
	compared := 0
	for _, p := range plans {
		r.weight += p.weight()
		if !p.NoAA {
			compared++
		}
	}
	r.aaLevel = 1 - (1-level)/float64(max(compared, 1))
	r.perWeight = float64(time.Until(r.over)) / r.weight
	return r
}

// Run carries out plans and returns a report of that kind: each has its share of the time, and what is left then goes to the points that need it,
// of whichever plan. It moves this process to the cores of the load meanwhile. The report holds what was measured also when the error is not nil: the
// context ended, or nothing could be measured at all.
func Run(ctx context.Context, kind string, plans []*Plan, o Options, watch Observer) (*Report, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	for _, p := range plans {
		if err := p.validate(&o); err != nil {
			return nil, err
		}
	}
	if slices.ContainsFunc(plans, (*Plan).encrypts) {
		if err := o.Servers.MakeCertificate(); err != nil {
			return nil, err
		}
		defer o.Servers.Certificate.Remove()
	}
	r := newRunner(plans, &o, watch)
	if o.Profile != "" {
		if err := checkProfiler(o.Profile); err != nil {
			return nil, err
		}
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
	err = r.carryOut(ctx, plans)
	r.report.Interrupted = err != nil && ctx.Err() != nil
	r.report.Finish()
	return r.report, err
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
