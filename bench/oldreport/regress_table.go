package report

import (
	"fmt"
	"io"
	"slices"

	"ringcached/bench/tables"
)

// PrintRegression writes what changed for people.
func PrintRegression(w io.Writer, r *Regression) {
	fmt.Fprintf(w, "old: %s\nnew: %s\n", r.Old, r.New)
	for _, line := range slices.Concat(r.Warnings, r.Doubts) {
		fmt.Fprintf(w, "WARNING: %s\n", line)
	}
	where, server := len("workload"), len("server")
	for i := range r.Rows {
		where, server = max(where, len(r.Rows[i].Where)), max(server, len(r.Rows[i].Server))
	}
	fmt.Fprintf(w, "\n%-*s  %-*s  %-10s %10s %10s  %-24s %6s  %s\n",
		where, "workload", server, "server", "", "old", "new", "new/old (95 %)", "p", "change")
	for i := range r.Rows {
		row := &r.Rows[i]
		ratio, p := fmt.Sprintf("%.3f", row.Ratio), "-"
		if row.Change != Unknown {
			ratio += fmt.Sprintf(" (%.3f..%.3f)", row.Low, row.High)
			p = fmt.Sprintf("%.3f", row.P)
		}
		change := string(row.Change)
		if row.Change == Worse && !row.Control {
			change = "WORSE"
		}
		if row.Control {
			change += " (control)"
		}
		fmt.Fprintf(w, "%-*s  %-*s  %-10s %10s %10s  %-24s %6s  %s\n", where, row.Where, server, row.Server, row.Metric.Short(),
			row.Metric.Format(row.Old), row.Metric.Format(row.New), ratio, p, change)
	}
	for _, line := range r.Missing {
		fmt.Fprintf(w, "not compared: %s\n", line)
	}
	how := "rounds of both, independent (Yuen's t: Welch's on the logarithms, trimmed)"
	if r.Paired {
		how = "rounds with a trial of both (Student's t on the logarithms of their ratios, trimmed)"
	}
	fmt.Fprintf(w, "\n%s; p is corrected for %s (Holm); a change counts when p < %g and it is %.3g %% or more\n",
		how, tables.Plural(len(r.Rows), "row"), r.Level, 100*r.Threshold)
}
