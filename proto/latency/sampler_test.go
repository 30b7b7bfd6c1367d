package latency

import (
	"math"
	"testing"
)

// TestDueOnceInAPeriod: the gaps average Period, stay within their bounds, and take all values, so that no client's rhythm is matched.
func TestDueOnceInAPeriod(t *testing.T) {
	for seed := range uint64(4) {
		var s Sampler
		s.Init(seed, Period)
		seen := map[int]int{}
		gap, calls := 0, 0
		const samples = 100_000
		for n := 0; n < samples; calls++ {
			gap++
			if s.Due() {
				seen[gap]++
				gap = 0
				n++
			}
		}
		if mean := float64(calls) / samples; math.Abs(mean-Period) > 0.5 {
			t.Errorf("seed %d: one call in %.2f is chosen, want %d", seed, mean, Period)
		}
		for g, n := range seen {
			if g <= Period/2 || g >= Period+Period/2 {
				t.Errorf("seed %d: %d gaps of %d calls", seed, n, g)
			}
		}
		if len(seen) != Period-1 {
			t.Errorf("seed %d: %d different gaps, want %d", seed, len(seen), Period-1)
		}
	}
}

// TestDueIsFairToAnyRhythm: each request of a client that repeats a round of 64 is chosen as often as any other.
func TestDueIsFairToAnyRhythm(t *testing.T) {
	var s Sampler
	s.Init(1, Period)
	var chosen [Period]int
	const rounds = 200_000
	for call := range rounds * Period {
		if s.Due() {
			chosen[call%Period]++
		}
	}
	for place, n := range chosen {
		if want := rounds / Period; n < want*9/10 || n > want*11/10 {
			t.Errorf("request %d of the round was chosen %d times, want about %d", place, n, want)
		}
	}
}

func TestSeedsDiffer(t *testing.T) {
	var a, b Sampler
	a.Init(0, Period)
	b.Init(1, Period)
	together, n := 0, 0
	for range 100_000 {
		inA, inB := a.Due(), b.Due()
		if inA {
			n++
		}
		if inA && inB {
			together++
		}
	}
	if together > n/10 {
		t.Errorf("of %d calls that one sampler chose the other chose %d", n, together)
	}
}

// TestZeroSampler: a Sampler that nobody prepared chooses all calls.
func TestZeroSampler(t *testing.T) {
	var s Sampler
	for call := range 1000 {
		if !s.Due() {
			t.Fatalf("call %d is not chosen", call)
		}
	}
}

// TestPublish: others see what was counted when it is published, not before, and it adds up over workers.
func TestPublish(t *testing.T) {
	var a, b Sampler
	var pa, pb Published
	sum := func(c Class) (h Histogram) {
		pa.AddTo(c, &h)
		pb.AddTo(c, &h)
		return h
	}
	a.Count(Get, 1000)
	a.Count(Get, 1000)
	a.Count(Store, 2_000_000_000)
	b.Count(Get, 70)
	if h := sum(Get); h.Count() != 0 || h.Sum != 0 {
		t.Errorf("%d samples are seen before they were published", h.Count())
	}
	a.Publish(&pa)
	b.Publish(&pb)
	h := sum(Get)
	if h.Count() != 3 || h.Sum != 2070 || h.Counts[bucket(1000)] != 2 || h.Counts[bucket(70)] != 1 {
		t.Errorf("get: %d samples, %d ns", h.Count(), h.Sum)
	}
	if h := sum(Store); h.Count() != 1 || h.Sum != 2_000_000_000 {
		t.Errorf("store: %d samples, %d ns", h.Count(), h.Sum)
	}
	for c := Delete; c < Classes; c++ {
		if h := sum(c); h.Count() != 0 {
			t.Errorf("%s: %d samples", Names[c], h.Count())
		}
	}
	a.Publish(&pa)
	a.Count(Get, 70)
	a.Publish(&pa)
	if h := sum(Get); h.Count() != 4 || h.Counts[bucket(70)] != 2 {
		t.Errorf("get: %d samples at the end", h.Count())
	}
}

// TestEveryBucketIsPublished: the bits that say what changed cover all buckets of all classes.
func TestEveryBucketIsPublished(t *testing.T) {
	var s Sampler
	var p Published
	for c := range Classes {
		for i := range Buckets {
			s.Count(c, bounds[i])
		}
	}
	s.Publish(&p)
	for c := range Classes {
		var h Histogram
		p.AddTo(c, &h)
		for i, n := range h.Counts {
			if n != 1 {
				t.Fatalf("%s: bucket %d has %d", Names[c], i, n)
			}
		}
	}
}

func TestNoAllocation(t *testing.T) {
	var s Sampler
	p := new(Published)
	ns := int64(1)
	if n := testing.AllocsPerRun(1000, func() {
		if s.Due() {
			s.Count(Get, ns)
		}
		ns += 977
		s.Count(Store, ns)
		s.Publish(p)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkDue(b *testing.B) {
	var s Sampler
	s.Init(1, Period)
	for b.Loop() {
		if s.Due() {
			s.Count(Get, 1000)
		}
	}
}
