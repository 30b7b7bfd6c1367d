package oldtrial

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"time"

	"ringcached/bench/sut"
	"ringcached/bench/tables"
)

// ExperimentsObserver has the callbacks of Experiments, which calls them on its own goroutine. Any may be nil.
type ExperimentsObserver struct {
	Begin      func(r *Report, expected time.Duration) // the environment and plan are known
	Headroom   func([]Headroom)
	Experiment func(*Experiment) // one begins
	Trial      func(ExperimentProgress)
	Part       func(*Part) // a part is over
	End        func(*Experiment)
}

// ExperimentProgress tells where the experiments are.
type ExperimentProgress struct {
	Experiment, Part string
	Point, Series    string
	Round, Rounds    int    // from 1
	Last             *Round // the trial that is over just now
	Left             time.Duration
}

// Experiments makes the named experiments: for each part rounds in which every server has a trial at every point, with a new process each, in
// an order that rotates. The report holds what was measured also when the error is not nil.
func Experiments(ctx context.Context, o ExperimentsOptions, watch ExperimentsObserver) (*Report, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	began := time.Now()
	h, err := o.inspectHost(ctx)
	if err != nil {
		return nil, err
	}
	all := (&planning{options: &o, host: &h}).plans()
	x := newExperimenting(&o, o.chooseShape(all), watch)
	x.mayStop, x.began = o.Rounds == 0, began
	o.Rounds, o.Duration, o.Warmup = x.shape.rounds, x.shape.duration, x.shape.warmup
	usable, err := o.Cores.Occupy(o.Threads)
	if err != nil {
		return nil, err
	}
	defer func() { _ = sut.PinProcess(usable) }()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(max(o.Threads, 1) + 1))

	some := o.selected(all)
	for _, e := range some {
		x.left += e.expected(x.shape)
	}
	if watch.Begin != nil {
		watch.Begin(x.report, x.left)
	}
	if err = x.headroom(ctx); err == nil {
		x.prelude = time.Since(began)
		x.stretch = float64(o.shapes().budget-writing-x.prelude) / float64(x.left)
		err = x.run(ctx, some)
	}
	x.report.Finish()
	return x.report, err
}

// writing is what is left of the budget for results to be written.
const writing = 2 * time.Second

// experimenting are experiments under way.
type experimenting struct {
	options *ExperimentsOptions
	shape   shape
	watch   ExperimentsObserver
	report  *Report
	clients []sut.SlabGrowth // see clientEnds
	// mayStop: if trials take longer than planned, rounds are left out, apart from the first of each part.
	mayStop bool
	stretch float64       // how much longer than planned all may take
	due     time.Duration // since began: when the part under way should be over
	began   time.Time     // of all
	prelude time.Duration // what it took before the first part
	spent   time.Duration // what was planned for what is over
	left    time.Duration // and for the rest
}

func newExperimenting(o *ExperimentsOptions, s shape, watch ExperimentsObserver) *experimenting {
	return &experimenting{options: o, shape: s, watch: watch, report: NewReport("compare", o), stretch: 1, began: time.Now()}
}

// trialOptions are those of the trials.
func (x *experimenting) trialOptions() Options {
	o := x.options.Options
	o.Duration, o.Warmup = x.shape.duration, x.shape.warmup
	return o
}

func (x *experimenting) run(ctx context.Context, plans []*experimentPlan) error {
	for _, plan := range plans {
		e := &Experiment{Name: plan.name, Title: plan.title, Question: plan.question, Source: plan.source, Problems: slices.Clone(plan.problems)}
		x.report.Experiments = append(x.report.Experiments, e)
		if x.watch.Experiment != nil {
			x.watch.Experiment(e)
		}
		for i := range plan.parts {
			if err := x.part(ctx, e, &plan.parts[i]); err != nil {
				x.report.Interrupted = true
				return err
			}
		}
		if x.watch.End != nil {
			x.watch.End(e)
		}
	}
	return nil
}

// measured is what the trials of a cell gave.
type measured struct {
	rounds []Round
	idle   []idleCost
	// again is how many trials do not count and were made again, starved how many of them because the load was the limit.
	again, starved int
}

func (x *experimenting) part(ctx context.Context, e *Experiment, plan *partPlan) error {
	if plan.rateOf[0] != "" {
		least, why := e.leastThroughput(plan.rateOf[0], plan.rateOf[1])
		if why != "" {
			e.Problems = append(e.Problems, plan.name+": "+why)
			x.pass(plan.expected(x.shape))
			return nil
		}
		plan.offer(least)
	}
	if plan.clients > 0 && x.clients == nil {
		x.measureClients(ctx, e, plan)
	}
	if plan.cores != nil {
		if err := sut.PinProcess(plan.cores.Load); err != nil {
			return err
		}
		defer func() { _ = sut.PinProcess(x.options.Cores.Load) }()
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(max(plan.loadThreads, 1) + 1))
	}
	results := make(map[cell]*measured)
	err := x.rounds(ctx, e, plan, results)
	if len(results) == 0 {
		return err
	}
	e.Parts = append(e.Parts, plan.result(results, x.options.Servers.Threads))
	part := &e.Parts[len(e.Parts)-1]
	again := 0
	for _, m := range results {
		again += m.again
	}
	if again > 0 {
		e.Problems = append(e.Problems, fmt.Sprintf("%s: %s repeated because the load was the limit or the host took more than %.0f %% of a core", part.Name, tables.Plural(again, "trial"), 100*stolenShare))
	}
	for _, line := range part.failures(true) {
		e.Problems = append(e.Problems, part.Name+", "+line)
	}
	if x.watch.Part != nil {
		x.watch.Part(part)
	}
	return err
}

// rounds makes the rounds of a part, as long as there is time for them.
func (x *experimenting) rounds(ctx context.Context, e *Experiment, plan *partPlan, results map[cell]*measured) error {
	rounds := plan.rounds(x.shape)
	x.due = x.prelude + time.Duration(float64(x.spent+plan.expected(x.shape))*x.stretch)
	for round := range rounds {
		start := time.Now()
		for place, c := range plan.cells(round) {
			r, err := x.trial(ctx, plan, c, round, place, results)
			if err != nil {
				return err
			}
			x.pass(plan.trialTime(c, x.shape, round == 0))
			if x.watch.Trial != nil {
				x.watch.Trial(ExperimentProgress{
					Experiment: e.Name, Part: plan.name, Point: plan.points[c.point].label, Series: plan.series[c.series].name,
					Round: round + 1, Rounds: rounds, Last: r, Left: x.timeLeft(),
				})
			}
		}
		if done := round + 1; done < rounds && x.late(time.Since(start)) {
			e.Problems = append(e.Problems, fmt.Sprintf("%s: only %d of %d rounds: trials took longer than planned", plan.name, done, rounds))
			x.pass(time.Duration(rounds-done) * plan.roundTime(x.shape, false))
			break
		}
	}
	return nil
}

// late reports that there is no time left for something that takes so long and may be left out.
func (x *experimenting) late(more time.Duration) bool {
	return x.mayStop && time.Since(x.began)+more > x.due
}

// pass notes that what was planned for a time is over.
func (x *experimenting) pass(d time.Duration) { x.spent, x.left = x.spent+d, max(x.left-d, 0) }

// timeLeft estimates it: the rest takes as much longer than planned as what is over did.
func (x *experimenting) timeLeft() time.Duration {
	if x.spent < time.Second {
		return x.left
	}
	return time.Duration(float64(x.left) * float64(time.Since(x.began)-x.prelude) / float64(x.spent))
}

// trial is that of a cell. What is wrong with it alone is in its Round.
func (x *experimenting) trial(ctx context.Context, plan *partPlan, c cell, round, place int, results map[cell]*measured) (*Round, error) {
	t, err := x.newTrial(plan, c, round)
	if err != nil {
		return nil, err
	}
	r, in, err := t.run(ctx)
	again, starved := 0, 0
	for ; err == nil && again < mostAgain && (r.starved() && !x.late(0) || r.stolen() && x.ahead()); again++ {
		if r.Operations > 0 && r.starved() && r.Open == nil && !r.stolen() { // else the machine's other work is the likely reason
			starved++
		}
		r, in, err = t.run(ctx)
	}
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		r.Problems = append(r.Problems, err.Error()) // it does not start
	default:
		x.report.Note(in, r.CPUFrom)
	}
	m := results[c]
	if m == nil {
		m = &measured{}
		results[c] = m
	}
	r.Number, r.Place = round+1, place+1
	m.again, m.starved = m.again+again, m.starved+starved
	m.rounds = append(m.rounds, r)
	if t.idle != nil && t.idle.cost != nil && !r.Failed() {
		m.idle = append(m.idle, *t.idle.cost)
	}
	return &r, nil
}

// mostAgain is how often a trial is made again in which the machine's other work decided.
const mostAgain = 2

// starved reports that the load could not do its work. What else this machine does may be the reason, so the trial is repeated: if the
// load is the limit, it will be so again. With canned replies it may always be.
func (r *Round) starved() bool {
	if r.Operations == 0 {
		return r.Errors() == 0 && len(r.Problems) == 0
	}
	return !r.Failed() && r.Saturated() && r.Server != sut.Null
}

// stolenShare is the share of a core that the host may take before a trial is repeated. If there is no time for it, the trial counts; the
// result says what was taken in the worst of them.
const stolenShare = 0.10

// stolen reports that the host took much of a core.
func (r *Round) stolen() bool {
	return !r.Failed() && max(r.ServerCore.Steal, r.LoadCore.Steal) > stolenShare
}

// ahead reports that half of the time is left that what is over might have taken beyond its plan: trials may be made again that count nevertheless. The
// other half is for those that do not, and for trials that take longer than planned. Rounds to come matter more than either.
func (x *experimenting) ahead() bool {
	return time.Since(x.began)-x.prelude < time.Duration(float64(x.spent)*(1+x.stretch)/2)
}

// newTrial prepares the trial of a cell.
func (x *experimenting) newTrial(plan *partPlan, c cell, round int) (*trial, error) {
	series, point := &plan.series[c.series], &plan.points[c.point]
	o := x.trialOptions()
	if plan.cores != nil {
		o.Cores, o.Threads = *plan.cores, plan.loadThreads
		o.Cores.Server = o.Cores.Server[:min(point.threads, len(o.Cores.Server))]
	}
	if point.threads > 0 {
		o.Servers.Threads = point.threads
	}
	subjects, err := o.Servers.Subjects([]string{series.server})
	if err != nil {
		return nil, err
	}
	s := &subjects[0]
	s.Flags = series.args
	if !series.fixed {
		s.Flags = slices.Concat(series.args, point.args)
	}
	t := &trial{options: &o, subject: s, load: point.load, seed: o.Seed + uint64(round), count: plan.counts(c, round == 0)}
	if plan.settle.quiet > 0 {
		t.idle = &idleTrial{connections: point.idle, settle: plan.settleFor(c), clients: x.clients}
		if series.parks && !t.idle.settle.parked {
			t.idle.clients = nil // neither parked nor not: unknown
		}
	}
	return t, nil
}
