package trial

import (
	"cmp"
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

const (
	// minTurns is how many turns a point has at least, and maxTurns at most.
	minTurns, maxTurns = 8, 2000
	// leastTurns is how many it has if its time is over: fewer have no interval.
	leastTurns = 6
	// manyPasses is the part of a plan's time in which all its points are measured alike, onePass that where it suffices for one pass only. The rest
	// goes to those that need it.
	manyPasses, onePass = 0.6, 0.8
	// mostPasses is how often a point has new processes in it. Each is worth starting them for that long.
	mostPasses, worthStarting = 8, 5 * time.Second
)

// sideBySide measures the points, each for an equal part of the first 60 to 80 % of the time, in up to eight passes with new processes each, since
// where a process happens to lie in memory makes a difference too, which many short visits show as a dependence of successive turns. Then it goes
// back to those that are not as precise as asked: first to those that need least, so that as many as possible are precise in the end.
func (m *measuring) sideBySide(ctx context.Context) error {
	part, all := manyPasses, m.deadline.Sub(m.began)
	passes := int(min(max(part*float64(all/worthStarting)/float64(len(m.spots)), 1), mostPasses))
	if passes == 1 {
		part = onePass
	}
	end := m.began.Add(time.Duration(part * float64(all)))
	for left := passes * len(m.spots); left > 0; left-- {
		s := m.spots[(passes*len(m.spots)-left)%len(m.spots)]
		if s.turns >= m.plan.mostTurns() || s.dead() {
			continue
		}
		if err := m.visit(ctx, s, time.Until(end)/time.Duration(left)); err != nil {
			return err
		}
	}
	for {
		s, need := m.neediest()
		left := time.Until(m.deadline)
		if s == nil || left < 2*s.warm {
			return nil
		}
		if err := m.visit(ctx, s, min(need+s.warm, left)); err != nil {
			return err
		}
	}
}

// neediest is the point that lacks least of the precision that is asked for, among those that lack some, and how long it has to be measured for
// that: an interval narrows with the root of the time. Nobody is visited more than mostVisits times.
func (m *measuring) neediest() (least *spot, need time.Duration) {
	for _, s := range m.spots {
		if s.settled || s.dead() || s.visits >= mostVisits || s.turns >= m.plan.mostTurns() {
			continue
		}
		lacking := min(s.lacking, 10)
		if d := time.Duration(float64(s.spent) * max(1.2*lacking*lacking-1, 0.25)); least == nil || d < need {
			least, need = s, d
		}
	}
	return least, need
}

// mostVisits bounds how often servers are started for a point.
const mostVisits = 12

func (p *Plan) mostTurns() int { return cmp.Or(p.MaxTurns, maxTurns) }

// visit starts the servers of a point and lets the load move between them until the point is as precise as asked, or the time is over. What goes
// wrong with a server ends its part only; an error is that of the context.
func (m *measuring) visit(ctx context.Context, s *spot, share time.Duration) error {
	began := time.Now()
	s.visits++
	all, err := m.standAll(ctx, s)
	s.warm = time.Since(began)
	defer func() {
		for _, one := range all {
			one.stop()
		}
		s.spent += time.Since(began) - s.warm
	}()
	order := rand.New(rand.NewPCG(m.o.Seed, uint64(s.index)<<32|uint64(s.visits)))
	for turn, next := 1, minTurns; len(all) > 0 && err == nil; turn++ {
		if turn%2 == 1 {
			order.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		} else {
			slices.Reverse(all)
		}
		all, err = m.turn(ctx, s, all)
		if err == nil && s.turns >= m.plan.mostTurns() {
			m.look(s)
			m.progress(s)
			return nil
		}
		if late := time.Since(began) >= share; err == nil && turn%2 == 0 && (late || turn >= next) {
			if m.enough(s, turn, late) {
				return nil
			}
			next = turn + max(2, turn/8) // each look costs time, and is a chance to stop for a wrong reason
		}
	}
	return err
}

// standAll starts the servers of a point, and their loads. The caller stops them, also if there is an error.
func (m *measuring) standAll(ctx context.Context, s *spot) (all []*standing, err error) {
	for _, t := range s.tracks {
		if t.failed() || t.twin && s.visits > mostPasses {
			continue
		}
		one, err := m.stand(ctx, t, m.o.Seed+uint64(s.visits))
		if err == nil {
			m.countSyscalls(ctx, one)
			all = append(all, one)
			continue
		}
		if ctx.Err() == nil {
			one.blame(err)
		}
		if one.stop(); ctx.Err() != nil {
			return all, ctx.Err()
		}
	}
	return all, nil
}

// turn gives each server a slice, in their order. It returns those that go on.
func (m *measuring) turn(ctx context.Context, s *spot, all []*standing) ([]*standing, error) {
	s.turns++
	m.result.Turns++
	for _, one := range slices.Clone(all) {
		sample, err := one.measure(ctx, m.o.Slice)
		if ctx.Err() != nil {
			return all, ctx.Err()
		}
		if err != nil {
			one.blame(err)
			one.stop()
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
