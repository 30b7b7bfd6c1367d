package trial

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"ringcached/bench/load"
	"ringcached/bench/sut"
)

// measuring is a plan under way.
type measuring struct {
	*runner
	plan     *Plan
	o        Options // the run's, as far as the plan does not say otherwise
	result   *Result
	spots    []*spot
	began    time.Time
	deadline time.Time
}

// spot is a point under way.
type spot struct {
	index   int
	point   *Point
	tracks  []*track // one for each server that can take part, and one for the twin of the first
	turns   int
	visits  int
	settled bool          // it is as precise as asked
	lacking float64       // the widest interval, in terms of what was asked for
	spent   time.Duration // in turns
	warm    time.Duration // the last time it took to start all servers
}

// track is a row under way.
type track struct {
	spot     *spot
	server   *Server
	twin     bool // a second process of the first server
	row      Row
	latency  *hdrhistogram.Histogram
	failures []string
}

// fail keeps why the row has no figures.
func (t *track) fail(why string) {
	if !slices.Contains(t.failures, why) {
		t.failures = append(t.failures, why)
	}
}

func (t *track) failed() bool { return len(t.failures) > 0 || t.row.Errors() > 0 }

// silent reports that the row has no figures, which finish may have found out.
func (t *track) silent() bool { return t.failed() || t.row.Overload }

// note adds what a load did.
func (t *track) note(w *load.Window) {
	t.row.Counts.Add(&w.Counts)
	t.latency.Merge(w.Latency)
}

// dead reports that nothing is left to compare.
func (s *spot) dead() bool {
	return !slices.ContainsFunc(s.tracks, func(t *track) bool { return !t.failed() && !t.twin })
}

// open makes the spots and tracks of a plan.
func (m *measuring) open() {
	for i := range m.plan.Points {
		s := &spot{index: i, point: &m.plan.Points[i]}
		for j := range m.plan.Servers {
			if server := &m.plan.Servers[j]; server.serves(s.point) {
				s.tracks = append(s.tracks, m.newTrack(s, server))
			}
		}
		if i == 0 && !m.plan.NoAA && len(s.tracks) > 0 && !s.tracks[0].server.running() {
			twin := m.newTrack(s, s.tracks[0].server)
			twin.twin = true
			s.tracks = append(s.tracks, twin)
		}
		m.spots = append(m.spots, s)
	}
}

func (m *measuring) newTrack(s *spot, server *Server) *track {
	t := &track{spot: s, server: server, row: Row{Point: s.index, Server: server.Name, Args: server.Args}, latency: load.NewHistogram()}
	if !server.Fixed {
		t.row.Args = slices.Concat(server.Args, s.point.Args)
	}
	switch {
	case server.running():
	case server.Start == sut.Null:
		t.row.Threads = 1 // it has no more
	default:
		t.row.Threads = m.o.Servers.Threads
		if s.point.Threads > 0 {
			t.row.Threads = s.point.Threads
		}
	}
	return t
}

// running reports that the server is one that is not started here.
func (s *Server) running() bool { return load.IsAddress(s.Start) }

// serves says whether the server can answer the load of a point, and could be started as the point wants it.
func (s *Server) serves(p *Point) bool {
	w := &p.Load
	over := w.TransportOrTCP()
	switch {
	case s.Start == sut.Null:
		return w.SuitsNull() && w.Rate == 0 && p.Share == 0 && p.Threads <= 1 && p.Idle == 0
	case s.Start == sut.Net && over == load.TransportUDP:
		return false
	case s.Start == sut.Valkey: // it speaks another protocol: it can have connections that do nothing
		return p.Idle > 0
	case s.running():
		return p.Threads == 0 && (over == load.TransportUnix) == (load.TransportOf(s.Start) == load.TransportUnix) && over != load.TransportUDP
	}
	return true
}

// disturbed is the share of a core that the machine's host or other processes may take from a sample before it is dropped.
const disturbed = 0.20

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
	for _, t := range s.tracks {
		if t.server.Name == name && !t.twin {
			return t
		}
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
		r.Estimate = pairedRatio(&of.row, &over.row, MetricCPU, beyond95)
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
		over := s.track(m.plan.Reference)
		if over == nil || t.twin {
			continue
		}
		if !slices.ContainsFunc(all, func(r Ratio) bool { return r.Of == t.server.Name && r.Over == over.server.Name }) {
			add(t, over, nil)
		}
	}
	return all
}

// look finds out how precise a point is.
func (m *measuring) look(s *spot) {
	s.drop(m.plan.Mode == SideBySide)
	s.settled, s.lacking = true, 0
	for _, r := range m.ratios(s) {
		if r.Target != nil && r.Target.settled(&r.Estimate) {
			continue
		}
		width := r.HalfWidth() / m.o.Precision
		s.lacking = max(s.lacking, width)
		s.settled = s.settled && width <= 1
	}
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

// progress tells how far a point is.
func (m *measuring) progress(s *spot) {
	if m.watch.Progress == nil {
		return
	}
	what := fmt.Sprintf("turn %d", s.turns)
	if s.lacking > 0 && !math.IsInf(s.lacking, 1) {
		what += fmt.Sprintf(", within %.1f %%", 100*s.lacking*m.o.Precision)
	}
	m.watch.Progress(Progress{Plan: m.plan, Point: s.point.Label, What: what, Left: max(m.runner.o.Time-time.Since(m.runner.began), 0)})
}

// problem keeps one.
func (m *measuring) problem(point, server string, failure bool, text string) {
	p := Problem{Point: point, Server: server, Text: text, Failure: failure}
	if !slices.Contains(m.result.Problems, p) {
		m.result.Problems = append(m.result.Problems, p)
	}
}
