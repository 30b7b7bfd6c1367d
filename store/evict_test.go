package store

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// flood stores count new keys of n bytes and says how many of them are there afterwards.
func flood(t *testing.T, s *Store, prefix string, count, n int) (kept int) {
	t.Helper()
	value := strings.Repeat("v", n)
	for i := range count {
		mustSet(t, s, fmt.Sprint(prefix, i), value)
	}
	for i := range count {
		e := s.Lock(fmt.Append(nil, prefix, i), s.Hash(fmt.Append(nil, prefix, i)))
		if e.Item().Valid() {
			kept++
		}
		e.Unlock()
	}
	return kept
}

func TestEvictsWhenFull(t *testing.T) {
	for _, n := range []int{10, 1000, 100_000, 1_000_000} {
		s := open(t, small)
		count := 3 * (8 << 20) / (n + 60)
		kept := flood(t, s, "key", count, n)
		stats := s.Stats()
		if int(stats.Evictions) != count-kept || int(stats.CurrItems) != kept || stats.EvictedUnfetched != stats.Evictions {
			t.Errorf("%d bytes: %d of %d kept, %d evictions, %d unfetched, %d items",
				n, kept, count, stats.Evictions, stats.EvictedUnfetched, stats.CurrItems)
		}
		if used := float64(kept*n) / (8 << 20); used < 0.1 && n < 1_000_000 {
			t.Errorf("%d bytes: %.0f %% of the memory has values", n, used*100)
		}
		last := fmt.Sprint("key", count-1)
		wantValue(t, s, last, strings.Repeat("v", n))
	}
}

// TestAccessedSurvive: keys that are accessed and not fetched, as by an add that fails, survive a scan over ten times the cache too, and are
// counted as not fetched when they go.
func TestAccessedSurvive(t *testing.T) {
	s := open(t, small)
	const hot, n = 1000, 1000
	value := strings.Repeat("h", n)
	lost := 0
	for i := range 80_000 {
		key := fmt.Sprint("hot", i%hot)
		e := s.Lock([]byte(key), s.Hash([]byte(key)))
		there := e.Item().Valid()
		if there {
			e.MarkAccessed()
		}
		e.Unlock()
		if !there {
			lost++
			mustSet(t, s, key, value)
		}
		mustSet(t, s, fmt.Sprint("scan", i), value)
	}
	if lost > hot+hot/10 {
		t.Errorf("%d of 80000 accesses to %d keys in use missed, the first of each among them", lost, hot)
	}
	if stats := s.Stats(); stats.Evictions == 0 || stats.EvictedUnfetched != stats.Evictions {
		t.Errorf("%d evictions, %d of items that were not fetched", stats.Evictions, stats.EvictedUnfetched)
	}
}

// TestScanPasses: keys in use survive a scan over ten times the cache.
func TestScanPasses(t *testing.T) {
	s := open(t, small)
	const hot, n = 1000, 1000
	value := strings.Repeat("h", n)
	for i := range hot {
		mustSet(t, s, fmt.Sprint("hot", i), value)
	}
	lost := 0
	for i := range 80_000 {
		mustSet(t, s, fmt.Sprint("scan", i), value)
		key := fmt.Sprint("hot", i%hot)
		if _, ok := get(s, key); !ok {
			lost++
			mustSet(t, s, key, value)
		}
	}
	if lost > hot/10 {
		t.Errorf("%d of 80000 gets of %d keys in use missed", lost, hot)
	}
}

func TestNoEvict(t *testing.T) {
	config := small
	config.NoEvict = true
	s := open(t, config)
	var err error
	count := 0
	for ; err == nil; count++ {
		err = set(s, fmt.Sprint("key", count), strings.Repeat("v", 1000), 0, 0)
	}
	if !errors.Is(err, ErrNoMemory) {
		t.Fatal(err)
	}
	count--
	for i := range count {
		wantValue(t, s, fmt.Sprint("key", i), strings.Repeat("v", 1000))
	}
	if n := s.Stats(); n.Evictions != 0 || n.OutOfMemory != 1 || int(n.CurrItems) != count {
		t.Errorf("%d evictions, %d out of memory, %d items of %d", n.Evictions, n.OutOfMemory, n.CurrItems, count)
	}
	if err := set(s, "other size", "v", 0, 0); !errors.Is(err, ErrNoMemory) {
		t.Errorf("item of a class without a page: %v", err)
	}
	if err := set(s, "chain", string(make([]byte, 900_000)), 0, 0); !errors.Is(err, ErrNoMemory) {
		t.Errorf("chain: %v", err)
	}
	// What is deleted can be had again, by other sizes too once a page is empty.
	for i := range count {
		remove(s, fmt.Sprint("key", i))
	}
	unused(t, s)
	mustSet(t, s, "chain", string(make([]byte, 900_000)))
}

// TestReclaimsDead: what has expired goes before what is alive, if the hand comes by, and is counted apart.
func TestReclaimsDead(t *testing.T) {
	s := open(t, small)
	value := strings.Repeat("v", 1000)
	c := s.classFor(headerSize + len("new1000") + len(" 0 1000\r\n") + len(value) + 2)
	for i := 0; s.pool.available() || c.partial != 0; i++ {
		if err := set(s, fmt.Sprint("dead", i), value, 0, uint32(10*(i%2))); err != nil {
			t.Fatal(err)
		}
	}
	s.SetNow(20)
	half := int(s.Stats().CurrItems / 2)
	for i := range half * 9 / 10 {
		mustSet(t, s, fmt.Sprint("new", i), value)
	}
	n := s.Stats()
	if n.Evictions > uint64(half)/20 || n.Reclaimed < uint64(half)*8/10 || n.ExpiredUnfetched != n.Reclaimed {
		t.Errorf("%d alive evicted, %d dead reclaimed, %d of them unfetched, of %d dead", n.Evictions, n.Reclaimed, n.ExpiredUnfetched, half)
	}
	s.FlushAll(0)
	before := s.Stats().Evictions
	for i := range half {
		mustSet(t, s, fmt.Sprint("newer", i), value)
	}
	if after := s.Stats().Evictions; after != before {
		t.Errorf("%d evictions in a flushed store", after-before)
	}
}

// TestEverythingHot: a class full of items in constant use still takes new ones, without a search over all of it.
func TestEverythingHot(t *testing.T) {
	s := open(t, small)
	const n = 1000
	kept := flood(t, s, "key", 7000, n)
	for range 4 {
		for i := range 7000 {
			get(s, fmt.Sprint("key", i))
		}
	}
	for i := range 10 {
		mustSet(t, s, fmt.Sprint("new", i), strings.Repeat("v", n))
	}
	if stats := s.Stats(); kept == 7000 && stats.EvictedActive != 0 {
		t.Errorf("nothing had to be evicted, %d were", stats.EvictedActive)
	}
	for i := 7000; s.Stats().EvictedActive == 0; i++ {
		key := fmt.Sprint("key", i)
		mustSet(t, s, key, strings.Repeat("v", n))
		for range 3 {
			get(s, key)
		}
		if i > 100_000 {
			t.Fatal("no hot item was evicted")
		}
	}
}

// TestPinnedStays: the hand passes by what is referenced; only when all is, memory is out.
func TestPinnedStays(t *testing.T) {
	s := open(t, small)
	var pinned []Item
	for i := 0; ; i++ {
		key := fmt.Append(nil, "key", i)
		it, err := s.Alloc(key, 0, 0, 200_000)
		if err != nil {
			if !errors.Is(err, ErrNoMemory) {
				t.Fatal(err)
			}
			break
		}
		fill(s, it, sealed(string(key), 200_000))
		e := s.Lock(key, s.Hash(key))
		e.Link(it)
		if i != 7 {
			s.Retain(it)
			pinned = append(pinned, it)
		}
		e.Unlock()
	}
	if len(pinned) < 20 {
		t.Errorf("out of memory with %d items of 200 kB pinned in 8 MiB", len(pinned))
	}
	if _, ok := get(s, "key7"); ok {
		t.Error("out of memory while one item could go")
	}
	if s.Stats().OutOfMemory == 0 || s.Stats().PinnedSkips == 0 {
		t.Error("not counted")
	}
	for _, it := range pinned {
		if off := broken(s, it); off >= 0 {
			t.Fatalf("%s changed at %d", it.Key(), off)
		}
		s.Release(it)
	}
	mustSet(t, s, "free again", string(make([]byte, 200_000)))
}

// TestLargeSparesSmall: a value of a megabyte takes the place of as many bytes of small items, not of half of a small cache.
func TestLargeSparesSmall(t *testing.T) {
	s := open(t, small)
	for i := 0; s.Stats().Evictions == 0; {
		for range 1000 {
			mustSet(t, s, fmt.Sprint("key", i), strings.Repeat("v", 100))
			i++
		}
	}
	full := s.Stats()
	large := strings.Repeat("v", 1<<20-200)
	perPage := int(full.CurrItems) / full.PagesUsed
	for n := range 3 {
		before := s.Stats().CurrItems
		mustSet(t, s, fmt.Sprint("large", n), large)
		pages := float64(int(before)-int(s.Stats().CurrItems)) / float64(perPage)
		t.Logf("%.2f pages of %d", pages, full.PagesUsed)
		if pages > 2.1 {
			t.Errorf("large value %d: as many small items as %.1f pages hold are gone, of %d", n, pages, full.PagesUsed)
		}
	}
}
