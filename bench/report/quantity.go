package report

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"ringcached/bench/trial"
)

// quantity is how a metric is called and written.
type quantity struct {
	title string // of a figure
	short string // in tables of text and in sentences
	unit  string // of the axis in figures
	text  func(float64) string
	more  bool // more is better
	words [2]string
}

// lessMore are the words for less and more of a quantity that costs, lowerHigher of others.
var lessMore, lowerHigher = [2]string{"less", "more"}, [2]string{"lower", "higher"}

var quantities = map[trial.Metric]*quantity{
	trial.MetricCPU:          {"Server CPU per operation", "CPU us/op", "µs", decimals(3), false, lessMore},
	trial.MetricThroughput:   {"Throughput", "operations/s", "operations per second", decimals(0), true, lowerHigher},
	trial.MetricP50:          {"Latency, median", "p50 us", "µs", Micro, false, lowerHigher},
	trial.MetricP99:          {"Latency, 99th percentile", "p99 us", "µs", Micro, false, lowerHigher},
	trial.MetricP999:         {"Latency, 99.9th percentile", "p99.9 us", "µs", Micro, false, lowerHigher},
	trial.MetricUserMemory:   {"Memory of the server's own, per connection", "own memory, bytes", "bytes", decimals(0), false, lessMore},
	trial.MetricKernelMemory: {"Kernel memory, per connection", "kernel memory, bytes", "bytes", decimals(0), false, lessMore},
}

// quantityOf returns how a metric is written, also of one that a newer program added.
func quantityOf(m trial.Metric) *quantity {
	if q := quantities[m]; q != nil {
		return q
	}
	return &quantity{string(m), string(m), "", decimals(3), false, lowerHigher}
}

func decimals(n int) func(float64) string {
	return func(v float64) string { return fmt.Sprintf("%.*f", n, v) }
}

// Plural is a number and what it counts, which is in the singular and gets an s: "1 thread", "2 threads".
func Plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Micro is a time in microseconds, without its unit: with a decimal below 100, and without one above.
func Micro(us float64) string {
	if us >= 100 {
		return fmt.Sprintf("%.0f", us)
	}
	return fmt.Sprintf("%.1f", us)
}

// List is a list of cores with commas: "0,2,3".
func List(cores []int) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(cores), " ", ","), "[]")
}

// OrDash is a figure in the format, a verb of package fmt for a float64, or a dash where it is unknown, which is 0: no rate, cost or size that was
// measured is 0 or less.
func OrDash(v float64, format string) string {
	if v <= 0 {
		return "-"
	}
	return fmt.Sprintf(format, v)
}

// ratioText is a ratio with its interval: "0.934 (0.921–0.948)".
func ratioText(e *trial.Estimate) string {
	if !e.Known() {
		return fmt.Sprintf("%.3f", e.Value)
	}
	return fmt.Sprintf("%.3f (%.3f–%.3f)", e.Value, e.Low, e.High)
}

// half is how far an interval reaches: "±2.1 %", empty if there is none.
func half(e *trial.Estimate) string {
	if !e.Known() || e.Value == 0 {
		return ""
	}
	percent := 50 * (e.High - e.Low) / e.Value
	if percent > 100 {
		return "±>100%"
	}
	return fmt.Sprintf("±%.1f%%", percent)
}

// Table writes rows in columns that are aligned: the first left ones to the left, the others to the right. Columns after a row's last cell are empty.
func Table(w io.Writer, indent string, left int, rows [][]string) {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range rows {
		var b strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i < left {
				cell += pad
			} else {
				cell = pad + cell
			}
			b.WriteString("  " + cell)
		}
		fmt.Fprintf(w, "%s%s\n", indent, strings.TrimRight(b.String()[2:], " "))
	}
}
