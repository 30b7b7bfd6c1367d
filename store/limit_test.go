package store

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"unsafe"
)

func growing() Config {
	return Config{Limit: 16 << 20, LimitMax: 64 << 20, ItemMax: 1 << 20, Factor: 1.25, ChunkMin: 48}
}

// fillUp stores items of 100 kB until there are as many as given.
func fillUp(t *testing.T, s *Store, prefix string, items int) {
	t.Helper()
	for i := range items {
		mustSet(t, s, fmt.Sprint(prefix, i), strings.Repeat("v", 100_000))
	}
}

func wantLimit(t *testing.T, s *Store, mib int) {
	t.Helper()
	if n := s.Stats(); n.LimitBytes != uint64(mib)<<20 || n.Pages != mib || n.PagesUsed > mib || s.Limit() != int64(mib)<<20 {
		t.Fatalf("limit %d MiB: %+v", mib, n)
	}
}

func TestLimitGrows(t *testing.T) {
	s := open(t, growing())
	fillUp(t, s, "a", 600)
	if n := s.Stats(); n.Evictions < 400 {
		t.Fatalf("%d evictions", n.Evictions)
	}
	s.ResetStats()
	if err := s.SetLimit(64 << 20); err != nil {
		t.Fatal(err)
	}
	wantLimit(t, s, 64)
	fillUp(t, s, "b", 300)
	if n := s.Stats(); n.Evictions != 0 || n.PagesUsed < 40 {
		t.Errorf("%d evictions, %d pages in use", n.Evictions, n.PagesUsed)
	}
	for i := range 300 {
		if _, ok := get(s, fmt.Sprint("b", i)); !ok {
			t.Fatalf("b%d is gone", i)
		}
	}
	if err := s.SetLimit(65 << 20); err == nil || !strings.Contains(err.Error(), "64 megabytes") {
		t.Errorf("more than LimitMax: %v", err)
	}
	wantLimit(t, s, 64)
}

// TestLimitGrowsIndex stores more items than the index of the first limit can hold.
func TestLimitGrowsIndex(t *testing.T) {
	config := growing()
	config.Limit = 4 << 20
	s := open(t, config)
	before := s.Stats().MappedIndex
	if err := s.SetLimit(16 << 20); err != nil {
		t.Fatal(err)
	}
	if after := s.Stats().MappedIndex; after < 3*before {
		t.Errorf("the index grew from %d to %d bytes", before, after)
	}
	const items = 110_000
	for i := range items {
		mustSet(t, s, fmt.Sprint("key", i), "v")
	}
	if n := s.Stats(); n.CurrItems != items {
		t.Errorf("%d items of %d", n.CurrItems, items)
	}
}

func TestLimitShrinks(t *testing.T) {
	s := open(t, growing())
	if err := s.SetLimit(64 << 20); err != nil {
		t.Fatal(err)
	}
	fillUp(t, s, "a", 500)
	mustSet(t, s, "small", "v")
	before := s.Stats()
	if n := resident(t, s); n < 40 {
		t.Fatalf("%d MiB of items are resident", n)
	}
	if err := s.SetLimit(8 << 20); err != nil {
		t.Fatal(err)
	}
	settle(t, s)
	wantLimit(t, s, 8)
	after := s.Stats()
	if after.CurrItems == 0 || after.CurrItems > 80 || after.Evictions == 0 || after.MoveEvicted == 0 || after.PagesMoved == 0 {
		t.Errorf("from %+v to %+v", before, after)
	}
	if n := resident(t, s); n > 8 {
		t.Errorf("%d MiB of items are still resident", n)
	}
	// What was given back can be had again, and it is not confused with what was never used.
	for _, mib := range []int{64, 9, 33, 8, 64} {
		if err := s.SetLimit(int64(mib) << 20); err != nil {
			t.Fatal(err)
		}
		fillUp(t, s, fmt.Sprint("again", mib), 700)
		settle(t, s)
		wantLimit(t, s, mib)
	}
}

// resident is how many MiB of the items' memory there are in reality.
func resident(t *testing.T, s *Store) int {
	t.Helper()
	mem := s.itemMemory.Bytes()[:s.itemMemory.Size()]
	there := make([]byte, len(mem)/os.Getpagesize())
	_, _, errno := syscall.Syscall(syscall.SYS_MINCORE, uintptr(s.itemMemory.Base()), uintptr(len(mem)), uintptr(unsafe.Pointer(&there[0])))
	if errno != 0 {
		t.Fatal(errno)
	}
	n := 0
	for _, b := range there {
		n += int(b & 1)
	}
	return n * os.Getpagesize() >> 20
}

// TestLimitShrinksUnused: pages that no class has are taken without evicting anything.
func TestLimitShrinksUnused(t *testing.T) {
	s := open(t, growing())
	fillUp(t, s, "a", 50)
	for i := range 40 {
		remove(s, fmt.Sprint("a", i))
	}
	if err := s.SetLimit(8 << 20); err != nil {
		t.Fatal(err)
	}
	settle(t, s)
	wantLimit(t, s, 8)
	for i := 40; i < 50; i++ {
		if _, ok := get(s, fmt.Sprint("a", i)); !ok {
			t.Errorf("a%d is gone", i)
		}
	}
	if n := s.Stats(); n.Evictions != 0 {
		t.Errorf("%d evictions", n.Evictions)
	}
}

// TestLimitShrinksLater: what is in use while the limit is lowered goes when it is not any more.
func TestLimitShrinksLater(t *testing.T) {
	s := open(t, growing())
	fillUp(t, s, "a", 140)
	var held []Item
	for i := range 140 {
		key := fmt.Append(nil, "a", i)
		e := s.Lock(key, s.Hash(key))
		if it := e.Item(); it.Valid() {
			s.Retain(it)
			held = append(held, it)
		}
		e.Unlock()
	}
	if err := s.SetLimit(8 << 20); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		s.Maintain()
	}
	if n := s.Stats(); n.Pages <= 8 {
		t.Fatalf("%d pages, although all are in use", n.Pages)
	}
	for _, it := range held {
		s.Release(it)
	}
	settle(t, s)
	wantLimit(t, s, 8)
}

// TestLimitWithoutEviction: with NoEvict a lower limit evicts nothing. Pages go as they become empty.
func TestLimitWithoutEviction(t *testing.T) {
	config := growing()
	config.NoEvict = true
	s := open(t, config)
	fillUp(t, s, "a", 100)
	if err := s.SetLimit(8 << 20); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		s.Maintain()
	}
	if err := set(s, "b", strings.Repeat("v", 1_000_000), 0, 0); !errors.Is(err, ErrNoMemory) {
		t.Errorf("a new item: %v", err)
	}
	for i := range 100 {
		wantValue(t, s, fmt.Sprint("a", i), strings.Repeat("v", 100_000))
		if i < 90 {
			remove(s, fmt.Sprint("a", i))
		}
	}
	settle(t, s)
	wantLimit(t, s, 8)
}

func TestLimitBounds(t *testing.T) {
	s := open(t, growing())
	for _, bytes := range []int64{0, -1, 1 << 60} {
		if err := s.SetLimit(bytes); err == nil {
			t.Errorf("limit %d was taken", bytes)
		}
	}
	config := growing()
	config.ItemMax = 8 << 20
	s = open(t, config)
	if err := s.SetLimit(8 << 20); err == nil || !strings.Contains(err.Error(), "item size limit") {
		t.Errorf("a limit below twice the largest item: %v", err)
	}
	wantLimit(t, s, 16)
}

func TestAddressSpace(t *testing.T) {
	for _, test := range []struct{ limit, most, pages int64 }{
		{16 << 20, 0, 16},
		{16 << 20, 1 << 20, 16},
		{16 << 20, 100 << 20, 100},
		{16 << 20, 1 << 40, 32<<10 - 1}, // links of 8 bytes reach no further
		{32 << 30, 1 << 40, 64<<10 - 1},
	} {
		config := growing()
		config.Limit, config.LimitMax = test.limit, test.most
		if got := int64(config.pagesMax()); got != test.pages {
			t.Errorf("limit %d, at most %d: %d pages, want %d", test.limit, test.most, got, test.pages)
		}
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
