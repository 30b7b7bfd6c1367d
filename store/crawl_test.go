package store

import (
	"fmt"
	"strings"
	"testing"
)

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
	e := s.Lock([]byte("k"), s.Hash([]byte("k")))
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
