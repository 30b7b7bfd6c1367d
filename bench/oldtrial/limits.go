package oldtrial

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"ringcached/bench/load"
	"ringcached/bench/sut"
)

// limit is a row of the table of targets: a workload, and the most that its CPU per operation may be of other servers'. 0: no target.
type limit struct {
	workload  string
	memcached float64
	null      float64
}

var limits = []limit{
	{"get", 0.88, 1.10},
	{"get-1000", 0.88, 1.10},
	{"get-pipeline", 0.50, 1.15},
	{"mix", 0.88, 0},
	{"mix-1000", 0.88, 0},
	{"set", 0.88, 0},
	{"multiget", 0.75, 0},
	{"connection-1", 0.80, 0},
	{"connection-10", 0.80, 0},
	{"connection-100", 0.80, 0},
	{"get-64k", 1.00, 0},
	{"set-64k", 1.00, 0},
	{"get-1m", 1.00, 0},
	{"set-1m", 1.00, 0},
}

// epollSlack is how far io_uring may be behind epoll as long as that is within noise.
const epollSlack = 0.05

// LimitIdle is the name of the row of idle connections.
const LimitIdle = "idle"

func (l *limit) targets() []Target {
	all := []Target{{Over: sut.Epoll, Most: 1, Slack: epollSlack}}
	for _, t := range []Target{{Over: sut.Memcached, Most: l.memcached}, {Over: sut.Null, Most: l.null}} {
		if t.Most > 0 {
			all = append(all, t)
		}
	}
	return all
}

// Subjects are the servers of the row, in the order of its columns.
func (l *limit) subjects() []string {
	names := []string{sut.Uring}
	for _, t := range l.targets() {
		names = append(names, t.Over)
	}
	return names
}

// LimitNames lists the rows.
func LimitNames() (names []string) {
	for _, l := range limits {
		names = append(names, l.workload)
	}
	return append(names, LimitIdle)
}

// LimitsOptions says which targets are looked at, and how exactly.
type LimitsOptions struct {
	Only    []string  `json:"only"`   // rows by name; none: all
	Least   int       `json:"least"`  // rounds of each row
	Most    int       `json:"most"`   // rounds of a row that noise does not let decide
	Narrow  float64   `json:"narrow"` // an interval that is no wider than this part of a ratio to either side ends a row
	Idle    IdleScale `json:"idle"`
	Profile string    `json:"profile,omitempty"` // directory for profiles of the rows that missed; empty: none
	Options
}

// Validate says what is wrong with the options, naming the command line's flags.
func (o *LimitsOptions) Validate() error {
	for _, name := range o.Only {
		if !slices.Contains(LimitNames(), name) {
			return fmt.Errorf("only: %q is not one of %s", name, strings.Join(LimitNames(), ", "))
		}
	}
	switch {
	case o.Most < 2:
		return fmt.Errorf("max-rounds: %d is below 2", o.Most)
	case o.Least < 2 || o.Least > o.Most:
		return fmt.Errorf("min-rounds: %d is not in 2..%d", o.Least, o.Most)
	case !(o.Narrow >= 0 && o.Narrow < 1):
		return fmt.Errorf("narrow: %g is not in 0..1", o.Narrow)
	}
	if err := o.Idle.validate(); err != nil {
		return err
	}
	return o.validate(o.Most, []load.Workload{load.DefaultWorkload()})
}

// rows are the limits to look at, with their workloads, and whether that of idle connections is one of them.
func (o *LimitsOptions) rows() (some []limit, workloads []load.Workload, idle bool) {
	wanted := func(name string) bool { return len(o.Only) == 0 || slices.Contains(o.Only, name) }
	for _, l := range limits {
		if w, err := load.SelectWorkloads([]string{l.workload}); err == nil && wanted(l.workload) {
			some, workloads = append(some, l), append(workloads, w[0])
		}
	}
	return some, workloads, wanted(LimitIdle)
}

// Expected estimates how long the rows take, at the very most.
func (o *LimitsOptions) Expected() (sum time.Duration) {
	rows, _, idle := o.rows()
	for i := range rows {
		sum += time.Duration(len(rows[i].subjects())*o.Most) * (o.Duration + o.Warmup + trialTime)
	}
	if idle {
		sum += time.Duration(o.Idle.Rounds*len(idleSubjects)) * idleTime
	}
	return sum
}

// LimitRow is what a row of the table came to.
type LimitRow struct {
	Comparison *Comparison   `json:"-"` // one of the report's
	Workload   string        `json:"workload"`
	Results    []LimitResult `json:"results"`
	Profile    string        `json:"profile,omitempty"` // the file, if there is one
	NoProfile  string        `json:"why_not_profiled,omitempty"`
}

// LimitResult is a target and what the measurements say of it.
type LimitResult struct {
	Target
	Ratio   *Ratio  `json:"ratio"` // nil: no round of both servers that did not fail
	Verdict Verdict `json:"verdict"`
}

// judge fills in the results, and says whether further rounds would change nothing.
func (r *LimitRow) judge(targets []Target, narrow float64) (settled bool) {
	settled = true
	r.Results = r.Results[:0]
	for _, t := range targets {
		result := LimitResult{Target: t, Verdict: Undecided}
		if ratio := compareAllRounds(sut.Uring, t.Over, r.Comparison.Of(sut.Uring), r.Comparison.Of(t.Over), cpuPerOp); ratio != nil {
			result.Ratio, result.Verdict = ratio, t.judge(ratio)
			settled = settled && t.settled(ratio, narrow)
		} else {
			settled = false
		}
		r.Results = append(r.Results, result)
	}
	return settled
}

// missed reports that a target of the row was.
func (r *LimitRow) missed() bool {
	return slices.ContainsFunc(r.Results, func(l LimitResult) bool { return l.Verdict == Missed })
}

// LimitsObserver has the callbacks of Limits, which calls them on its own goroutine.
type LimitsObserver struct {
	Begin func(*Report)
	Stage func(what string)
	Row   func(*LimitRow)
	Idle  func(*Idle)
}

// Limits measures what the targets are about, row by row: interleaved rounds as Compare makes them, until the verdicts are settled or there
// were enough rounds. The report holds what was measured also when the error is not nil.
func Limits(ctx context.Context, o LimitsOptions, watch LimitsObserver) (*Report, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	rows, workloads, idle := o.rows()
	if err := o.check(rows, idle); err != nil {
		return nil, err
	}
	usable, err := o.Cores.Occupy(o.Threads)
	if err != nil {
		return nil, err
	}
	defer func() { _ = sut.PinProcess(usable) }()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(max(o.Threads, 1) + 1))
	l := limiting{options: &o, watch: watch, began: time.Now(), report: NewReport("limits", &o)}
	if watch.Begin != nil {
		watch.Begin(l.report)
	}
	for i := range rows {
		if err = l.row(ctx, &rows[i], workloads[i]); err != nil {
			break
		}
	}
	if err == nil && idle {
		err = l.idle(ctx)
	}
	l.report.Finish()
	return l.report, err
}

// check looks for the programs of all servers, before the first is started.
func (o *LimitsOptions) check(rows []limit, idle bool) error {
	var names []string
	for i := range rows {
		names = append(names, rows[i].subjects()...)
	}
	if idle {
		names = append(names, idleSubjects...)
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if _, err := o.Servers.Subjects([]string{name}); err != nil {
			return err
		}
	}
	if o.Profile != "" {
		return checkProfiler(o.Profile)
	}
	return nil
}

// limiting is a look at the targets under way.
type limiting struct {
	options *LimitsOptions
	watch   LimitsObserver
	report  *Report
	began   time.Time
}

func (l *limiting) stage(format string, args ...any) {
	if l.watch.Stage != nil {
		l.watch.Stage(fmt.Sprintf("[%v] ", time.Since(l.began).Round(time.Second)) + fmt.Sprintf(format, args...))
	}
}

func (l *limiting) row(ctx context.Context, limit *limit, w load.Workload) error {
	names := limit.subjects()
	subjects, err := l.options.Servers.Subjects(names)
	if err != nil {
		return err
	}
	row := &LimitRow{Comparison: &Comparison{Workload: w}, Workload: w.Name}
	for round := 0; round < l.options.Most; round++ {
		if err = l.round(ctx, subjects, row.Comparison, round); err != nil {
			break
		}
		if row.judge(limit.targets(), l.options.Narrow) && round+1 >= l.options.Least {
			break
		}
	}
	if len(row.Comparison.Rounds) == 0 {
		return err
	}
	row.judge(limit.targets(), l.options.Narrow)
	row.Comparison.Summarise(names)
	if err == nil && l.options.Profile != "" && row.missed() {
		l.stage("%s: a profile", w.Name)
		err = l.profile(ctx, &subjects[0], row)
	}
	l.report.Limits = append(l.report.Limits, row)
	l.report.Comparisons = append(l.report.Comparisons, row.Comparison)
	if l.watch.Row != nil {
		l.watch.Row(row)
	}
	return err
}

// round gives every server one trial, in an order that rotates.
func (l *limiting) round(ctx context.Context, subjects []sut.Subject, c *Comparison, round int) error {
	o := &l.options.Options
	for place := range subjects {
		t := trial{
			options: o, subject: &subjects[(round+place)%len(subjects)], load: c.Workload, seed: o.Seed + uint64(round),
		}
		r, in, err := t.run(ctx)
		if err != nil {
			return err
		}
		r.Number, r.Place = round+1, place+1
		l.report.Note(in, r.CPUFrom)
		c.Rounds = append(c.Rounds, r)
		what := fmt.Sprintf("%.3f us CPU/op", r.CPUPerOp)
		if r.Failed() {
			what = "FAILED: " + r.FirstError()
		}
		l.stage("%s, round %d of at most %d, %s: %s", c.Workload.Name, r.Number, l.options.Most, r.Server, what)
	}
	return nil
}

func (l *limiting) profile(ctx context.Context, s *sut.Subject, row *LimitRow) error {
	t := trial{options: &l.options.Options, subject: s, load: row.Comparison.Workload, seed: l.options.Seed}
	path, err := t.profile(ctx, l.options.Profile)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		row.NoProfile = err.Error()
	}
	row.Profile = path
	return nil
}
