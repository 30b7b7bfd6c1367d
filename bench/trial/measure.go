package trial

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"ringcached/bench/load"
	"ringcached/bench/sut"
)

const (
	// minTurns is how many turns a point has at least side by side, and maxTurns at most; freshMax the most of fresh processes.
	minTurns, maxTurns, freshMax = 8, 2000, 50
	// leastTurns is how many it has if its time is over: fewer have no interval.
	leastTurns = 6
	// mostAgain is how often a trial of a fresh process is made again in which others took much of a core.
	mostAgain = 2
)

// measuring is a plan under way.
type measuring struct {
	*runner
	plan     *Plan
	o        Options // the run's, as far as the plan does not say otherwise
	result   *Result
	spots    []*spot
	began    time.Time
	deadline time.Time // of the plan's share
	known    []Problem // that do not follow from samples
	stale    bool      // points were measured after the result was worked out
	told     bool      // the result is final
}

// spot is a point under way.
type spot struct {
	index   int
	point   *Point
	tracks  []*track // one for each server that can take part, and one for the twin of the first
	turns   int
	visits  int           // with servers that stand side by side
	settled bool          // it is as precise as asked
	lacking float64       // the widest interval, in terms of what was asked for
	wide    []float64     // those that are wider than asked, likewise, the narrowest first
	spent   time.Duration // in turns
	// starting and stopping are how long it took, the last time, to start all servers and to stop them.
	starting, stopping time.Duration
}

// track is a row under way.
type track struct {
	spot     *spot
	server   *Server
	twin     bool // a second process of the first server
	row      Row
	latency  *hdrhistogram.Histogram
	failures []string
	less     string // why there was less than asked for beside its load, of the last time; empty: there was not
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
		t.row.Threads = cmp.Or(s.point.Threads, m.o.Servers.Threads)
	}
	return t
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

// dead reports that nothing is left to compare.
func (s *spot) dead() bool {
	return !slices.ContainsFunc(s.tracks, func(t *track) bool { return !t.failed() && !t.twin })
}

// done reports that a point has had all its turns, or nothing is left to compare.
func (m *measuring) done(s *spot) bool {
	return s.turns >= cmp.Or(m.plan.MaxTurns, maxTurns) || s.dead()
}

// visit measures a point once more, for about as long as share: the load moves between servers until the point is as precise as asked, or fresh
// processes have another turn. An error is that of the context.
func (m *measuring) visit(ctx context.Context, s *spot, share time.Duration) error {
	if m.plan.Mode == FreshProcesses {
		return m.freshTurn(ctx, s)
	}
	began := time.Now()
	s.visits++
	all, err := m.standAll(ctx, s)
	s.starting = time.Since(began)
	if err == nil {
		all, err = m.moveBetween(ctx, s, all, began.Add(share-s.stopping))
	}
	ended := time.Now()
	s.spent += ended.Sub(began) - s.starting
	for _, one := range all {
		one.end(ctx, nil)
	}
	s.stopping = time.Since(ended)
	return err
}

// moveBetween lets the load move between the servers of a point until it is as precise as asked, or the time is over. What goes wrong with a server
// ends its part only. It returns those that are left.
func (m *measuring) moveBetween(ctx context.Context, s *spot, all []*standing, until time.Time) (_ []*standing, err error) {
	order := rand.New(rand.NewPCG(m.o.Seed, uint64(s.index)<<32|uint64(s.visits)))
	for turn, next := 1, minTurns; len(all) > 0 && err == nil; turn++ {
		if turn%2 == 1 {
			order.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		} else {
			slices.Reverse(all)
		}
		all, err = m.turn(ctx, s, all)
		if err == nil && s.turns >= cmp.Or(m.plan.MaxTurns, maxTurns) {
			m.look(s)
			m.progress(s)
			return all, nil
		}
		if late := !time.Now().Before(until); err == nil && turn%2 == 0 && (late || turn >= next) {
			if m.enough(s, turn, late) {
				return all, nil
			}
			next = turn + max(2, turn/8) // each look costs time, and is a chance to stop for a wrong reason
		}
	}
	return all, err
}

// standAll starts the servers of a point, and their loads. The caller stops them, also if there is an error.
func (m *measuring) standAll(ctx context.Context, s *spot) (all []*standing, err error) {
	for _, t := range s.tracks {
		if t.failed() {
			continue
		}
		one, err := m.stand(ctx, t, m.o.Seed+uint64(s.visits))
		if err == nil {
			m.countSyscalls(ctx, one)
			all = append(all, one)
		} else if one.end(ctx, err); ctx.Err() != nil {
			break
		}
	}
	return all, ctx.Err()
}

// turn gives each server a slice, in their order. It returns those that go on. One that is cut short is no turn.
func (m *measuring) turn(ctx context.Context, s *spot, all []*standing) ([]*standing, error) {
	s.turns++
	m.result.Turns++
	for _, one := range slices.Clone(all) {
		sample, err := one.measure(ctx, m.o.Slice)
		if ctx.Err() != nil {
			s.turns--
			m.result.Turns--
			return all, ctx.Err()
		}
		if err != nil {
			one.end(ctx, err)
			all = slices.DeleteFunc(all, func(other *standing) bool { return other == one })
			continue
		}
		sample.Turn = s.turns
		one.track.row.Samples = append(one.track.row.Samples, sample)
	}
	return all, nil
}

// enough reports that a visit may end after an even number of turns. If its time is over it goes on only until there are intervals.
func (m *measuring) enough(s *spot, turns int, late bool) bool {
	if turns < max(minTurns, m.plan.MinTurns) && !(late && turns >= leastTurns) {
		return false
	}
	m.progress(s)
	m.look(s)
	if late {
		return !math.IsInf(s.lacking, 1) || turns >= 2*minTurns
	}
	return s.settled
}

// freshTurn gives each server a trial at a point, with a new process, in an order that rotates. One that is cut short
// is no turn.
func (m *measuring) freshTurn(ctx context.Context, s *spot) error {
	began, first := time.Now(), s.turns
	s.turns++
	m.result.Turns++
	for j := range s.tracks {
		if err := m.trial(ctx, s.tracks[(first+j)%len(s.tracks)]); err != nil {
			s.turns--
			m.result.Turns--
			return err
		}
	}
	s.spent += time.Since(began)
	m.look(s)
	m.progress(s)
	return nil
}

// trial gives a server one, and another while there is time if it was disturbed: the least disturbed counts. An error is that of the context.
func (m *measuring) trial(ctx context.Context, t *track) error {
	var best *Sample
	for again := 0; again <= mostAgain && !t.failed(); again++ {
		sample, err := m.tryOnce(ctx, t)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			break
		}
		if best == nil || sample.disturbance() < best.disturbance() {
			best = &sample
		}
		if !sample.Disturbed() || t.spot.point.Idle > 0 || time.Until(m.deadline) < m.deadline.Sub(m.began)/2 {
			break
		}
	}
	if best != nil && !t.failed() {
		best.Turn = t.spot.turns
		t.row.Samples = append(t.row.Samples, *best)
	}
	return nil
}

// tryOnce starts the server, warms it up, measures and stops it. What goes wrong ends the server's part in the point.
func (m *measuring) tryOnce(ctx context.Context, t *track) (sample Sample, err error) {
	s, err := m.stand(ctx, t, m.o.Seed+uint64(t.spot.turns))
	defer func() { s.end(ctx, err) }()
	if err == nil && s.load != nil {
		if sample, err = s.measure(ctx, m.o.Trial); err == nil && t.spot.turns == 1 {
			m.countSyscalls(ctx, s)
		}
	}
	sample.UserMemory, sample.KernelMemory = s.idle.user, s.idle.kernel
	return sample, err
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
	m.watch.Progress(Progress{Plan: m.plan, Point: s.point.Label, What: what, Left: max(time.Until(m.over), 0)})
}

// problem keeps one that does not follow from samples.
func (m *measuring) problem(point, server string, failure bool, text string) {
	m.known = append(m.known, Problem{Point: point, Server: server, Text: text, Failure: failure})
	m.follows(point, server, failure, text)
}

// follows keeps a problem that follows from samples.
func (m *measuring) follows(point, server string, failure bool, text string) {
	p := Problem{Point: point, Server: server, Text: text, Failure: failure}
	if !slices.Contains(m.result.Problems, p) {
		m.result.Problems = append(m.result.Problems, p)
	}
}
