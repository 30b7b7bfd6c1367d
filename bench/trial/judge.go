package trial

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"ringcached/bench/load"
	"ringcached/bench/sut"
)

const (
	// disturbed is the share of a core that the machine's host or other processes may take from a sample before it is dropped.
	disturbed = 0.20
	// A load that is this busy while the server's cores are this idle is what limits the figures.
	saturatedLoad, idleServer = 0.95, 0.10
	// mostMissing is the part of keys that may be missing.
	mostMissing = 0.001
	// mostOverloaded is the part of the samples in which more may arrive than the server can answer, or in which the load may be the limit, before
	// the row is called so.
	mostOverloaded = 1.0 / 3
)

// disturbance is how much of a core a sample lost to others. /proc/stat counts what the host steals in ticks of 10 ms.
func (s *Sample) disturbance() float64 { return max(s.Stolen, s.Foreign) }

// Disturbed reports that others took so much from a sample that it should not count, though on a machine that is never quiet it may.
func (s *Sample) Disturbed() bool { return s.disturbance() > disturbed }

// drop marks the samples that do not count, by a rule that was fixed before there were any: others took more than disturbed from them, and they are
// in the worst quarter of the row's samples, as some must be left on a machine that is never quiet, and as many of each server. The rule does not
// look at the figures. Trials of fresh processes are few: they are repeated instead.
func (s *spot) drop(sliced bool) {
	for _, t := range s.tracks {
		var all []float64
		for i := range t.row.Samples {
			all = append(all, t.row.Samples[i].disturbance())
		}
		slices.Sort(all)
		bound := math.Inf(1)
		if sliced && len(all) > 0 {
			bound = max(disturbed, all[len(all)*3/4])
		}
		for i := range t.row.Samples {
			m := &t.row.Samples[i]
			m.Dropped = ""
			if m.Operations == 0 && t.server.Start != sut.Valkey {
				m.Dropped = "no operation was completed"
			} else if m.disturbance() > bound {
				m.Dropped = fmt.Sprintf("others took %.0f %% of a core", 100*m.disturbance())
			}
		}
	}
}

// track returns that of a server, nil if it takes no part.
func (s *spot) track(name string) *track {
	if i := slices.IndexFunc(s.tracks, func(t *track) bool { return t.server.Name == name && !t.twin }); i >= 0 {
		return s.tracks[i]
	}
	return nil
}

// ratios are all that the plan wants at a point: of each server over the reference, and of the first one where there is a target.
func (m *measuring) ratios(s *spot) (all []Ratio) {
	add := func(of, over *track, target *Target) {
		if of == nil || over == nil || of == over || of.silent() || over.silent() {
			return
		}
		r := Ratio{Point: s.index, Metric: MetricCPU, Of: of.server.Name, Over: over.server.Name, Target: target}
		r.Estimate = pairedRatio(&of.row, &over.row, MetricCPU, Beyond95)
		if target != nil {
			r.Verdict = target.judge(&r.Estimate)
		}
		if r.Samples > 0 || target != nil {
			all = append(all, r)
		}
	}
	for i := range s.point.Targets {
		if t := &s.point.Targets[i]; t.Over != "" && len(s.tracks) > 0 {
			add(s.tracks[0], s.track(t.Over), t)
		}
	}
	for _, t := range s.tracks {
		known := slices.ContainsFunc(all, func(r Ratio) bool { return r.Of == t.server.Name && r.Over == m.plan.Reference })
		if !t.twin && !known {
			add(t, s.track(m.plan.Reference), nil)
		}
	}
	return all
}

// look finds out how precise a point is.
func (m *measuring) look(s *spot) {
	s.drop(m.plan.Mode == SideBySide)
	s.lacking, s.wide = 0, nil
	for _, r := range append(m.ratios(s), m.twins(s)...) {
		if r.Target != nil && r.Target.settled(&r.Estimate) {
			continue
		}
		width := r.HalfWidth() / m.o.Precision
		if s.lacking = max(s.lacking, width); width > 1 {
			s.wide = append(s.wide, width)
		}
	}
	slices.Sort(s.wide)
	s.settled = len(s.wide) == 0
}

// judge compares an interval with the target.
func (t *Target) judge(e *Estimate) Verdict {
	switch {
	case !e.Known():
		return Undecided
	case e.Low > t.Most:
		return Missed
	case e.High <= t.Most*(1+t.Slack):
		return Met
	}
	return Undecided
}

// settled reports that the verdict would be the same if the interval were twice as wide.
func (t *Target) settled(e *Estimate) bool {
	if !e.Known() || e.Low <= 0 {
		return false
	}
	half := math.Sqrt(e.High / e.Low)
	wide := Estimate{Value: e.Value, Low: e.Low / half, High: e.High * half, Samples: e.Samples}
	v := t.judge(e)
	return v != Undecided && v == t.judge(&wide)
}

// summarise makes rows and ratios of what was measured until now.
func (m *measuring) summarise() {
	r := m.result
	m.stale = false
	r.Rows, r.Ratios, r.AA, r.Problems, r.Dropped = nil, nil, nil, slices.Clone(m.known), 0
	for _, s := range m.spots {
		s.drop(m.plan.Mode == SideBySide)
		for _, t := range s.tracks {
			m.finish(t)
		}
		r.Ratios = append(r.Ratios, m.ratios(s)...) // of those that turned out to have figures
		for _, t := range s.tracks {
			if !t.twin && (len(t.row.Samples) > 0 || t.failed()) {
				r.Rows = append(r.Rows, t.row)
			}
		}
		m.aa(s)
		m.memoryTargets(s)
	}
}

// twins compares a second process of the first server with the first one, where there is one: A/A.
func (m *measuring) twins(s *spot) (all []Ratio) {
	for _, twin := range s.tracks {
		if first := s.tracks[0]; twin.twin && !twin.silent() && !first.silent() {
			r := Ratio{Point: s.index, Metric: MetricCPU, Of: first.server.Name + " again", Over: first.server.Name}
			if r.Estimate = pairedRatio(&twin.row, &first.row, MetricCPU, (1-m.aaLevel)/2); r.Samples > 0 {
				all = append(all, r)
			}
		}
	}
	return all
}

// aa keeps A/A of a point. Where it fails, nothing else is to be trusted.
func (m *measuring) aa(s *spot) {
	for _, r := range m.twins(s) {
		m.result.AA = append(m.result.AA, r)
		if r.Certain() {
			m.follows(s.point.Label, r.Over, true, fmt.Sprintf(
				"A/A failed: the same server twice gives a ratio of %.3f (%.3f..%.3f), so differences of this size mean nothing here", r.Value, r.Low, r.High))
		}
	}
}

// finish fills in the row of a track, and says what is wrong with it.
func (m *measuring) finish(t *track) {
	row := &t.row
	row.Latency = load.QuantilesOf(t.latency)
	if asked := row.Hits + row.Misses; float64(row.Misses) > mostMissing*float64(asked) && t.server.Start != sut.Null {
		t.fail(fmt.Sprintf("%d of %d keys were missing: too little memory for the workload", row.Misses, asked))
	}
	if row.Errors() > 0 && len(t.failures) == 0 {
		t.fail(fmt.Sprintf("%d wrong replies, %d error replies, %d broken connections", row.Wrong, row.Refused, row.Broken))
	}
	if m.loads(t) == 0 && len(row.Samples) > 0 && !t.failed() {
		t.fail("no operation was completed")
	}
	say := func(failure bool, why string) { m.follows(t.spot.point.Label, t.server.Name, failure, why) }
	for _, why := range t.failures {
		say(true, why)
	}
	if t.less != "" {
		say(false, t.less)
	}
	if w := &t.spot.point.Load; t.server.TLS && w.Resume && row.Resumed < row.Connects {
		say(false, fmt.Sprintf("only %d of %d connections resumed a session", row.Resumed, row.Connects))
	}
	if row.Lost > 0 {
		say(false, fmt.Sprintf("%d requests over UDP had no reply in time", row.Lost))
	}
	switch {
	case t.failed() || row.Estimates == nil:
		row.Estimates = nil
	case row.Overload:
		say(false, "requests arrived faster than the server could answer: no figures")
	case row.LoadBound && t.server.Start != sut.Null:
		say(false, "the load was the limit: there is no throughput, and CPU per operation is that of a server that is not busy")
	}
}

// loads fills in how busy the load and the server of a row were, and its estimates, of the samples that count. It returns how many those are. What
// more arrived for than the server could answer says nothing.
func (m *measuring) loads(t *track) (kept int) {
	row := &t.row
	row.LoadBusy, row.Busy, row.Estimates = 0, 0, nil
	var overloaded, bound int
	for i := range row.Samples {
		s := &row.Samples[i]
		if s.Dropped != "" {
			m.result.Dropped++
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
	if kept == 0 || t.failed() {
		row.LoadBusy, row.Busy = 0, 0
		return kept
	}
	n := float64(kept)
	row.LoadBusy, row.Busy = row.LoadBusy/n, row.Busy/n
	row.Overload, row.LoadBound = float64(overloaded) > mostOverloaded*n, float64(bound) > mostOverloaded*n
	row.Estimates = make(map[Metric]Estimate)
	for metric := range metrics {
		unknown := row.Overload || metric == MetricThroughput && row.LoadBound && t.server.Start != sut.Null
		if e := row.Middle(metric, Beyond95); e.Samples > 0 && !unknown {
			row.Estimates[metric] = e
		}
	}
	return kept
}

// loadLimited reports that the load was the limit, not the server.
func (s *Sample) loadLimited(started bool) bool {
	if s.open != nil {
		return s.open.Short || !s.open.Tells(s.open.Lateness.P50, s.Latency.P50)
	}
	return s.loadBusy+s.Stolen >= saturatedLoad && (!started || s.busy < 1-idleServer)
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
			bytes := func(a, b Sample) int { return cmp.Compare(a.UserMemory, b.UserMemory) }
			e.Low, e.High = slices.MinFunc(t.row.Samples, bytes).UserMemory, slices.MaxFunc(t.row.Samples, bytes).UserMemory
			m.result.Ratios = append(m.result.Ratios, Ratio{
				Point: s.index, Metric: target.Metric, Of: t.server.Name, Target: target, Estimate: e, Verdict: target.judge(&e),
			})
		}
	}
}
