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

func sizedTraces() []sizedTrace {
	return []sizedTrace{mixed(4), mixed(8), mixed(16), mixed(64), shiftingSizes(), hotAndCold(), hotSmall()}
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
		e := s.Lock(key, Hash(key))
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

// BenchmarkSizes shows how well pages are divided between the classes: the hits of each trace in percent. Once is enough, it has no chance in it.
func BenchmarkSizes(b *testing.B) {
	for _, t := range sizedTraces() {
		b.Run(t.name, func(b *testing.B) {
			for b.Loop() {
				s := open(b, Config{Limit: t.limit, ItemMax: 1 << 20, Factor: 1.25, ChunkMin: 48})
				hits := t.replay(s)
				n := s.Stats()
				b.ReportMetric(100*hits, "%hits")
				b.ReportMetric(float64(n.PagesMoved), "moves")
				b.ReportMetric(float64(n.MoveEvicted), "move-evicted")
				b.ReportMetric(0, "ns/op")
			}
		})
	}
}
