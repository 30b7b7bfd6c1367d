package replay

import (
	"fmt"
	"io"

	"ringcached/bench/tables"
)

// Print writes a replay's result for people.
func Print(w io.Writer, r *Result) {
	fmt.Fprintf(w, "server       %s, version %s\n", r.Addr, r.Server)
	fmt.Fprintf(w, "trace        %s, %.0f s of it", r.Trace, r.TraceSeconds)
	if r.Speed > 0 {
		fmt.Fprintf(w, " at %g times its speed\n", r.Speed)
	} else {
		fmt.Fprintln(w, " as fast as the server answers")
	}
	fmt.Fprintf(w, "requests     %d in %.2f s: %.0f/s\n", r.Requests, r.Seconds, r.PerSecond)
	if r.gets() > 0 {
		fmt.Fprintf(w, "hits         %.2f %% of the gets\n", 100*r.HitRatio)
	} else {
		fmt.Fprintln(w, "hits         -, there were no gets")
	}
	from := "from when it was sent"
	if r.Lateness != nil {
		from = "from when it was due"
	}
	fmt.Fprintf(w, "latency      %s, %s\n", r.Latency, from)
	if r.Lateness != nil {
		fmt.Fprintf(w, "sent late    %s\n", *r.Lateness)
	}
	fmt.Fprintf(w, "\n  %-8s %12s %12s %10s %10s %10s %10s\n", "", "done", "not", "errors", "p50 us", "p99 us", "p99.9 us")
	rows := r.Operations
	if r.Fills != nil {
		rows = append(rows[:len(rows):len(rows)], *r.Fills)
	}
	for _, op := range rows {
		fmt.Fprintf(w, "  %-8s %12d %12d %10d %10s %10s %10s\n", op.Name, op.Done, op.Not, op.Refused,
			tables.Micro(op.Latency.P50), tables.Micro(op.Latency.P99), tables.Micro(op.Latency.P999))
		if op.NoNumber > 0 {
			fmt.Fprintf(w, "           %d values were no numbers\n", op.NoNumber)
		}
	}
	fmt.Fprintln(w)
	if r.Before != nil && r.After != nil {
		fmt.Fprintf(w, "memory       %d items before, %d after; %.1f MB of %.1f MB; %d evictions\n", r.Before.Items, r.After.Items,
			float64(r.After.Bytes)/(1<<20), float64(r.After.Limit)/(1<<20), r.After.Evictions-r.Before.Evictions)
	}
	if r.Unsized > 0 {
		fmt.Fprintf(w, "not filled   %d misses: they have no size in the trace\n", r.Unsized)
	}
	if r.BadLines > 0 {
		fmt.Fprintf(w, "skipped      %d malformed lines, the first of which is %s\n", r.BadLines, r.FirstBadLine)
	}
	for _, p := range r.Problems {
		fmt.Fprintf(w, "             %s\n", p)
	}
	if r.Interrupted {
		fmt.Fprintln(w, "interrupted: these are the results so far")
	}
}
