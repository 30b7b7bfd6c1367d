package htmlreport

import (
	"math"
	"strings"
)

// marker is the shape of a series' points.
type marker int

const (
	circle marker = iota
	square
	triangle
	diamond
	saltire // a cross like an x
	triangleDown
	plus
	hexagon
	bar
	star
)

// corners of the shapes that are polygons, around 0, 0 with a radius of about 1.
var corners = map[marker][][2]float64{
	square:       {{-.85, -.85}, {.85, -.85}, {.85, .85}, {-.85, .85}},
	triangle:     {{0, -1.15}, {1.1, .85}, {-1.1, .85}},
	diamond:      {{0, -1.25}, {1.1, 0}, {0, 1.25}, {-1.1, 0}},
	triangleDown: {{0, 1.15}, {1.1, -.85}, {-1.1, -.85}},
	hexagon:      regular(6, 1.1, 1.1),
	bar:          {{-.5, -1.3}, {.5, -1.3}, {.5, 1.3}, {-.5, 1.3}},
	star:         regular(10, 1.4, .6),
}

// regular makes a polygon of n corners, every other one at another radius.
func regular(n int, even, odd float64) (list [][2]float64) {
	for i := range n {
		r := even
		if i%2 == 1 {
			r = odd
		}
		sin, cos := math.Sincos(2 * math.Pi * float64(i) / float64(n))
		list = append(list, [2]float64{r * sin, -r * cos})
	}
	return list
}

// mark draws a marker. A reader who points at it sees the text.
func (d *drawing) mark(m marker, x, y, radius float64, text string) {
	d.open("g", "class", "mark")
	if text != "" {
		d.leaf("title", text)
	}
	at := func(dx, dy float64) string { return number(x+dx*radius) + " " + number(y+dy*radius) }
	switch m {
	case circle:
		d.empty("circle", "cx", number(x), "cy", number(y), "r", number(radius))
	case saltire:
		d.empty("path", "class", "stroke", "d", "M"+at(-.9, -.9)+"L"+at(.9, .9)+"M"+at(-.9, .9)+"L"+at(.9, -.9))
	case plus:
		d.empty("path", "class", "stroke", "d", "M"+at(0, -1.2)+"L"+at(0, 1.2)+"M"+at(-1.2, 0)+"L"+at(1.2, 0))
	default:
		var path []string
		for _, c := range corners[m] {
			path = append(path, at(c[0], c[1]))
		}
		d.empty("path", "d", "M"+strings.Join(path, "L")+"Z")
	}
	d.close("g")
}

// markUnusable draws what stands in the place of a number that cannot be trusted, in the series' colour: a crossed circle for what failed, an
// arrow up for what the load limited, an arrow down to a line for what was too much for the server.
func (d *drawing) markUnusable(w pointState, x, y float64, text string) {
	d.open("g", "class", "unusable "+strings.ReplaceAll(w.String(), " ", "-"))
	d.leaf("title", text)
	p := func(dx, dy float64) string { return number(x+dx) + " " + number(y+dy) }
	switch w {
	case stateFailed:
		d.empty("circle", "cx", number(x), "cy", number(y), "r", "4.5")
		d.empty("path", "d", "M"+p(-3.2, -3.2)+"L"+p(3.2, 3.2)+"M"+p(-3.2, 3.2)+"L"+p(3.2, -3.2))
	case stateOverloaded:
		d.empty("path", "d", "M"+p(0, -4.5)+"L"+p(0, 2.5)+"M"+p(-3.5, -1)+"L"+p(0, 2.5)+"L"+p(3.5, -1)+"M"+p(-4, 4.5)+"L"+p(4, 4.5))
	default:
		d.empty("path", "d", "M"+p(0, 4.5)+"L"+p(0, -4.5)+"M"+p(-3.5, -.5)+"L"+p(0, -4.5)+"L"+p(3.5, -.5))
	}
	d.close("g")
}
