package oldtrial

import (
	"fmt"
	"io"
	"strings"

	"ringcached/bench/sut"
	"ringcached/bench/tables"
)

// PrintHeading writes what a comparison's table begins with.
func PrintHeading(w io.Writer, r *Report) {
	e, o := &r.Environment, r.Options.(*CompareOptions)
	fmt.Fprintln(w, e.Machine())
	fmt.Fprintf(w, "server on core %s with %s, load on core %s; %s of %v each, %v of warm-up\n",
		tables.List(o.Cores.Server), tables.Plural(o.Servers.Threads, "thread"), tables.List(o.Cores.Load), tables.Plural(o.Rounds, "round"), o.Duration, o.Warmup)
	if o.Cores.Shared() {
		fmt.Fprintln(w, "WARNING: server and load share a core. CPU per operation is still measured, but disturbed; operations/s and latency mean little.")
	}
	fmt.Fprintln(w)
}

// PrintComparison writes one workload's table.
func PrintComparison(w io.Writer, c *Comparison) {
	fmt.Fprintf(w, "%s  (%s)\n", c.Workload.Title, c.Workload.Name)
	width := len("server")
	for _, s := range c.Summaries {
		width = max(width, len(s.Server))
	}
	fmt.Fprintf(w, "  %-*s %10s %10s %12s %9s %9s %6s\n", width, "server", "ops/s", "CPU us/op", "syscalls/op", "p50 us", "p99 us", "busy")
	for i := range c.Summaries {
		s := &c.Summaries[i]
		if s.Failed > 0 {
			fmt.Fprintf(w, "  %-*s FAILED in %d of %d rounds: %s\n", width, s.Server, s.Failed, s.Rounds, s.FirstError)
			continue
		}
		if s.LoadBound() {
			fmt.Fprintf(w, "  %-*s LOAD-BOUND: %s\n", width, s.Server, s.noFigures())
			continue
		}
		fmt.Fprintf(w, "  %-*s %10.0f %10s %12s %9s %9s %5.0f%%%s\n", width, s.Server, s.PerSecond, tables.OrDash(s.CPUPerOp, "%.3f"), s.syscalls(), tables.Micro(s.P50), tables.Micro(s.P99),
			100*s.Busy, s.marks())
	}
	for i := range c.Ratios {
		r := &c.Ratios[i]
		fmt.Fprintf(w, "  CPU/op %s/%s  %.3f", r.Of, r.Over, r.Mean)
		if len(r.Rounds) > 1 {
			fmt.Fprintf(w, "  95%% interval %.3f..%.3f, rounds %.3f..%.3f", r.Low, r.High, r.Min, r.Max)
		}
		fmt.Fprintf(w, "  (%s)\n", r.Verdict())
	}
	fmt.Fprintln(w)
}

// syscalls shows the count, and a mark where the method disturbs or differs.
func (s *Summary) syscalls() string {
	if s.Syscalls == nil || s.Syscalls.Method == "" {
		return "-"
	}
	mark := map[string]string{sut.ByServer: "*", sut.ByStrace: "+"}[s.Syscalls.Method]
	return fmt.Sprintf("%.3f%s", s.Syscalls.PerOperation, mark)
}

// noisy is the part of a core that others may use before a row says so. Below it, /proc/stat's sampling is not exact enough.
const noisy = 0.07

// marks tells what a reader has to know about the row.
func (s *Summary) marks() string {
	var b strings.Builder
	if s.Saturated > 0 {
		fmt.Fprintf(&b, "  LOAD-BOUND in %d of %d rounds: left out", s.Saturated, s.Rounds)
	}
	if s.Overloaded > 0 {
		fmt.Fprintf(&b, "  OVERLOADED in %d of %d rounds: the server is too slow for the rate", s.Overloaded, s.Rounds)
	}
	if s.Lost > 0 {
		fmt.Fprintf(&b, "  LOST: %d requests had no reply in time", s.Lost)
	}
	if s.Steal > noisy {
		fmt.Fprintf(&b, "  NOISY: up to %.0f %% stolen by the host", 100*s.Steal)
	}
	if s.Foreign > noisy {
		fmt.Fprintf(&b, "  NOISY: other processes used up to %.0f %% of the server's core", 100*s.Foreign)
	}
	return b.String()
}

// PrintFootnotes explains the marks that the tables used, and why something is missing.
func PrintFootnotes(w io.Writer, r *Report) {
	methods := make(map[string]bool)
	whys := make(map[string]bool)
	for _, c := range r.Comparisons {
		for _, s := range c.Summaries {
			if s.Syscalls != nil {
				methods[s.Syscalls.Method] = true
				if s.Syscalls.Why != "" && !whys[s.Syscalls.Why] {
					whys[s.Syscalls.Why] = true
				}
			}
		}
	}
	for _, o := range r.Options.(*CompareOptions).Subjects {
		if s, ok := r.Servers[o]; ok {
			from := "unknown, the server was not started here"
			if s.CPUFrom != "" {
				from = s.CPUFrom
			}
			fmt.Fprintf(w, "%s: version %s, CPU time from: %s\n", o, s.Version, from)
		}
	}
	for _, n := range []struct{ method, text string }{
		{sut.ByPerf, "syscalls/op: counted by perf in a short window of its own"},
		{sut.ByServer, "* counted by the server itself (stats batch): its loop's calls only"},
		{sut.ByStrace, "+ counted under strace, which slows the server: it then finds more requests at once, so the true figure is higher"},
	} {
		if methods[n.method] {
			fmt.Fprintln(w, n.text)
		}
	}
	for why := range whys {
		fmt.Fprintf(w, "- system calls not counted: %s\n", why)
	}
}
