package trial

import (
	"math"
	"math/rand/v2"
	"testing"
)

// noisyRatios simulates a comparison as the engine makes it: two servers in turns of mirrored order, whose slices cost ratio to 1, with noise of each
// slice, a drift of the machine, stretches in which others disturb slices, and a slow wander of the difference between the two.
type noisyRatios struct {
	ratio    float64
	turns    int
	noise    float64 // standard deviation of a slice's logarithm
	tails    int     // degrees of freedom of its t distribution, the fewer the heavier its tails; 0: it is a normal one
	drift    float64 // of the machine, over the whole, in logarithm
	bursts   float64 // how probable a slice is disturbed
	burst    float64 // by how much
	wander   float64 // standard deviation of the difference's slow part
	persists float64 // its correlation from turn to turn
	visits   int     // of as many turns each, between which it is another; 0: one
}

func (n *noisyRatios) draw(r *rand.Rand) (ratios []float64) {
	slow := r.NormFloat64() * n.wander
	aFirst := false
	for turn := range n.turns {
		if n.visits > 0 && turn%(n.turns/n.visits) == 0 {
			slow = r.NormFloat64() * n.wander
		}
		if turn%2 == 0 {
			aFirst = r.IntN(2) == 0
		} else {
			aFirst = !aFirst
		}
		slow = n.persists*slow + math.Sqrt(1-n.persists*n.persists)*n.wander*r.NormFloat64()
		slice := func(place int) float64 {
			x := n.slice(r)*n.noise + n.drift*(float64(2*turn+place)/float64(2*n.turns))
			if r.Float64() < n.bursts {
				x += n.burst * r.ExpFloat64()
			}
			return x
		}
		x, y := slice(0), slice(1)
		if !aFirst {
			x, y = y, x
		}
		ratios = append(ratios, n.ratio*math.Exp(x-y+slow))
	}
	return ratios
}

// slice is the noise of one, with a variance of 1.
func (n *noisyRatios) slice(r *rand.Rand) float64 {
	x, squares := r.NormFloat64(), 0.0
	for range n.tails {
		y := r.NormFloat64()
		squares += y * y
	}
	if n.tails > 0 {
		x *= math.Sqrt(float64(n.tails-2) / squares)
	}
	return x
}

// held is the part of the tries in which an interval of 95 % holds the truth.
func (n *noisyRatios) held(r *rand.Rand, tries int) float64 {
	held := 0
	for range tries {
		if e := estimate(n.draw(r), Beyond95); e.Low <= n.ratio && n.ratio <= e.High {
			held++
		}
	}
	return float64(held) / float64(tries)
}

var noises = map[string]noisyRatios{
	"quiet":           {turns: 16, noise: 0.02},
	"few turns":       {turns: 8, noise: 0.02},
	"heavy tails":     {turns: 8, noise: 0.06, tails: 3},
	"twelve turns":    {turns: 12, noise: 0.06, tails: 3},
	"drift":           {turns: 24, noise: 0.02, drift: 0.3},
	"bursts of steal": {turns: 24, noise: 0.02, bursts: 0.15, burst: 0.4},
	"autocorrelated":  {turns: 100, noise: 0.01, wander: 0.01, persists: 0.7},
	"many turns":      {turns: 60, noise: 0.03, bursts: 0.05, burst: 1, drift: -0.1},
}

// TestIntervalsCover compares a server with itself, and one with another that is 3 % slower, on noisy machines: 95 % intervals hold the truth.
func TestIntervalsCover(t *testing.T) {
	const tries = 600
	for name, n := range noises {
		for _, truth := range []float64{1, 1.03} {
			r := rand.New(rand.NewPCG(15, uint64(n.turns)))
			n.ratio = truth
			least := 0.925
			if n.wander > 0 { // how far it wanders is known less well than how noisy slices are
				least = 0.88
			}
			part := n.held(r, tries)
			t.Logf("%s, %d turns: %.1f %% of the intervals hold %.2f", name, n.turns, 100*part, truth)
			if part < least || part > 0.99 {
				t.Errorf("%s: %.1f %% of the intervals hold %.2f", name, 100*part, truth)
			}
		}
	}
}

// TestMoreTurnsInOneVisit: they do not make up for states of the machine, which last longer. With a tenth of the variance in what persists at 0.9
// from turn to turn, intervals of 8 to 24 successive turns hold the truth about as often as those of as many turns of a long run on the developers'
// machine hold that of the whole run (docs/measurements.md). So a point needs no more than minTurns at once; it is visits far apart that help.
func TestMoreTurnsInOneVisit(t *testing.T) {
	const tries = 3000
	held := func(turns, visits int) float64 {
		n := noisyRatios{ratio: 1, turns: turns, noise: 0.06, tails: 3, wander: 0.028, persists: 0.9, visits: visits}
		part := n.held(rand.New(rand.NewPCG(8, uint64(turns))), tries)
		t.Logf("%d turns in %d visits: %.1f %%", turns, visits, 100*part)
		return part
	}
	eight, twelve, one, three := held(8, 1), held(12, 1), held(24, 1), held(24, 3)
	if eight < 0.85 || twelve > eight+0.01 || one > twelve || three < one+0.05 {
		t.Errorf("8 turns %.3f, 12 %.3f, 24 %.3f, 24 in three visits %.3f", eight, twelve, one, three)
	}
}

// TestThreePercentAreFound: a server that is 3 % slower is told from its twin, one that is not slower is not. Noise is what the developers' machine
// has.
func TestThreePercentAreFound(t *testing.T) {
	const tries = 500
	for _, c := range []struct {
		truth       float64
		least, most float64 // part of the tries in which the interval excludes 1
	}{{1.03, 0.95, 1}, {1, 0, 0.07}} {
		r := rand.New(rand.NewPCG(3, 15))
		n := noisyRatios{ratio: c.truth, turns: 60, noise: 0.03, bursts: 0.05, burst: 0.5, drift: 0.1}
		found := 0
		for range tries {
			ratio := Ratio{Estimate: estimate(n.draw(r), 0.025)}
			if ratio.Certain() {
				found++
			}
		}
		if part := float64(found) / tries; part < c.least || part > c.most {
			t.Errorf("a ratio of %.2f is told from 1 in %.1f %% of the tries", c.truth, 100*part)
		}
	}
}

// TestStoppingEarlyKeepsTheLevel stops as a point does, when the interval is narrow enough: intervals hold 1 hardly less often.
func TestStoppingEarlyKeepsTheLevel(t *testing.T) {
	const tries = 300
	r := rand.New(rand.NewPCG(1, 2))
	n := noisyRatios{ratio: 1, turns: 200, noise: 0.03, bursts: 0.05, burst: 0.5}
	held, narrow := 0, 0
	for range tries {
		all := n.draw(r)
		var e Estimate
		for turns := minTurns; turns <= len(all); turns += 2 {
			if e = estimate(all[:turns], 0.025); e.HalfWidth() <= 0.02 {
				narrow++
				break
			}
		}
		if e.Low <= 1 && 1 <= e.High {
			held++
		}
	}
	if part := float64(held) / tries; part < 0.92 || narrow < tries*9/10 {
		t.Errorf("%.1f %% of the intervals hold 1, %d of %d became narrow", 100*part, narrow, tries)
	}
}

// TestQuantiles compares with published tables.
func TestQuantiles(t *testing.T) {
	if got := NormalQuantile(0.025); math.Abs(got-1.959964) > 1e-6 {
		t.Errorf("normal: %f", got)
	}
	// Wilcoxon's T in two-sided tests of 5 % (Wilcoxon and Wilcox 1964), less than which is rejected.
	for n, want := range map[int]int{5: -1, 6: 0, 8: 3, 10: 8, 20: 52, 50: 434} {
		if got := signedRankQuantile(n, 0.025); got != want {
			t.Errorf("signed rank of %d: %d, want %d", n, got, want)
		}
	}
	if exact, normal := signedRankQuantile(50, 0.025), 50*51/4-int(1.96*math.Sqrt(50*51*101/24.0)); math.Abs(float64(exact-normal)) > 3 {
		t.Errorf("signed rank of 50: %d, by the normal distribution %d", exact, normal)
	}
}

func TestEstimateOfFewValues(t *testing.T) {
	if e := estimate(nil, 0.025); e.Known() || e.Samples != 0 {
		t.Errorf("of nothing: %+v", e)
	}
	if e := estimate([]float64{0.5}, 0.025); e.Known() || e.Value != 0.5 || !math.IsInf(e.HalfWidth(), 1) {
		t.Errorf("of one: %+v", e)
	}
	if e := estimate([]float64{1, 2, 4, 8, 16}, 0.025); e.Known() || math.Abs(e.Value-4) > 1e-9 || e.Samples != 5 {
		t.Errorf("of five: %+v", e)
	}
	if e := estimate([]float64{1, 2, 4, 8, 16, 6000}, 0.025); e.Low != 1 || math.Abs(e.High-6000) > 0.1 || e.Value > 16 {
		t.Errorf("of six: %+v", e)
	}
	if e := estimate([]float64{1, 2, 4, 8, 16, 6000}, 0.001); e.Low >= 1 || e.High <= 6000 || !e.Known() {
		t.Errorf("of six, 99.8 %%: %+v", e)
	}
	if e := estimate([]float64{1, 2, 4, 8, 16}, 0.001); e.Known() {
		t.Errorf("of five, 99.8 %%: %+v", e)
	}
}
