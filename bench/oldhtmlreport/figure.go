package htmlreport

import (
	"fmt"
	"html/template"
	"slices"
	"strings"

	trial "ringcached/bench/oldtrial"
)

// figure is what a plot shows: curves of one quantity along a part's axis.
type figure struct {
	id     string
	title  string
	unit   unit
	ratio  bool // over the baseline's, around 1
	axis   *trial.Axis
	places []place
	curves []curve
}

// curve is a series' part of a figure.
type curve struct {
	name  string
	style style
	level bool // the same everywhere: one dot. A ratio never is, for the baseline varies
	dots  []dot
}

// dot is a curve's value at a place.
type dot struct {
	at       place
	estimate trial.Estimate
	state    pointState
}

func (d *dot) shown() bool { return d.state == stateShown && d.estimate.Rounds > 0 }

// valueOf is a series' quantity at a point, at a place.
type valueOf func(s *trial.Series, q *trial.Point, at place) trial.Estimate

// newFigure gathers a quantity of all series of a part. value returns no rounds where there is none.
func newFigure(id, title string, u unit, ratio bool, v *partView, value valueOf) *figure {
	f := &figure{id: id, title: title, unit: u, ratio: ratio, axis: &v.part.Axis, places: v.places}
	for i := range v.part.Series {
		s := &v.part.Series[i]
		c := curve{name: s.Name, style: v.styles[s.Name], level: isLevel(s) && !ratio && f.axis.Scale != trial.ScaleNames}
		for _, at := range f.places {
			q := pointAt(v.part, s, at)
			d := dot{at: at, state: stateOf(q)}
			if d.state == stateShown {
				d.estimate = value(s, q, at)
			}
			if d.shown() || d.state != stateShown {
				c.dots = append(c.dots, d)
			}
			if c.level {
				break
			}
		}
		if len(c.dots) > 0 {
			f.curves = append(f.curves, c)
		}
	}
	return f
}

// without leaves out a curve.
func (f *figure) without(name string) {
	f.curves = slices.DeleteFunc(f.curves, func(c curve) bool { return c.name == name })
}

// shows reports whether there is a number in the figure.
func (f *figure) shows() bool { return len(f.estimates()) > 0 }

func (f *figure) estimates() (all []trial.Estimate) {
	for _, c := range f.curves {
		for _, d := range c.dots {
			if d.shown() {
				all = append(all, d.estimate)
			}
		}
	}
	return all
}

// draw makes the figure's SVG.
func (f *figure) draw() template.HTML {
	if f.axis.Scale == trial.ScaleNames {
		return f.drawNames()
	}
	return f.drawLines()
}

// text writes a value of the figure.
func (f *figure) text(v float64) string {
	if f.ratio {
		return ratioText(v)
	}
	return f.unit.text(v)
}

// tells is the text that a reader sees who points at a dot.
func (f *figure) tells(c *curve, d *dot) string {
	what := c.name
	if !c.level {
		what += ", " + d.at.label
	}
	if !d.shown() {
		return what + ": " + d.state.String()
	}
	what += ": " + f.text(d.estimate.Median)
	if bounded(d.estimate) {
		what += fmt.Sprintf(" (%s to %s)", f.text(d.estimate.Low), f.text(d.estimate.High))
	}
	return what
}

// description says in words where the curves go, for readers who do not see them. Every number is in the tables.
func (f *figure) description() string {
	var b strings.Builder
	if f.axis.Scale != trial.ScaleNames {
		fmt.Fprintf(&b, "Along %s. ", axisLabel(f.axis))
	}
	for i := range f.curves {
		c := &f.curves[i]
		var first, last *dot
		for j := range c.dots {
			if d := &c.dots[j]; d.shown() {
				if first == nil {
					first = d
				}
				last = d
			}
		}
		switch {
		case first == nil:
			fmt.Fprintf(&b, "%s: no number. ", c.name)
		case c.level:
			fmt.Fprintf(&b, "%s: %s everywhere. ", c.name, f.text(first.estimate.Median))
		case first == last:
			fmt.Fprintf(&b, "%s: %s at %s. ", c.name, f.text(first.estimate.Median), first.at.label)
		default:
			from, to := f.text(first.estimate.Median), f.text(last.estimate.Median)
			fmt.Fprintf(&b, "%s: %s at %s, %s at %s. ", c.name, from, first.at.label, to, last.at.label)
		}
	}
	return b.String() + "The tables have every number."
}

// Measures of all figures, in units of which a figure is plotWidth wide.
const (
	plotWidth   = 360.0
	textHeight  = 12.0
	markRadius  = 4.0
	gutterRow   = 13.0 // for marks of what has no number
	frameHeight = 190.0
)

// gutterRows is how many marks of what has no number stand above each other.
func (f *figure) gutterRows() (rows int) {
	for _, at := range f.places {
		n := 0
		for i := range f.curves {
			n += len(f.curves[i].unusableAt(at))
		}
		rows = max(rows, n)
	}
	return rows
}

// unusableAt is the curve's dot at the place if that is marked as having no number.
func (c *curve) unusableAt(at place) []dot {
	for _, d := range c.dots {
		if d.state.marked() && d.at == at {
			return []dot{d}
		}
	}
	return nil
}
