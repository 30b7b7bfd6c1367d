package report

import (
	_ "embed"
	"fmt"
	"io"
	"runtime"
	"strings"
	"text/template"

	"ringcached/bench/tables"
	"ringcached/bench/trial"
)

const sharedCore = "server and load share a core. CPU per operation is still measured, but disturbed; " +
	"operations per second and latency mean little."

//go:embed page/text.txt
var textParts string

// terminal is what a terminal shows, as the template of the page is what a browser does.
var terminal = tables.NewText(textParts, template.FuncMap{
	"join": strings.Join, "how": how, "tables": tablesOf, "remarks": remarks, "statements": statements,
	"sharedCore": func() string { return sharedCore }, "aligned": aligned, "changes": changes,
	"trust": func(r *trial.Report) string { text, _ := trustAA(r); return text },
})

// PrintBegin writes what texts of a run begin with: the machine, and how long it will take.
func PrintBegin(w io.Writer, r *trial.Report) { terminal.Show(w, "begin", r) }

// PrintResult writes the tables of a plan, and what a reader has to know about them.
func PrintResult(w io.Writer, r *trial.Result) { terminal.Show(w, "result", r) }

// PrintEnd writes what all results say together, and which servers took part.
func PrintEnd(w io.Writer, r *trial.Report) { terminal.Show(w, "end", r) }

// PrintRegression writes what changed.
func PrintRegression(w io.Writer, r *Regression) { terminal.Show(w, "regression", r) }

// aligned is a table with its columns in line.
func aligned(t *table) string {
	var text strings.Builder
	lines := [][]string{t.Head}
	for _, row := range t.Rows {
		var line []string
		for _, c := range row {
			line = append(line, strings.TrimSpace(c.Text+" "+c.Small))
		}
		lines = append(lines, line)
	}
	tables.Print(&text, "    ", 1, lines)
	return text.String()
}

// Benchstat writes results in the format of Go's benchmarks, which benchstat reads: a line for each sample that counts,
// named
//
//	BenchmarkCompare/experiment=batching/part=connections-50/x=64/server=uring-1
//
// with the threads of the server at the end, so that `benchstat -filter /experiment:batching -col /server -row /x`
// shows the servers side by side. Rows without estimates are left out, and what only says how fast the load was.
func Benchstat(r *trial.Report) []byte {
	var b strings.Builder
	e := &r.Environment
	fmt.Fprintf(&b, "goos: %s\ngoarch: %s\npkg: ringcached/bench\ncpu: %s\nkernel: %s\ncommit: %s\n",
		runtime.GOOS, runtime.GOARCH, e.CPU, e.Kernel, e.Version)
	for _, f := range figures(&trial.Sample{}) {
		fmt.Fprintf(&b, "Unit %s better=%s\n", f.unit, map[bool]string{true: "higher", false: "lower"}[f.unit == "op/s"])
	}
	b.WriteByte('\n')
	plain := strings.NewReplacer(" ", "_", "\t", "_", "/", "_", ",", "") // spaces end a name, and slashes divide it
	for _, result := range r.Results {
		for i := range result.Rows {
			row, p := &result.Rows[i], result.Plan
			experiment, part, x := plain.Replace(p.Experiment), plain.Replace(p.Name), plain.Replace(p.Points[row.Point].Label)
			for j := range row.Samples {
				s := &row.Samples[j]
				if s.Dropped != "" || len(row.Estimates) == 0 {
					continue
				}
				fmt.Fprintf(&b, "BenchmarkCompare/experiment=%s/part=%s/x=%s/server=%s-%d\t%d",
					experiment, part, x, plain.Replace(row.Server), max(row.Threads, 1), max(s.Operations, 1))
				_, whole := row.Estimates[trial.MetricThroughput]
				for _, f := range figures(s) {
					if f.value > 0 && (whole || !f.pace) {
						fmt.Fprintf(&b, "\t"+f.format+" %s", f.value, f.unit)
					}
				}
				b.WriteByte('\n')
			}
		}
	}
	return []byte(b.String())
}

// sampleFigure is a figure of a sample, and how benchstat reads it.
type sampleFigure struct {
	value        float64
	format, unit string
	pace         bool // the load's where the load is the limit
}

func figures(s *trial.Sample) []sampleFigure {
	return []sampleFigure{
		{1e9 * s.Seconds / float64(max(s.Operations, 1)), "%.1f", "ns/op", true},
		{s.Value(trial.MetricThroughput), "%.0f", "op/s", true},
		{s.CPUPerOp, "%.4f", "us-CPU/op", false},
		{s.CyclesPerOp, "%.0f", "cycles/op", false},
		{s.Latency.P50, "%.1f", "us-p50", false},
		{s.Latency.P99, "%.1f", "us-p99", false},
		{s.Latency.P999, "%.1f", "us-p99.9", false},
		{s.UserMemory, "%.0f", "B-own/conn", false},
		{s.KernelMemory, "%.0f", "B-kernel/conn", false},
	}
}
