package tables

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Plural is a number and what it counts, a noun in the singular that gets an s: "1 thread", "2 threads".
func Plural(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// Micro is a time in microseconds without its unit, with a decimal below 100, where that still tells something.
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

// OrDash is a figure in a format for a float64, or a dash for 0 or less, which nothing is that was measured.
func OrDash(v float64, format string) string {
	if v <= 0 {
		return "-"
	}
	return fmt.Sprintf(format, v)
}

// Print writes rows in columns that are aligned: the first left ones to the left, the others to the right.
func Print(w io.Writer, indent string, left int, rows [][]string) {
	widths := make(map[int]int)
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range rows {
		line := indent
		for i, cell := range row {
			width := widths[i]
			if i < left {
				width = -width
			}
			line += fmt.Sprintf("%*s  ", width, cell) // which counts runes, too
		}
		fmt.Fprintln(w, strings.TrimRight(line, " "))
	}
}
