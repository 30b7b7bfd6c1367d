package hotkeys

import (
	"fmt"
	"math"
	"sync"
	"testing"
)

// wantHottest checks that the keys are the n hottest of a Zipf load, in any order among those that are next to each other, and their counts within a
// part of what they should be.
func wantHottest(t *testing.T, r Report, n int, z *zipf, uses float64, within float64) {
	t.Helper()
	if len(r.Keys) != n {
		t.Fatalf("%d keys, want %d", len(r.Keys), n)
	}
	found := map[string]bool{}
	for _, k := range r.Keys {
		found[string(k.Name)] = true
	}
	for i := range n {
		if !found[string(name(i))] {
			t.Errorf("number %d of the hottest is missing: %v", i+1, r.Keys)
		}
	}
	total := z.upTo[len(z.upTo)-1]
	for place, k := range r.Keys {
		var i int
		if _, err := fmt.Sscanf(string(k.Name), "user:%d:profile", &i); err != nil {
			t.Fatalf("%q: %v", k.Name, err)
		}
		want := math.Pow(float64(i+1), -0.99) / total * uses
		if got := float64(k.Count); math.Abs(got/want-1) > within {
			t.Errorf("place %d, %s: count %d (error %d), want %.0f", place+1, k.Name, k.Count, k.Error, want)
		}
		if k.Error > k.Count {
			t.Errorf("%s: count %d, error %d", k.Name, k.Count, k.Error)
		}
	}
}

// TestZipf: the ten hottest of a Zipf 0.99 load over a million keys, which come to one worker or are spread over eight.
func TestZipf(t *testing.T) {
	for _, workers := range []int{1, 8} {
		c := clock{1}
		s := NewSet(64, c.now)
		var sketches []*Sketch
		for range workers {
			sketches = append(sketches, s.NewSketch())
		}
		z := newZipf(1, 1_000_000, 0.99)
		const samples = 400_000
		for i := range samples {
			sketches[i%workers].Offer(name(z.next()))
		}
		c.second += 20
		r := s.Report(10)
		wantHottest(t, r, 10, z, samples*64, 0.15)
		if r.Uses != samples*64 || r.Seconds != 20 {
			t.Errorf("%d uses in %d seconds", r.Uses, r.Seconds)
		}
	}
}

// TestZipfOfFewSamples: of 30 000 samples, which a server takes in a second or a minute, each of the ten hottest is found among the first fifteen.
func TestZipfOfFewSamples(t *testing.T) {
	c := clock{1}
	s := NewSet(64, c.now)
	sketches := []*Sketch{s.NewSketch(), s.NewSketch(), s.NewSketch(), s.NewSketch()}
	z := newZipf(2, 1_000_000, 0.99)
	for i := range 30_000 {
		sketches[i%4].Offer(name(z.next()))
	}
	found := map[string]uint64{}
	for _, k := range s.Top(15) {
		found[string(k.Name)] = k.Count
	}
	total := z.upTo[len(z.upTo)-1]
	for i := range 10 {
		want := math.Pow(float64(i+1), -0.99) / total * 30_000 * 64
		if got := float64(found[string(name(i))]); got < want/2 || got > want*2 {
			t.Errorf("number %d of the hottest: count %.0f, want %.0f", i+1, got, want)
		}
	}
}

// TestMerge: what one worker knows of a key adds up with what others know, and with what they may have forgotten.
func TestMerge(t *testing.T) {
	c := clock{1}
	s := NewSet(1, c.now)
	a, b := s.NewSketch(), s.NewSketch()
	for range 100 {
		a.Offer([]byte("both"))
		b.Offer([]byte("both"))
		a.Offer([]byte("only a"))
	}
	r := s.Report(5)
	if len(r.Keys) != 2 || string(r.Keys[0].Name) != "both" || r.Keys[0].Count != 200 || r.Keys[0].Error != 0 || r.Keys[1].Count != 100 || r.Keys[1].Error != 0 {
		t.Fatalf("got %v", r.Keys)
	}
	// b forgets: each of more keys than it has counters comes four times, so that any other key may have come as often as the smallest counter says.
	for range 4 {
		for i := range size {
			b.Offer(name(i))
		}
	}
	b.Offer([]byte("last"))
	r = s.Report(2)
	if string(r.Keys[0].Name) != "both" || r.Keys[0].Count != 200 || r.Keys[0].Error != 0 {
		t.Errorf("got %v", r.Keys[0])
	}
	if k := r.Keys[1]; string(k.Name) != "only a" || k.Count <= 100 || k.Count-k.Error != 100 {
		t.Errorf("got %v", k)
	}
}

// TestManyWorkers: a key that all workers have in the middle of their ranks is the hottest of all.
func TestManyWorkers(t *testing.T) {
	c := clock{1}
	s := NewSet(1, c.now)
	const workers, own = 32, 100
	for w := range workers {
		k := s.NewSketch()
		for i := range own {
			for range 20 {
				k.Offer(name(w*own + i))
			}
		}
		for range 15 {
			k.Offer([]byte("everywhere"))
		}
		for i := range 3 * size { // what comes once
			k.Offer(name(1_000_000 + w*3*size + i))
		}
	}
	r := s.Report(3)
	if k := r.Keys[0]; string(k.Name) != "everywhere" || k.Count < 15*workers || k.Count-k.Error > 15*workers {
		t.Errorf("got %v", r.Keys)
	}
}

// TestDecay: counts are halved every HalfLife, whoever notices, until what is not used any more is not shown; what is used now takes its place.
func TestDecay(t *testing.T) {
	c := clock{1}
	s := NewSet(1, c.now)
	busy, idle := s.NewSketch(), s.NewSketch()
	for range 1000 {
		busy.Offer([]byte("old"))
		idle.Offer([]byte("old"))
	}
	for _, step := range []struct {
		after   uint32
		want    uint64
		seconds uint32
	}{
		{HalfLife - 1, 2000, HalfLife - 1}, {1, 1000, HalfLife / 2}, {HalfLife / 2, 1000, HalfLife},
		{HalfLife / 2, 500, 22}, {2 * HalfLife, 126, 28}, // 1000 becomes 63, not 62: bounds are rounded outwards
	} {
		c.second += step.after
		if r := s.Report(1); len(r.Keys) != 1 || r.Keys[0].Count != step.want || r.Seconds != step.seconds {
			t.Errorf("at second %d: %v in %d seconds, want %d in %d", c.second, r.Keys, r.Seconds, step.want, step.seconds)
		}
	}
	for range 300 {
		busy.Offer([]byte("new"))
	}
	if got := s.Top(2); len(got) != 2 || string(got[0].Name) != "new" || got[0].Count != 300 {
		t.Errorf("got %v", got)
	}
	c.second += 1_000_000
	if r := s.Report(1); len(r.Keys) != 0 || r.Uses != 0 {
		t.Errorf("a million seconds later there are %v", r.Keys)
	}
}

// TestSteadyLoad: the rate of a steady load is count by seconds, at any time between two halvings.
func TestSteadyLoad(t *testing.T) {
	c := clock{1}
	s := NewSet(10, c.now)
	k := s.NewSketch()
	for range 400 {
		for range 50 {
			k.Offer([]byte("steady"))
		}
		c.second++
		r := s.Report(1)
		if rate := float64(r.Keys[0].Count) / float64(r.Seconds); rate < 450 || rate > 550 {
			t.Fatalf("at second %d: %.0f a second, want 500 (%d in %d)", c.second, rate, r.Keys[0].Count, r.Seconds)
		}
		if r.Seconds >= 2*HalfLife {
			t.Fatalf("counts stand for %d seconds", r.Seconds)
		}
	}
}

// TestEvenLoadHasNoHotKeys: where all keys are used alike, and none twice, none is shown as hot.
func TestEvenLoadHasNoHotKeys(t *testing.T) {
	c := clock{1}
	s := NewSet(1, c.now)
	k := s.NewSketch()
	for i := range 100_000 {
		k.Offer(name(i))
	}
	if got := s.Top(10); len(got) > 0 {
		t.Errorf("got %v", got)
	}
	if got := NewSet(1, c.now).Top(10); len(got) > 0 {
		t.Errorf("of nothing: %v", got)
	}
}

// TestReportWhileWorkersCount is for the race detector; what is counted and not lost adds up.
func TestReportWhileWorkersCount(t *testing.T) {
	c := clock{1}
	s := NewSet(1, c.now)
	var workers, reader sync.WaitGroup
	done := make(chan struct{})
	for w := range 4 {
		k := s.NewSketch()
		workers.Go(func() {
			for i := range 20_000 {
				k.Offer(name(i % (100 * (w + 1))))
			}
		})
	}
	reader.Go(func() {
		for {
			for _, k := range s.Top(10) {
				if k.Error > k.Count || len(k.Name) == 0 {
					t.Errorf("got %v", k)
				}
			}
			select {
			case <-done:
				return
			default:
			}
		}
	})
	workers.Wait()
	close(done)
	reader.Wait()
	var samples uint64
	for _, k := range s.sketches {
		samples += k.samples
	}
	if r := s.Report(1); r.Uses != samples || samples == 0 || samples > 80_000 {
		t.Errorf("%d uses, counted %d", r.Uses, samples)
	}
}
