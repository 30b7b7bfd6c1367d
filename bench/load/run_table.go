package load

import (
	"fmt"
	"io"
	"strings"

	"ringcached/bench/tables"
)

// PrintRun writes a run's result for people.
func PrintRun(w io.Writer, r *RunResult) {
	fmt.Fprintf(w, "server       %s, version %s\n", r.Addr, r.Server)
	fmt.Fprintf(w, "load         %s\n", describe(&r.Workload))
	fmt.Fprintf(w, "             driver %s, %s, %.2f us of its CPU per operation, %.0f %% busy\n",
		r.Driver, tables.Plural(r.Threads, "thread"), r.LoadCPUPerOp, 100*r.LoadBusy)
	fmt.Fprintf(w, "operations   %d in %.2f s: %.0f/s\n", r.Operations, r.Seconds, r.PerSecond)
	since := ""
	if r.Open != nil {
		since = ", from when requests arrived"
	}
	fmt.Fprintf(w, "latency      %s%s\n", r.Latency, since)
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

// printOpenLoop writes how a load kept to its rate, if it had one.
func printOpenLoop(w io.Writer, r *RunResult) {
	o := r.Open
	if o == nil {
		return
	}
	fmt.Fprintf(w, "lateness     %s, of the load itself\n", o.Lateness)
	fmt.Fprintf(w, "arrivals     %d: %.0f/s; %d waited for a connection at most; at the end %d waited, %d were unanswered\n",
		o.Arrived, float64(o.Arrived)/r.Seconds, o.LongestQueue, o.Queued, o.Unanswered)
}

// describe tells a workload in a line.
func describe(l *Workload) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, pipeline %d, get:set %d:%d", tables.Plural(l.Connections, "connection"), l.Pipeline, l.Gets, l.Sets)
	if l.Multiget > 1 {
		fmt.Fprintf(&b, ", %d keys per get", l.Multiget)
	}
	fmt.Fprintf(&b, ", %d keys of %d B, %s", l.Keys, l.KeySize, l.KeyDist)
	if l.KeyDist == Zipf {
		fmt.Fprintf(&b, " %g", l.ZipfS)
	}
	fmt.Fprintf(&b, ", values of %d B", l.ValueSize)
	if l.Protocol != "" && l.Protocol != ProtocolText {
		fmt.Fprintf(&b, ", %s protocol", l.Protocol)
	}
	if l.TransportOrTCP() != TransportTCP {
		fmt.Fprintf(&b, ", over %s", l.TransportOrTCP())
	}
	if l.Rate > 0 {
		fmt.Fprintf(&b, ", %g/s arrive", l.Rate)
	}
	if l.RequestsPerConnection > 0 {
		fmt.Fprintf(&b, ", %s per connection", tables.Plural(l.RequestsPerConnection, "request"))
	}
	return b.String()
}
