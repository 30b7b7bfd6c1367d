package oldtrial

import (
	"fmt"
	"runtime"
	"strings"
)

// Benchstat renders the experiments in the format of Go's benchmarks, which benchstat reads: a line for each round of each point, named
//
//	BenchmarkCompare/experiment=batching/part=connections-50/x=64/server=uring-1
//
// with the threads of the server at the end, so that `benchstat -filter /experiment:batching -col /server -row /x` shows the servers side by side.
// Points without figures are left out.
func (r *Report) Benchstat() []byte {
	var b strings.Builder
	e := &r.Environment
	fmt.Fprintf(&b, "goos: %s\ngoarch: %s\npkg: ringcached/bench\ncpu: %s\nkernel: %s\ncommit: %s\n",
		runtime.GOOS, runtime.GOARCH, e.CPU, e.Kernel, e.Version)
	for _, unit := range []string{"us-CPU/op", "cycles/op", "us-p50", "us-p99", "us-p99.9"} {
		fmt.Fprintf(&b, "Unit %s better=lower\n", unit)
	}
	b.WriteString("Unit op/s better=higher\n\n")
	for _, e := range r.Experiments {
		for i := range e.Parts {
			e.Parts[i].benchstat(&b, e.Name)
		}
	}
	return []byte(b.String())
}

func (p *Part) benchstat(b *strings.Builder, experiment string) {
	for i := range p.Series {
		s := &p.Series[i]
		for j := range s.Points {
			pt := &s.Points[j]
			if !pt.whole() {
				continue
			}
			name := fmt.Sprintf("BenchmarkCompare/experiment=%s/part=%s/x=%s/server=%s-%d",
				experiment, p.Name, plain(pt.Label), plain(s.Name), max(pt.Threads, 1))
			for k := range pt.Rounds {
				if pt.Rounds[k].Saturated() {
					continue
				}
				b.WriteString(name)
				pt.Rounds[k].benchstat(b)
			}
		}
	}
}

// benchstat appends the round's figures.
func (r *Round) benchstat(b *strings.Builder) {
	fmt.Fprintf(b, "\t%d\t%.1f ns/op\t%.0f op/s", r.Operations, 1e9/r.PerSecond, r.PerSecond)
	if r.CPUPerOp > 0 {
		fmt.Fprintf(b, "\t%.4f us-CPU/op", r.CPUPerOp)
	}
	if r.CyclesPerOp > 0 {
		fmt.Fprintf(b, "\t%.0f cycles/op", r.CyclesPerOp)
	}
	fmt.Fprintf(b, "\t%.1f us-p50\t%.1f us-p99\t%.1f us-p99.9\n", r.Latency.P50, r.Latency.P99, r.Latency.P999)
}

// plain makes a label part of a benchmark's name, in which spaces end it and slashes divide it.
func plain(label string) string {
	return strings.Map(func(r rune) rune {
		switch r {
		case ' ', '\t', '/':
			return '_'
		case ',':
			return -1
		}
		return r
	}, label)
}
