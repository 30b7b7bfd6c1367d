package store

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// walkAll gives how often each key is met by a whole walk. between runs after every bucket, with its number.
func walkAll(s *Store, classes ClassSet, between func(int)) map[string]int {
	met := map[string]int{}
	w := Walk{Classes: classes}
	for n := 0; ; n++ {
		more := s.Visit(&w, func(it Item) { met[string(it.Key())]++ })
		if between != nil {
			between(n)
		}
		if !more {
			return met
		}
	}
}

// wantMet fails unless a walk met the keys prefix0 to prefix<n-1> once each.
func wantMet(t *testing.T, met map[string]int, prefix string, n int) {
	t.Helper()
	for i := range n {
		if key := fmt.Sprint(prefix, i); met[key] != 1 {
			t.Fatalf("%s was met %d times", key, met[key])
		}
	}
}

func TestWalk(t *testing.T) {
	s := open(t, small)
	if met := walkAll(s, AllClasses, nil); len(met) != 0 {
		t.Errorf("an empty store has %v", met)
	}
	const keys = 20_000
	for i := range keys {
		mustSet(t, s, fmt.Sprint("key", i), "v")
	}
	mustSet(t, s, "large0", strings.Repeat("v", 700_000))
	for i := range 100 {
		if err := set(s, fmt.Sprint("dead", i), "v", 0, 1); err != nil {
			t.Fatal(err)
		}
	}
	met := walkAll(s, AllClasses, nil)
	wantMet(t, met, "key", keys)
	wantMet(t, met, "large", 1)
	if len(met) != keys+1 {
		t.Errorf("met %d keys", len(met))
	}
}

func TestWalkOfClasses(t *testing.T) {
	s := open(t, small)
	sizes := map[string]int{"a": 10, "b": 500, "c": 5000, "d": 700_000}
	for key, n := range sizes {
		mustSet(t, s, key, strings.Repeat("v", n))
	}
	for key := range sizes {
		e := s.Lock([]byte(key), Hash([]byte(key)))
		class := e.Item().Class()
		e.Unlock()
		met := walkAll(s, 1<<class, nil)
		if len(met) != 1 || met[key] != 1 {
			t.Errorf("class %d of %s: met %v", class, key, met)
		}
		if met := walkAll(s, AllClasses&^(1<<class), nil); len(met) != len(sizes)-1 || met[key] != 0 {
			t.Errorf("all but class %d of %s: met %v", class, key, met)
		}
	}
}

// TestWalkWhileIndexGrows: buckets split behind the walk, under it and in front of it, and no key is missed or met twice.
func TestWalkWhileIndexGrows(t *testing.T) {
	config := small
	config.Limit = 32 << 20
	s := open(t, config)
	const keys = 5000
	for i := range keys {
		mustSet(t, s, fmt.Sprint("key", i), "v")
	}
	more := 0
	met := walkAll(s, AllClasses, func(n int) {
		for range 100 {
			if more < 100_000 {
				mustSet(t, s, fmt.Sprint("more", more), "v")
				more++
			}
		}
	})
	if more < 50_000 {
		t.Fatalf("only %d keys came during the walk", more)
	}
	wantMet(t, met, "key", keys)
	for key, n := range met {
		if n != 1 {
			t.Errorf("%s was met %d times", key, n)
		}
	}
}

// TestWalkWhileReplaced: keys whose items are replaced all the time, by ones of other sizes, are met.
func TestWalkWhileReplaced(t *testing.T) {
	s := open(t, growing()) // room for all: nothing is evicted
	if err := s.SetLimit(64 << 20); err != nil {
		t.Fatal(err)
	}
	const keys = 2000
	random := rand.New(rand.NewPCG(1, 2))
	replace := func(i int) { mustSet(t, s, fmt.Sprint("key", i), strings.Repeat("v", random.IntN(1000))) }
	for i := range keys {
		replace(i)
	}
	met := walkAll(s, AllClasses, func(int) {
		for range 20 {
			replace(random.IntN(keys))
		}
	})
	wantMet(t, met, "key", keys)
}

func TestCrawl(t *testing.T) {
	s := open(t, small)
	for i := range 6000 {
		exptime := uint32(0)
		if i%3 == 0 {
			exptime = 10
		}
		if err := set(s, fmt.Sprint("key", i), "v", 0, exptime); err != nil {
			t.Fatal(err)
		}
	}
	mustSet(t, s, "large", strings.Repeat("v", 700_000))
	for i := range 30 {
		get(s, fmt.Sprint("key", i))
	}
	s.SetNow(10)
	crawl := func(c *Crawl) {
		for s.Crawl(c, 3) {
		}
	}
	crawl(NewCrawl(AllClasses, 0))
	n := s.Stats()
	if n.CurrItems != 4001 || n.CrawlerReclaimed != 2000 || n.CrawlerChecked != 6001 || n.ExpiredUnfetched != 1990 || n.Reclaimed != 0 {
		t.Errorf("a crawl: %+v", n)
	}
	crawl(NewCrawl(AllClasses, 0))
	if n := s.Stats(); n.CurrItems != 4001 || n.CrawlerReclaimed != 2000 || n.CrawlerChecked != 10_002 {
		t.Errorf("another one: %+v", n)
	}
	s.FlushAll(0)
	s.ResetStats()
	large := s.classFor(ChunkMax).id
	crawl(NewCrawl(1<<large, 0))
	if n := s.Stats(); n.CurrItems != 4000 || n.CrawlerReclaimed != 1 || n.CrawlerChecked != 1 {
		t.Errorf("a crawl of class %d after a flush: %+v", large, n)
	}
	crawl(NewCrawl(AllClasses, 100))
	if n := s.Stats(); n.CurrItems != 3900 || n.CrawlerReclaimed != 101 || n.CrawlerChecked != 101 {
		t.Errorf("a crawl of 100 items: %+v", n)
	}
	crawl(NewCrawl(AllClasses, 0))
	unused(t, s)
	crawl(NewCrawl(0, 0))
}

// TestCrawlCrowded crawls buckets that go on in the overflow, all of whose items are dead.
func TestCrawlCrowded(t *testing.T) {
	s := open(t, small)
	s.maxBuckets.Store(2)
	for i := range 20_000 {
		if err := set(s, fmt.Sprint("key", i), "v", 0, 10); err != nil {
			t.Fatal(err)
		}
	}
	if s.spill.used == 0 {
		t.Fatal("nothing is in the overflow")
	}
	wantMet(t, walkAll(s, AllClasses, nil), "key", 20_000)
	s.SetNow(10)
	for c := NewCrawl(AllClasses, 0); s.Crawl(c, 1); {
	}
	unused(t, s)
	if s.spill.used != 0 {
		t.Errorf("%d overflow buckets are in use", s.spill.used)
	}
}

// TestCrawlLeavesReferenced: what is being sent stays readable.
func TestCrawlLeavesReferenced(t *testing.T) {
	s := open(t, small)
	if err := set(s, "k", "value", 0, 10); err != nil {
		t.Fatal(err)
	}
	e := s.Lock([]byte("k"), Hash([]byte("k")))
	it := e.Item()
	s.Retain(it)
	e.Unlock()
	s.SetNow(10)
	for c := NewCrawl(AllClasses, 0); s.Crawl(c, 100); {
	}
	if n := s.Stats(); n.CurrItems != 0 || n.CrawlerReclaimed != 1 {
		t.Errorf("after the crawl: %+v", n)
	}
	if string(contents(s, it)) != "value" {
		t.Errorf("the item is %q", contents(s, it))
	}
	s.Release(it)
	unused(t, s)
}

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
		e := s.Lock(key, Hash(key))
		s.Retain(e.Item())
		held = append(held, e.Item())
		e.Unlock()
	}
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
			met := walkAll(s, AllClasses, nil)
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

// settle does all the maintenance that there is to do.
func settle(t *testing.T, s *Store) {
	t.Helper()
	pauses := 0
	for more := true; more; {
		pause, again := s.Maintain()
		if more = again; pause != maintainPause && more {
			if pauses++; pauses > 100 {
				t.Fatalf("the maintenance does not get on: %+v", s.Stats())
			}
		}
	}
}

func classesWith(s *Store, pages int) (ids []int) {
	for _, c := range s.Classes() {
		if c.Pages >= pages {
			ids = append(ids, c.ID)
		}
	}
	return slices.Clip(ids)
}
