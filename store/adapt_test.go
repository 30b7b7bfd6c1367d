package store

import (
	"container/list"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// adapting is a class of a thousand items, of which none is in memory.
func adapting() *class {
	c := &class{items: 1000}
	c.adapted.keys.slots = new(evictedTable)
	return c
}

// evictions notes n evictions after probation and n by the hand; what returns says comes back at once.
func evictions(c *class, n int, returns chooser) {
	for i := range n {
		for by := range choosers {
			hash := hashOf(uint64(i)<<1 | uint64(by))
			c.adapted.noteEviction(c, hash, by)
			if by == returns {
				c.adapted.noteReturn(c, hash)
			}
		}
	}
}

// TestKeptFollowsReturns: more is kept after probation while that is what comes back, and nothing while it is what the hand evicts, or nothing is.
func TestKeptFollowsReturns(t *testing.T) {
	c := adapting()
	for round := range 2 {
		evictions(c, 2000, afterProbation)
		if got := c.adapted.kept; got != keptMost {
			t.Errorf("round %d: %d of %d kept, want %d", round, got, keptAll, keptMost)
		}
		evictions(c, 4000, []chooser{byHand, choosers}[round])
		if got := c.adapted.kept; got != 0 {
			t.Errorf("round %d: %d of %d kept, want none", round, got, keptAll)
		}
	}
}

// TestReturnsInTime: what comes back after more evictions than are soon does not count.
func TestReturnsInTime(t *testing.T) {
	for _, late := range []bool{false, true} {
		c := adapting()
		evictions(c, 1000, choosers) // so that it is known what is soon
		before := c.adapted.returned[byHand]
		c.adapted.noteEviction(c, hashOf(1<<40), byHand)
		for i := range uint64(c.adapted.soon.Load()) + 1 {
			if !late && i == 2 {
				break
			}
			c.adapted.keys.clock.Add(1)
		}
		for range 2 { // once
			c.adapted.noteReturn(c, hashOf(1<<40))
		}
		if got := c.adapted.returned[byHand] - before; (got == 1) == late || got > 1 {
			t.Errorf("late %v: %v came back", late, got)
		}
	}
}

// TestKeepsItsPart: as many are kept as kept says, evenly.
func TestKeepsItsPart(t *testing.T) {
	for _, kept := range []uint32{0, keptAll / 4, keptAll / 2, keptMost} {
		a := adaptation{kept: kept}
		n := 0
		for i := range keptAll {
			if a.keeps() {
				n++
			}
			if even := (i + 1) * int(kept) / keptAll; n != even {
				t.Fatalf("of %d items %d were kept, want %d", i+1, n, even)
			}
		}
	}
}

// TestSettledUses: an item settles without its uses, unless new items are used as often as is counted.
func TestSettledUses(t *testing.T) {
	var a adaptation
	for _, test := range []struct {
		uses uint32
		want uint32
	}{{recencyOne, stateProbation | recencyMax}, {recencyMax, stateProbation}, {2 * recencyOne, stateProbation | recencyMax}} {
		var got uint32
		for range 10 << usesFade {
			got = a.settles(test.uses | stateLinked)
			a.settles(stateLinked) // one that nobody used says nothing
		}
		if got != test.want {
			t.Errorf("uses %d: loses %#x, want %#x", test.uses/recencyOne, got, test.want)
		}
	}
}

// popular stores what it does not find of n requests by Zipf's law, where the ranks are moved by so many keys, and returns the hits.
func (f trial) popular(t *testing.T, r *rand.Rand, z zipf, n, moved int) (hits int) {
	for range n {
		key := fmt.Sprintf("%07d", (z.draw(r)+moved)%len(z))
		if _, ok := get(f.Store, key); ok {
			hits++
		} else {
			f.set(t, key)
		}
	}
	return hits
}

// TestProbationAdapts: while popularity stays, next to nothing is kept that was not used on probation. When it moves all at once most is, and that
// makes for more hits than a probation that does not adapt.
func TestProbationAdapts(t *testing.T) {
	const keys, stays, moves = 50_000, 200_000, 25_000
	var hits [2]int
	for i, adapts := range []bool{true, false} {
		f := fullOfOne(t, small)
		f.value = strings.Repeat("v", 950)
		r, z := rand.New(rand.NewPCG(3, 4)), newZipf(keys, 0.99)
		steady := func() {
			f.popular(t, r, z, stays, 0)
			if got := f.c.adapted.kept; got > keptAll/5 {
				t.Errorf("popularity stays: %d of %d kept", got, keptAll)
			}
		}
		steady()
		most := uint32(0)
		for phase := range 8 {
			for range 5 {
				if !adapts {
					f.c.adapted.kept, f.c.adapted.since = 0, 0
				}
				hits[i] += f.popular(t, r, z, moves/5, (phase+1)*keys/8)
				most = max(most, f.c.adapted.kept)
			}
		}
		if adapts {
			if most < keptAll/2 {
				t.Errorf("popularity moves: at most %d of %d kept", most, keptAll)
			}
			steady()
		}
	}
	t.Logf("%d hits, without adapting %d", hits[0], hits[1])
	if hits[0] < hits[1]*101/100 {
		t.Errorf("%d hits, without adapting %d", hits[0], hits[1])
	}
}

// TestOnlyRecencyCounts: where the next request is for what was used so many keys ago, as Zipf's law says, the store hits nearly what strict LRU
// does, which nothing can be better than. A hand that takes one use off at a time hits half a point less.
func TestOnlyRecencyCounts(t *testing.T) {
	const keys, warmup, draws = 50_000, 50_000, 60_000
	config := small
	config.Seed = 1
	f := fullOfOne(t, config)
	f.value = strings.Repeat("v", 950)
	model := lru{int(f.c.items), list.New(), map[int]*list.Element{}}
	r, z := rand.New(rand.NewPCG(3, 4)), newZipf(keys, 1)
	stack := make([]int, keys) // what was used last comes first
	for i := range stack {
		stack[i] = i
	}
	hits, best := 0, 0
	for i := range warmup + draws {
		depth, key := keys-1, keys+i // one request in fifty is for a new key
		if r.IntN(50) != 0 {
			depth = z.draw(r)
			key = stack[depth]
		}
		copy(stack[1:], stack[:depth])
		stack[0] = key
		_, ok := get(f.Store, fmt.Sprintf("%07d", key))
		if !ok {
			f.set(t, fmt.Sprintf("%07d", key))
		}
		if modelOK := model.hit(key); i >= warmup {
			hits, best = hits+one(ok), best+one(modelOK)
		}
	}
	t.Logf("%.2f %% hits, strict LRU %.2f %%", 100*float64(hits)/draws, 100*float64(best)/draws)
	if hits < best-draws*4/1000 {
		t.Errorf("%d hits, strict LRU %d of %d", hits, best, draws)
	}
}

// TestHandTakesAllUses: the hand spares an item once where only recency counts, otherwise as often as it was used.
func TestHandTakesAllUses(t *testing.T) {
	for _, test := range []struct {
		kept uint32
		uses int32
		want uint32
	}{{keptAll, recencyMax << usesFine, 0}, {0, recencyMax << usesFine, 2 * recencyOne}, {keptAll, recencyOne << usesFine, 2 * recencyOne}} {
		a := adaptation{kept: test.kept, uses: test.uses}
		var h header
		h.state.Store(stateLinked | recencyMax)
		if !h.cool(a.recencyCounts()) || h.state.Load() != stateLinked|test.want {
			t.Errorf("%d kept, %d uses: the state is %#x, want %#x", test.kept, test.uses>>usesFine/recencyOne, h.state.Load(), stateLinked|test.want)
		}
		h.state.Store(stateLinked)
		if h.cool(a.recencyCounts()) || h.state.Load() != stateLinked {
			t.Errorf("%d kept: an item that was not used is spared", test.kept)
		}
	}
}

// one is 1 if ok, to count with.
func one(ok bool) int {
	if ok {
		return 1
	}
	return 0
}
