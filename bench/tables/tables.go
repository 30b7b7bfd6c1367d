package tables

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Plural is a number and what it counts: "1 thread", "2 threads". The noun is in
// the singular and gets an s.
func Plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Micro is a time in microseconds, without its unit: with a decimal below 100, where
// that still tells something, and without one above.
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

// OrDash is a figure in the format, a verb of package fmt for a float64, or a dash
// where the figure is unknown.
//
// Unknown figures are 0: no rate, cost or size that
// was measured is 0 or less.
func OrDash(v float64, format string) string {
	if v <= 0 {
		return "-"
	}
	return fmt.Sprintf(format, v)
}

// Print writes rows in columns that are aligned: the first left ones to the left, the others to the right.
func Print(w io.Writer, indent string, left int, rows [][]string) {
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
		line := indent
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i < left {
				line += cell + pad + "  "
			} else {
				line += pad + cell + "  "
			}
		}
		fmt.Fprintln(w, strings.TrimRight(line, " "))
	}
}
