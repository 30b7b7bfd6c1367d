package bench

import (
	"fmt"
	"io"
	"strings"
)

// PrintRun writes a run's result for people.
func PrintRun(w io.Writer, r *RunResult) {
	fmt.Fprintf(w, "server       %s, version %s\n", r.Addr, r.Server)
	fmt.Fprintf(w, "load         %s\n", describe(&r.Workload))
	fmt.Fprintf(w, "             driver %s, %s, %.2f us of its CPU per operation, %.0f %% busy\n",
		r.Driver, plural(r.Threads, "thread"), r.LoadCPUPerOp, 100*r.LoadBusy)
	fmt.Fprintf(w, "operations   %d in %.2f s: %.0f/s\n", r.Operations, r.Seconds, r.PerSecond)
	since := ""
	if r.Open != nil {
		since = ", from when requests arrived"
	}
	fmt.Fprintf(w, "latency      %s%s\n", r.Latency.line(), since)
	printOpenLoop(w, r)
	fmt.Fprintf(w, "keys         %d hits, %d misses, %d sets\n", r.Hits, r.Misses, r.Sets)
	fmt.Fprintf(w, "traffic      %.1f MB/s in, %.1f MB/s out, %d connections opened while measuring\n",
		float64(r.BytesIn)/r.Seconds/1e6, float64(r.BytesOut)/r.Seconds/1e6, r.Connects)
	if r.Workload.Transport == TransportUDP {
		fmt.Fprintf(w, "lost         %d requests had no reply in time\n", r.Lost)
	}
	fmt.Fprintf(w, "errors       %d wrong replies, %d error replies, %d broken connections\n", r.Wrong, r.Refused, r.Broken)
	for _, p := range r.Problems {
		fmt.Fprintf(w, "             %s\n", p)
	}
	if r.Interrupted {
		fmt.Fprintln(w, "interrupted: these are the results so far")
	}
}

// line shows the quantiles.
func (q *Quantiles) line() string {
	return fmt.Sprintf("p50 %s  p99 %s  p99.9 %s  max %s us", micro(q.P50), micro(q.P99), micro(q.P999), micro(q.Max))
}

// printOpenLoop writes how a load kept to its rate, if it had one.
func printOpenLoop(w io.Writer, r *RunResult) {
	o := r.Open
	if o == nil {
		return
	}
	fmt.Fprintf(w, "lateness     %s, of the load itself\n", o.Lateness.line())
	fmt.Fprintf(w, "arrivals     %d: %.0f/s; %d waited for a connection at most; at the end %d waited, %d were unanswered\n",
		o.Arrived, float64(o.Arrived)/r.Seconds, o.LongestQueue, o.Queued, o.Unanswered)
}

// describe tells a workload in a line.
func describe(l *Workload) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, pipeline %d, get:set %d:%d", plural(l.Connections, "connection"), l.Pipeline, l.Gets, l.Sets)
	if l.Multiget > 1 {
		fmt.Fprintf(&b, ", %d keys per get", l.Multiget)
	}
	fmt.Fprintf(&b, ", %d keys of %d B, %s", l.Keys, l.KeySize, l.KeyDist)
	if l.KeyDist == Zipf {
		fmt.Fprintf(&b, " %g", l.ZipfS)
	}
	fmt.Fprintf(&b, ", values of %d B", l.ValueSize)
	if l.transport() != TransportTCP {
		fmt.Fprintf(&b, ", over %s", l.transport())
	}
	if l.Rate > 0 {
		fmt.Fprintf(&b, ", %g/s arrive", l.Rate)
	}
	if l.RequestsPerConnection > 0 {
		fmt.Fprintf(&b, ", %s per connection", plural(l.RequestsPerConnection, "request"))
	}
	return b.String()
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func micro(us float64) string {
	if us >= 100 {
		return fmt.Sprintf("%.0f", us)
	}
	return fmt.Sprintf("%.1f", us)
}

// PrintHeading writes what a comparison's table begins with.
func PrintHeading(w io.Writer, r *Report) {
	e, o := &r.Environment, r.Options.(*CompareOptions)
	fmt.Fprintf(w, "%s, kernel %s, %s\n", orDefault(e.CPU, "unknown CPU"), e.Kernel, e.Go)
	fmt.Fprintf(w, "server on core %s with %s, load on core %s; %s of %v each, %v of warm-up\n",
		list(o.Cores.Server), plural(o.Servers.Threads, "thread"), list(o.Cores.Load), plural(o.Rounds, "round"), o.Duration, o.Warmup)
	if o.Cores.Shared() {
		fmt.Fprintln(w, "WARNING: server and load share a core. CPU per operation is still measured, but disturbed; operations/s and latency mean little.")
	}
	fmt.Fprintln(w)
}

// PrintStoreHeading writes what a report of experiments with the store begins with.
func PrintStoreHeading(w io.Writer, r *Report) {
	e, o := &r.Environment, r.Options.(*StoreOptions)
	fmt.Fprintf(w, "%s, kernel %s, %s\n", orDefault(e.CPU, "unknown CPU"), e.Kernel, e.Go)
	fmt.Fprintf(w, "servers on core %s with %s, load on core %s\n", list(o.Cores.Server), plural(o.Servers.Threads, "thread"), list(o.Cores.Load))
	if o.Cores.Shared() {
		fmt.Fprintln(w, "WARNING: servers and load share a core: latencies mean little.")
	}
	fmt.Fprintln(w)
}

// PrintServers writes which servers took part.
func PrintServers(w io.Writer, r *Report) {
	for _, name := range r.Options.(*StoreOptions).Subjects {
		if s, ok := r.Servers[name]; ok {
			fmt.Fprintf(w, "%s: version %s\n", name, s.Version)
		}
	}
}

func list(cores []int) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(cores), " ", ","), "[]")
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
		fmt.Fprintf(w, "  %-*s %10.0f %10s %12s %9s %9s %5.0f%%%s\n", width, s.Server, s.PerSecond, orDash(s.CPUPerOp, "%.3f"), s.syscalls(), micro(s.P50), micro(s.P99),
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

func orDash(v float64, format string) string {
	if v <= 0 {
		return "-"
	}
	return fmt.Sprintf(format, v)
}

// syscalls shows the count, and a mark where the method disturbs or differs.
func (s *Summary) syscalls() string {
	if s.Syscalls == nil || s.Syscalls.Method == "" {
		return "-"
	}
	mark := map[string]string{byServer: "*", byStrace: "+"}[s.Syscalls.Method]
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
		{byPerf, "syscalls/op: counted by perf in a short window of its own"},
		{byServer, "* counted by the server itself (stats batch): its loop's calls only"},
		{byStrace, "+ counted under strace, which slows the server: it then finds more requests at once, so the true figure is higher"},
	} {
		if methods[n.method] {
			fmt.Fprintln(w, n.text)
		}
	}
	for why := range whys {
		fmt.Fprintf(w, "- system calls not counted: %s\n", why)
	}
}
