package batch

import (
	"testing"
	"time"
)

func TestGather(t *testing.T) {
	now := time.Unix(1000, 0)
	g := gather{timeout: 50 * time.Microsecond, interval: 50 * time.Microsecond, last: now}
	turn := func(times int, n uint32, took time.Duration) {
		for range times {
			now = now.Add(took)
			g.reaped(n, now)
		}
	}
	if g.wait() != 1 {
		t.Errorf("at the start: %d", g.wait())
	}
	turn(100, 1, time.Millisecond)
	if g.wait() != 1 {
		t.Errorf("one in a millisecond: %d", g.wait())
	}
	turn(100, 8, 40*time.Microsecond) // one in 5 us: 10 are expected
	if w := g.wait(); w < 4 || w > 6 {
		t.Errorf("one in 5 us: %d", w)
	}
	turn(100, 64, 32*time.Microsecond) // one in 0.5 us
	if w := g.wait(); w < 40 || w > 60 {
		t.Errorf("one in 0.5 us: %d", w)
	}
	turn(1, 64, time.Hour)
	if w := g.wait(); w > 10 {
		t.Errorf("after a rest: %d", w)
	}
	turn(100, 1, 20*time.Microsecond) // 2.5 are expected
	if g.wait() != 1 {
		t.Errorf("one in 20 us: %d", g.wait())
	}
	turn(200, 1000, time.Microsecond)
	if w := g.wait(); w > gatherMost {
		t.Errorf("a thousand at once: %d", w)
	}
}

// TestGatherFew: clients that each wait for their answer are hardly ever kept waiting for others, who do not come.
func TestGatherFew(t *testing.T) {
	const turns, timeout, answer = 10_000, 50 * time.Microsecond, 11 * time.Microsecond
	for _, clients := range []int{1, 2, 3, 5} {
		start := time.Unix(1000, 0)
		now := start
		g := gather{timeout: timeout, interval: timeout, last: now}
		vain := 0
		for range turns {
			now = now.Add(answer)
			if g.wait() > clients {
				vain++
				now = now.Add(timeout - answer)
			}
			g.reaped(uint32(clients), now)
		}
		if vain > turns/100 {
			t.Errorf("%d clients: %d waits of %d were in vain", clients, vain, turns)
		}
	}
}
