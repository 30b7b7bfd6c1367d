package report

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"ringcached/bench/load"
	trial "ringcached/bench/oldtrial"
	"ringcached/bench/sut"
	"ringcached/bench/tables"
)

// Regression says what changed from an old result to a new one.
type Regression struct {
	Old string `json:"old"` // the file, or the build
	New string `json:"new"`
	// Paired says that each round had a trial of both, one next to the other. Otherwise the rounds of both are compared as they are.
	Paired    bool            `json:"paired"`
	Threshold float64         `json:"threshold"` // changes below it count for nothing, 0.05 is 5 %
	Level     float64         `json:"level"`     // the probability of a false alarm, all rows together
	Rows      []RegressionRow `json:"rows"`
	// Warnings say what else may have changed the figures; Missing, what is in one of the results only.
	Warnings []string `json:"warnings,omitempty"`
	Missing  []string `json:"missing,omitempty"`
	// Doubts say why the result is undecided, whatever the rows say.
	Doubts []string `json:"doubts,omitempty"`

	force   bool // what the new result lacks is no doubt
	lacking int  // rows that only the old result has figures of
}

// RegressionRow is a quantity of one server in one workload, or at one point of an experiment.
type RegressionRow struct {
	Where  string       `json:"where"`
	Server string       `json:"server"`
	Metric trial.Metric `json:"metric"`
	// Old and New are medians of the rounds, in the metric's unit. Ratio is the trimmed geometric mean of new/old, Low..High its 95 %
	// confidence interval, by itself; P is its p-value corrected for the number of rows.
	Old       float64 `json:"old"`
	New       float64 `json:"new"`
	Ratio     float64 `json:"ratio"`
	Low       float64 `json:"low"`
	High      float64 `json:"high"`
	P         float64 `json:"p"`
	OldRounds int     `json:"old_rounds"`
	NewRounds int     `json:"new_rounds"`
	Change    Change  `json:"change"`
	// Control says that the server is the same program in both results, so that a change is one of the machine.
	Control bool `json:"control,omitempty"`
}

// Change is what a row says.
type Change string

// What there is to say of a row.
const (
	Worse     Change = "worse"
	Better    Change = "better"
	Unchanged Change = "within noise"
	Slight    Change = "below threshold" // more than noise, and less than what counts
	Unknown   Change = "too few rounds"
)

// falseAlarms is the level of all tests of a Regression together.
const falseAlarms = 0.05

// Worse returns the rows that got worse, without controls.
func (r *Regression) Worse() (rows []RegressionRow) {
	for _, row := range r.Rows {
		if row.Change == Worse && !row.Control {
			rows = append(rows, row)
		}
	}
	return rows
}

// Silent reports that no row says anything.
func (r *Regression) Silent() bool {
	return !slices.ContainsFunc(r.Rows, func(row RegressionRow) bool { return row.Change != Unknown })
}

// RegressOptions says how results are compared.
type RegressOptions struct {
	Threshold float64 `json:"threshold"` // 0.05: a change of less than 5 % counts for nothing
	Force     bool    `json:"force"`     // compare results of different machines or options too, and those of which the new one has less
}

// Validate says what is wrong with the options, naming the command line's flags.
func (o *RegressOptions) Validate() error {
	if !(o.Threshold >= 0 && o.Threshold < 1) {
		return fmt.Errorf("threshold: %g is not in 0..1 (exclusive of 1)", o.Threshold)
	}
	return nil
}

// Regress compares the results in two files. An error says why they cannot be compared.
func Regress(before, after string, o RegressOptions) (*Report, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	a, err := Read(before)
	if err != nil {
		return nil, err
	}
	b, err := Read(after)
	if err != nil {
		return nil, err
	}
	report := newReport("regress", &o)
	r := &Regression{Old: before, New: after, Threshold: o.Threshold, Level: falseAlarms, force: o.Force}
	obstacles, warnings := differences(a, b)
	if len(obstacles) > 0 && !o.Force {
		return nil, fmt.Errorf("%s and %s cannot be compared: %w", before, after, errors.Join(obstacles...))
	}
	for _, err := range obstacles {
		r.Warnings = append(r.Warnings, err.Error())
	}
	r.Warnings = append(r.Warnings, warnings...)
	r.compare(a.measured(), b.measured())
	if len(r.Rows) == 0 {
		why := slices.Concat([]string{fmt.Sprintf("%s and %s have nothing in common that could be compared", before, after)}, r.Doubts, r.Missing)
		return nil, errors.New(strings.Join(why, "\n"))
	}
	report.Regression = r
	report.Finish()
	return report, nil
}

// The names of two builds that RegressBuilds compares.
const (
	SubjectOld = "old"
	SubjectNew = "new"
)

// RegressBuilds measures two builds of ringcached in the same rounds, and compares them. Variants and subjects are chosen here; the other options
// are the comparison's. The report has what was measured also when the error is not nil.
func RegressBuilds(ctx context.Context, before, after string, c trial.CompareOptions, o RegressOptions, watch trial.Observer) (*Report, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	c.Servers.Variants = []sut.Variant{{Name: SubjectOld, Path: before}, {Name: SubjectNew, Path: after}}
	c.Subjects = []string{SubjectNew, SubjectOld}
	compared, err := trial.Compare(ctx, c, watch)
	if compared == nil {
		return nil, err
	}
	compared.Kind = "regress"
	r := &Regression{Old: before, New: after, Paired: true, Threshold: o.Threshold, Level: falseAlarms, force: o.Force}
	var old, young []sample
	for _, row := range compared.Comparisons {
		a, b := pairs(row)
		old, young = append(old, a), append(young, b)
	}
	r.compare(old, young)
	return &Report{Report: *compared, Regression: r}, err
}

// pairs returns the trials of both builds in the rounds that neither failed. Both have the same rounds: those that count for both.
func pairs(c *trial.Comparison) (old, young sample) {
	old = sample{where: c.Workload.Name, server: "ringcached", workload: c.Workload}
	young = old
	for a, b := range trial.Together(c.Of(SubjectOld), c.Of(SubjectNew)) {
		inOld, inNew := old.count(a), young.count(b)
		if inOld && inNew {
			old.rounds, young.rounds = append(old.rounds, *a), append(young.rounds, *b)
		}
	}
	return old, young
}

// sample is all rounds of a server at one place of a report.
type sample struct {
	experiment string // empty: it belongs to none
	part       string // Of the experiment
	where      string
	server     string
	workload   load.Workload
	rounds     []trial.Round // what is compared
	// How many rounds there were, and of what kind.
	usable     int // the figures are the server's
	failed     int
	saturated  int    // the load was the limit
	overloaded int    // more arrived than the server could take
	firstError string // Of those that failed
}

func (m *sample) name() string { return m.where + ", " + m.server }

func (m *sample) total() int { return m.usable + m.failed + m.saturated + m.overloaded }

// count counts a round by its kind, and reports that its figures are the server's.
func (m *sample) count(r *trial.Round) bool {
	switch {
	case r.Failed():
		m.failed++
		if m.firstError == "" {
			m.firstError = r.FirstError()
		}
	case r.Saturated():
		m.saturated++
	case r.Overloaded():
		m.overloaded++
	default:
		m.usable++
		return true
	}
	return false
}

func (m *sample) add(rounds []trial.Round) {
	for i := range rounds {
		if m.count(&rounds[i]) {
			m.rounds = append(m.rounds, rounds[i])
		}
	}
}

// measured lists what a report has, in its order.
func (r *Report) measured() (all []sample) {
	for _, c := range r.Comparisons {
		first := len(all)
		for i := range c.Rounds {
			server := c.Rounds[i].Server
			at := slices.IndexFunc(all[first:], func(m sample) bool { return m.server == server })
			if at < 0 {
				at = len(all) - first
				all = append(all, sample{where: c.Workload.Name, server: server, workload: c.Workload})
			}
			all[first+at].add(c.Rounds[i : i+1])
		}
	}
	for _, e := range r.Experiments {
		for i := range e.Parts {
			for j := range e.Parts[i].Series {
				all = append(all, measuredIn(e, &e.Parts[i], &e.Parts[i].Series[j])...)
			}
		}
	}
	if run := r.Run; run != nil {
		one := trial.Round{Counts: run.Counts, PerSecond: run.PerSecond, Latency: run.Latency}
		m := sample{where: "run", server: "the server", workload: run.Workload}
		m.add([]trial.Round{one})
		all = append(all, m)
	}
	return all
}

// measuredIn lists the points of a series. One whose trials stand for all points is listed once.
func measuredIn(e *trial.Experiment, p *trial.Part, s *trial.Series) (all []sample) {
	points, once := s.Points, s.Fixed && len(s.Points) > 1
	if once {
		points = points[:1]
	}
	for i := range points {
		label := points[i].Label
		if once {
			label = "(all points)"
		}
		m := sample{experiment: e.Name, part: p.Name, server: s.Name, workload: points[i].Workload}
		m.where = fmt.Sprintf("%s/%s %s", e.Name, p.Name, label)
		m.add(points[i].Rounds)
		if points[i].Summary.LoadBound() { // by trials that were repeated, it may be
			m.saturated, m.usable, m.rounds = m.saturated+m.usable, 0, nil
		}
		all = append(all, m)
	}
	return all
}

// metrics are what is compared, with what makes them worse.
var metrics = []struct {
	metric   trial.Metric
	of       func(*trial.Round) float64
	moreIsOK bool
}{
	{trial.MetricCPU, func(r *trial.Round) float64 { return r.CPUPerOp }, false},
	{trial.MetricThroughput, func(r *trial.Round) float64 { return r.PerSecond }, true},
	{trial.MetricP99, func(r *trial.Round) float64 { return r.Latency.P99 }, false},
}

// compare fills in the rows.
func (r *Regression) compare(before, after []sample) {
	r.lacking += r.skipExperiments(before, after, "old")
	r.skipExperiments(after, before, "new")
	for i := range before {
		a := &before[i]
		b := a.in(after)
		switch {
		case b != nil:
			r.compareSamples(a, b)
		case !hasExperiment(after, a.experiment): // told
		case a.hasOtherRate(after):
			r.Missing = append(r.Missing, a.name()+": the new rates are others because they follow from what was measured")
		default:
			r.lack(a.name() + ": only in the old result")
		}
	}
	for i := range after {
		b := &after[i]
		if b.failed > 0 { // whatever the old result has
			r.Doubts = append(r.Doubts, fmt.Sprintf("%s: %d of %d new rounds failed: %s", b.name(), b.failed, b.total(), b.firstError))
		}
		if b.in(before) == nil && hasExperiment(before, b.experiment) {
			r.Missing = append(r.Missing, b.name()+": only in the new result")
		}
	}
	if r.lacking > 0 && !r.force {
		r.Doubts = append(r.Doubts, tables.Plural(r.lacking, "row")+" of the old result without figures in the new one (--force compares the others)")
	}
	r.judge()
}

// in returns the sample of the same server at the same place, nil if there is none.
func (m *sample) in(others []sample) *sample {
	i := slices.IndexFunc(others, func(o sample) bool { return o.where == m.where && o.server == m.server })
	if i < 0 {
		return nil
	}
	return &others[i]
}

// hasOtherRate reports that the sample is of a rate, and that others have the same server at other rates in the same part of the experiment.
func (m *sample) hasOtherRate(others []sample) bool {
	return m.experiment != "" && m.workload.Rate > 0 && slices.ContainsFunc(others, func(o sample) bool {
		return o.experiment == m.experiment && o.part == m.part && o.server == m.server && o.workload.Rate > 0
	})
}

// hasExperiment reports that there are rows of an experiment. What belongs to none is nothing that could be left out as a whole.
func hasExperiment(all []sample, name string) bool {
	return name == "" || slices.ContainsFunc(all, func(m sample) bool { return m.experiment == name })
}

// skipExperiments tells which experiments only one of the results has, a line for each, and returns how many rows that are.
func (r *Regression) skipExperiments(these, others []sample, whose string) (all int) {
	var told []string
	for i := range these {
		name := these[i].experiment
		if slices.Contains(told, name) || hasExperiment(others, name) {
			continue
		}
		told = append(told, name)
		rows := 0
		for _, m := range these {
			if m.experiment == name {
				rows++
			}
		}
		r.Missing = append(r.Missing, fmt.Sprintf("experiment %s, %s: only in the %s result", name, tables.Plural(rows, "row"), whose))
		all += rows
	}
	return all
}

// lack tells of a row that only the old result has.
func (r *Regression) lack(line string) {
	r.Missing = append(r.Missing, line)
	r.lacking++
}

// compareSamples compares a server at one place, or says why not.
func (r *Regression) compareSamples(a, b *sample) {
	if a.failed > 0 {
		r.Warnings = append(r.Warnings, fmt.Sprintf("%s: %d of %d old rounds failed: %s", a.name(), a.failed, a.total(), a.firstError))
	}
	switch {
	case sameLoad(a.workload, b.workload):
	case a.experiment != "" && a.workload.Rate > 0 && b.workload.Rate > 0:
		r.Missing = append(r.Missing, a.name()+": the new rate is another because it follows from what was measured")
		return
	default:
		r.lack(a.name() + ": the workloads of that name differ")
		return
	}
	if a.saturated+a.overloaded+b.saturated+b.overloaded > 0 {
		r.Warnings = append(r.Warnings, fmt.Sprintf("%s: left out because the load was the limit: %d old and %d new rounds, and as more arrived than the "+
			"server could take, %d and %d", a.name(), a.saturated, b.saturated, a.overloaded, b.overloaded))
	}
	if trial.TooMany(b.overloaded, b.total()) && !trial.TooMany(a.overloaded, a.total()) {
		r.Doubts = append(r.Doubts, fmt.Sprintf("%s: in %d of %d new rounds more arrived than the server could take, in %d of %d old ones",
			b.name(), b.overloaded, b.total(), a.overloaded, a.total()))
	}
	// Rounds are needed in twos. That canned replies come faster than the load can take them is harmless.
	canned := b.server == sut.Null && b.failed == 0 && b.saturated > 0
	switch {
	case a.usable >= 2 && b.usable < 2 && !canned:
		r.lack(fmt.Sprintf("%s: of %d new rounds %d count", b.name(), b.total(), b.usable))
	case r.Paired && a.usable >= 2 && len(b.rounds) < 2 && !canned:
		r.lack(fmt.Sprintf("%s: %s in which both builds' trials count", b.name(), tables.Plural(len(b.rounds), "round")))
	case len(a.rounds) == 0 || len(b.rounds) == 0:
		r.Missing = append(r.Missing, fmt.Sprintf("%s: of %d old rounds %d count, of %d new ones %d", a.name(), a.total(), a.usable, b.total(), b.usable))
	}
	r.rows(a, b)
}

// sameLoad reports that two workloads load a server in the same way.
func sameLoad(a, b load.Workload) bool {
	a.Title, a.Common, b.Title, b.Common = "", false, "", false
	return a == b
}

// rows adds the rows of a server at one place. P is not corrected yet.
func (r *Regression) rows(before, after *sample) {
	for _, m := range metrics {
		a, b := values(before.rounds, m.of), values(after.rounds, m.of)
		if len(a) > 0 && len(b) == 0 && len(after.rounds) > 0 {
			r.lack(fmt.Sprintf("%s, %s: only in the old result", before.name(), m.metric.Short()))
		}
		if len(a) == 0 || len(b) == 0 {
			continue // the quantity is unknown
		}
		row := RegressionRow{
			Where: before.where, Server: before.server, Metric: m.metric, Old: trial.Median(a), New: trial.Median(b), OldRounds: len(a), NewRounds: len(b),
			Control: before.server == sut.Memcached || before.server == sut.Null, Change: Unknown, Ratio: trial.Median(b) / trial.Median(a), High: -1, P: 1,
		}
		if len(a) >= 2 && len(b) >= 2 {
			d := welch(a, b)
			if r.Paired && len(a) == len(b) {
				d = paired(a, b)
			}
			row.Ratio, row.P, row.Change = math.Exp(d.mean), d.p(), Unchanged
			row.Low, row.High = d.interval()
		}
		r.Rows = append(r.Rows, row)
	}
}

// values returns the rounds' values, none if one is unknown.
func values(rounds []trial.Round, of func(*trial.Round) float64) (all []float64) {
	for i := range rounds {
		v := of(&rounds[i])
		if !(v > 0) {
			return nil
		}
		all = append(all, v)
	}
	return all
}

// judge corrects the p-values and says what each row means.
func (r *Regression) judge() {
	var p []float64
	for _, row := range r.Rows {
		if row.Change != Unknown {
			p = append(p, row.P)
		}
	}
	p = holm(p)
	var drifted []string
	for i := range r.Rows {
		row := &r.Rows[i]
		if row.Change == Unknown {
			continue
		}
		row.P, p = p[0], p[1:]
		row.Change = row.change(r)
		if row.Control && (row.Change == Worse || row.Change == Better) && !slices.Contains(drifted, row.Server) {
			drifted = append(drifted, row.Server)
		}
	}
	for _, s := range drifted {
		r.Warnings = append(r.Warnings, s+" changed too: part of what changed is the machine and not ringcached")
	}
}

func (row *RegressionRow) change(r *Regression) Change {
	up := row.Ratio > 1
	switch {
	case row.P >= r.Level:
		return Unchanged
	case up && row.Ratio < 1+r.Threshold, !up && row.Ratio > 1/(1+r.Threshold):
		return Slight
	case up == (row.Metric == trial.MetricThroughput):
		return Better
	}
	return Worse
}
