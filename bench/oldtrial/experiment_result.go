package oldtrial

import (
	"fmt"
	"slices"
	"strings"

	"ringcached/bench/load"
	"ringcached/bench/sut"
)

// result makes a Part of what the cells gave. Servers have the given number of threads where the points do not say.
func (p *partPlan) result(results map[cell]*measured, threads int) Part {
	part := Part{Name: p.name, Title: p.title, Axis: p.axis, Baseline: p.baseline, Shows: p.shows}
	for i := range p.series {
		s := &p.series[i]
		series := Series{Name: s.name, Server: s.server, Args: s.args, Fixed: s.fixed}
		for j := range p.points {
			c := cell{j, i}
			if s.fixed {
				c.point = 0
			}
			if m := results[c]; m != nil && s.serves(&p.points[j]) {
				series.Points = append(series.Points, p.points[j].result(s, m, threads))
			}
		}
		part.Series = append(part.Series, series)
	}
	part.compare()
	return part
}

// result makes a Point of what a cell gave.
func (p *pointPlan) result(s *seriesPlan, m *measured, threads int) Point {
	pt := Point{X: p.x, Label: p.label, Workload: p.load, Rounds: m.rounds, Summary: summaryOf(s.server, m.rounds)}
	pt.Summary.Retried = m.starved
	if !s.fixed {
		pt.Args = p.args
	}
	switch {
	case s.running():
	case s.server == sut.Null:
		pt.Threads = 1 // it has no more
	case p.threads > 0:
		pt.Threads = p.threads
	default:
		pt.Threads = threads
	}
	values := func(quantity func(*Round) float64) Estimate {
		var all []float64
		for i := range m.rounds {
			if v := quantity(&m.rounds[i]); v > 0 && pt.whole() && !m.rounds[i].Saturated() {
				all = append(all, v)
			}
		}
		return NewEstimate(all)
	}
	pt.PerSecond = values(func(r *Round) float64 { return r.PerSecond })
	pt.CPUPerOp = values(cpuPerOp)
	// A quantile of an open loop that is rather the load's than the server's is left out.
	latency := func(quantile func(*load.Quantiles) float64) Estimate {
		return values(func(r *Round) float64 {
			if r.Open != nil && !r.Open.Tells(quantile(&r.Open.Lateness), quantile(&r.Latency)) {
				return 0
			}
			return quantile(&r.Latency)
		})
	}
	pt.P50 = latency(func(q *load.Quantiles) float64 { return q.P50 })
	pt.P99 = latency(func(q *load.Quantiles) float64 { return q.P99 })
	pt.P999 = latency(func(q *load.Quantiles) float64 { return q.P999 })
	if pt.whole() {
		pt.Memory = memoryOf(m.idle)
	}
	return pt
}

func cpuPerOp(r *Round) float64 { return r.CPUPerOp }

// whole reports that there are figures: no round failed, and few others do not count. Rounds that were too much for the server do, as they are:
// without them it would seem to be faster.
func (p *Point) whole() bool {
	return p.Summary.Failed == 0 && !p.Summary.LoadBound() && !p.Summary.Overwhelmed()
}

// at returns the point of a label, nil if there is none.
func (s *Series) at(label string) *Point {
	for i := range s.Points {
		if s.Points[i].Label == label {
			return &s.Points[i]
		}
	}
	return nil
}

// series returns the one of a name, nil if there is none.
func (p *Part) series(name string) *Series {
	for i := range p.Series {
		if p.Series[i].Name == name {
			return &p.Series[i]
		}
	}
	return nil
}

// compare fills in the ratios to the baseline.
func (p *Part) compare() {
	base := p.series(p.Baseline)
	for i := range p.Series {
		s := &p.Series[i]
		if base == nil || s.Name == base.Name {
			continue
		}
		for j := range s.Points {
			pt := &s.Points[j]
			if b := base.at(pt.Label); b != nil && pt.whole() && b.whole() {
				pt.CPURatio = CompareRounds(s.Name, base.Name, pt.Rounds, b.Rounds, cpuPerOp)
			}
		}
	}
}

// leastThroughput is that of the slowest server at a point of a part that is over, or why it is unknown.
func (e *Experiment) leastThroughput(part, label string) (least float64, why string) {
	i := slices.IndexFunc(e.Parts, func(p Part) bool { return p.Name == part })
	if i < 0 {
		return 0, "the throughput that rates depend on was not measured"
	}
	for _, s := range e.Parts[i].Series {
		pt := s.at(label)
		if pt == nil || pt.PerSecond.Rounds == 0 {
			return 0, fmt.Sprintf("the throughput of %s, on which rates depend, is unknown", s.Name)
		}
		if least == 0 || pt.PerSecond.Median < least {
			least = pt.PerSecond.Median
		}
	}
	return least, ""
}

// failures tells where there are no figures, or of fewer rounds, a line for each series and reason: those that make the whole result a failed one, or the others.
func (p *Part) failures(harmless bool) (lines []string) {
	for i := range p.Series {
		s := &p.Series[i]
		var reasons []string
		where := make(map[string][]string) // labels by reason
		for j := range s.Points {
			reason, isHarmless := s.Points[j].failure(s.Server)
			if reason == "" || isHarmless != harmless {
				continue
			}
			if where[reason] == nil {
				reasons = append(reasons, reason)
			}
			where[reason] = append(where[reason], s.Points[j].Label)
		}
		for _, reason := range reasons {
			lines = append(lines, fmt.Sprintf("%s at %s: %s", s.Name, strings.Join(where[reason], ", "), reason))
		}
	}
	return lines
}

// failure says why the point of a server has no figures, or of fewer rounds; empty if it has all. It is harmless that canned replies come faster than
// the load can take them, that requests arrive faster than the server can, and that few rounds are left out.
func (p *Point) failure(server string) (reason string, harmless bool) {
	s := &p.Summary
	switch {
	case s.Failed > 0:
		return fmt.Sprintf("%d of %d rounds failed: %s", s.Failed, s.Rounds, s.FirstError), false
	case s.LoadBound():
		return s.noFigures(), server == sut.Null
	case s.Overwhelmed():
		return fmt.Sprintf("no figures, as more arrived than the server could take in %d of %d rounds", s.Overloaded, s.Rounds), true
	case s.Saturated > 0:
		return fmt.Sprintf("%d of %d rounds left out because the load was the limit, not the server", s.Saturated, s.Rounds), true
	case s.Overloaded > 0:
		return fmt.Sprintf("in %d of %d rounds more arrived than the server could take", s.Overloaded, s.Rounds), true
	}
	return "", false
}
