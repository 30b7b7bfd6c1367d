package report

import (
	"fmt"
	"runtime"
	"strings"

	"ringcached/bench/trial"
)

// Benchstat writes results in the format of Go's benchmarks, which benchstat reads: a line for each sample that counts, named
//
//	BenchmarkCompare/experiment=batching/part=connections-50/x=64/server=uring-1
//
// with the threads of the server at the end, so that `benchstat -filter /experiment:batching -col /server -row /x` shows the servers side by side.
// Rows without estimates are left out.
func Benchstat(r *trial.Report) []byte {
	var b strings.Builder
	e := &r.Environment
	fmt.Fprintf(&b, "goos: %s\ngoarch: %s\npkg: ringcached/bench\ncpu: %s\nkernel: %s\ncommit: %s\n",
		runtime.GOOS, runtime.GOARCH, e.CPU, e.Kernel, e.Version)
	for _, unit := range []string{"us-CPU/op", "cycles/op", "us-p50", "us-p99", "us-p99.9", "B-own/conn", "B-kernel/conn"} {
		fmt.Fprintf(&b, "Unit %s better=lower\n", unit)
	}
	b.WriteString("Unit op/s better=higher\n\n")
	for _, result := range r.Results {
		for i := range result.Rows {
			row := &result.Rows[i]
			if len(row.Estimates) == 0 {
				continue
			}
			name := fmt.Sprintf("BenchmarkCompare/experiment=%s/part=%s/x=%s/server=%s-%d", benchmarkName(result.Plan.Experiment),
				benchmarkName(result.Plan.Name), benchmarkName(result.Plan.Points[row.Point].Label), benchmarkName(row.Server), max(row.Threads, 1))
			for j := range row.Samples {
				if s := &row.Samples[j]; s.Dropped == "" {
					writeSample(&b, name, s)
				}
			}
		}
	}
	return []byte(b.String())
}

func writeSample(b *strings.Builder, name string, s *trial.Sample) {
	fmt.Fprintf(b, "%s\t%d", name, max(s.Operations, 1))
	for _, v := range []struct {
		value  float64
		format string
	}{
		{1e9 * s.Seconds / float64(max(s.Operations, 1)), "%.1f ns/op"}, {float64(s.Operations) / max(s.Seconds, 1e-9), "%.0f op/s"},
		{s.CPUPerOp, "%.4f us-CPU/op"}, {s.CyclesPerOp, "%.0f cycles/op"},
		{s.Latency.P50, "%.1f us-p50"}, {s.Latency.P99, "%.1f us-p99"}, {s.Latency.P999, "%.1f us-p99.9"},
		{s.UserMemory, "%.0f B-own/conn"}, {s.KernelMemory, "%.0f B-kernel/conn"},
	} {
		if v.value > 0 {
			fmt.Fprintf(b, "\t"+v.format, v.value)
		}
	}
	b.WriteByte('\n')
}

// benchmarkName makes a label part of a benchmark's name, in which spaces end it and slashes divide it.
func benchmarkName(label string) string {
	return strings.NewReplacer(" ", "_", "\t", "_", "/", "_", ",", "").Replace(label)
}
