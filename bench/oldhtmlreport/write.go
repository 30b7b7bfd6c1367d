package htmlreport

import (
	"bytes"
	_ "embed" // the template and the style sheet
	"errors"
	"fmt"
	"html/template"
	"io"

	report "ringcached/bench/oldreport"
	trial "ringcached/bench/oldtrial"
)

//go:embed page.html
var pageText string

//go:embed style.css
var styleText string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// errNothing says that a report has nothing for a page.
var errNothing = errors.New("a page shows experiments, and this result has none")

// Write makes the page of the report's experiments and writes it to a file, all of it or nothing.
func Write(path string, r *trial.Report) error {
	var text bytes.Buffer
	if err := Render(&text, r); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return report.WriteFile(path, text.Bytes())
}

// Render writes the page of the report's experiments.
func Render(w io.Writer, r *trial.Report) error {
	if len(r.Experiments) == 0 {
		return errNothing
	}
	return pageTemplate.Execute(w, newPage(r, styleText))
}
