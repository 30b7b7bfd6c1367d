package store

import (
	"fmt"
	"strings"
	"testing"
)

// classOf is the class of a key's item.
func classOf(s *Store, key string) uint8 {
	e := s.Lock([]byte(key), s.Hash([]byte(key)))
	defer e.Unlock()
	return e.Item().h.class()
}

// TestWalkLooksAtItsClasses: a walk over a class costs what the class has, whatever there is beside; one that has nothing costs nothing.
func TestWalkLooksAtItsClasses(t *testing.T) {
	s := open(t, small)
	const keys, others = 20_000, 50
	for i := range keys {
		mustSet(t, s, fmt.Sprint("key", i), "v")
	}
	for i := range others {
		mustSet(t, s, fmt.Sprint("other", i), strings.Repeat("v", 3000))
	}
	mustSet(t, s, "chain0", strings.Repeat("v", 700_000))
	full, other, head := classOf(s, "key0"), classOf(s, "other0"), classOf(s, "chain0")
	for _, quick := range []bool{false, true} {
		for _, c := range []struct {
			classes ClassSet
			prefix  string
			met     int
			looked  uint64 // at most
		}{
			{0, "none", 0, 0},
			{1 << (full + 1), "none", 0, 0},
			{1 << other, "other", others, others},
			{1 << full, "key", keys, keys},
			{1 << head, "chain", 1, 2},
			{1<<other | 1<<(full+1), "other", others, others},
		} {
			w, met := Walk{Classes: c.classes, Quick: quick}, map[string]int{}
			for more := true; more; {
				more = s.Visit(&w, func(it Item) { met[string(it.Key())]++ })
			}
			wantMet(t, met, c.prefix, c.met)
			if len(met) != c.met || w.Looked > c.looked {
				t.Errorf("classes %b: met %d of %d, looked at %d", c.classes, len(met), c.met, w.Looked)
			}
		}
	}
	remove(s, "chain0")
	w := Walk{Classes: 1 << head}
	if s.Visit(&w, nil) || w.Looked > 0 {
		t.Errorf("looked at %d chunks of a class without items", w.Looked)
	}
}

// TestWalkOfClassMeetsNewestFirst: of a class that has only grown.
func TestWalkOfClassMeetsNewestFirst(t *testing.T) {
	s := open(t, small)
	const keys = 30_000 // of a few pages
	for i := range keys {
		mustSet(t, s, fmt.Sprint("key", i), "v")
	}
	w, next := Walk{Classes: 1 << classOf(s, "key0"), Quick: true}, keys-1
	for more := true; more; {
		more = s.Visit(&w, func(it Item) {
			if want := fmt.Sprint("key", next); string(it.Key()) != want {
				t.Fatalf("met %s, want %s", it.Key(), want)
			}
			next--
		})
	}
	if next != -1 {
		t.Errorf("%d were not met", next+1)
	}
}

// TestWalkPassesEmptyStripes: an index that has grown does not shrink, and costs nothing when its items have gone.
func TestWalkPassesEmptyStripes(t *testing.T) {
	s := open(t, small)
	const keys = 50_000
	for i := range keys {
		mustSet(t, s, fmt.Sprint("key", i), "v")
	}
	for i := range keys {
		remove(s, fmt.Sprint("key", i))
	}
	w := Walk{Classes: AllClasses}
	for s.Visit(&w, nil) {
	}
	if w.Looked > uint64(len(s.stripes)) {
		t.Errorf("looked at %d buckets", w.Looked)
	}
}

// TestCrawlLooksAtItsClasses: neither does a crawl cost more.
func TestCrawlLooksAtItsClasses(t *testing.T) {
	s := open(t, small)
	for i := range 20_000 {
		mustSet(t, s, fmt.Sprint("key", i), "v")
	}
	if err := set(s, "other", strings.Repeat("v", 3000), 0, 10); err != nil {
		t.Fatal(err)
	}
	other := classOf(s, "other")
	s.SetNow(20)
	for classes, reclaimed := range map[ClassSet]uint64{1 << (other + 1): 0, 1 << other: 1} {
		s.ResetStats()
		c := NewCrawl(classes, 0)
		for s.Crawl(c, 1) {
		}
		if n := s.Stats(); c.walk.Looked > 1 || n.CrawlerReclaimed != reclaimed {
			t.Errorf("classes %b: looked at %d chunks, reclaimed %d", classes, c.walk.Looked, n.CrawlerReclaimed)
		}
	}
}

// sizesOf gives the sizes that the store counts.
func sizesOf(s *Store) map[int]uint64 {
	all := map[int]uint64{}
	for size := 0; ; {
		next, n := s.NextSize(size)
		if next == 0 {
			return all
		}
		all[next], size = n, next
	}
}

// TestTrackSizes: items are counted as they come into the index and leave it.
func TestTrackSizes(t *testing.T) {
	config := small
	config.TrackSizes = true
	s := open(t, config)
	want := func(sizes map[int]uint64) {
		t.Helper()
		if got := sizesOf(s); fmt.Sprint(got) != fmt.Sprint(sizes) {
			t.Errorf("got %v, want %v", got, sizes)
		}
	}
	want(map[int]uint64{})
	mustSet(t, s, "abc", strings.Repeat("v", 34)) // 48+8+4+34+2
	mustSet(t, s, "abd", strings.Repeat("v", 35))
	mustSet(t, s, "abe", strings.Repeat("v", 700_000-62))
	want(map[int]uint64{96: 1, 128: 1, 700_000: 1})
	mustSet(t, s, "abd", "v")
	remove(s, "abe")
	want(map[int]uint64{64: 1, 96: 1})
	for i := range 200_000 { // until they are evicted
		mustSet(t, s, fmt.Sprintf("%07d", i), "v")
	}
	total := uint64(0)
	for _, n := range sizesOf(s) {
		total += n
	}
	if items := s.Stats().CurrItems; total != items {
		t.Errorf("%d items, %d counted", items, total)
	}
	if plain := open(t, small); len(sizesOf(plain)) > 0 {
		t.Error("counts without being told to")
	}
}
