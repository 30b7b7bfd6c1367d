package store

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// TestWalkUnderStress walks and crawls while others store, replace, delete and evict, and the limit and the pages move. Items of
// a few keys are there all the time: nobody evicts them, since they are used between all others.
func TestWalkUnderStress(t *testing.T) {
	config := small
	config.Limit, config.LimitMax = 16<<20, 64<<20
	s := open(t, config)
	const stable = 500
	for i := range stable {
		mustSet(t, s, fmt.Sprint("stable", i), "v")
	}
	// A reference keeps an item from eviction, and does not keep its key from being replaced.
	var held []Item
	for i := range stable {
		key := fmt.Append(nil, "stable", i)
		e := s.Lock(key, s.Hash(key))
		s.Retain(e.Item())
		held = append(held, e.Item())
		e.Unlock()
	}
	stableClass := held[0].Class()
	rounds := 12_000
	if invariants {
		rounds /= 4
	}
	var writers, others sync.WaitGroup
	var done atomic.Bool
	for n := range 3 {
		writers.Go(func() {
			random := rand.New(rand.NewPCG(uint64(n), 7))
			for range rounds {
				key := fmt.Sprint("key", random.IntN(20_000))
				switch random.IntN(10) {
				case 0:
					remove(s, key)
				case 1, 2, 3:
					get(s, key)
				case 4:
					_ = set(s, key, strings.Repeat("v", random.IntN(100_000)), 0, uint32(random.IntN(10)))
				default:
					_ = set(s, key, strings.Repeat("v", random.IntN(1000)), 0, uint32(random.IntN(100)))
				}
			}
		})
	}
	others.Go(func() { // the maintenance
		for !done.Load() {
			s.Maintain()
		}
	})
	others.Go(func() { // the operator
		random := rand.New(rand.NewPCG(11, 7))
		for !done.Load() {
			if err := s.SetLimit(int64(8+random.IntN(40)) << 20); err != nil {
				panic(err)
			}
			s.SetNow(s.Now() + 1)
			_ = s.Reassign(random.IntN(len(s.classes)+1)-1, random.IntN(len(s.classes)))
			s.SetAutomove(random.IntN(3))
			s.Stats()
			for c := NewCrawl(AllClasses, uint32(random.IntN(2)*100)); s.Crawl(c, 50); {
			}
		}
	})
	walks := 0
	others.Go(func() {
		for ; !done.Load(); walks++ {
			classes := AllClasses
			if walks%2 == 1 { // over pages
				classes = 1<<stableClass | 1<<(stableClass+5)
			}
			met := walkAll(s, classes, nil)
			s.Stats()
			s.Classes()
			for i := range stable {
				if key := fmt.Sprint("stable", i); met[key] != 1 {
					panic(fmt.Sprintf("walk %d met %s %d times", walks, key, met[key]))
				}
			}
			for key, n := range met {
				if strings.HasPrefix(key, "stable") && n != 1 {
					panic(fmt.Sprintf("walk %d met %s %d times", walks, key, n))
				}
			}
		}
	})
	writers.Wait()
	done.Store(true)
	others.Wait()
	t.Logf("%d walks, %+v", walks, s.Stats())
	settle(t, s)
	for _, it := range held {
		s.Release(it)
	}
	for i := range stable {
		wantValue(t, s, fmt.Sprint("stable", i), "v")
	}
}
