package report

import (
	"bytes"
	"io"
	"strings"
	"text/template"

	"ringcached/bench/tables"
	"ringcached/bench/trial"
)

const sharedCore = "server and load share a core. CPU per operation is still measured, but disturbed; operations per second and latency mean little."

// textTemplate is what a terminal shows, as the template of the page is what a browser does.
var textTemplate = template.Must(template.New("").Funcs(template.FuncMap{
	"plural": tables.Plural, "list": tables.List, "join": strings.Join, "how": how, "tables": tablesOf, "remarks": remarks, "statements": statements,
	"sharedCore": func() string { return sharedCore }, "aligned": aligned, "changes": changes,
	"percent": func(a, less float64) float64 { return 100 * (a - less) },
	"trust":   func(r *trial.Report) string { text, _ := trustAA(r); return text },
}).ParseFS(pageFiles, "page/text.txt"))

// show writes a part of the text.
func show(w io.Writer, part string, of any) {
	var text bytes.Buffer
	if err := textTemplate.ExecuteTemplate(&text, part, of); err != nil {
		panic(err) // of the template
	}
	_, _ = w.Write(text.Bytes())
}

// PrintBegin writes what texts of a run begin with: the machine, and how long it will take.
func PrintBegin(w io.Writer, r *trial.Report) { show(w, "begin", r) }

// PrintResult writes the tables of a plan, and what a reader has to know about them.
func PrintResult(w io.Writer, r *trial.Result) { show(w, "result", r) }

// PrintEnd writes what all results say together, and which servers took part.
func PrintEnd(w io.Writer, r *trial.Report) { show(w, "end", r) }

// PrintRegression writes what changed.
func PrintRegression(w io.Writer, r *Regression) { show(w, "regression", r) }

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
