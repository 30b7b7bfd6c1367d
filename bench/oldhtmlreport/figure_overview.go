package htmlreport

import (
	"html/template"
	"math"

	trial "ringcached/bench/oldtrial"
)

// overview shows the ratios of many parts at once, one row of the figure for each place.
type overview struct {
	id, title, description string
	less, more             string // what a ratio below and above 1 means
	rows                   []overviewRow
}

type overviewRow struct {
	experiment, part string
	findings         []finding
}

const (
	overviewStep = 8.0  // from place to place
	overviewGap  = 11.0 // between parts
)

// draw makes the figure's SVG: for each part its places from top to bottom, each a mark at the ratio with its interval. What is better, worse
// and neither is marked by shape too.
func (o *overview) draw() template.HTML {
	x := o.scale()
	const top = 40.0
	height := top
	titles := make([][]string, len(o.rows))
	for i, r := range o.rows {
		titles[i] = lines(r.part, x.to-x.from)
		height += float64(1+len(titles[i]))*lineHeight + float64(len(r.findings))*overviewStep + overviewGap
	}
	d := &drawing{width: plotWidth, height: height + 22}
	d.text(x.from, textHeight, "better label", "start", "◀ "+o.less)
	d.text(x.to, textHeight, "worse label", "end", o.more+" ▶")
	for _, t := range x.ticks {
		d.line("grid", x.at(t.value), top, x.at(t.value), height)
		d.text(x.at(t.value), top-6, "tick x", "middle", t.text)
		d.text(x.at(t.value), height+15, "tick x", "middle", t.text)
	}
	d.line("one", x.at(1), top, x.at(1), height)
	y := top
	for i, r := range o.rows {
		if i > 0 {
			d.line("axis", x.from, y, x.to, y)
		}
		d.text(x.from, y+textHeight, "name halo", "start", r.experiment)
		for _, l := range titles[i] {
			y += lineHeight
			d.text(x.from, y+textHeight, "halo", "start", l)
		}
		y += lineHeight
		y += 2
		for j := range r.findings {
			o.drawFinding(d, &r, &r.findings[j], y+overviewStep/2, &x)
			y += overviewStep
		}
		y += overviewGap - 2
	}
	return d.figure(o.id, o.title, o.description)
}

// scale is logarithmic, so that half as much and twice as much are as far from 1.
func (o *overview) scale() scale {
	low, high := 0.8, 1.25
	for _, r := range o.rows {
		for i := range r.findings {
			mean := r.findings[i].ratio.Mean
			low, high = min(low, mean/1.05), max(high, mean*1.05)
		}
	}
	s := scale{low: math.Log2(low), high: math.Log2(high), log: true, from: 4, to: plotWidth - 4}
	s.zero = s.low
	values := []float64{0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.25, 1.5, 2}
	if high/low > 4 {
		values = []float64{0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100}
	}
	for _, v := range values {
		half := textWidth(threeDigits(v)) / 2
		if s.holds(v) && s.at(v) > half && s.at(v) < plotWidth-half {
			s.ticks = append(s.ticks, tick{v, threeDigits(v)})
		}
	}
	s.ticks = apart(&s, s.ticks)
	return s
}

func (o *overview) drawFinding(d *drawing, r *overviewRow, f *finding, y float64, x *scale) {
	class, m := "neither", circle
	switch f.verdict() {
	case verdictBetter:
		class, m = "better", diamond
	case verdictWorse:
		class, m = "worse", square
	case verdictNoise, verdictNone:
	}
	d.open("g", "class", "curve "+class)
	if f.ratio.High >= f.ratio.Low {
		drawIntervalAlong(d, trial.Estimate{Low: f.ratio.Low, High: f.ratio.High}, y, x)
	}
	d.mark(m, x.at(f.ratio.Mean), y, 3, r.experiment+", "+r.part+", "+f.at.label+": "+interval(&f.ratio))
	d.close("g")
}
