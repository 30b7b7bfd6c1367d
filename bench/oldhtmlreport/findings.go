package htmlreport

import (
	"cmp"
	"math"
	"slices"

	trial "ringcached/bench/oldtrial"
	"ringcached/bench/sut"
)

// finding is what a quantity of one server is over a rival's at a place.
type finding struct {
	at     place
	metric *metric
	of     *trial.Series
	ratio  trial.Ratio
}

// verdict says what a finding means for the first of the two servers.
type verdict int

const (
	verdictNone  verdict = iota // one round only
	verdictNoise                // the interval includes 1
	verdictBetter
	verdictWorse
)

func (f *finding) verdict() verdict {
	switch {
	case f.ratio.High < f.ratio.Low:
		return verdictNone
	case !f.ratio.Certain():
		return verdictNoise
	case (f.ratio.Mean > 1) == f.metric.more:
		return verdictBetter
	}
	return verdictWorse
}

// words say how the first server's quantity differs.
func (f *finding) words() string {
	less, more := f.metric.comparatives()
	switch r := f.ratio.Mean; {
	case r >= 2:
		return threeDigits(r) + " times as much"
	case r >= 1:
		return percent(r-1) + " " + more
	default:
		return percent(1-r) + " " + less
	}
}

// interval writes the ratio with its confidence interval, if it has one.
func interval(r *trial.Ratio) string {
	if r.High < r.Low {
		return ratioText(r.Mean)
	}
	return ratioText(r.Mean) + " (" + ratioText(r.Low) + ".." + ratioText(r.High) + ")"
}

// seriesOf returns the series that stands for a family in a part: the baseline, else the one with the family's plain name, else the last one,
// which in a part that adds features step by step has them all. Nil: there is none.
func seriesOf(p *trial.Part, servers map[string]sut.Server, f family) *trial.Series {
	var found *trial.Series
	plain := func(s *trial.Series) bool {
		return s.Name == p.Baseline || namedFamily(s.Name) == f && len(s.Name) == len(familyName(f))
	}
	for i := range p.Series {
		s := &p.Series[i]
		if familyOf(s, servers) == f && (found == nil || !plain(found)) {
			found = s
		}
	}
	return found
}

func familyName(f family) string {
	for _, row := range families {
		if row.is == f {
			return row.name
		}
	}
	return ""
}

// compared are the metrics by which a part's servers are compared, the one that the part is about first: what its figures show, and in any
// case what a request costs and how many there are.
func compared(p *trial.Part) []*metric {
	some := shown(p)
	for _, id := range []trial.Metric{trial.MetricCPU, trial.MetricThroughput} {
		if m := metricOf(id); !slices.Contains(some, m) {
			some = append(some, m)
		}
	}
	return some
}

// everyPlace is where two series differ that both do not vary.
const everyPlace = "every place"

// findingsOf compares a series with a rival by the metric, at every place where both have numbers; only once if neither varies.
func findingsOf(p *trial.Part, of, over *trial.Series, m *metric) (all []finding) {
	for _, at := range placesOf(p) {
		if r := ratioAt(p, of, over, m, at); r != nil {
			all = append(all, finding{at, m, of, *r})
		}
	}
	if len(all) > 1 && isLevel(of) && isLevel(over) {
		all = all[:1]
		all[0].at.label = everyPlace
	}
	return all
}

// ratioAt compares two series at a place. Nil: there is nothing to compare.
func ratioAt(p *trial.Part, of, over *trial.Series, m *metric, at place) *trial.Ratio {
	a, b := pointAt(p, of, at), pointAt(p, over, at)
	if stateOf(a) != stateShown || stateOf(b) != stateShown {
		return nil
	}
	if m.id == trial.MetricThroughput && (a.Workload.Rate > 0 || b.Workload.Rate > 0) {
		return nil // it is what arrives, whatever the server does
	}
	if m.round == nil {
		return ratioOfEstimates(m.point(a), m.point(b))
	}
	if r := trial.CompareRounds(of.Name, over.Name, a.Rounds, b.Rounds, m.round); r != nil {
		return r
	}
	if m.id == trial.MetricCPU && over.Name == p.Baseline {
		return a.CPURatio
	}
	return nil
}

// ratioOfEstimates compares quantities that were not measured in the same rounds. The interval is from the least to the most that the two
// intervals allow, which is wider than it has to be; it has no end where the rival's may be nothing.
func ratioOfEstimates(a, b trial.Estimate) *trial.Ratio {
	if !known(a) || !known(b) || a.Median < 0 || b.Median < 0 {
		return nil
	}
	r := &trial.Ratio{Mean: a.Median / b.Median, High: -1}
	if bounded(a) && bounded(b) {
		r.Low, r.High = 0, math.Inf(1)
		if b.High > 0 {
			r.Low = max(a.Low, 0) / b.High
		}
		if b.Low > 0 {
			r.High = max(a.High, 0) / b.Low
		}
	}
	return r
}

// tally counts findings by what they mean.
type tally struct{ Better, Worse, Noise, None int }

func count(all []finding) (t tally) {
	for i := range all {
		switch all[i].verdict() {
		case verdictBetter:
			t.Better++
		case verdictWorse:
			t.Worse++
		case verdictNoise:
			t.Noise++
		case verdictNone:
			t.None++
		}
	}
	return t
}

func (t tally) sum() int { return t.Better + t.Worse + t.Noise + t.None }

// judged are those of more than one round.
func (t tally) judged() int { return t.sum() - t.None }

func (t tally) plus(u tally) tally {
	return tally{t.Better + u.Better, t.Worse + u.Worse, t.Noise + u.Noise, t.None + u.None}
}

// extremes are the findings with the least and with the greatest ratio.
func extremes(all []finding) (least, most *finding) {
	byRatio := func(a, b finding) int { return cmp.Compare(a.ratio.Mean, b.ratio.Mean) }
	low, high := slices.MinFunc(all, byRatio), slices.MaxFunc(all, byRatio)
	return &low, &high
}
