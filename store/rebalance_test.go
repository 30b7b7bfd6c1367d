package store

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// replayRate is how many requests there are in a second of the store's clock.
const replayRate = 6000

// sized is a request of a read-through trace: a get, and a set of size bytes of key, suffix and value if that missed.
type sized struct{ key, size int }

// sizedTrace is a trace over items of many sizes, for a store of limit bytes.
type sizedTrace struct {
	name           string
	limit          int64
	warmup, counts int                      // requests
	requests       func() func(i int) sized // in order
}

// mixOf draws the size of a key, which has nothing to do with its popularity: many small ones, few that are large.
func mixOf(key int) int {
	x := uint64(key)*0x9e3779b97f4a7c15 + 1
	x ^= x >> 29
	x *= 0xbf58476d1ce4e5b9
	switch at := x >> 32 % 100; {
	case at < 45:
		return 120
	case at < 70:
		return 250
	case at < 85:
		return 600
	case at < 95:
		return 1500
	}
	return 6000
}

const mixMean = 656 // bytes

func mixed(mib int64) sizedTrace {
	keys := int(mib * 10 << 20 / (mixMean * 115 / 100))
	return sizedTrace{fmt.Sprintf("mixed sizes, %d MiB", mib), mib << 20, keys * 5 / 2, keys * 3 / 2, func() func(int) sized {
		r, z := rand.New(rand.NewPCG(1, 2)), newZipf(keys, 0.99)
		return func(int) sized { k := z.draw(r); return sized{k, mixOf(k)} }
	}}
}

// shiftingSizes has small items for a while, then large ones with a few small, and small ones again.
func shiftingSizes() sizedTrace {
	const part = 300_000
	return sizedTrace{"small, large, small", 16 << 20, 0, 3 * part, func() func(int) sized {
		r, small, large := rand.New(rand.NewPCG(3, 4)), newZipf(400_000, 0.99), newZipf(40_000, 0.99)
		return func(i int) sized {
			if i/part == 1 {
				return sized{1_000_000 + large.draw(r), 3000}
			}
			return sized{small.draw(r), 200}
		}
	}}
}

// hotAndCold has a few large items that are asked for often, and many small ones that are hardly ever asked for twice.
func hotAndCold() sizedTrace {
	return sizedTrace{"few hot, many cold", 16 << 20, 300_000, 600_000, func() func(int) sized {
		r := rand.New(rand.NewPCG(5, 6))
		return func(int) sized {
			if r.IntN(10) == 0 {
				return sized{r.IntN(1000), 4000}
			}
			return sized{1000 + r.IntN(4_000_000), 300}
		}
	}}
}

// hotSmall is the same with the sizes exchanged.
func hotSmall() sizedTrace {
	return sizedTrace{"few hot small, many cold large", 16 << 20, 300_000, 600_000, func() func(int) sized {
		r := rand.New(rand.NewPCG(7, 8))
		return func(int) sized {
			if r.IntN(10) != 0 {
				return sized{r.IntN(20_000), 300}
			}
			return sized{20_000 + r.IntN(400_000), 4000}
		}
	}}
}

// run replays the trace on a new store, a quarter of it where each request takes long.
func (t sizedTrace) run(tb testing.TB, automove int) (hits float64, n Stats) {
	if invariants {
		t.warmup, t.counts = t.warmup/4, t.counts/4
	}
	s := open(tb, Config{Limit: t.limit, ItemMax: 1 << 20, Factor: 1.25, ChunkMin: 48, Seed: 1})
	s.SetAutomove(automove)
	hits = t.replay(s)
	return hits, s.Stats()
}

// replay puts the trace to a store and returns the part of hits among what counts.
func (t *sizedTrace) replay(s *Store) float64 {
	value := make([]byte, 1<<20)
	next, hits := t.requests(), 0
	for i := range t.warmup + t.counts {
		if i%replayRate == 0 {
			s.SetNow(firstSecond + uint32(i/replayRate))
		}
		r := next(i)
		key := fmt.Appendf(nil, "i%019d", r.key)
		e := s.Lock(key, s.Hash(key))
		hit := e.Item().Valid()
		if hit {
			e.MarkUsed()
		}
		e.Unlock()
		if hit {
			if i >= t.warmup {
				hits++
			}
			continue
		}
		put(s, key, value[:r.size-len(key)+2])
	}
	return float64(hits) / float64(t.counts)
}

// BenchmarkSizes shows how well pages are divided between the classes: the hits of each trace in percent, and those while pages stay where they
// are. There is no chance in it: run it with -benchtime 1x.
func BenchmarkSizes(b *testing.B) {
	for _, t := range []sizedTrace{mixed(4), mixed(8), mixed(16), mixed(64), shiftingSizes(), hotAndCold(), hotSmall()} {
		b.Run(t.name, func(b *testing.B) {
			for b.Loop() {
				still, _ := t.run(b, AutomoveOff)
				hits, n := t.run(b, AutomoveCareful)
				b.ReportMetric(100*still, "%hits-still")
				b.ReportMetric(100*hits, "%hits")
				b.ReportMetric(float64(n.PagesMoved), "moves")
				b.ReportMetric(float64(n.MoveEvicted), "move-evicted")
				b.ReportMetric(0, "ns/op")
			}
		})
	}
}

// TestMovesPay: however sizes are mixed, moving pages gives more hits than leaving them where they are, or hardly fewer where they are right.
func TestMovesPay(t *testing.T) {
	tests := []struct {
		trace sizedTrace
		gain  float64 // of hits among requests, at least
	}{
		{hotSmall(), 0.1},
		{mixed(8), 0.01},
		{shiftingSizes(), 0.02},
		{hotAndCold(), -0.003},
	}
	if invariants {
		tests = tests[:1] // the checks take their time, and none of the others does anything else
	}
	for _, test := range tests {
		t.Run(test.trace.name, func(t *testing.T) {
			without, n := test.trace.run(t, AutomoveOff)
			with, m := test.trace.run(t, AutomoveCareful)
			t.Logf("%.2f %% hits with %d moves, %.2f %% with %d", 100*with, m.PagesMoved, 100*without, n.PagesMoved)
			if with < without+test.gain {
				t.Errorf("hits go from %.2f %% to %.2f %%", 100*without, 100*with)
			}
		})
	}
}

// TestFewerPagesThanSizes: classes share pages then, and hit nearly as much as when there are enough.
func TestFewerPagesThanSizes(t *testing.T) {
	few, enough := mixed(4), mixed(8)
	hits, n := few.run(t, AutomoveCareful)
	more, _ := enough.run(t, AutomoveCareful)
	t.Logf("%.2f %% hits with %d moves, %.2f %% in twice the memory with twice the keys", 100*hits, n.PagesMoved, 100*more)
	if hits < more-0.05 || n.PagesMoved > 20 || n.OutOfMemory > 0 {
		t.Errorf("%.2f %% hits, not near %.2f %%; %d pages moved, %d times out of memory", 100*hits, 100*more, n.PagesMoved, n.OutOfMemory)
	}
}

// evictKeys notes the eviction of n keys, from the number first on.
func evictKeys(c *class, first, n uint64) {
	for i := range n {
		c.shadow.noteEviction(c, hashOf(first+i))
	}
}

// hashOf spreads a number over 64 bits.
func hashOf(n uint64) uint64 { return (n + 1) * 0x9e3779b97f4a7c15 }

// TestShadowIsAPageDeep: what comes back counts if fewer items than fit into a page were evicted after it.
func TestShadowIsAPageDeep(t *testing.T) {
	c := &class{perPage: 100}
	for _, test := range []struct {
		after uint64
		want  uint32
	}{{0, 1}, {50, 1}, {99, 1}, {101, 0}, {300, 0}} {
		c.shadow = shadow{keys: evictedKeys{slots: new(evictedTable)}}
		evictKeys(c, 0, 1)
		c.shadow.keys.clock.Add(uint32(test.after))
		for range 2 { // it comes back once
			c.shadow.noteReturn(c, hashOf(0))
		}
		c.shadow.noteReturn(c, hashOf(1000)) // was never there
		if got := c.shadow.returned.Load(); got != test.want {
			t.Errorf("after %d evictions more %d items came back, want %d", test.after, got, test.want)
		}
	}
}

// TestShadowSamples: of a class with many chunks to a page a part of the keys stands for all.
func TestShadowSamples(t *testing.T) {
	const page = 8192
	c := &class{perPage: page, shadowShift: sampleShift(page, shadowSample), shadow: shadow{keys: evictedKeys{slots: new(evictedTable)}}}
	evictKeys(c, 0, 2*page)
	for i := range uint64(2 * page) {
		c.shadow.noteReturn(c, hashOf(i))
	}
	if got := c.shadow.returned.Load(); got < page*3/4 || got > page*5/4 {
		t.Errorf("%d items came back, want about %d of %d", got, page, 2*page)
	}
	before := c.shadow.returned.Load()
	c.shadow.halveReturns()
	if got := c.shadow.returned.Load(); got != before/2 {
		t.Errorf("half of %d is %d", before, got)
	}
}
