package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
)

// Regression says what changed from an old result to a new one.
type Regression struct {
	Old string `json:"old"` // the file, or the build
	New string `json:"new"`
	// Paired says that each round had a turn of both, one next to the other. Otherwise the rounds of both are compared as they are.
	Paired    bool            `json:"paired"`
	Threshold float64         `json:"threshold"` // changes below it count for nothing, 0.05 is 5 %
	Level     float64         `json:"level"`     // the probability of a false alarm, all rows together
	Rows      []RegressionRow `json:"rows"`
	// Warnings say what else may have changed the figures; Missing, what is in one of the results only.
	Warnings []string `json:"warnings,omitempty"`
	Missing  []string `json:"missing,omitempty"`
}

// RegressionRow is a quantity of one server in one workload, or at one point of an experiment.
type RegressionRow struct {
	Where  string `json:"where"`
	Server string `json:"server"`
	Metric Metric `json:"metric"`
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
	Force     bool    `json:"force"`     // compare results of different machines or options too
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
	a, err := ReadReport(before)
	if err != nil {
		return nil, err
	}
	b, err := ReadReport(after)
	if err != nil {
		return nil, err
	}
	report := newReport("regress", &o)
	r := &Regression{Old: before, New: after, Threshold: o.Threshold, Level: falseAlarms}
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
		return nil, fmt.Errorf("%s and %s have nothing in common that could be compared", before, after)
	}
	report.Regression = r
	report.finish()
	return report, nil
}

// The names of two builds that RegressBuilds compares.
const (
	SubjectOld = "old"
	SubjectNew = "new"
)

// RegressBuilds measures two builds of ringcached in the same rounds, and compares them. Variants and subjects are chosen here; the other options
// are the comparison's. The report has what was measured also when the error is not nil.
func RegressBuilds(ctx context.Context, before, after string, c CompareOptions, o RegressOptions, watch Observer) (*Report, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	c.Servers.Variants = []Variant{{Name: SubjectOld, Path: before}, {Name: SubjectNew, Path: after}}
	c.Subjects = []string{SubjectNew, SubjectOld}
	report, err := Compare(ctx, c, watch)
	if report == nil {
		return nil, err
	}
	report.Kind = "regress"
	r := &Regression{Old: before, New: after, Paired: true, Threshold: o.Threshold, Level: falseAlarms}
	var old, young []sample
	for _, row := range report.Comparisons {
		a, b := pairs(row)
		old = append(old, sample{where: row.Workload.Name, server: "ringcached", workload: row.Workload, rounds: a})
		young = append(young, sample{where: row.Workload.Name, server: "ringcached", workload: row.Workload, rounds: b})
	}
	r.compare(old, young)
	report.Regression = r
	return report, err
}

// pairs returns the turns of both builds in the rounds that neither failed.
func pairs(c *Comparison) (old, young []Round) {
	for i := range c.Rounds {
		for j := range c.Rounds {
			a, b := &c.Rounds[i], &c.Rounds[j]
			if a.Server == SubjectOld && b.Server == SubjectNew && a.Number == b.Number && !a.Failed() && !b.Failed() {
				old, young = append(old, *a), append(young, *b)
			}
		}
	}
	return old, young
}

// sample is all rounds of a server at one place of a report.
type sample struct {
	where    string
	server   string
	workload Workload
	rounds   []Round // that did not fail
	failed   int
}

func (m *sample) name() string { return m.where + ", " + m.server }

func (m *sample) add(rounds []Round) {
	for i := range rounds {
		if r := &rounds[i]; r.Failed() {
			m.failed++
		} else {
			m.rounds = append(m.rounds, *r)
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
		for _, p := range e.Parts {
			for _, s := range p.Series {
				for i := range s.Points {
					point := &s.Points[i]
					m := sample{where: fmt.Sprintf("%s/%s %s", e.Name, p.Name, point.Label), server: s.Name, workload: point.Workload}
					m.add(point.Rounds)
					all = append(all, m)
				}
			}
		}
	}
	if run := r.Run; run != nil {
		one := Round{Counts: run.Counts, PerSecond: run.PerSecond, Latency: run.Latency}
		m := sample{where: "run", server: "the server", workload: run.Workload}
		m.add([]Round{one})
		all = append(all, m)
	}
	return all
}

// metrics are what is compared, with what makes them worse.
var metrics = []struct {
	metric   Metric
	of       func(*Round) float64
	moreIsOK bool
}{
	{MetricCPU, func(r *Round) float64 { return r.CPUPerOp }, false},
	{MetricThroughput, func(r *Round) float64 { return r.PerSecond }, true},
	{MetricP99, func(r *Round) float64 { return r.Latency.P99 }, false},
}

// compare fills in the rows.
func (r *Regression) compare(before, after []sample) {
	for i := range before {
		a := &before[i]
		at := slices.IndexFunc(after, func(b sample) bool { return b.where == a.where && b.server == a.server })
		if at < 0 {
			r.Missing = append(r.Missing, a.name()+": only in the old result")
			continue
		}
		b := &after[at]
		if a.failed+b.failed > 0 {
			r.Warnings = append(r.Warnings, fmt.Sprintf("%s: %d old and %d new rounds failed", a.name(), a.failed, b.failed))
		}
		if !sameLoad(a.workload, b.workload) {
			r.Missing = append(r.Missing, a.name()+": the workloads of that name differ")
			continue
		}
		r.rows(a, b)
	}
	for i := range after {
		b := &after[i]
		if !slices.ContainsFunc(before, func(a sample) bool { return b.where == a.where && b.server == a.server }) {
			r.Missing = append(r.Missing, b.name()+": only in the new result")
		}
	}
	r.judge()
}

// sameLoad reports that two workloads load a server in the same way.
func sameLoad(a, b Workload) bool {
	a.Title, a.common, b.Title, b.common = "", false, "", false
	return a == b
}

// rows adds the rows of a server at one place. P is not corrected yet.
func (r *Regression) rows(before, after *sample) {
	for _, m := range metrics {
		a, b := values(before.rounds, m.of), values(after.rounds, m.of)
		if len(a) == 0 || len(b) == 0 {
			continue // the quantity is unknown
		}
		row := RegressionRow{
			Where: before.where, Server: before.server, Metric: m.metric, Old: median(a), New: median(b), OldRounds: len(a), NewRounds: len(b),
			Control: before.server == SubjectMemcached || before.server == SubjectNull, Change: Unknown, Ratio: median(b) / median(a), High: -1, P: 1,
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
func values(rounds []Round, of func(*Round) float64) (all []float64) {
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
	case up == (row.Metric == MetricThroughput):
		return Better
	}
	return Worse
}
