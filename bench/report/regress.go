package report

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"ringcached/bench/load"
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
	Old string `json:"old"` // the file, or the build
	New string `json:"new"`
	// Paired says that both were measured in the same turns. Otherwise the samples of both are compared as they are.
	Paired    bool            `json:"paired"`
	Threshold float64         `json:"threshold"` // changes below it count for nothing, 0.05 is 5 %
	Level     float64         `json:"level"`     // the probability of a false alarm, all rows together
	Rows      []RegressionRow `json:"rows"`
	// Warnings say what else may have changed the figures; Missing, what is in one of the results only.
	Warnings []string `json:"warnings,omitempty"`
	Missing  []string `json:"missing,omitempty"`
	// Doubts say why the result is undecided, whatever the rows say.
	Doubts []string `json:"doubts,omitempty"`
}

// RegressionRow is a metric of one server at one point.
type RegressionRow struct {
	Where  string       `json:"where"`
	Server string       `json:"server"`
	Metric trial.Metric `json:"metric"`
	// Old and New are the estimates of both, Ratio is new over old. Its interval is so wide that those of all rows together hold at Level.
	Old    trial.Estimate `json:"old"`
	New    trial.Estimate `json:"new"`
	Ratio  trial.Estimate `json:"ratio"`
	Change Change         `json:"change"`
	// Control says that the server is the same program in both results, so that a change is one of the machine.
	Control bool `json:"control,omitempty"`

	measure func(beyond float64) trial.Estimate // Ratio, with an interval that leaves this probability on either side
}

// Change is what a row says.
type Change string

// What there is to say of a row.
const (
	Worse     Change = "worse"
	Better    Change = "better"
	Unchanged Change = "noise"
	Slight    Change = "below threshold" // more than noise, and less than what counts
	Unknown   Change = "too few samples"
)

// falseAlarms is Regression.Level.
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
func Regress(before, after string, o RegressOptions) (*RegressReport, error) {
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
	r := &Regression{Old: before, New: after, Threshold: o.Threshold, Level: falseAlarms}
	obstacles, warnings := differences(a, b)
	if len(obstacles) > 0 && !o.Force {
		return nil, fmt.Errorf("%s and %s cannot be compared: %s", before, after, strings.Join(obstacles, "\n"))
	}
	r.Warnings = append(obstacles, warnings...)
	r.compare(measuredIn(a), measuredIn(b), o.Force)
	r.judge(slices.Concat(a.Results, b.Results))
	if len(r.Rows) == 0 {
		why := slices.Concat([]string{fmt.Sprintf("%s and %s have nothing in common that could be compared", before, after)}, r.Doubts, r.Missing)
		return nil, errors.New(strings.Join(why, "\n"))
	}
	report := &RegressReport{Regression: r}
	report.Header = sut.NewHeader("regress", &o)
	return report, nil
}

// The names of two builds in the plans of a report that RegressBuilds judges.
const (
	BuildOld = "old"
	BuildNew = "new"
)

// RegressBuilds says what differs between the servers BuildOld and BuildNew of a report, which were measured in the same turns. Before and after are
// what they are called.
func RegressBuilds(report *trial.Report, before, after string, o RegressOptions) *Regression {
	r := &Regression{Old: before, New: after, Paired: true, Threshold: o.Threshold, Level: falseAlarms}
	for _, result := range report.Results {
		for point := range result.Plan.Points {
			a, b := result.Row(point, BuildOld), result.Row(point, BuildNew)
			if a == nil || b == nil {
				continue
			}
			old, young := &measured{result, a}, &measured{result, b}
			if len(a.Estimates) == 0 || len(b.Estimates) == 0 {
				r.Doubts = append(r.Doubts, old.where()+": "+cmp.Or(old.failure(), young.failure(), "too few samples"))
				continue
			}
			r.addRows(old, young)
		}
	}
	r.judge(report.Results)
	return r
}

// measured is a row with the result that it is of.
type measured struct {
	result *trial.Result
	row    *trial.Row
}

func (m *measured) point() *trial.Point { return &m.result.Plan.Points[m.row.Point] }

func (m *measured) where() string {
	return m.result.Plan.FullName() + " " + m.point().Label
}

func (m *measured) name() string { return m.where() + ", " + m.row.Server }

// failure says what went wrong with a row that has no figures.
func (m *measured) failure() string {
	for i := range m.result.Problems {
		p := &m.result.Problems[i]
		if p.Failure && (p.Server == "" || p.Server == m.row.Server) && (p.Point == "" || p.Point == m.point().Label) {
			return "failed: " + p.Text
		}
	}
	return ""
}

// control reports that the server is no ringcached.
func (m *measured) control() bool {
	i := slices.IndexFunc(m.result.Plan.Servers, func(s trial.Server) bool { return s.Name == m.row.Server })
	start := m.result.Plan.Servers[i].Start
	return start == sut.Null || strings.HasPrefix(start, sut.Memcached)
}

// measuredIn lists what a report has, in its order. A server that stands for all points is listed once.
func measuredIn(r *trial.Report) (all []measured) {
	for _, result := range r.Results {
		fixed := map[string]bool{}
		for i := range result.Rows {
			row := &result.Rows[i]
			if !fixed[row.Server] {
				all = append(all, measured{result, row})
			}
			fixed[row.Server] = slices.ContainsFunc(result.Plan.Servers, func(s trial.Server) bool { return s.Name == row.Server && s.Fixed })
		}
	}
	return all
}

// compare adds a row for each metric that both have, and says what only one of them has.
func (r *Regression) compare(before, after []measured, force bool) {
	lacking := 0
	lack := func(line string) { r.Missing, lacking = append(r.Missing, line), lacking+1 }
	for i := range before {
		a := &before[i]
		at := slices.IndexFunc(after, func(b measured) bool { return b.name() == a.name() })
		if len(a.row.Estimates) == 0 {
			r.Warnings = append(r.Warnings, a.name()+": the old result has no figures: "+a.failure())
			continue
		}
		if at < 0 && a.point().Share == 0 {
			lack(a.name() + ": only in the old result")
			continue
		} else if at < 0 {
			r.Missing = append(r.Missing, a.name()+": the new rate is another because it follows from what was measured")
			continue
		}
		b := &after[at]
		switch old, young := a.point(), b.point(); {
		case len(b.row.Estimates) == 0 && b.failure() == "":
			lack(b.name() + ": the new result has no figures")
		case len(b.row.Estimates) == 0: // told below
		case old.Share > 0 && old.Load.Rate != young.Load.Rate:
			r.Missing = append(r.Missing, a.name()+": the new rate is another because it follows from what was measured")
		case !sameLoad(old.Load, young.Load) || old.Idle != young.Idle || a.result.Plan.Mode != b.result.Plan.Mode:
			lack(a.name() + ": it is measured in another way")
		default:
			if b.row.Overload && !a.row.Overload {
				r.Doubts = append(r.Doubts, b.name()+": more arrived in the new result than the server could take")
			}
			for _, line := range r.addRows(a, b) {
				lack(line)
			}
		}
	}
	for i := range after {
		b := &after[i]
		if why := b.failure(); why != "" && len(b.row.Estimates) == 0 {
			r.Doubts = append(r.Doubts, b.name()+": the new result "+why)
		} else if !slices.ContainsFunc(before, func(a measured) bool { return a.name() == b.name() }) {
			r.Missing = append(r.Missing, b.name()+": only in the new result")
		}
	}
	if lacking > 0 && !force {
		r.Doubts = append(r.Doubts, tables.Plural(lacking, "row")+" of the old result without figures in the new one (--force compares the others)")
	}
}

// sameLoad reports that two workloads load a server in the same way.
func sameLoad(a, b load.Workload) bool {
	a.Title, a.Common, b.Title, b.Common = "", false, "", false
	return a == b
}

// addRows adds a row for each metric of a server at a point, and returns which ones only the old result has. The ratios come when all rows are there.
func (r *Regression) addRows(a, b *measured) (lacking []string) {
	for _, m := range a.result.Plan.Shows {
		if state(a.row, m) != "" {
			continue
		}
		if why := state(b.row, m); why != "" {
			lacking = append(lacking, fmt.Sprintf("%s, %s: only in the old result (%s)", a.name(), quantityOf(m).short, why))
			continue
		}
		row := RegressionRow{Where: a.where(), Server: b.row.Server, Metric: m, Old: a.row.Estimates[m], New: b.row.Estimates[m], Control: a.control(), Change: Unknown}
		if r.Paired {
			row.Server = "ringcached"
		}
		row.measure = func(beyond float64) trial.Estimate {
			if r.Paired {
				return b.result.CompareAt(b.row.Point, b.row.Server, a.row.Server, m, beyond)
			}
			return quotient(b.row.Middle(m, beyond), a.row.Middle(m, beyond))
		}
		r.Rows = append(r.Rows, row)
	}
	return lacking
}

// quotient is the ratio of two independent estimates: on a logarithmic scale the interval's halves add up as the sides of a right triangle.
func quotient(a, b trial.Estimate) trial.Estimate {
	e := trial.Estimate{Value: a.Value / b.Value, High: -1, Samples: min(a.Samples, b.Samples)}
	if a.Known() && b.Known() {
		e.Low = e.Value * math.Exp(-math.Hypot(math.Log(a.Value/a.Low), math.Log(b.High/b.Value)))
		e.High = e.Value * math.Exp(math.Hypot(math.Log(a.High/a.Value), math.Log(b.Value/b.Low)))
	}
	return e
}

// betweenProcesses is the standard deviation of the logarithm of how two processes of the same program differ, beyond what samples scatter: it
// is known from the results' A/A.
func betweenProcesses(results []*trial.Result) float64 {
	var sum, n float64
	for _, r := range results {
		for _, q := range r.AA {
			if q.Known() && q.Low > 0 {
				scatter := math.Log(q.High/q.Low) / (2 * 1.96)
				sum, n = sum+math.Pow(math.Log(q.Value), 2)-scatter*scatter, n+1
			}
		}
	}
	return math.Sqrt(max(sum, 0) / max(n, 1))
}

// judge fills in the ratios and says what each row means. Intervals are so wide that all of them together hold at the level (Bonferroni), and
// allow for what two processes of one program differ by.
func (r *Regression) judge(results []*trial.Result) {
	beyond := r.Level / 2 / float64(max(len(r.Rows), 1))
	processes := math.Sqrt2 * math.Erfinv(1-2*beyond) * betweenProcesses(results)
	var drifted []string
	for i := range r.Rows {
		row := &r.Rows[i]
		row.Ratio = row.measure(beyond)
		if e := &row.Ratio; e.Known() {
			e.Low, e.High = e.Value*math.Exp(-math.Hypot(math.Log(e.Value/e.Low), processes)), e.Value*math.Exp(math.Hypot(math.Log(e.High/e.Value), processes))
			row.Change = row.change(r.Threshold)
		}
		if row.Control && (row.Change == Worse || row.Change == Better) && !slices.Contains(drifted, row.Server) {
			drifted = append(drifted, row.Server)
			r.Warnings = append(r.Warnings, row.Server+" changed too: part of what changed is the machine and not ringcached")
		}
	}
}

func (row *RegressionRow) change(threshold float64) Change {
	e := &row.Ratio
	switch {
	case e.Low <= 1 && e.High >= 1:
		return Unchanged
	case e.Value < 1+threshold && e.Value > 1/(1+threshold):
		return Slight
	case (e.Value > 1) == quantityOf(row.Metric).more:
		return Better
	}
	return Worse
}

// PrintRegression writes what changed for people.
func PrintRegression(w io.Writer, r *Regression) {
	fmt.Fprintf(w, "old: %s\nnew: %s\n", r.Old, r.New)
	for _, line := range slices.Concat(r.Warnings, r.Doubts) {
		fmt.Fprintf(w, "WARNING: %s\n", line)
	}
	fmt.Fprintln(w)
	rows := [][]string{{"point", "server", "", "old", "new", "new/old", "change"}}
	for i := range r.Rows {
		row := &r.Rows[i]
		change := string(row.Change)
		if row.Change == Worse && !row.Control {
			change = "WORSE"
		}
		if row.Control {
			change += " (control)"
		}
		q := quantityOf(row.Metric)
		rows = append(rows, []string{row.Where, row.Server, q.short, q.text(row.Old.Value), q.text(row.New.Value), ratioText(&row.Ratio), change})
	}
	tables.Print(w, "", 3, rows)
	for _, line := range r.Missing {
		fmt.Fprintf(w, "not compared: %s\n", line)
	}
	how := "samples of both, independent"
	if r.Paired {
		how = "samples of the same turns"
	}
	fmt.Fprintf(w, "\n%s; the intervals of all %s hold together at %g %%; a change counts when its interval excludes 1 and it is %.3g %% or more\n",
		how, tables.Plural(len(r.Rows), "row"), 100*(1-r.Level), 100*r.Threshold)
}
