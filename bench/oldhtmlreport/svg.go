package htmlreport

import (
	"html/template"
	"math"
	"strconv"
	"strings"
)

// drawing writes SVG. Attributes are pairs of name and value; text and values are escaped.
type drawing struct {
	b             strings.Builder
	width, height float64
}

// number writes a coordinate, to a tenth of a unit.
func number(v float64) string {
	return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64)
}

var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#39;")

func (d *drawing) start(name string, attributes ...string) {
	d.b.WriteString("<" + name)
	for i := 0; i+1 < len(attributes); i += 2 {
		if attributes[i+1] != "" {
			d.b.WriteString(" " + attributes[i] + `="` + escaper.Replace(attributes[i+1]) + `"`)
		}
	}
}

// open begins an element that has others inside.
func (d *drawing) open(name string, attributes ...string) {
	d.start(name, attributes...)
	d.b.WriteString(">")
}

func (d *drawing) close(name string) { d.b.WriteString("</" + name + ">") }

// empty is an element without others.
func (d *drawing) empty(name string, attributes ...string) {
	d.start(name, attributes...)
	d.b.WriteString("/>")
}

// leaf is an element with text.
func (d *drawing) leaf(name, text string, attributes ...string) {
	d.open(name, attributes...)
	d.b.WriteString(escaper.Replace(text))
	d.close(name)
}

func (d *drawing) text(x, y float64, class, anchor, text string) {
	d.leaf("text", text, "class", class, "x", number(x), "y", number(y), "text-anchor", anchor)
}

func (d *drawing) line(class string, x1, y1, x2, y2 float64) {
	d.empty("line", "class", class, "x1", number(x1), "y1", number(y1), "x2", number(x2), "y2", number(y2))
}

// figure wraps what was drawn into an svg element that says to everybody what it shows.
func (d *drawing) figure(id, title, description string) template.HTML {
	var whole drawing
	whole.open("svg", "xmlns", "http://www.w3.org/2000/svg", "viewBox", "0 0 "+number(d.width)+" "+number(d.height),
		"role", "img", "aria-labelledby", id+"-title "+id+"-desc", "class", "plot")
	whole.leaf("title", title, "id", id+"-title")
	whole.leaf("desc", description, "id", id+"-desc")
	whole.b.WriteString(d.b.String())
	whole.close("svg")
	return template.HTML(whole.b.String())
}

// lineHeight is from line to line of a text.
const lineHeight = 14.0

// boldWidth is how much wider bold letters are.
const boldWidth = 1.15

// lines breaks a text at spaces so that no line is wider than the width, but for words that are.
func lines(text string, width float64) (all []string) {
	for word := range strings.FieldsSeq(text) {
		last := len(all) - 1
		if last >= 0 && textWidth(all[last]+" "+word) <= width {
			all[last] += " " + word
		} else {
			all = append(all, word)
		}
	}
	return all
}

// textWidth estimates how wide a text of the figures is, for a wide font: their letters are 12 units high.
func textWidth(text string) float64 {
	var w float64
	for _, r := range text {
		switch {
		case strings.ContainsRune("iljtf.,:;'| \u00a0", r):
			w += 4.3
		case strings.ContainsRune("mwMW%", r):
			w += 11.5
		case r >= 'A' && r <= 'Z':
			w += 8.3
		default:
			w += 7.4
		}
	}
	return w
}
