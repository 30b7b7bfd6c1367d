package htmlreport

import (
	"fmt"
	"html/template"
	"strings"
)

// shade is a colour of the page in its light and dark appearance, as #rrggbb.
type shade struct{ name, light, dark string }

// shades are the page's colours. Everything that is read, lines and marks of figures too, has a contrast of at least 4.5 to the backgrounds.
var shades = []shade{
	{"paper", "#ffffff", "#14171c"},
	{"panel", "#f5f6f8", "#1c2027"},
	{"ink", "#1b1f24", "#e4e7eb"},
	{"soft", "#555d68", "#a9b2bd"}, // text beside the matter, axes
	{"rule", "#d5d9df", "#353b45"}, // lines that need not be read
	{"grid", "#e4e7eb", "#2a2f38"},
	{"link", "#0a5aa8", "#7db8f2"},
	{"good", "#146c43", "#63cf9c"},
	{"bad", "#a63a00", "#f7a46b"},
}

// style is how a series is drawn: readers tell it by colour, by marker or by dash.
type style struct {
	class  string // of the elements, and the colour's name
	marker marker
	dash   string // stroke-dasharray; empty: a whole line
}

// styles: those of the known families come first, in the order of families. Colours are after Okabe and Ito, darkened for a white page.
var styles = []style{
	{"c-uring", circle, ""},
	{"c-epoll", square, "7 3"},
	{"c-memcached", triangle, "2 3"},
	{"c-net", diamond, "9 3 2 3"},
	{"c-null", saltire, "1 4"},
	{"c-1", triangleDown, "5 2"},
	{"c-2", plus, "10 4"},
	{"c-3", hexagon, "4 2 1 2"},
	{"c-4", bar, "6 2 2 2 2 2"},
	{"c-5", star, "3 3"},
}

// seriesShades belong to styles, in order.
var seriesShades = []shade{
	{"c-uring", "#0067a8", "#62b4ee"},
	{"c-epoll", "#b64a00", "#f0955a"},
	{"c-memcached", "#007557", "#45c79c"},
	{"c-net", "#a3387a", "#e594c6"},
	{"c-null", "#30353c", "#e0e4e9"},
	{"c-1", "#00707a", "#54cfdb"},
	{"c-2", "#7a5c00", "#dcc04a"},
	{"c-3", "#5b3f9e", "#b9a4f0"},
	{"c-4", "#7d3b22", "#d9a58d"},
	{"c-5", "#9b1c3a", "#ff9aae"},
}

// seriesStyles gives every name of a series a style, the same in the whole page.
type seriesStyles struct {
	worn  map[string]style
	extra int // styles given to what is of no known family, or to a further member
}

// styleOf gives the family's own style to who bears its name or stands for it, else the next one.
func (w *seriesStyles) styleOf(name string, f family, first bool) style {
	if s, ok := w.worn[name]; ok {
		return s
	}
	var s style
	taken := false
	if f != familyOther {
		s = styles[f-1]
		for _, other := range w.worn {
			taken = taken || other.class == s.class
		}
	}
	if f == familyOther || taken || !first {
		s = styles[len(families)+w.extra%(len(styles)-len(families))]
		// Series beyond the number of styles differ by their dash.
		s.dash += strings.Repeat(" 12 3", w.extra/(len(styles)-len(families)))
		w.extra++
	}
	if w.worn == nil {
		w.worn = map[string]style{}
	}
	w.worn[name] = s
	return s
}

// colours is the part of the style sheet that sets the variables.
func colours() template.CSS {
	var light, dark, classes strings.Builder
	for _, list := range [][]shade{shades, seriesShades} {
		for _, c := range list {
			fmt.Fprintf(&light, "--%s:%s;", c.name, c.light)
			fmt.Fprintf(&dark, "--%s:%s;", c.name, c.dark)
		}
	}
	for _, c := range seriesShades {
		fmt.Fprintf(&classes, ".%s{--c:var(--%s)}\n", c.name, c.name)
	}
	const sheet = ":root{color-scheme:light dark;%s}\n@media screen and (prefers-color-scheme:dark){:root{%s}}\n%s"
	return template.CSS(fmt.Sprintf(sheet, &light, &dark, &classes))
}
