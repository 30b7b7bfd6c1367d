package oldtrial

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"ringcached/bench/sut"
	"ringcached/bench/tables"
)

// limitServers are the columns of the table.
var limitServers = []string{sut.Uring, sut.Epoll, sut.Memcached, sut.Null}

// PrintLimitsHeading writes what the table of targets begins with.
func PrintLimitsHeading(w io.Writer, r *Report) {
	e, o := &r.Environment, r.Options.(*LimitsOptions)
	fmt.Fprintln(w, e.Machine())
	fmt.Fprintf(w, "server on core %s with %s, load on core %s; %d to %d rounds of %v each, %v of warm-up\n",
		tables.List(o.Cores.Server), tables.Plural(o.Servers.Threads, "thread"), tables.List(o.Cores.Load), o.Least, o.Most, o.Duration, o.Warmup)
	if o.Cores.Shared() {
		fmt.Fprintln(w, "WARNING: server and load share a core: the ratios are disturbed.")
	}
	fmt.Fprintf(w, "server CPU, user and system, in us per operation, and uring's over the others': middle, 95 %% interval, rounds\n\n")
	fmt.Fprintf(w, "%-44s %6s", "", "rounds")
	for _, s := range limitServers {
		fmt.Fprintf(w, " %9s", s)
	}
	fmt.Fprintf(w, "   %-10s %-22s %-12s %6s  %s\n", "over", "ratio", "rounds", "target", "verdict")
}

// PrintLimit writes a row of the table: a line for each target, and what a reader has to know about the measurements.
func PrintLimit(w io.Writer, r *LimitRow) {
	c := r.Comparison
	left := fmt.Sprintf("%-44s %6d", c.Workload.Title, c.Summaries[0].Rounds)
	for _, server := range limitServers {
		left += fmt.Sprintf(" %9s", cpuOf(c, server))
	}
	for _, result := range r.Results {
		fmt.Fprintf(w, "%s   %s\n", left, result.line())
		left = strings.Repeat(" ", len(left))
	}
	var steal, foreign float64
	for i := range c.Summaries {
		s := &c.Summaries[i]
		if s.Failed > 0 {
			fmt.Fprintf(w, "  %s: FAILED in %d of %d rounds: %s\n", s.Server, s.Failed, s.Rounds, s.FirstError)
		}
		if s.Saturated > 0 {
			fmt.Fprintf(w, "  %s: the load was the limit in %d of %d rounds, so the server had more idle time, and smaller batches, than it might\n",
				s.Server, s.Saturated, s.Rounds)
		}
		steal, foreign = max(steal, s.Steal), max(foreign, s.Foreign)
	}
	if steal > noisy || foreign > noisy {
		fmt.Fprintf(w, "  NOISY: in the worst trial %.0f %% were stolen by the host, and other processes used %.0f %% of the server's core\n", 100*steal, 100*foreign)
	}
	if r.Profile != "" {
		fmt.Fprintf(w, "  profile of %s: %s\n", sut.Uring, r.Profile)
	}
	if r.NoProfile != "" {
		fmt.Fprintf(w, "  no profile: %s\n", r.NoProfile)
	}
}

// cpuOf is the CPU time per operation of a server in the table.
func cpuOf(c *Comparison, server string) string {
	for i := range c.Summaries {
		if s := &c.Summaries[i]; s.Server == server && s.Failed < s.Rounds {
			return tables.OrDash(s.CPUPerOp, "%.3f")
		}
	}
	return "-"
}

func (l *LimitResult) line() string {
	ratio, rounds := "-", "-"
	if r := l.Ratio; r != nil {
		ratio, rounds = fmt.Sprintf("%.3f", r.Mean), fmt.Sprintf("%.2f..%.2f", r.Min, r.Max)
		if len(r.Rounds) > 1 {
			ratio += fmt.Sprintf(" (%.3f..%.3f)", r.Low, r.High)
		}
	}
	return fmt.Sprintf("%-10s %-22s %-12s %6.2f  %s", l.Over, ratio, rounds, l.Most, l.Verdict)
}

// PrintIdle writes what idle connections cost.
func PrintIdle(w io.Writer, r *Idle) {
	fmt.Fprintf(w, "\n%d connections that are idle after one request, bytes of resident memory for each, without file-backed pages\n", r.Connections)
	for i := range r.Rows {
		row := &r.Rows[i]
		middle, least, most := row.spread()
		fmt.Fprintf(w, "  %-10s %6.0f (%.0f..%.0f)", row.Server, middle, least, most)
		if row.Server != sut.Memcached {
			fmt.Fprintf(w, "   %.0f  %s", r.Most, row.verdict(r.Most))
		}
		fmt.Fprintln(w)
	}
}

// PrintLimitsSum counts the verdicts, and names the targets that were not met.
func PrintLimitsSum(w io.Writer, r *Report) {
	counts := make(map[Verdict]int)
	var others []string
	count := func(v Verdict, what string) {
		counts[v]++
		if v != Met {
			others = append(others, fmt.Sprintf("  %-11s %s\n", v, what))
		}
	}
	for _, row := range r.Limits {
		for _, result := range row.Results {
			count(result.Verdict, fmt.Sprintf("%s over %s", row.Workload, result.Over))
		}
	}
	if r.Idle != nil {
		for i := range r.Idle.Rows {
			if row := &r.Idle.Rows[i]; row.Server != sut.Memcached {
				count(row.verdict(r.Idle.Most), fmt.Sprintf("%s, %s", LimitIdle, row.Server))
			}
		}
	}
	fmt.Fprintf(w, "\ntargets: %d met, %d missed, %d undecided because of noise\n", counts[Met], counts[Missed], counts[Undecided])
	slices.Sort(others)
	fmt.Fprint(w, strings.Join(others, ""))
	var names []string
	for name, s := range r.Servers {
		names = append(names, fmt.Sprintf("%s %s", name, s.Version))
	}
	slices.Sort(names)
	fmt.Fprintf(w, "versions: %s\n", strings.Join(names, ", "))
}
