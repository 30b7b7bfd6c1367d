package htmlreport

import (
	"html/template"

	trial "ringcached/bench/oldtrial"
)

// Measures of figures whose places have names: a band for each place, with its name above a row for each series.
const (
	seriesRow = 15.0
	bandGap   = 6.0
	valueRoom = 62.0 // for the numbers at the right
)

// drawNames draws a stem from 0 to each value, with its mark, its interval and the number. Logarithmic values and ratios have no stem, for
// there is no 0 for it to start from.
func (f *figure) drawNames() template.HTML {
	low, high, log := rangeOf(f.estimates(), f.ratio)
	x, unitText := valueScale(f.unit, low, high, log)
	x.from, x.to = 8, plotWidth-valueRoom
	top := 4.0
	names := make([][]string, len(f.places))
	bottom := top
	for i, at := range f.places {
		names[i] = lines(at.label, (x.to-x.from-10)/boldWidth)
		bottom += f.band(names[i])
	}

	d := &drawing{width: plotWidth, height: bottom + 22}
	for _, t := range apart(&x, x.ticks) {
		d.line("grid", x.at(t.value), top, x.at(t.value), bottom)
		d.text(max(x.at(t.value), textWidth(t.text)/2+1), bottom+16, "tick x", "middle", t.text)
	}
	d.empty("rect", "class", "frame", "x", number(x.from), "y", number(top), "width", number(x.to-x.from), "height", number(bottom-top))
	d.text(plotWidth-2, bottom+16, "unit", "end", unitText)
	if f.ratio {
		d.line("one", x.at(1), top, x.at(1), bottom)
	}
	y := top
	for i, at := range f.places {
		if i > 0 {
			d.line("axis", x.from, y, x.to, y)
		}
		for j, l := range names[i] {
			d.text(x.from+5, y+textHeight+1+lineHeight*float64(j), "name halo", "start", l)
		}
		below := y + 2 + lineHeight*float64(len(names[i]))
		for j := range f.curves {
			f.drawName(d, &f.curves[j], at, &x, below+(float64(j)+0.5)*seriesRow)
		}
		y += f.band(names[i])
	}
	return d.figure(f.id, f.title, f.description())
}

// band is how high a place is whose name has these lines.
func (f *figure) band(name []string) float64 {
	return 2 + lineHeight*float64(len(name)) + seriesRow*float64(len(f.curves)) + bandGap
}

func (f *figure) drawName(d *drawing, c *curve, at place, x *scale, y float64) {
	d.open("g", "class", "curve "+c.style.class)
	defer d.close("g")
	for i := range c.dots {
		q := &c.dots[i]
		if q.at != at {
			continue
		}
		if !q.shown() {
			if q.state.marked() {
				d.markUnusable(q.state, x.from+8, y, f.tells(c, q))
			}
			d.text(x.from+20, y+4, "missing", "start", q.state.String())
			continue
		}
		v := x.at(q.estimate.Median)
		if !x.log && !f.ratio {
			d.empty("path", "class", "line", "d", "M"+number(x.from)+" "+number(y)+"H"+number(v), "stroke-dasharray", c.style.dash)
		}
		drawIntervalAlong(d, q.estimate, y, x)
		d.mark(c.style.marker, v, y, markRadius, f.tells(c, q))
		d.text(plotWidth-2, y+4, "value", "end", f.text(q.estimate.Median))
	}
}

// drawIntervalAlong draws a confidence interval along the horizontal scale.
func drawIntervalAlong(d *drawing, e trial.Estimate, at float64, x *scale) {
	if !bounded(e) {
		return
	}
	d.line("interval", x.at(e.Low), at, x.at(e.High), at)
	for _, end := range []float64{e.Low, e.High} {
		if x.holds(end) {
			d.line("interval", x.at(end), at-3, x.at(end), at+3)
		}
	}
}
