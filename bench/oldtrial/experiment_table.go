package oldtrial

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"ringcached/bench/tables"
)

// PrintExperimentsHeading writes what a report of experiments begins with.
func PrintExperimentsHeading(w io.Writer, r *Report, expected time.Duration) {
	e, o := &r.Environment, r.Options.(*ExperimentsOptions)
	fmt.Fprintf(w, "%s; TCP congestion control %s; transparent huge pages: %s; mitigations: %s; hardware counters: %s\n",
		e.Machine(), e.Congestion, e.HugePages, cmp.Or(strings.Join(e.Mitigations, ", "), "none"), e.Counters)
	fmt.Fprintf(w, "io_uring: %s\n", e.Ring)
	fmt.Fprintf(w, "server on core %s with %s, load on core %s; %s of %v each, %v of warm-up; about %v in all\n", tables.List(o.Cores.Server),
		tables.Plural(o.Servers.Threads, "thread"), tables.List(o.Cores.Load), tables.Plural(o.Rounds, "round"), o.Duration, o.Warmup, expected.Round(time.Second))
	if o.Cores.Shared() {
		fmt.Fprintln(w, "WARNING: server and load share a core. CPU per operation is still measured, but disturbed; operations/s and latency mean little.")
	}
}

// PrintHeadroom writes what the load can show.
func PrintHeadroom(w io.Writer, all []Headroom) {
	fmt.Fprintf(w, "headroom of the load, from canned replies: %s\n", describeHeadroom(all))
}

// PrintExperiment writes what an experiment's tables begin with.
func PrintExperiment(w io.Writer, e *Experiment) {
	fmt.Fprintf(w, "\n%s: %s\n", e.Name, e.Question)
	if e.Source != "" {
		fmt.Fprintf(w, "  %s\n", e.Source)
	}
}

// PrintProblems writes why there is less of an experiment than was asked for.
func PrintProblems(w io.Writer, e *Experiment) {
	for _, p := range e.Problems {
		fmt.Fprintf(w, "  - %s\n", p)
	}
}

// metricColumn is how a metric is shown.
type metricColumn struct {
	title string
	value func(*Point) Estimate
	show  func(float64) string
}

func fixedPoint(digits int) func(float64) string {
	return func(v float64) string { return fmt.Sprintf("%.*f", digits, v) }
}

var metricColumns = map[Metric]metricColumn{
	MetricThroughput:   {"operations/s", func(p *Point) Estimate { return p.PerSecond }, fixedPoint(0)},
	MetricCPU:          {"CPU us/op", func(p *Point) Estimate { return p.CPUPerOp }, fixedPoint(3)},
	MetricP50:          {"p50 us", func(p *Point) Estimate { return p.P50 }, tables.Micro},
	MetricP99:          {"p99 us", func(p *Point) Estimate { return p.P99 }, tables.Micro},
	MetricP999:         {"p99.9 us", func(p *Point) Estimate { return p.P999 }, tables.Micro},
	MetricUserMemory:   {"memory of the process, bytes per connection", func(p *Point) Estimate { return p.memory().User }, fixedPoint(0)},
	MetricKernelMemory: {"memory of the kernel, bytes per connection", func(p *Point) Estimate { return p.memory().Kernel }, fixedPoint(0)},
}

func (p *Point) memory() ConnectionMemory {
	if p.Memory == nil {
		return ConnectionMemory{User: NewEstimate(nil), Kernel: NewEstimate(nil)}
	}
	return *p.Memory
}

// cell tells an estimate, or why there is none, in a few characters.
func (m *metricColumn) cell(p *Point) string {
	if p == nil {
		return "-"
	}
	switch e := m.value(p); {
	case p.Summary.Failed > 0:
		return "FAILED"
	case p.Summary.LoadBound():
		return "LOAD-BOUND"
	case p.Summary.Overwhelmed():
		return "OVERLOADED"
	case e.Rounds == 0:
		return "-"
	case e.Rounds == 1 || e.Median == 0:
		return m.show(e.Median)
	default:
		half := 50 * (e.High - e.Low) / e.Median
		if half > 100 {
			return m.show(e.Median) + " ±>100%"
		}
		return fmt.Sprintf("%s ±%.0f%%", m.show(e.Median), half)
	}
}

// PrintPart writes a part's tables: one for each metric, with a row for each point and a column for each server; and what differs from the
// baseline.
func PrintPart(w io.Writer, p *Part) {
	fmt.Fprintf(w, "\n  %s: %s, by %s\n", p.Name, p.Title, p.Axis.Label)
	var labels []string
	wide := 0
	for _, s := range p.Series {
		for _, pt := range s.Points {
			if !slices.Contains(labels, pt.Label) {
				labels = append(labels, pt.Label)
				wide = max(wide, len(pt.Label))
			}
		}
	}
	for _, metric := range p.Shows {
		column := metricColumns[metric]
		p.printTable(w, column.title, labels, wide, column.cell)
	}
	if p.counted() {
		p.printTable(w, "system calls/op", labels, wide, func(pt *Point) string {
			if pt == nil || !pt.whole() {
				return "-"
			}
			return pt.Summary.syscalls()
		})
	}
	p.printRatios(w)
	p.printCaches(w)
	p.printMarks(w)
}

// counted reports that system calls were.
func (p *Part) counted() bool {
	return slices.ContainsFunc(p.Series, func(s Series) bool {
		return slices.ContainsFunc(s.Points, func(pt Point) bool { return pt.Summary.Syscalls != nil })
	})
}

func (p *Part) printTable(w io.Writer, title string, labels []string, wide int, cell func(*Point) string) {
	fmt.Fprintf(w, "    %-*s", max(wide, len(title)), title)
	for i := range p.Series {
		fmt.Fprintf(w, "  %*s", p.columnWidth(i), p.Series[i].Name)
	}
	fmt.Fprintln(w)
	for _, l := range labels {
		fmt.Fprintf(w, "    %-*s", max(wide, len(title)), l)
		for i := range p.Series {
			text := cell(p.Series[i].at(l))
			fmt.Fprintf(w, "  %s%s", strings.Repeat(" ", max(p.columnWidth(i)-len([]rune(text)), 0)), text)
		}
		fmt.Fprintln(w)
	}
}

// columnWidth fits a series' name, and what stands below it.
func (p *Part) columnWidth(series int) int {
	return max(len(p.Series[series].Name), len("1234567 ±10%"))
}

// printRatios says for each series at which points it takes less CPU time than the baseline, at which more, and where noise does not tell.
func (p *Part) printRatios(w io.Writer) {
	single := false
	for i := range p.Series {
		s := &p.Series[i]
		var kinds []string
		where := make(map[string][]string) // points by verdict
		for j := range s.Points {
			r := s.Points[j].CPURatio
			if r == nil {
				continue
			}
			if len(r.Rounds) < 2 {
				single = true
				continue
			}
			kind, text := r.Verdict(), s.Points[j].Label
			if r.Certain() {
				// The size of the difference belongs to the point.
				size, which, _ := strings.Cut(kind, " % ")
				kind, text = which, fmt.Sprintf("%s (%s %%, %.2f..%.2f)", text, size, r.Low, r.High)
			}
			if where[kind] == nil {
				kinds = append(kinds, kind)
			}
			where[kind] = append(where[kind], text)
		}
		if len(kinds) == 0 {
			continue
		}
		var parts []string
		for _, kind := range kinds {
			parts = append(parts, kind+" at "+strings.Join(where[kind], ", "))
		}
		fmt.Fprintf(w, "    %s against %s: %s\n", s.Name, p.Baseline, strings.Join(parts, "; "))
	}
	if single {
		fmt.Fprintln(w, "    one round only: differences cannot be told from noise")
	}
}

// printCaches names what the kernel's memory is, where there are most connections.
func (p *Part) printCaches(w io.Writer) {
	for _, s := range p.Series {
		if len(s.Points) == 0 {
			continue
		}
		last := &s.Points[len(s.Points)-1]
		var caches []string
		for _, c := range last.memory().Caches {
			caches = append(caches, fmt.Sprintf("%s %.0f", c.Name, c.Bytes))
		}
		if len(caches) > 0 {
			fmt.Fprintf(w, "    %s at %s, the kernel's caches: %s\n", s.Name, last.Label, strings.Join(caches, ", "))
		}
	}
}

// printMarks tells what a reader has to know about the figures.
func (p *Part) printMarks(w io.Writer) {
	for _, harmless := range []bool{false, true} {
		for _, line := range p.failures(harmless) {
			fmt.Fprintf(w, "    %s\n", line)
		}
	}
	var steal, foreign float64
	for i := range p.Series {
		for _, pt := range p.Series[i].Points {
			steal, foreign = max(steal, pt.Summary.Steal), max(foreign, pt.Summary.Foreign)
			if pt.Summary.Lost > 0 {
				fmt.Fprintf(w, "    %s at %s: %d requests had no reply in time\n", p.Series[i].Name, pt.Label, pt.Summary.Lost)
			}
		}
	}
	if steal > noisy || foreign > noisy {
		fmt.Fprintf(w, "    NOISY: in the worst trial %.0f %% were stolen by the host, and other processes used %.0f %% of the server's core\n",
			100*steal, 100*foreign)
	}
}

// PrintExperimentsEnd names the servers that took part.
func PrintExperimentsEnd(w io.Writer, r *Report) {
	var names []string
	for name := range r.Servers {
		names = append(names, name)
	}
	slices.Sort(names)
	fmt.Fprintln(w)
	for _, name := range names {
		s := r.Servers[name]
		fmt.Fprintf(w, "%s: version %s, CPU time from: %s\n", name, s.Version, cmp.Or(s.CPUFrom, "unknown, the server was not started here"))
	}
}
