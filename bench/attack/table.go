package attack

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"ringcached/bench/load"
	"ringcached/bench/sut"
	"ringcached/bench/tables"
)

// PrintHeading writes what the table of attacks begins with.
func PrintHeading(w io.Writer, r *Report) {
	e, o := &r.Environment, r.Options.(*Options)
	fmt.Fprintln(w, e.Machine())
	fmt.Fprintf(w, "server on core %s with %s, attackers and the polite client on core %s; attacks of %v\n",
		tables.List(o.Cores.Server), tables.Plural(o.Servers.Threads, "thread"), tables.List(o.Cores.Load), o.Duration)
	if o.Cores.Shared() {
		fmt.Fprintln(w, "WARNING: server and load share a core: latencies are disturbed.")
	}
	fmt.Fprintf(w, "polite client: %g requests/s over %d connections, one in %d a set; latency in ms since a request was due\n\n", o.Rate, politeConns, politeSets)
	fmt.Fprintf(w, "  %-12s %26s %26s %24s %9s %20s %26s %26s\n", "", "without: p50, p99, max", "attacked: p50, p99, max", "failed sets, other, lost", "evicted",
		"MB before,peak,after", "requests, KB, closed", "CPU s, ns/B, us/request")
}

// PrintLoad writes the line above a load's results.
func PrintLoad(w io.Writer, row *Row) { fmt.Fprintf(w, "%s: %s\n", row.Load, row.Title) }

// PrintResult writes what a load did to a server, in a line.
func PrintResult(w io.Writer, r *Result) {
	ms := func(q *load.Quantiles) string {
		return fmt.Sprintf("%8.2f %8.2f %8.1f", q.P50/1e3, q.P99/1e3, q.Max/1e3)
	}
	evicted := "-"
	if r.Evicted >= 0 {
		evicted = fmt.Sprint(r.Evicted)
	}
	p, a := &r.Polite, &r.Attack
	fmt.Fprintf(w, "  %-12s %s %s %10d %6d %6d %9s %6s %6s %6s %10d %8d %6d %8.2f %8s %8s%s\n", r.Server, ms(&r.Alone.Latency), ms(&p.Latency),
		p.FailedSets, p.FailedOther, p.Lost, evicted, tables.OrDash(float64(r.MemoryBefore)/1e6, "%.0f"), tables.OrDash(float64(r.MemoryPeak)/1e6, "%.0f"),
		tables.OrDash(float64(r.MemoryAfter)/1e6, "%.0f"), a.Requests, a.Bytes/1e3, a.Closed,
		r.CPUSeconds, tables.OrDash(perUnit(1e9*r.CPUSeconds, a.Bytes), "%.1f"), tables.OrDash(perUnit(1e6*r.CPUSeconds, a.Requests), "%.2f"), r.notes())
}

// notes is what is in no column.
func (r *Result) notes() (all string) {
	a := &r.Attack
	if a.Datagrams > 0 {
		all += fmt.Sprintf("  %.2f replies per datagram, %.1f bytes per byte", perUnit(float64(a.Replies), a.Datagrams), perUnit(float64(a.ReplyBytes), a.Bytes))
	}
	if a.Answer != "" {
		all += fmt.Sprintf("  answer %.40q", a.Answer)
	}
	if r.Polite.Problem != "" {
		all += "  polite: " + r.Polite.Problem
	}
	if r.Died != "" {
		all += "  THE SERVER DIED: " + r.Died
	}
	return all
}

const (
	attackTimes    = 2    // how many times memcached's the latency and the cost of ours may be
	attackFloor    = 1000 // p99 in microseconds below which nothing is said of it
	attackCPUFloor = 0.05 // CPU time in seconds, likewise
	attackLongest  = 1e6  // what p99 may be whatever memcached's is, in microseconds
)

// PrintSummary names what hostile clients can do to ringcached: failed requests of others, latencies and CPU time beyond memcached's.
func PrintSummary(w io.Writer, r *Report) {
	findings, versions := "", ""
	for _, row := range r.Attacks {
		var other *Result
		if i := slices.IndexFunc(row.Results, func(r Result) bool { return r.Server == sut.Memcached }); i >= 0 {
			other = &row.Results[i]
		}
		for i := range row.Results {
			one := &row.Results[i]
			if one == other || strings.HasPrefix(one.Server, beforePrefix) {
				continue
			}
			for _, what := range one.findings(other) {
				findings += fmt.Sprintf("  %s, %s: %s\n", row.Load, one.Server, what)
			}
		}
	}
	fmt.Fprintf(w, "\nfailed requests of the polite client, p99 above %v or %d times memcached's (from %v on), CPU per byte above %d times memcached's (from %g s on):\n%s",
		time.Duration(attackLongest)*time.Microsecond, attackTimes, attackFloor*time.Microsecond, attackTimes, attackCPUFloor, cmp.Or(findings, "  none\n"))
	for _, name := range slices.Sorted(maps.Keys(r.Servers)) {
		versions += fmt.Sprintf("%s %s, ", name, r.Servers[name].Version)
	}
	fmt.Fprintf(w, "versions: %stook %.0f s\n", versions, r.Seconds)
}

// findings is what an attack does to the server that it should not; other is memcached's result, nil if there is none.
func (r *Result) findings(other *Result) (all []string) {
	if r.Died != "" {
		all = append(all, "it died")
	}
	if n := r.Polite.Failed(); n > 0 {
		all = append(all, fmt.Sprintf("%d requests failed", n))
	}
	p99, limit := r.Polite.Latency.P99, float64(attackLongest)
	if other != nil && other.Died == "" {
		limit = min(limit, max(attackFloor, attackTimes*other.Polite.Latency.P99))
	}
	if p99 > limit {
		all = append(all, fmt.Sprintf("p99 is %.1f ms, above %.1f", p99/1e3, limit/1e3))
	}
	if other == nil || r.CPUSeconds < attackCPUFloor {
		return all
	}
	if mine, theirs := perUnit(1e9*r.CPUSeconds, r.Attack.Bytes), perUnit(1e9*max(other.CPUSeconds, attackCPUFloor), other.Attack.Bytes); theirs > 0 && mine > attackTimes*theirs {
		all = append(all, fmt.Sprintf("CPU per byte is %.1f ns, memcached's %.1f", mine, perUnit(1e9*other.CPUSeconds, other.Attack.Bytes)))
	}
	return all
}
