package report

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"ringcached/bench/sut"
	"ringcached/bench/tables"
	"ringcached/bench/trial"
)

// RegressReport is a report with what changed: of two builds what was measured too, of two files only that.
type RegressReport struct {
	trial.Report
	Regression *Regression `json:"regression,omitempty"`
}

// Regression says what changed from an old result to a new one.
type Regression struct {
	Old       string          `json:"old"` // the file, or the build
	New       string          `json:"new"`
	Paired    bool            `json:"paired"`    // both were measured in the same turns, else samples are independent
	Threshold float64         `json:"threshold"` // changes below it count for nothing, 0.05 is 5 %
	Level     float64         `json:"level"`     // the probability of a false alarm, all rows together
	Rows      []RegressionRow `json:"rows"`
	Warnings  []string        `json:"warnings,omitempty"` // what else may have changed the figures
	Missing   []string        `json:"missing,omitempty"`  // what is in one of the results only
	Doubts    []string        `json:"doubts,omitempty"`   // why the result is undecided, whatever the rows say
}

// RegressionRow is a metric of one server at one point.
type RegressionRow struct {
	Where   string         `json:"where"`
	Server  string         `json:"server"`
	Metric  trial.Metric   `json:"metric"`
	Old     trial.Estimate `json:"old"`
	New     trial.Estimate `json:"new"`
	Ratio   trial.Estimate `json:"ratio"` // new over old, with an interval as docs/results.md says
	Change  Change         `json:"change"`
	Control bool           `json:"control,omitempty"` // the server is the same program in both: a change is the machine's

	measure func(beyond float64) trial.Estimate // Ratio, with an interval that leaves this probability on either side
}

// falseAlarms is Regression.Level.
const falseAlarms = 0.05

// Worse returns the rows that got worse, without controls.
func (r *Regression) Worse() []RegressionRow {
	return slices.DeleteFunc(slices.Clone(r.Rows), func(row RegressionRow) bool {
		return row.Change != Worse || row.Control
	})
}

// Silent reports that no row says anything.
func (r *Regression) Silent() bool {
	return !slices.ContainsFunc(r.Rows, func(row RegressionRow) bool { return row.Change != Unknown })
}

// RegressOptions says how results are compared.
type RegressOptions struct {
	Threshold float64 `json:"threshold"` // 0.05: a change of less than 5 % counts for nothing
	Force     bool    `json:"force"`     // compare different machines and options too, and a new result that has less
}

// Validate says what is wrong with the options, naming the command line's flags.
func (o *RegressOptions) Validate() error {
	if !(o.Threshold >= 0 && o.Threshold < 1) {
		return fmt.Errorf("threshold: %g is not in 0..1 (exclusive of 1)", o.Threshold)
	}
	return nil
}

// Regress compares the results in two files. An error says why they cannot be compared.
func Regress(before, after string, o RegressOptions) (*RegressReport, error) {
	a, err := Read(before)
	b, err2 := Read(after)
	if err = cmp.Or(o.Validate(), err, err2); err != nil {
		return nil, err
	}
	r := &Regression{Old: before, New: after, Threshold: o.Threshold, Level: falseAlarms}
	obstacles, warnings := differences(a, b)
	if len(obstacles) > 0 && !o.Force {
		return nil, fmt.Errorf("%s and %s cannot be compared: %s", before, after, strings.Join(obstacles, "\n"))
	}
	r.Warnings = append(obstacles, warnings...)
	for i, side := range []*trial.Report{a, b} {
		if line := disturbance(side.Results...); line != "" {
			r.Warnings = append(r.Warnings, []string{before, after}[i]+": "+line)
		}
	}
	r.compare(measuredIn(a, ""), measuredIn(b, ""), o.Force)
	r.judge(slices.Concat(a.Results, b.Results))
	if len(r.Rows) == 0 {
		nothing := fmt.Sprintf("%s and %s have nothing in common that could be compared", before, after)
		return nil, errors.New(strings.Join(slices.Concat([]string{nothing}, r.Doubts, r.Missing), "\n"))
	}
	return &RegressReport{Report: trial.Report{Header: sut.NewHeader("regress", &o)}, Regression: r}, nil
}

// RegressBuilds says what differs between the servers trial.BuildOld and trial.BuildNew of a report, which were
// measured in the same turns. Before and after are what they are called.
func RegressBuilds(report *trial.Report, before, after string, o RegressOptions) *Regression {
	r := &Regression{Old: before, New: after, Paired: true, Threshold: o.Threshold, Level: falseAlarms}
	r.compare(measuredIn(report, trial.BuildOld), measuredIn(report, trial.BuildNew), o.Force)
	r.judge(report.Results)
	return r
}

// measured is a row with the result that it is of.
type measured struct {
	*trial.Row
	result        *trial.Result
	point         *trial.Point
	where, server string // what they are called here
}

func (m *measured) name() string { return m.where + ", " + m.server }

// failure says what went wrong with a row that has no figures, "" if nothing did.
func (m *measured) failure() string {
	for i := range m.result.Problems {
		p := &m.result.Problems[i]
		here := (p.Server == "" || p.Server == m.Server) && (p.Point == "" || p.Point == m.point.Label)
		if here && p.Failure && len(m.Estimates) == 0 {
			return p.Text
		}
	}
	return ""
}

// lacks says why a row has no figures.
func (m *measured) lacks() string { return cmp.Or(m.failure(), state(m.Row, trial.MetricCPU)) }

// measuredIn lists the rows of a server, "" for all of them. A server that stands for all points is listed once.
func measuredIn(r *trial.Report, server string) (all []*measured) {
	for _, result := range r.Results {
		fixed := map[string]bool{}
		for i := range result.Rows {
			row := &result.Rows[i]
			m := &measured{Row: row, result: result, point: &result.Plan.Points[row.Point], server: row.Server}
			if m.where = result.Plan.FullName() + " " + m.point.Label; server != "" {
				m.server = sut.Ringcached
			}
			if !fixed[row.Server] && (server == "" || server == row.Server) {
				all = append(all, m)
			}
			fixed[row.Server] = m.of().Fixed
		}
	}
	return all
}

// of is the server that the row is of.
func (m *measured) of() *trial.Server {
	servers := m.result.Plan.Servers
	return &servers[slices.IndexFunc(servers, func(s trial.Server) bool { return s.Name == m.Server })]
}

// find returns the row of the same server at the same place, nil if there is none.
func (m *measured) find(others []*measured) *measured {
	if i := slices.IndexFunc(others, func(o *measured) bool { return o.name() == m.name() }); i >= 0 {
		return others[i]
	}
	return nil
}

// compare adds a row for each metric that both have, and says what only one of them has.
func (r *Regression) compare(before, after []*measured, force bool) {
	lacking := 0
	for _, a := range before {
		miss := func(lacks int, why string) { r.Missing, lacking = append(r.Missing, a.name()+": "+why), lacking+lacks }
		b := a.find(after)
		switch {
		case len(a.Estimates) == 0:
			r.Warnings = append(r.Warnings, a.name()+": no figures in the old result: "+a.lacks())
		case a.point.Share > 0 && (b == nil || a.point.Load.Rate != b.point.Load.Rate):
			miss(0, "the new rate is another because it follows from what was measured")
		case b == nil:
			miss(1, "only in the old result")
		case len(b.Estimates) == 0:
			miss(1, "no figures in the new result: "+b.lacks())
		case !a.alike(b):
			miss(1, "it was measured in another way")
		default:
			for _, m := range a.result.Plan.Shows {
				if why := state(b.Row, m); state(a.Row, m) == "" && why != "" {
					miss(1, fmt.Sprintf("no %s in the new result: %s", quantityOf(m).short, why))
				} else if why == "" && state(a.Row, m) == "" {
					r.add(a, b, m)
				}
			}
		}
	}
	for _, b := range after {
		if why := b.failure(); why != "" { // whatever the old result has, and whoever forces a comparison
			r.Doubts = append(r.Doubts, b.name()+": failed in the new result: "+why)
		}
		if b.find(before) == nil {
			r.Missing = append(r.Missing, b.name()+": only in the new result")
		}
	}
	if lacking > 0 && !force {
		r.Doubts = append(r.Doubts, tables.Plural(lacking, "row")+
			" of the old result without figures in the new one (--force compares the others)")
	}
}

// alike reports that two rows were measured in the same way.
func (m *measured) alike(o *measured) bool {
	a, b := m.point.Load, o.point.Load
	a.Title, a.Common, b.Title, b.Common = "", false, "", false
	return a == b && m.point.Idle == o.point.Idle && m.result.Plan.Mode == o.result.Plan.Mode
}

// add adds a row, for judge to fill in its ratio.
func (r *Regression) add(a, b *measured, m trial.Metric) {
	row := RegressionRow{Where: a.where, Server: a.server, Metric: m, Change: Unknown}
	row.Old, row.New = a.Estimates[m], b.Estimates[m]
	row.Control = a.of().Start == sut.Null || strings.HasPrefix(a.of().Start, sut.Memcached)
	row.measure = func(beyond float64) trial.Estimate {
		if r.Paired {
			return a.result.Compare(a.Point, b.Server, a.Server, m, beyond)
		}
		return quotient(b.Middle(m, beyond), a.Middle(m, beyond))
	}
	r.Rows = append(r.Rows, row)
}

// quotient is the ratio of two independent estimates.
func quotient(a, b trial.Estimate) trial.Estimate {
	e := trial.Estimate{Value: a.Value / b.Value, High: -1, Samples: min(a.Samples, b.Samples)}
	if a.Known() && b.Known() {
		e.Low, e.High = e.Value*a.Low/a.Value, e.Value*a.High/a.Value
		e = widen(e, math.Log(b.High/b.Value), math.Log(b.Value/b.Low))
	}
	return e
}

// widen adds to an interval what else is uncertain, as logarithms: independent parts add up as a triangle's sides.
func widen(e trial.Estimate, below, above float64) trial.Estimate {
	e.Low = e.Value * math.Exp(-math.Hypot(math.Log(e.Value/e.Low), below))
	e.High = e.Value * math.Exp(math.Hypot(math.Log(e.High/e.Value), above))
	return e
}

// betweenProcesses is the standard deviation of the logarithm of A/A: how two processes of the same program differ.
func betweenProcesses(results []*trial.Result) float64 {
	var sum, n float64
	for _, r := range results {
		for i := range r.AA {
			sum, n = sum+math.Pow(math.Log(r.AA[i].Value), 2), n+1
		}
	}
	return math.Sqrt(sum / max(n, 1))
}

// judge fills in the ratios and what they mean. The intervals of all rows together hold at the level (Bonferroni).
func (r *Regression) judge(results []*trial.Result) {
	beyond := r.Level / 2 / float64(max(len(r.Rows), 1))
	processes := trial.NormalQuantile(beyond) * betweenProcesses(results)
	for i := range r.Rows {
		row := &r.Rows[i]
		if row.Ratio = row.measure(beyond); !row.Ratio.Known() {
			continue
		}
		row.Ratio = widen(row.Ratio, processes, processes)
		row.Change = changeOf(&row.Ratio, row.Metric)
		if row.Change != Unchanged && max(row.Ratio.Value, 1/row.Ratio.Value) < 1+r.Threshold {
			row.Change = Slight
		}
		warning := row.Server + " changed too: part of what changed is the machine and not ringcached"
		if row.Control && (row.Change == Worse || row.Change == Better) && !slices.Contains(r.Warnings, warning) {
			r.Warnings = append(r.Warnings, warning)
		}
	}
}

// changes are the rows, in line.
func changes(r *Regression) string {
	var text strings.Builder
	rows := [][]string{{"workload", "server", "", "old", "new", "new/old", "change"}}
	for i := range r.Rows {
		row := &r.Rows[i]
		change := string(row.Change)
		if row.Control {
			change += " (control)"
		} else if row.Change == Worse {
			change = "WORSE"
		}
		q := quantityOf(row.Metric)
		before, after := q.text(row.Old.Value), q.text(row.New.Value)
		rows = append(rows, []string{row.Where, row.Server, q.short, before, after, ratioText(&row.Ratio), change})
	}
	tables.Print(&text, "", 3, rows)
	return text.String()
}
