package trial

import (
	"cmp"
	"context"
	"time"
)

// freshMax is how many turns a plan of fresh processes has at most where it does not say.
const freshMax = 50

// freshProcesses gives each server a trial at each point in each turn, with a new process, in an order that rotates: with each turn another point and
// another server is the first. It goes on until all points are as precise as asked or have had their turns, or the next turn would take too long.
func (m *measuring) freshProcesses(ctx context.Context) error {
	for turn := range cmp.Or(m.plan.MaxTurns, freshMax) {
		began := time.Now()
		settled := true
		for i := range m.spots {
			s := m.spots[(turn+i)%len(m.spots)]
			if s.settled {
				continue
			}
			s.turns++
			m.result.Turns++
			for j := range s.tracks {
				if err := m.trial(ctx, s.tracks[(turn+j)%len(s.tracks)]); err != nil {
					return err
				}
			}
			m.look(s)
			m.progress(s)
			s.settled = s.settled && len(m.ratios(s)) > 0 && turn+1 >= m.plan.MinTurns
			settled = settled && s.settled
		}
		took := time.Since(began)
		if settled || turn+1 >= m.plan.MinTurns && time.Now().Add(took).After(m.deadline) {
			return nil
		}
	}
	return nil
}

// mostAgain is how often a trial is made again in which others took much of a core.
const mostAgain = 2

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
	defer s.stop()
	if err == nil && s.load != nil {
		sample, err = s.measure(ctx, m.o.Trial)
	}
	if err == nil && s.load != nil && t.spot.turns == 1 {
		m.countSyscalls(ctx, s)
	}
	if err != nil && ctx.Err() == nil {
		s.blame(err)
	}
	sample.UserMemory, sample.KernelMemory = s.idle.user, s.idle.kernel
	return sample, err
}
