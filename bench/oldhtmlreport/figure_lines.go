package htmlreport

import (
	"html/template"

	trial "ringcached/bench/oldtrial"
)

// drawLines draws curves over a numerical axis.
func (f *figure) drawLines() template.HTML {
	estimates := f.estimates()
	low, high, log := rangeOf(estimates, f.ratio)
	y, unitText := valueScale(f.unit, low, high, log)

	gutter := float64(f.gutterRows()) * gutterRow
	top := textHeight + 8 + gutter
	y.from, y.to = top+frameHeight, top
	left := 30.0
	for _, t := range y.ticks {
		left = max(left, textWidth(t.text)+8)
	}
	label := lines(axisLabel(f.axis), plotWidth-8)
	d := &drawing{width: plotWidth, height: top + frameHeight + 26 + lineHeight*float64(len(label))}
	x := axisScale(f.axis, f.places, left, plotWidth-10)

	d.text(2, textHeight, "unit", "start", unitText)
	for _, t := range y.ticks {
		d.line("grid", left, y.at(t.value), x.to, y.at(t.value))
		d.text(left-6, y.at(t.value)+4, "tick y", "end", t.text)
	}
	d.empty("rect", "class", "frame", "x", number(left), "y", number(top), "width", number(x.to-left), "height", number(frameHeight))
	for _, t := range x.ticks {
		d.line("axis", x.at(t.value), y.from, x.at(t.value), y.from+4)
		d.text(within(x.at(t.value), t.text), y.from+17, "tick x", "middle", t.text)
	}
	for i, l := range label {
		// The middle is the frame's, as far as there is room.
		middle := max(min((left+x.to)/2, plotWidth-4-textWidth(l)/2), textWidth(l)/2+4)
		d.text(middle, y.from+35+lineHeight*float64(i), "label", "middle", l)
	}
	if f.ratio {
		d.line("one", left, y.at(1), x.to, y.at(1))
	}
	for i := range f.curves {
		f.drawCurve(d, &f.curves[i], &x, &y)
	}
	f.drawGutter(d, &x, top)
	return d.figure(f.id, f.title, f.description())
}

// within moves the middle of a text so that its end does not leave the figure.
func within(x float64, text string) float64 {
	return min(x, plotWidth-1-textWidth(text)/2)
}

// drawCurve draws the intervals, then the line, which has gaps where there is no number, then the marks.
func (f *figure) drawCurve(d *drawing, c *curve, x, y *scale) {
	d.open("g", "class", "curve "+c.style.class)
	defer d.close("g")
	if c.level {
		f.drawLevel(d, c, x, y)
		return
	}
	path, pen := "", "M"
	for i := range c.dots {
		at := &c.dots[i]
		if !at.shown() {
			pen = "M"
			continue
		}
		path += pen + number(x.at(at.at.x)) + " " + number(y.at(at.estimate.Median))
		pen = "L"
		drawIntervalUp(d, at.estimate, x.at(at.at.x), y)
	}
	if path != "" {
		d.empty("path", "class", "line", "d", path, "stroke-dasharray", c.style.dash)
	}
	for i := range c.dots {
		if at := &c.dots[i]; at.shown() {
			d.mark(c.style.marker, x.at(at.at.x), y.at(at.estimate.Median), markRadius, f.tells(c, at))
		}
	}
}

// drawLevel draws what is the same everywhere: a line through the figure, its interval as a band, its mark at the right end.
func (f *figure) drawLevel(d *drawing, c *curve, x, y *scale) {
	at := &c.dots[0]
	if !at.shown() {
		return
	}
	e := at.estimate
	if bounded(e) {
		top, bottom := y.at(e.High), y.at(e.Low)
		d.empty("rect", "class", "band", "x", number(x.from), "y", number(top), "width", number(x.to-x.from), "height", number(bottom-top))
	}
	d.empty("path", "class", "line", "d", "M"+number(x.from)+" "+number(y.at(e.Median))+"H"+number(x.to), "stroke-dasharray", c.style.dash)
	d.mark(c.style.marker, x.to-markRadius, y.at(e.Median), markRadius, f.tells(c, at))
}

// drawIntervalUp draws a confidence interval along the vertical scale, with a cap at each end that is within the frame.
func drawIntervalUp(d *drawing, e trial.Estimate, at float64, y *scale) {
	if !bounded(e) {
		return
	}
	d.line("interval", at, y.at(e.Low), at, y.at(e.High))
	for _, end := range []float64{e.Low, e.High} {
		if y.holds(end) {
			d.line("interval", at-3, y.at(end), at+3, y.at(end))
		}
	}
}

// drawGutter draws, above the frame, a mark for each point that has no number.
func (f *figure) drawGutter(d *drawing, x *scale, top float64) {
	for _, at := range f.places {
		row := 0.0
		for i := range f.curves {
			c := &f.curves[i]
			for _, bad := range c.unusableAt(at) {
				where := x.at(at.x)
				if c.level {
					where = x.to - markRadius
				}
				d.open("g", "class", c.style.class)
				d.markUnusable(bad.state, where, top-gutterRow*(row+0.5), f.tells(c, &bad))
				d.close("g")
				row++
			}
		}
	}
}
