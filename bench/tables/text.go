package tables

import (
	"bytes"
	"io"
	"reflect"
	"strings"
	"text/template"
)

// Text is what a terminal shows, as templates of its parts. Lines with tabs are rows of a table, whose columns are
// aligned: the first to the left, the others to the right.
type Text struct{ parts *template.Template }

// NewText parses the parts. They may call plural, micro, list and dash, which are functions of this package; percent,
// per and less, which calculate with numbers of any type; and more.
func NewText(text string, more template.FuncMap) *Text {
	functions := template.FuncMap{
		"plural": Plural, "micro": Micro, "list": List, "dash": OrDash,
		"percent": func(part float64) float64 { return 100 * part },
		"per":     func(a, b any) float64 { return number(a) / number(b) },
		"less":    func(a, b any) float64 { return number(a) - number(b) },
	}
	return &Text{template.Must(template.New("").Funcs(functions).Funcs(more).Parse(text))}
}

func number(of any) float64 { return reflect.ValueOf(of).Convert(reflect.TypeFor[float64]()).Float() }

// Show writes a part. It panics if that cannot be: the parts are as the program was built with.
func (t *Text) Show(w io.Writer, part string, of any) {
	var text bytes.Buffer
	if err := t.parts.ExecuteTemplate(&text, part, of); err != nil {
		panic(err)
	}
	var rows [][]string
	for line := range strings.Lines(text.String()) {
		if cells := strings.Split(strings.TrimSuffix(line, "\n"), "\t"); len(cells) > 1 {
			rows = append(rows, cells)
			continue
		}
		Print(w, "  ", 1, rows)
		rows = nil
		_, _ = io.WriteString(w, line)
	}
	Print(w, "  ", 1, rows)
}
