package report

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"ringcached/bench/sut"
	"ringcached/bench/trial"
)

// PrintBegin writes what texts of a run begin with: the machine, and how long it will take.
func PrintBegin(w io.Writer, r *trial.Report, o *trial.Options, expected time.Duration) {
	e := &r.Environment
	fmt.Fprintf(w, "%s; TCP congestion control %s; transparent huge pages: %s; mitigations: %s; hardware counters: %s\n",
		e.Machine(), e.Congestion, e.HugePages, cmp.Or(strings.Join(e.Mitigations, ", "), "none"), e.Counters)
	fmt.Fprintf(w, "io_uring: %s\n", e.Ring)
	fmt.Fprintf(w, "server on core %s with %s, load on core %s; about %v in all\n",
		List(o.Cores.Server), Plural(o.Servers.Threads, "thread"), List(o.Cores.Load), expected.Round(time.Second))
	if o.Cores.Shared() {
		fmt.Fprintln(w, "WARNING: "+sharedCore)
	}
}

const sharedCore = "server and load share a core. CPU per operation is still measured, but disturbed; operations per second and latency mean little."

// PrintResult writes the tables of a plan: one for each metric, with a row for each point and a column for each server; what differs from the
// reference; and what a reader has to know.
func PrintResult(w io.Writer, r *trial.Result) {
	p := r.Plan
	fmt.Fprintf(w, "\n%s: %s, by %s; %s, %s, %s dropped\n", p.FullName(), p.Title, p.Axis.Label,
		strings.ReplaceAll(string(p.Mode), "-", " "), Plural(r.Turns, "turn"), Plural(r.Dropped, "sample"))
	if p.Question != "" {
		fmt.Fprintf(w, "  %s\n", p.Question)
	}
	for _, m := range p.Shows {
		printTable(w, r, quantityOf(m).short, func(row *trial.Row) string { return cell(row, m) })
	}
	if slices.ContainsFunc(r.Rows, func(row trial.Row) bool { return row.Syscalls != nil }) {
		printTable(w, r, "system calls/op", syscalls)
	}
	printDifferences(w, r)
	printTargets(w, r)
	for i := range r.AA {
		if f := (finding{r, r.AA[i]}); f.Certain() {
			fmt.Fprintf(w, "  A/A FAILED: a second process of %s over the first: %s\n", f.Over, f.at())
		}
	}
	for _, line := range remarks(r) {
		fmt.Fprintf(w, "  %s\n", line)
	}
}

func printTable(w io.Writer, r *trial.Result, title string, text func(*trial.Row) string) {
	head := []string{title}
	for _, s := range r.Plan.Servers {
		head = append(head, s.Name)
	}
	rows := [][]string{head}
	for i := range r.Plan.Points {
		cells := []string{r.Plan.Points[i].Label}
		for _, s := range r.Plan.Servers {
			cells = append(cells, text(r.Row(i, s.Name)))
		}
		rows = append(rows, cells)
	}
	Table(w, "  ", 1, rows)
}

// state says why a row has no figure of a metric, "" if it has one.
func state(row *trial.Row, m trial.Metric) string {
	switch {
	case row == nil:
		return "-"
	case len(row.Estimates) == 0:
		return "failed"
	case row.Overload && m != trial.MetricCPU:
		return "overloaded"
	case row.LoadBound && m == trial.MetricThroughput:
		return "load-bound"
	}
	if _, known := row.Estimates[m]; !known {
		return "-"
	}
	return ""
}

// cell is an estimate with how far its interval reaches, or why there is none.
func cell(row *trial.Row, m trial.Metric) string {
	if why := state(row, m); why != "" {
		return strings.ToUpper(why)
	}
	e := row.Estimates[m]
	return strings.TrimSpace(quantityOf(m).text(e.Value) + " " + half(&e))
}

func syscalls(row *trial.Row) string {
	if row == nil || row.Syscalls == nil || row.Syscalls.Method == "" {
		return "-"
	}
	mark := map[string]string{sut.ByServer: "*", sut.ByStrace: "+"}[row.Syscalls.Method]
	return fmt.Sprintf("%.3f%s", row.Syscalls.PerOperation, mark)
}

// printDifferences says for each server where it differs from the reference, and where that is noise.
func printDifferences(w io.Writer, r *trial.Result) {
	for _, s := range r.Plan.Servers {
		if r.Plan.Reference == "" || s.Name == r.Plan.Reference {
			continue
		}
		for _, m := range compared(r.Plan) {
			all := compareAll(r, s.Name, r.Plan.Reference, m)
			words := quantityOf(m).words
			var parts []string
			for _, kind := range []struct {
				what string
				is   func(*finding) bool
			}{
				{words[0], func(f *finding) bool { return f.Certain() && f.Value < 1 }}, {words[1], func(f *finding) bool { return f.Certain() && f.Value > 1 }},
				{"noise", func(f *finding) bool { return f.verdict() == noise }}, {"one sample only", func(f *finding) bool { return !f.Known() }},
			} {
				var where []string
				for i := range all {
					if kind.is(&all[i]) {
						where = append(where, all[i].at())
					}
				}
				if len(where) > 0 {
					parts = append(parts, kind.what+" "+strings.Join(where, ", "))
				}
			}
			if len(parts) > 0 {
				fmt.Fprintf(w, "  %s over %s, %s: %s\n", s.Name, r.Plan.Reference, quantityOf(m).short, strings.Join(parts, "; "))
			}
		}
	}
}

// compared are the metrics that a plan's servers are compared by: CPU per operation where it is shown, else what is shown first, and memory.
func compared(p *trial.Plan) (some []trial.Metric) {
	for i, m := range p.Shows {
		if m == trial.MetricCPU || m == trial.MetricUserMemory || m == trial.MetricKernelMemory || i == 0 && !slices.Contains(p.Shows, trial.MetricCPU) {
			some = append(some, m)
		}
	}
	return some
}

// printTargets writes the targets of a plan, and whether they are met.
func printTargets(w io.Writer, r *trial.Result) {
	rows := targets(r)
	if len(rows) > 0 {
		Table(w, "  ", 2, append([][]string{{"target", "over", "ratio", "at most", "verdict"}}, rows...))
	}
}

// targets are the cells of the table of targets: the point, the other server, the ratio, the target and the verdict.
func targets(r *trial.Result) (rows [][]string) {
	for i := range r.Ratios {
		q := &r.Ratios[i]
		if q.Target == nil {
			continue
		}
		ratio, most := ratioText(&q.Estimate), fmt.Sprintf("%.2f", q.Target.Most)
		if q.Over == "" { // bytes, not a ratio
			ratio, most = quantityOf(q.Metric).text(q.Value)+" "+half(&q.Estimate), quantityOf(q.Metric).text(q.Target.Most)
		}
		rows = append(rows, []string{r.Plan.Points[q.Point].Label, cmp.Or(q.Over, quantityOf(q.Metric).short), ratio, most, string(q.Verdict)})
	}
	return rows
}

// remarks are what a reader has to know about a result, a line each.
func remarks(r *trial.Result) (lines []string) {
	for i := range r.Problems {
		line := r.Problems[i].String()
		if r.Problems[i].Failure {
			line = "FAILED: " + line
		}
		lines = append(lines, line)
	}
	for _, text := range r.Plan.Problems {
		lines = append(lines, text)
	}
	seen := map[string]bool{}
	for i := range r.Rows {
		row := &r.Rows[i]
		where := row.Server + " at " + r.Plan.Points[row.Point].Label
		if row.Lost > 0 {
			lines = append(lines, fmt.Sprintf("%s: %d requests had no reply in time", where, row.Lost))
		}
		if row.Profile != "" {
			lines = append(lines, where+": profile in "+row.Profile)
		}
		if row.Syscalls == nil {
			continue
		}
		for _, text := range []string{methods[row.Syscalls.Method], row.Syscalls.Why} {
			if text != "" && !seen[text] {
				lines, seen[text] = append(lines, text), true
			}
		}
	}
	return append(lines, caches(r)...)
}

var methods = map[string]string{
	sut.ByPerf:   "system calls/op: counted by perf in a short window of its own",
	sut.ByServer: "* counted by the server itself (stats batch): its loop's calls only",
	sut.ByStrace: "+ counted under strace, which slows the server: it then finds more requests at once, so the true figure is higher",
}

// caches names what the kernel's memory is, at the last point of each server.
func caches(r *trial.Result) (lines []string) {
	for _, s := range r.Plan.Servers {
		row := r.Row(len(r.Plan.Points)-1, s.Name)
		if row == nil || len(row.Caches) == 0 {
			continue
		}
		var parts []string
		for _, c := range row.Caches {
			parts = append(parts, fmt.Sprintf("%s %.0f", c.Name, c.Bytes))
		}
		lines = append(lines, fmt.Sprintf("%s, the kernel's caches: %s", s.Name, strings.Join(parts, ", ")))
	}
	return lines
}

// PrintEnd writes what all results say together, and which servers took part.
func PrintEnd(w io.Writer, r *trial.Report) {
	fmt.Fprintln(w)
	text, _ := trustAA(r)
	fmt.Fprintln(w, text)
	for _, s := range statements(r) {
		fmt.Fprintf(w, "%s\n", s.Summary)
		for _, part := range []struct {
			what  string
			lines []string
		}{{"less CPU", s.Less}, {"more CPU", s.More}} {
			for _, line := range part.lines {
				fmt.Fprintf(w, "  %s: %s\n", part.what, line)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Servers)) {
		s := r.Servers[name]
		fmt.Fprintf(w, "%s: version %s, CPU time from: %s\n", name, s.Version, cmp.Or(s.CPUFrom, "unknown, the server was not started here"))
	}
}
