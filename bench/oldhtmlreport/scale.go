package htmlreport

import (
	"math"
	"slices"

	trial "ringcached/bench/oldtrial"
)

// scale maps values to coordinates.
type scale struct {
	low, high float64 // the ends, of logarithms if it is logarithmic
	log       bool
	zero      float64 // of a logarithmic scale: where 0 stands, which has no logarithm
	from, to  float64 // their coordinates
	ticks     []tick
}

type tick struct {
	value float64
	text  string
}

// at returns the coordinate of a value, that of the nearest end for a value beyond.
func (s *scale) at(v float64) float64 {
	return s.from + (s.to-s.from)*(s.place(v)-s.low)/(s.high-s.low)
}

func (s *scale) place(v float64) float64 {
	switch {
	case s.log && v <= 0:
		v = s.zero
	case s.log:
		v = math.Log2(v)
	}
	return min(max(v, s.low), s.high)
}

// holds reports whether the value lies between the ends.
func (s *scale) holds(v float64) bool {
	if s.log {
		if v <= 0 {
			return false
		}
		v = math.Log2(v)
	}
	return v >= s.low && v <= s.high
}

// niceStep is a step of 1, 2 or 5 times a power of ten that cuts the span into at most n pieces.
func niceStep(span float64, n int) float64 {
	raw := span / float64(n)
	power := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, m := range []float64{1, 2, 5} {
		if m*power >= raw*(1-1e-9) {
			return m * power
		}
	}
	return 10 * power
}

// linearTicks are the multiples of a nice step between two values, n+1 at most; the lower value, if there is nothing between them.
func linearTicks(low, high float64, n int) (ticks []float64) {
	if high <= low {
		return []float64{low}
	}
	step := niceStep(high-low, n)
	for first := math.Ceil(low/step - 1e-9); len(ticks) <= n; {
		v := (first + float64(len(ticks))) * step
		if v > high+step*1e-9 {
			break
		}
		ticks = append(ticks, v)
	}
	return ticks
}

// logTicks are powers of ten between two values, with their multiples by 2 and 5 where that are few enough.
func logTicks(low, high float64) []float64 {
	for _, multiples := range [][]float64{{1, 2, 5}, {1, 3}, {1}} {
		var ticks []float64
		for power := math.Floor(math.Log10(low)); power <= math.Log10(high); power++ {
			for _, m := range multiples {
				if v := m * math.Pow(10, power); v >= low*(1-1e-9) && v <= high*(1+1e-9) {
					ticks = append(ticks, v)
				}
			}
		}
		if len(ticks) <= 8 {
			return ticks
		}
	}
	return []float64{low, high}
}

// valueScale is for the quantities of a figure. Its ends are given by what is to be seen; the ticks share a prefix, which the returned text
// tells with the unit, unless the scale is logarithmic: then each tick has its own.
func valueScale(u unit, low, high float64, log bool) (s scale, unitText string) {
	if log {
		s = scale{low: math.Log2(low), high: math.Log2(high), log: true, zero: math.Log2(low)}
		for _, v := range logTicks(low, high) {
			s.ticks = append(s.ticks, tick{v, u.text(v)})
		}
		return s, ""
	}
	p := u.prefixFor(high)
	factor := p.factor / u.base // steps are to be nice with the prefix
	values := linearTicks(low/factor, high/factor, 5)
	s = scale{low: low, high: high}
	for _, v := range values {
		s.ticks = append(s.ticks, tick{v * factor, threeDigits(v)})
	}
	return s, p.text + u.name
}

// wideRange is the ratio of the greatest to the least value from which a figure is logarithmic.
const wideRange = 25

// rangeOf chooses the ends of a scale on which all medians are seen, and intervals as far as they do not dwarf them. Around 1, for ratios, it
// reaches both sides; else it begins with 0, or is logarithmic.
func rangeOf(estimates []trial.Estimate, aroundOne bool) (low, high float64, log bool) {
	var least, most []float64
	medians := make([]float64, 0, len(estimates))
	for _, e := range estimates {
		medians = append(medians, e.Median)
		l, h := e.Median, e.Median
		if bounded(e) {
			l, h = max(e.Low, 0.75*e.Median), min(e.High, 1.3*e.Median)
		}
		least, most = append(least, min(l, e.Median)), append(most, max(h, e.Median))
	}
	if len(estimates) == 0 {
		return 0, 1, false
	}
	low, high = slices.Min(least), slices.Max(most)
	if aroundOne {
		low, high = min(low, 0.95), max(high, 1.05)
		if high/low > 4 && low > 0 {
			return low / 1.1, high * 1.1, true
		}
		margin := 0.06 * (high - low)
		return max(low-margin, 0), high + margin, false
	}
	if m := slices.Min(medians); m > 0 && slices.Max(medians)/m > wideRange {
		return m / 1.5, high * 1.2, true
	}
	return min(0, 1.1*low), max(high*1.06, 1e-9), false // memory can shrink
}

// axisScale is for the places of a part whose axis is not of names.
func axisScale(a *trial.Axis, places []place, from, to float64) scale {
	first, last := places[0].x, places[len(places)-1].x
	s := scale{from: from, to: to, low: first, high: last}
	var values []float64
	for _, at := range places {
		values = append(values, at.x)
	}
	if a.Scale == trial.ScaleLog {
		// 0 has no logarithm. It is drawn a step to the left of the least place.
		if i := slices.IndexFunc(values, func(v float64) bool { return v > 0 }); i > 0 {
			first = values[i] / 2
			if len(values)-i > 2 {
				first = values[i] * values[i] / values[i+1]
			}
		}
		s.log, s.low, s.high = true, math.Log2(max(first, 1e-9)), math.Log2(max(last, 1e-9))
		s.zero = s.low
	} else if len(places) > 8 || last > 64 {
		values = linearTicks(first, last, 5)
	}
	margin := 0.04 * (s.high - s.low)
	if margin == 0 {
		margin = 1
	}
	s.low, s.high = s.low-margin, s.high+margin
	for _, v := range values {
		s.ticks = append(s.ticks, tick{v, tickText(a, v)})
	}
	s.ticks = apart(&s, s.ticks)
	return s
}

// tickText writes a place at its tick: units stand in the axis' label, but for bytes.
func tickText(a *trial.Axis, v float64) string {
	if a.Unit == "B" || a.Unit == "bytes" {
		return bytesUnit.text(v)
	}
	return countText(v)
}

// axisLabel is what stands below the axis.
func axisLabel(a *trial.Axis) string {
	if a.Unit == "" || a.Unit == "B" || a.Unit == "bytes" {
		return a.Label
	}
	return a.Label + ", " + a.Unit
}

// apart leaves out ticks whose texts would touch the one before, beginning with the last, which is always there.
func apart(s *scale, ticks []tick) (kept []tick) {
	const gap = 8
	left := math.Inf(1)
	for _, t := range slices.Backward(ticks) {
		half := textWidth(t.text) / 2
		if s.at(t.value)+half+gap <= left {
			kept = append(kept, t)
			left = s.at(t.value) - half
		}
	}
	slices.Reverse(kept)
	return kept
}
