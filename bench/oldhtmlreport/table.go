package htmlreport

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	trial "ringcached/bench/oldtrial"
	"ringcached/bench/sut"
)

// table is one of the page's tables.
type table struct {
	Caption string
	Short   string // of the caption, where the part is known
	Head    []string
	Names   int // columns at the left that name things; the others hold numbers
	Rows    [][]cell
}

type cell struct {
	Text  string
	Small string // below it
	Class string
}

func text(s string) cell { return cell{Text: s} }

func (t *table) row(cells ...cell) { t.Rows = append(t.Rows, cells) }

// Named reports whether a column names things.
func (t *table) Named(column int) bool { return column < t.Names }

// verdictCell shows a ratio in words and numbers.
func verdictCell(f *finding) cell {
	c := cell{Text: f.words(), Small: interval(&f.ratio)}
	switch f.verdict() {
	case verdictNone:
		c.Text = "one round only"
	case verdictNoise:
		c.Text, c.Class = "within noise", "neither"
	case verdictBetter:
		c.Text, c.Class = "▼ "+c.Text, "better"
		if f.metric.more {
			c.Text = strings.Replace(c.Text, "▼", "▲", 1)
		}
	case verdictWorse:
		c.Text, c.Class = "▲ "+c.Text, "worse"
		if f.metric.more {
			c.Text = strings.Replace(c.Text, "▲", "▼", 1)
		}
	}
	return c
}

// ratioTable compares all series with the part's baseline, and io_uring with memcached if that is not the baseline, by one metric. Nil: there
// is nothing to compare.
func (v *partView) ratioTable(m *metric) *table {
	type column struct{ of, over *trial.Series }
	var columns []column
	base := v.series(v.part.Baseline)
	for i := range v.part.Series {
		if s := &v.part.Series[i]; base != nil && s != base {
			columns = append(columns, column{s, base})
		}
	}
	if v.memcached != nil && v.uring != nil && v.memcached != base {
		columns = append(columns, column{v.uring, v.memcached})
	}
	t := &table{Caption: m.title + ": ratios", Head: []string{v.part.Axis.Label}, Names: 1}
	for _, at := range v.places {
		row, found := []cell{text(at.label)}, false
		for _, c := range columns {
			r := ratioAt(v.part, c.of, c.over, m, at)
			if r == nil {
				row = append(row, cell{Text: v.why(c.of, c.over, at), Class: "missing"})
				continue
			}
			found = true
			row = append(row, verdictCell(&finding{at, m, c.of, *r}))
		}
		if found {
			t.row(row...)
		}
	}
	for _, c := range columns {
		t.Head = append(t.Head, c.of.Name+" over "+c.over.Name)
	}
	if len(t.Rows) == 0 {
		return nil
	}
	return t
}

// why says why two series are not compared at a place.
func (v *partView) why(of, over *trial.Series, at place) string {
	for _, s := range []*trial.Series{of, over} {
		if w := stateOf(pointAt(v.part, s, at)); w.marked() {
			return s.Name + " " + w.String()
		}
	}
	return "–"
}

// table lists the numbers of a figure: a row for each place, a column for each series.
func (f *figure) table() *table {
	t := &table{Caption: f.title, Head: []string{axisLabel(f.axis)}, Names: 1}
	for _, c := range f.curves {
		t.Head = append(t.Head, c.name)
	}
	for _, at := range f.places {
		row := []cell{text(at.label)}
		for i := range f.curves {
			c := &f.curves[i]
			value := cell{Text: "–", Class: "missing"}
			for j := range c.dots {
				if d := &c.dots[j]; d.at == at || c.level {
					value = f.cell(d)
				}
			}
			row = append(row, value)
		}
		t.row(row...)
	}
	return t
}

func (f *figure) cell(d *dot) cell {
	if !d.shown() {
		return cell{Text: d.state.String(), Class: "missing"}
	}
	c := text(f.text(d.estimate.Median))
	if bounded(d.estimate) {
		c.Small = f.text(d.estimate.Low) + " to " + f.text(d.estimate.High)
	}
	return c
}

// numbersTable has a row for every point of the part.
func (v *partView) numbersTable() *table {
	t := &table{Caption: v.part.Title + ": every point", Short: "Every point", Names: 2}
	t.Head = []string{axisLabel(&v.part.Axis), "series"}
	var some []*metric
	for i := range metrics {
		if v.has(&metrics[i]) {
			some = append(some, &metrics[i])
			t.Head = append(t.Head, columnName(&metrics[i]))
		}
	}
	t.Head = append(t.Head, "rounds", "server busy", "load busy", "system calls per operation", "flags", "remarks")
	for i := range v.part.Series {
		s := &v.part.Series[i]
		for j := range s.Points {
			q := &s.Points[j]
			row := []cell{text(placeLabel(v.part, q)), text(s.Name)}
			for _, m := range some {
				row = append(row, estimateCell(m.point(q), stateOf(q)))
			}
			u := &q.Summary
			row = append(row, text(fmt.Sprint(u.Rounds)))
			if stateOf(q) == stateShown {
				row = append(row, share(u.Busy), share(u.LoadBusy), syscalls(u.Syscalls))
			} else {
				row = append(row, share(0), share(0), syscalls(nil))
			}
			row = append(row, text(flags(s, q)), text(remarks(q)))
			t.row(row...)
		}
	}
	return t
}

// flags are those of the server at a point, beside those that all get.
func flags(s *trial.Series, q *trial.Point) string {
	args := slices.Concat(s.Args, q.Args)
	if q.Threads > 1 {
		args = append([]string{"-t", strconv.Itoa(q.Threads)}, args...)
	}
	return shell(args)
}

func columnName(m *metric) string {
	switch m.unit {
	case seconds:
		return m.short + ", µs"
	case bytesUnit:
		return m.short + ", B"
	case perSecond:
		return "operations per second"
	}
	return m.short
}

// has reports whether some point of the part has a number of the metric.
func (v *partView) has(m *metric) bool {
	return slices.ContainsFunc(v.part.Series, func(s trial.Series) bool {
		return slices.ContainsFunc(s.Points, func(q trial.Point) bool { return known(m.point(&q)) })
	})
}

func estimateCell(e trial.Estimate, w pointState) cell {
	switch {
	case w != stateShown:
		return cell{Text: w.String(), Class: "missing"}
	case !known(e):
		return cell{Text: "–", Class: "missing"}
	case !bounded(e):
		return text(grouped(e.Median))
	}
	return cell{Text: grouped(e.Median), Small: grouped(e.Low) + " to " + grouped(e.High)}
}

func share(part float64) cell {
	if part == 0 {
		return cell{Text: "–", Class: "missing"}
	}
	return text(percent(part))
}

func syscalls(c *sut.SyscallCount) cell {
	if c == nil || c.Method == "" {
		return cell{Text: "–", Class: "missing"}
	}
	return cell{Text: grouped(c.PerOperation), Small: c.Method}
}

// noisy is the part of a core that others may use before the page says so, as in the tables for terminals.
const noisy = 0.07

func remarks(q *trial.Point) string {
	var all []string
	s := &q.Summary
	if s.Failed > 0 {
		all = append(all, fmt.Sprintf("failed in %d of %d rounds: %s", s.Failed, s.Rounds, s.FirstError))
	}
	if s.Saturated > 0 || s.LoadBound() {
		what := fmt.Sprintf("the load was the limit in %d of %d rounds", s.Saturated, s.Rounds)
		if s.LoadBound() && s.Retried > 0 {
			what += fmt.Sprintf(", and in %d trials that were repeated", s.Retried)
		}
		if !s.LoadBound() {
			what += ", which are left out"
		}
		all = append(all, what)
	}
	var lost, arrived int64
	for i := range q.Rounds {
		r := &q.Rounds[i]
		lost, arrived = lost+r.Lost, arrived+r.Operations+r.Lost
	}
	if lost > 0 {
		all = append(all, fmt.Sprintf("%s of the requests lost", percent(float64(lost)/float64(arrived))))
	}
	if s.Overloaded > 0 {
		all = append(all, fmt.Sprintf("more arrived than the server could take in %d of %d rounds", s.Overloaded, s.Rounds))
	}
	if s.Steal > noisy {
		all = append(all, "up to "+percent(s.Steal)+" stolen by the host")
	}
	if s.Foreign > noisy {
		all = append(all, "other processes used up to "+percent(s.Foreign)+" of the server's cores")
	}
	return strings.Join(all, "; ")
}

// roundsTable has a row for every trial of the part.
func (v *partView) roundsTable() *table {
	t := &table{Caption: v.part.Title + ": every trial", Short: "Every trial", Names: 2}
	t.Head = []string{
		axisLabel(&v.part.Axis), "series", "round", "trial", "seconds", "operations", "operations per second", "CPU, µs per operation", "cycles per operation",
		"p50, µs", "p99, µs", "p99.9, µs", "longest, µs", "server busy", "load busy", "stolen", "others", "errors",
	}
	open := v.open()
	if open {
		t.Head = append(t.Head, "arrived", "lateness p99, µs", "longest queue", "lost")
	}
	t.Head = append(t.Head, "problems")
	for i := range v.part.Series {
		s := &v.part.Series[i]
		for j := range tried(s) {
			label := placeLabel(v.part, &s.Points[j])
			if isLevel(s) {
				label = everyPlace
			}
			for k := range s.Points[j].Rounds {
				row := []cell{text(label), text(s.Name)}
				r := &s.Points[j].Rounds[k]
				row = append(row, trialCells(r)...)
				if open {
					row = append(row, openCells(r)...)
				}
				t.row(append(row, text(problems(r)))...)
			}
		}
	}
	return t
}

// trialCells are the numbers of a trial.
func trialCells(r *trial.Round) []cell {
	l := &r.Latency
	return []cell{
		text(fmt.Sprint(r.Number)), text(fmt.Sprint(r.Place)), text(grouped(r.Seconds)), text(grouped(float64(r.Operations))),
		text(grouped(r.PerSecond)), text(grouped(r.CPUPerOp)), text(grouped(r.CyclesPerOp)), text(grouped(l.P50)), text(grouped(l.P99)), text(grouped(l.P999)),
		text(grouped(l.Max)), share(r.ServerCore.Busy), share(r.LoadBusy), share(r.ServerCore.Steal), share(r.Foreign),
		text(fmt.Sprint(r.Errors())),
	}
}

// open reports whether the part has trials of an open loop, or lost requests.
func (v *partView) open() bool {
	return slices.ContainsFunc(v.part.Series, func(s trial.Series) bool {
		return slices.ContainsFunc(s.Points, func(q trial.Point) bool {
			return slices.ContainsFunc(q.Rounds, func(r trial.Round) bool { return r.Open != nil || r.Lost > 0 })
		})
	})
}

// openCells are how the load kept to its rate in a trial.
func openCells(r *trial.Round) []cell {
	o := r.Open
	if o == nil {
		return []cell{text("–"), text("–"), text("–"), text(fmt.Sprint(r.Lost))}
	}
	return []cell{text(grouped(float64(o.Arrived))), text(grouped(o.Lateness.P99)), text(fmt.Sprint(o.LongestQueue)), text(fmt.Sprint(r.Lost))}
}

// problems says what was wrong with a trial.
func problems(r *trial.Round) string {
	all := slices.Clone(r.Problems)
	if r.Saturated() {
		all = append(all, "load-bound")
	}
	if r.Overloaded() {
		all = append(all, "more arrived than the server could answer")
	}
	return strings.Join(all, "; ")
}

// cachesTable lists the kernel's caches that grew with connections. Nil: nothing is known of them.
func (v *partView) cachesTable() *table {
	const caption = "Kernel memory per connection, by slab cache"
	t := &table{Caption: v.part.Title + ": " + caption, Short: caption, Names: 3}
	t.Head = []string{axisLabel(&v.part.Axis), "series", "cache", "bytes"}
	for i := range v.part.Series {
		s := &v.part.Series[i]
		for j := range s.Points {
			for _, c := range memory(&s.Points[j]).Caches {
				t.row(text(placeLabel(v.part, &s.Points[j])), text(s.Name), text(c.Name), text(grouped(c.Bytes)))
			}
		}
	}
	if len(t.Rows) == 0 {
		return nil
	}
	return t
}
