package storetest

import (
	"fmt"
	"io"
	"strings"

	"ringcached/bench/tables"
)

// Result is what an experiment found: lines above its tables, the tables, and lines below.
type Result struct {
	Notes    []string `json:"notes"`
	Tables   []*Table `json:"tables"`
	Verdicts []string `json:"verdicts,omitempty"`
}

// Table is figures of servers.
type Table struct {
	Columns []Column `json:"columns"`
	Rows    [][]any  `json:"rows"` // a string or a number for each column; nil: unknown
}

// Column is what a table's column holds.
type Column struct {
	Name   string `json:"name"`
	Format string `json:"-"` // of package fmt; empty: only in the file
}

// table adds one with columns NAME|FORMAT, or only a name.
func (r *Result) table(columns ...string) *Table {
	t := &Table{}
	for _, c := range columns {
		name, format, _ := strings.Cut(c, "|")
		t.Columns = append(t.Columns, Column{name, format})
	}
	r.Tables = append(r.Tables, t)
	return t
}

func (t *Table) add(cells ...any) { t.Rows = append(t.Rows, cells) }

func (r *Result) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

func (r *Result) verdict(format string, args ...any) {
	r.Verdicts = append(r.Verdicts, fmt.Sprintf(format, args...))
}

// Print writes the result for people.
func (r *Result) Print(w io.Writer) {
	for _, line := range r.Notes {
		fmt.Fprintln(w, "  "+line)
	}
	for i, t := range r.Tables {
		if i > 0 {
			fmt.Fprintln(w)
		}
		t.print(w)
	}
	for _, line := range r.Verdicts {
		fmt.Fprintln(w, "  "+line)
	}
	fmt.Fprintln(w)
}

func (t *Table) print(w io.Writer) {
	lines, left := make([][]string, len(t.Rows)+1), 0
	for i, c := range t.Columns {
		if c.Format == "" {
			continue
		}
		if c.Format == "%s" && left == i {
			left++ // words to the left, if they come first
		}
		lines[0] = append(lines[0], c.Name)
		for j, row := range t.Rows {
			cell := "-"
			if row[i] != nil {
				cell = fmt.Sprintf(c.Format, row[i])
			}
			lines[j+1] = append(lines[j+1], cell)
		}
	}
	tables.Print(w, "  ", left, lines)
}

func met(ok bool) string {
	if ok {
		return "met"
	}
	return "MISSED"
}

func mega(bytes int64) float64 { return float64(bytes) / (1 << 20) }
