package trial

import (
	"cmp"
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"time"

	"ringcached/bench/sut"
)

const (
	// writing is what is left of a run's time for servers to stop and for results to be worked out and written; of a
	// short run it is a tenth.
	writing = time.Second
	// manyPasses is the part of a plan's share in which all its points are measured alike, onePass that where it
	// suffices for one pass only. The rest of all plans goes to the points that need it.
	manyPasses, onePass = 0.6, 0.8
	// mostPasses is how often a point has new processes in it. Each is worth starting them for that long.
	mostPasses, worthStarting = 8, 5 * time.Second
	// farOff is the width of an interval, in terms of what was asked for, beyond which it makes no difference how wide
	// it is.
	farOff = 10
)

// errTimeOver is why the context of what is measured ends when the run's time is over.
var errTimeOver = errors.New("the run's time is over")

func timeOver(ctx context.Context) bool { return errors.Is(context.Cause(ctx), errTimeOver) }

// carryOut measures plans, each in its share of the time, and uses the rest for the points of all plans that need it.
// What is under way when the time is over is dropped. An error is that of the context, or why nothing could be
// measured.
func (r *runner) carryOut(ctx context.Context, plans []*Plan) (err error) {
	timed, cancel := context.WithDeadlineCause(ctx, r.over, errTimeOver)
	defer cancel()
	for i := 0; i < len(plans) && err == nil; i++ {
		err = r.share(timed, plans[i])
	}
	if err == nil {
		err = r.useRest(timed)
	}
	for _, m := range r.begun {
		if !m.told {
			m.conclude(ctx, timeOver(timed))
		}
	}
	return cmp.Or(err, ctx.Err())
}

// share carries out a plan in its share of the time that is left, and tells its result if more time could not change
// it.
func (r *runner) share(ctx context.Context, p *Plan) error {
	began := time.Now()
	m := r.begin(p)
	if timeOver(ctx) {
		m.problem("", "", false, "not measured: the time was over (--time)")
		return nil
	}
	if p.RateOf != nil {
		if why := r.offerRates(p); why != "" {
			m.problem("", "", false, why)
			return nil
		}
	}
	m.open()
	measure := m.sideBySide
	if p.Mode == FreshProcesses {
		measure = m.freshProcesses
	}
	err := m.onItsCores(func() error { return measure(ctx) })
	m.result.Seconds = time.Since(began).Seconds()
	m.summarise() // which rates of a later plan follow from
	if timeOver(ctx) {
		return nil
	}
	if err == nil && r.o.Profile == "" && !slices.ContainsFunc(m.spots, m.needsMore) {
		m.conclude(ctx, false)
	}
	return err
}

// begin begins a plan. Its share goes by its weight; what others left of theirs is kept for the points that turn out to
// need it, but where others had more than theirs, all that follow have less.
func (r *runner) begin(p *Plan) *measuring {
	now, weight := time.Now(), p.weight()
	share := min(r.perWeight, float64(r.over.Sub(now))/r.weight) * weight
	r.weight -= weight
	m := &measuring{runner: r, plan: p, o: *r.o, result: &Result{Plan: p}, began: now}
	m.deadline = now.Add(time.Duration(share))
	m.o.Precision, m.o.Threads = cmp.Or(p.Precision, r.o.Precision), cmp.Or(p.LoadThreads, r.o.Threads)
	if p.Cores != nil {
		m.o.Cores = *p.Cores
	}
	r.begun, r.report.Results = append(r.begun, m), append(r.report.Results, m.result)
	for _, text := range p.Problems {
		m.problem("", "", false, text)
	}
	return m
}

// onItsCores lets do run while this process is on the cores of the plan's load.
func (m *measuring) onItsCores(do func() error) error {
	if m.plan.Cores == nil {
		return do()
	}
	if err := sut.PinProcess(m.plan.Cores.Load); err != nil {
		return err
	}
	defer func() { _ = sut.PinProcess(m.runner.o.Cores.Load) }()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(max(m.o.Threads, 1) + 1))
	return do()
}

// sideBySide measures the points, each for an equal part of the first 60 to 80 % of the plan's share, in up to eight
// passes with new processes each, since where a process happens to lie in memory makes a difference too, which many
// short visits show as a dependence of successive turns.
func (m *measuring) sideBySide(ctx context.Context) error {
	part, all := manyPasses, m.deadline.Sub(m.began)
	passes := int(min(max(part*float64(all/worthStarting)/float64(len(m.spots)), 1), mostPasses))
	if passes == 1 {
		part = onePass
	}
	end := m.began.Add(time.Duration(part * float64(all)))
	for left := passes * len(m.spots); left > 0; left-- {
		s := m.spots[(passes*len(m.spots)-left)%len(m.spots)]
		if m.done(s) {
			continue
		}
		if err := m.runner.visit(ctx, m, s, time.Until(end)/time.Duration(left)); err != nil {
			return err
		}
	}
	return nil
}

// freshProcesses gives each server a trial at each point in each turn, in an order that rotates: with each turn another
// point is the first. It goes on until all points are as precise as asked or have had their turns, or the next turn
// would take too long.
func (m *measuring) freshProcesses(ctx context.Context) error {
	for turn := range cmp.Or(m.plan.MaxTurns, freshMax) {
		began := time.Now()
		settled := true
		for i := range m.spots {
			s := m.spots[(turn+i)%len(m.spots)]
			if s.settled {
				continue
			}
			if err := m.runner.visit(ctx, m, s, 0); err != nil {
				return err
			}
			s.settled = s.settled && len(m.ratios(s)) > 0 && turn+1 >= m.plan.MinTurns
			settled = settled && s.settled
		}
		if settled || turn+1 >= m.plan.MinTurns && time.Now().Add(time.Since(began)).After(m.deadline) {
			return nil
		}
	}
	return nil
}

// useRest measures points of all plans again, those first at which a second makes most ratios as precise as asked,
// until the time is over or all are. Their servers are new processes again: to keep those of all points would be more
// than a hundred, whose timers run during the others' slices.
func (r *runner) useRest(ctx context.Context) error {
	for ctx.Err() == nil {
		m, s, share := r.neediest(time.Until(r.over))
		if s == nil {
			return nil
		}
		began := time.Now()
		m.stale = true
		err := m.onItsCores(func() error { return r.visit(ctx, m, s, share) })
		m.result.Seconds += time.Since(began).Seconds()
		if err != nil && !timeOver(ctx) {
			return err
		}
	}
	return nil
}

// neediest is the point at which a second makes most ratios as precise as asked, and how long that takes. If nothing
// can be done in the time that is left, it is where a second would if there were more, and all that is left.
func (r *runner) neediest(left time.Duration) (plan *measuring, neediest *spot, share time.Duration) {
	var most float64
	fits := false
	for _, m := range r.begun {
		for _, s := range m.spots {
			if !m.needsMore(s) || s.worth() > left {
				continue
			}
			for i, width := range s.wide {
				need := s.need(width)
				each := float64(i+1) / need.Seconds() // a second makes so many precise
				if inTime := need <= left; inTime && !fits || inTime == fits && each > most {
					plan, neediest, share, most, fits = m, s, min(need, left), each, inTime
				}
			}
		}
	}
	return plan, neediest, share
}

// needsMore reports that the ratios of a point are not as precise as asked, and that more turns may make them so.
func (m *measuring) needsMore(s *spot) bool {
	return len(s.wide) > 0 && !m.done(s) && cmp.Or(m.plan.MaxTurns, maxTurns) >= leastTurns
}

// need is how long a point has to be measured for until an interval of such a width is as narrow as asked: it narrows
// with the root of the time.
func (s *spot) need(width float64) time.Duration {
	width = min(width, farOff)
	return s.starting + s.stopping + time.Duration(float64(s.spent)*max(1.2*width*width-1, 0.25))
}

// worth is how long a visit of a point has to be at least to be worth it: for a turn, or for more than starting the
// servers.
func (s *spot) worth() time.Duration {
	if s.visits == 0 { // a turn has new processes
		return s.spent / time.Duration(max(s.turns, 1))
	}
	return 2 * (s.starting + s.stopping)
}

// conclude works out a plan's result, says what the time did not suffice for, and tells it.
func (m *measuring) conclude(ctx context.Context, late bool) {
	if m.told = true; m.stale {
		m.summarise()
	}
	if late {
		m.missing()
	}
	_ = m.onItsCores(func() error { return m.profiles(ctx) }) // whose errors are problems, unless the context ended
	if m.watch.Result != nil {
		m.watch.Result(m.result)
	}
}

// missing says which points the time did not suffice for.
func (m *measuring) missing() {
	var labels []string
	for _, s := range m.spots {
		if few := m.plan.Mode == SideBySide && s.turns < leastTurns; (few || s.turns == 0) && !m.done(s) {
			labels = append(labels, s.point.Label)
		}
	}
	if len(labels) > 0 {
		m.problem("", "", false, "no intervals at "+strings.Join(labels, ", ")+": the time was over (--time)")
	}
}
