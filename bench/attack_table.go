package bench

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// PrintAttackHeading writes what the table of attacks begins with.
func PrintAttackHeading(w io.Writer, r *Report) {
	e, o := &r.Environment, r.Options.(*AttackOptions)
	fmt.Fprintf(w, "%s, kernel %s, %s\n", orDefault(e.CPU, "unknown CPU"), e.Kernel, e.Go)
	fmt.Fprintf(w, "server on core %s with %s, attackers and the polite client on core %s; attacks of %v\n",
		list(o.Cores.Server), plural(o.Servers.Threads, "thread"), list(o.Cores.Load), o.Duration)
	if o.Cores.Shared() {
		fmt.Fprintln(w, "WARNING: server and load share a core: latencies are disturbed.")
	}
	fmt.Fprintf(w, "The polite client makes %g requests per second over %d connections, one in %d a set, whatever the server does; latencies in ms since a request was due,\n"+
		"also of those that wait in the end. failed: its sets, its other requests, its keys that were lost. CPU is the server's for the attack alone.\n\n",
		o.Rate, politeConns, politeSets)
	fmt.Fprintf(w, "%-14s %29s %26s %24s %9s %20s %24s %26s\n", "", "without: p50, p99, max", "attacked: p50, p99, max", "failed sets, other, lost", "evicted",
		"MB before, peak, after", "requests, KB, closed", "CPU s, ns/B, us/request")
}

// PrintAttackLoad writes the line above a load's results.
func PrintAttackLoad(w io.Writer, row *AttackRow) { fmt.Fprintf(w, "%s: %s\n", row.Load, row.Title) }

// PrintAttackResult writes what a load did to a server, in a line.
func PrintAttackResult(w io.Writer, r *AttackResult) {
	ms := func(q *Quantiles) string {
		return fmt.Sprintf("%8.2f %8.2f %8.1f", q.P50/1e3, q.P99/1e3, q.Max/1e3)
	}
	mb := func(bytes int64) string {
		if bytes == 0 {
			return "-"
		}
		return fmt.Sprintf("%.0f", float64(bytes)/1e6)
	}
	evicted := "-"
	if r.Evicted >= 0 {
		evicted = fmt.Sprint(r.Evicted)
	}
	p, a := &r.Polite, &r.Attack
	fmt.Fprintf(w, "  %-12s %29s %26s %10d %6d %6d %9s %6s %6s %6s %10d %8d %6d %8.2f %8s %8s%s\n", r.Server, ms(&r.Alone.Latency), ms(&p.Latency),
		p.FailedSets, p.Failed()-p.FailedSets-p.Lost, p.Lost, evicted, mb(r.MemoryBefore), mb(r.MemoryPeak), mb(r.MemoryAfter),
		a.Requests, a.Bytes/1e3, a.Closed, r.CPUSeconds, orDash(r.perByte(), "%.1f"), orDash(r.perRequest(), "%.2f"), r.notes())
}

// notes is what is in no column.
func (r *AttackResult) notes() string {
	var all []string
	if r.Attack.Replies > 0 {
		all = append(all, fmt.Sprintf("%.2f replies per datagram, %.1f bytes per byte", perUnit(float64(r.Attack.Replies), r.Attack.Requests),
			perUnit(float64(r.Attack.ReplyBytes), r.Attack.Bytes)))
	}
	if r.Attack.Answer != "" {
		all = append(all, fmt.Sprintf("answer %.40q", r.Attack.Answer))
	}
	if r.Polite.Problem != "" {
		all = append(all, "polite: "+r.Polite.Problem)
	}
	if r.Died != "" {
		all = append(all, "THE SERVER DIED: "+r.Died)
	}
	if len(all) == 0 {
		return ""
	}
	return "  " + strings.Join(all, "; ")
}

const (
	// attackTimes is how many times memcached's the latency and the cost of ours may be.
	attackTimes = 2
	// attackFloor and attackCPUFloor are below what nothing is said of: p99 in microseconds, CPU time in seconds.
	attackFloor    = 1000
	attackCPUFloor = 0.05
	// attackLongest is what p99 may be whatever memcached's is, in microseconds.
	attackLongest = 1e6
)

// PrintAttackSum names what hostile clients can do to ringcached: failed requests of others, latencies and CPU time beyond twice memcached's.
func PrintAttackSum(w io.Writer, r *Report) {
	var lines []string
	for _, row := range r.Attacks {
		i := slices.IndexFunc(row.Results, func(r AttackResult) bool { return r.Server == SubjectMemcached })
		for j := range row.Results {
			if one := &row.Results[j]; one.Server != SubjectMemcached && !strings.HasPrefix(one.Server, beforePrefix) {
				var other *AttackResult
				if i >= 0 {
					other = &row.Results[i]
				}
				for _, what := range one.findings(other) {
					lines = append(lines, fmt.Sprintf("  %s, %s: %s\n", row.Load, one.Server, what))
				}
			}
		}
	}
	if len(lines) == 0 {
		fmt.Fprintf(w, "\nno request of the polite client failed, and neither its p99 nor the CPU time per byte were more than %d times memcached's\n", attackTimes)
	} else {
		fmt.Fprintf(w, "\nto be looked at (p99 above %d times memcached's counts from %v on, CPU from %g s):\n%s", attackTimes,
			attackFloor*time.Microsecond, attackCPUFloor, strings.Join(lines, ""))
	}
	var names []string
	for name, s := range r.Servers {
		names = append(names, fmt.Sprintf("%s %s", name, s.Version))
	}
	slices.Sort(names)
	fmt.Fprintf(w, "versions: %s; took %.0f s\n", strings.Join(names, ", "), r.Seconds)
}

// findings is what an attack does to the server that it should not; other is memcached's result, nil if there is none.
func (r *AttackResult) findings(other *AttackResult) (all []string) {
	if r.Died != "" {
		all = append(all, "it died")
	}
	if n := r.Polite.Failed(); n > 0 {
		all = append(all, fmt.Sprintf("%d requests of the polite client failed", n))
	}
	p99, limit := r.Polite.Latency.P99, float64(attackLongest)
	if other != nil && other.Died == "" {
		limit = min(limit, max(attackFloor, attackTimes*other.Polite.Latency.P99))
	}
	if p99 > limit {
		all = append(all, fmt.Sprintf("p99 is %.1f ms, %.1f are allowed", p99/1e3, limit/1e3))
	}
	if other == nil || r.CPUSeconds < attackCPUFloor {
		return all
	}
	if mine, theirs := r.perByte(), perUnit(1e9*max(other.CPUSeconds, attackCPUFloor), other.Attack.Bytes); theirs > 0 && mine > attackTimes*theirs {
		all = append(all, fmt.Sprintf("CPU per byte is %.1f ns, memcached's %.1f", mine, other.perByte()))
	}
	return all
}
