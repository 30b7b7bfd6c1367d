package trial

import (
	"context"
	"fmt"

	"ringcached/bench/load"
	"ringcached/bench/sut"
)

const (
	// A load that is this busy while the server's cores are this idle is what limits the figures.
	saturatedLoad, idleServer = 0.95, 0.10
	// mostMissing is the part of keys that may be missing.
	mostMissing = 0.001
	// mostOverloaded is the part of the samples in which more may arrive than the server can answer, or in which the load may be the limit, before
	// the row is called so.
	mostOverloaded = 1.0 / 3
)

// summarise makes rows and ratios of what was measured.
func (m *measuring) summarise() {
	for _, s := range m.spots {
		s.drop(m.plan.Mode == SideBySide)
		for _, t := range s.tracks {
			for i := range t.row.Samples {
				if t.row.Samples[i].Dropped != "" {
					m.result.Dropped++
				}
			}
			m.finish(t)
		}
		m.result.Ratios = append(m.result.Ratios, m.ratios(s)...) // of those that turned out to have figures
		for _, t := range s.tracks {
			if t.twin {
				m.aa(s, t)
				continue
			}
			if len(t.row.Samples) > 0 || t.failed() {
				m.result.Rows = append(m.result.Rows, t.row)
			}
		}
		m.memoryTargets(s)
	}
}

// profiles makes a profile of each first server that missed a target.
func (m *measuring) profiles(ctx context.Context) error {
	for i := range m.result.Ratios {
		r := &m.result.Ratios[i]
		row := m.result.Row(r.Point, r.Of)
		if m.o.Profile == "" || r.Verdict != Missed || r.Metric != MetricCPU || row == nil || row.Profile != "" {
			continue
		}
		path, err := m.profile(ctx, m.spots[r.Point].track(r.Of))
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			m.problem(m.plan.Points[r.Point].Label, r.Of, false, "no profile: "+err.Error())
		}
		row.Profile = path
	}
	return nil
}

// aa compares a second process of the first server with the first one. All of a run's intervals together must contain 1 with the probability level.
func (m *measuring) aa(s *spot, twin *track) {
	first := s.tracks[0]
	if twin.silent() || first.silent() {
		return
	}
	r := Ratio{Point: s.index, Metric: MetricCPU, Of: first.server.Name + " again", Over: first.server.Name}
	r.Estimate = pairedRatio(&twin.row, &first.row, MetricCPU, (1-m.aaLevel)/2)
	if r.Samples == 0 {
		return
	}
	m.result.AA = append(m.result.AA, r)
	if r.Certain() {
		m.problem(s.point.Label, first.server.Name, true, fmt.Sprintf(
			"A/A failed: the same server twice gives a ratio of %.3f (%.3f..%.3f), so differences of this size mean nothing here", r.Value, r.Low, r.High))
	}
}

// finish fills in the row of a track.
func (m *measuring) finish(t *track) {
	row, label := &t.row, t.spot.point.Label
	row.Latency = load.QuantilesOf(t.latency)
	if asked := row.Hits + row.Misses; float64(row.Misses) > mostMissing*float64(asked) && t.server.Start != sut.Null {
		t.fail(fmt.Sprintf("%d of %d keys were missing: too little memory for the workload", row.Misses, asked))
	}
	if row.Errors() > 0 && len(t.failures) == 0 {
		t.fail(fmt.Sprintf("%d wrong replies, %d error replies, %d broken connections", row.Wrong, row.Refused, row.Broken))
	}
	for _, why := range t.failures {
		m.problem(label, t.server.Name, true, why)
	}
	if row.Lost > 0 {
		m.problem(label, t.server.Name, false, fmt.Sprintf("%d requests over UDP had no reply in time", row.Lost))
	}
	var kept, overloaded, bound int
	for i := range row.Samples {
		s := &row.Samples[i]
		if s.Dropped != "" {
			continue
		}
		kept++
		row.LoadBusy += s.loadBusy
		row.Busy += s.busy
		if s.open != nil && s.open.Short && s.busy >= 1-idleServer {
			overloaded++
		} else if s.loadLimited(row.Threads > 0) {
			bound++
		}
	}
	if kept == 0 && len(row.Samples) > 0 && !t.failed() {
		t.fail("no operation was completed")
		m.problem(label, t.server.Name, true, t.failures[0])
	}
	if kept == 0 || t.failed() {
		return
	}
	row.LoadBusy, row.Busy = row.LoadBusy/float64(kept), row.Busy/float64(kept)
	row.Overload, row.LoadBound = float64(overloaded) > mostOverloaded*float64(kept), float64(bound) > mostOverloaded*float64(kept)
	t.estimate()
	switch {
	case row.Overload:
		m.problem(label, t.server.Name, false, "requests arrived faster than the server could answer: no figures")
	case row.LoadBound && t.server.Start != sut.Null:
		m.problem(label, t.server.Name, false, "the load was the limit: there is no throughput, and CPU per operation is that of a server that is not busy")
	}
}

// loadLimited reports that the load was the limit, not the server.
func (s *Sample) loadLimited(started bool) bool {
	if s.open != nil {
		return s.open.Short || !s.open.Tells(s.open.Lateness.P50, s.Latency.P50)
	}
	return s.loadBusy+s.Stolen >= saturatedLoad && (!started || s.busy < 1-idleServer)
}

// estimate fills in the estimates of a row. What more arrived for than the server could answer says nothing.
func (t *track) estimate() {
	row := &t.row
	row.Estimates = make(map[Metric]Estimate)
	if row.Overload {
		return
	}
	for _, metric := range []Metric{MetricCPU, MetricThroughput, MetricP50, MetricP99, MetricP999, MetricUserMemory, MetricKernelMemory} {
		if metric == MetricThroughput && row.LoadBound && t.server.Start != sut.Null {
			continue
		}
		if e := row.estimate(metric, beyond95); e.Samples > 0 {
			row.Estimates[metric] = e
		}
	}
}

// memoryTargets judges what is no ratio: bytes for each idle connection. There is no noise to speak of, so the interval is from the least to the
// most.
func (m *measuring) memoryTargets(s *spot) {
	for i := range s.point.Targets {
		target := &s.point.Targets[i]
		for _, t := range s.tracks {
			e, known := t.row.Estimates[target.Metric]
			if target.Metric != MetricUserMemory || !known || t.server.Start != sut.Uring && t.server.Start != sut.Epoll {
				continue
			}
			e.Low, e.High = e.Value, e.Value
			for j := range t.row.Samples {
				e.Low, e.High = min(e.Low, t.row.Samples[j].UserMemory), max(e.High, t.row.Samples[j].UserMemory)
			}
			m.result.Ratios = append(m.result.Ratios, Ratio{
				Point: s.index, Metric: target.Metric, Of: t.server.Name, Target: target, Estimate: e, Verdict: target.judge(&e),
			})
		}
	}
}
