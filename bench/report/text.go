package report

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"ringcached/bench/tables"
	"ringcached/bench/trial"
)

// PrintBegin writes what texts of a run begin with: the machine, and how long it will take.
func PrintBegin(w io.Writer, r *trial.Report) {
	e, o := &r.Environment, r.Options.(*trial.Options)
	fmt.Fprintf(w, "%s; TCP congestion control %s; transparent huge pages: %s; mitigations: %s; hardware counters: %s\n",
		e.Machine(), e.Congestion, e.HugePages, cmp.Or(strings.Join(e.Mitigations, ", "), "none"), e.Counters)
	fmt.Fprintf(w, "io_uring: %s\n", e.Ring)
	fmt.Fprintf(w, "server on core %s with %s, load on core %s; about %v in all\n",
		tables.List(o.Cores.Server), tables.Plural(o.Servers.Threads, "thread"), tables.List(o.Cores.Load), o.Time.Round(time.Second))
	if o.Cores.Shared() {
		fmt.Fprintln(w, "WARNING: "+sharedCore)
	}
}

const sharedCore = "server and load share a core. CPU per operation is still measured, but disturbed; operations per second and latency mean little."

// PrintResult writes the tables of a plan, and what a reader has to know about them.
func PrintResult(w io.Writer, r *trial.Result) {
	p := r.Plan
	fmt.Fprintf(w, "\n%s: %s, by %s (%s)\n", p.FullName(), p.Title, p.Axis.Label, how(r))
	if p.Question != "" {
		fmt.Fprintf(w, "  %s\n", p.Question)
	}
	for _, t := range tablesOf(r) {
		if t.detail {
			continue
		}
		lines := [][]string{t.Head}
		for _, row := range t.Rows {
			var line []string
			for _, c := range row {
				line = append(line, strings.TrimSpace(c.Text+" "+c.Small))
			}
			lines = append(lines, line)
		}
		fmt.Fprintf(w, "  %s\n", t.Caption)
		tables.Print(w, "    ", 1, lines)
	}
	for _, line := range remarks(r) {
		fmt.Fprintf(w, "  %s\n", line)
	}
}

// PrintEnd writes what all results say together, and which servers took part.
func PrintEnd(w io.Writer, r *trial.Report) {
	text, _ := trustAA(r)
	fmt.Fprintf(w, "\n%s\n", text)
	for _, s := range statements(r) {
		fmt.Fprintln(w, s.Summary)
		for _, line := range s.Less {
			fmt.Fprintf(w, "  less CPU: %s\n", line)
		}
		for _, line := range s.More {
			fmt.Fprintf(w, "  more CPU: %s\n", line)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Servers)) {
		s := r.Servers[name]
		fmt.Fprintf(w, "%s: version %s, CPU time from: %s\n", name, s.Version, cmp.Or(s.CPUFrom, "unknown, the server was not started here"))
	}
}
