package store

import (
	"fmt"
	"strings"
	"testing"
)

// TestSizesShift goes from small items to large ones and back, in the smallest stores too, and is never out of memory.
func TestSizesShift(t *testing.T) {
	for _, limit := range []int64{1 << 20, 2 << 20, 10 << 20} {
		t.Run(fmt.Sprint(limit>>20, " MiB"), func(t *testing.T) {
			config := small
			config.Limit = limit
			s := open(t, config)
			sizes := []int{10, 1000, 10, 1_000_000, 10, 300, 5000, 60_000, 400_000, 600_000, 1_000_000, 30_000, 1000, 100, 10}
			for round, n := range sizes {
				count := max(int(limit)*3/2/(n+60), 30)
				if n < 100 {
					count /= 4
				}
				for i := range count {
					mustSet(t, s, fmt.Sprint(round, "-", i), strings.Repeat("v", n))
				}
				wantValue(t, s, fmt.Sprint(round, "-", count-1), strings.Repeat("v", n))
			}
			if n := s.Stats(); n.OutOfMemory != 0 || n.PagesMoved == 0 {
				t.Errorf("%d times out of memory, %d pages moved", n.OutOfMemory, n.PagesMoved)
			}
		})
	}
}

// TestAllSizesInSmallStore has items of all classes at once in memory for a few.
func TestAllSizesInSmallStore(t *testing.T) {
	config := small
	config.Limit = 2 << 20
	s := open(t, config)
	for round := range 20 {
		for n := 1; n < 1_040_000; n = n*5/4 + 1 {
			key := fmt.Sprint(round, "-", n)
			mustSet(t, s, key, strings.Repeat("v", n))
			wantValue(t, s, key, strings.Repeat("v", n))
		}
	}
}

// TestShiftUnderLock grows items while their entries are locked, as append does, in a store where every size needs another page.
func TestShiftUnderLock(t *testing.T) {
	config := small
	config.Limit = 2 << 20
	s := open(t, config)
	for i := range 30_000 {
		mustSet(t, s, fmt.Sprint("small", i), "v")
	}
	for round := range 20 {
		key := fmt.Append(nil, "small", 29_999-round)
		for n := 100; n < 1_000_000; n *= 2 {
			e := s.Lock(key, s.Hash(key))
			old := e.Item()
			it, err := e.Alloc(key, 0, 0, n)
			if err != nil {
				t.Fatalf("%d bytes: %v", n, err)
			}
			if e.Item() != old || old.Valid() && string(old.Key()) != string(key) {
				t.Fatal("the locked item was evicted")
			}
			fill(s, it, make([]byte, n))
			e.Link(it)
			e.Unlock()
		}
	}
}

// TestBalance: memory that nobody uses goes to the class that is short of it, without being asked for page by page.
func TestBalance(t *testing.T) {
	s := open(t, Config{Limit: 16 << 20, ItemMax: 1 << 20, Factor: 1.25, ChunkMin: 48})
	now := uint32(firstSecond)
	for i := range 120_000 {
		mustSet(t, s, fmt.Sprint("small", i), "v")
	}
	for i := range 4000 {
		if i%40 == 0 {
			now++
			s.SetNow(now)
		}
		mustSet(t, s, fmt.Sprint("large", i), strings.Repeat("v", 100_000))
	}
	pages := 0
	for _, c := range s.Classes() {
		if c.ChunkSize > 100_000 && c.Pages > 0 {
			pages = c.Pages
		}
	}
	if pages < 12 {
		t.Errorf("after 100 seconds of large items they have %d pages of 16", pages)
	}
}

func TestEmptyPagesReturn(t *testing.T) {
	s := open(t, small)
	for i := range 60_000 {
		mustSet(t, s, fmt.Sprint("key", i), "v")
	}
	for i := range 60_000 {
		remove(s, fmt.Sprint("key", i))
	}
	unused(t, s)
	n := s.Stats()
	if n.PagesUsed > 2 || n.GlobalPagePool == 0 {
		t.Errorf("%d pages in use by nothing, %d in the pool", n.PagesUsed, n.GlobalPagePool)
	}
	for i := range 8 {
		mustSet(t, s, fmt.Sprint("large", i), string(make([]byte, 500_000)))
	}
}
