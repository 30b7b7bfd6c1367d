package store

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
)

func TestText(t *testing.T) {
	s := open(t, small)
	for _, c := range []struct {
		key   string
		flags uint32
		value string
	}{
		{"k", 0, ""},
		{"key", 0, "value"},
		{"key", 7, strings.Repeat("v", 10)},
		{strings.Repeat("k", KeyMax), math.MaxUint32, strings.Repeat("v", 99999)},
		{"binary\x00\r\n key", 1234567, "a\r\nb\x00"},
	} {
		if err := set(s, c.key, c.value, c.flags, 0); err != nil {
			t.Fatal(err)
		}
		e := s.Lock([]byte(c.key), s.Hash([]byte(c.key)))
		it := e.Item()
		suffix := fmt.Sprintf(" %d %d\r\n", c.flags, len(c.value))
		if got, want := string(s.Text(it)), c.key+suffix+c.value+"\r\n"; got != want {
			t.Errorf("text %.60q, want %.60q", got, want)
		}
		if s.SuffixLen(it) != len(suffix) || it.Flags() != c.flags || it.Len() != len(c.value) || string(it.Key()) != c.key {
			t.Errorf("suffix %d, flags %d, length %d, key %q", s.SuffixLen(it), it.Flags(), it.Len(), it.Key())
		}
		if it.Chained() {
			t.Errorf("%d bytes are chained", it.Len())
		}
		if got := string(s.Segment(it, len(c.value))); got != "\r\n" {
			t.Errorf("last segment %q", got)
		}
		if s.ItemOf(it.Ref()) != it {
			t.Error("an item's number leads to another")
		}
		e.Unlock()
	}
	if s.ItemOf(0).Valid() || (Item{}).Ref() != 0 {
		t.Error("none is an item")
	}
}

// TestLimits finds memcached's limit: with a 3-byte key 1048514 fits and 1048515 does not.
func TestLimits(t *testing.T) {
	for _, c := range []struct {
		itemMax    int
		key, flags int
		largest    int
	}{
		{1 << 20, 3, 0, 1048514},
		{1 << 20, 3, 1, 1048510},
		{1 << 20, 250, 0, 1048267},
		{1024, 3, 0, 962},
		{1024, 3, 9, 958},
		{3 << 20, 10, 0, 3<<20 - 69},
	} {
		s := open(t, Config{Limit: 16 << 20, ItemMax: c.itemMax, Factor: 1.25, ChunkMin: 48})
		key := strings.Repeat("k", c.key)
		if err := set(s, key, string(sealed(key, c.largest)), uint32(c.flags), 0); err != nil {
			t.Errorf("-I %d, key %d, flags %d, %d bytes: %v", c.itemMax, c.key, c.flags, c.largest, err)
		}
		wantValue(t, s, key, string(sealed(key, c.largest)))
		if _, err := s.Alloc([]byte(key), uint32(c.flags), 0, c.largest+1); !errors.Is(err, ErrTooLarge) {
			t.Errorf("-I %d, key %d, flags %d, %d bytes: %v", c.itemMax, c.key, c.flags, c.largest+1, err)
		}
	}
	s := open(t, Config{Limit: 16 << 20, ItemMax: 1 << 20, Factor: 1.25, ChunkMin: 48, NoCAS: true})
	if err := set(s, "key", string(sealed("key", 1048522)), 0, 0); err != nil {
		t.Errorf("without CAS: %v", err)
	}
	if _, err := s.Alloc([]byte("key"), 0, 0, 1048523); !errors.Is(err, ErrTooLarge) {
		t.Errorf("without CAS, a byte more: %v", err)
	}
	s = open(t, small)
	for _, n := range []int{-1, math.MinInt, math.MaxInt} {
		if _, err := s.Alloc([]byte("k"), 0, 0, n); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	if _, err := s.Alloc(make([]byte, KeyMax+1), 0, 0, 1); !errors.Is(err, ErrTooLarge) {
		t.Errorf("key of %d bytes: %v", KeyMax+1, err)
	}
}

// TestChains stores values around every border between chunks, and checks every way to read them.
func TestChains(t *testing.T) {
	s := open(t, Config{Limit: 32 << 20, ItemMax: 8 << 20, Factor: 1.25, ChunkMin: 48})
	for _, near := range []int{ChunkMax, 2 * ChunkMax, 3 * ChunkMax, 5*ChunkMax + 1000, 8<<20 - 1000} {
		for n := near - 120; n <= near+20; n += 11 {
			const key = "a chained key"
			it, err := s.Alloc([]byte(key), 42, 0, n)
			if err != nil {
				t.Fatalf("%d bytes: %v", n, err)
			}
			fill(s, it, sealed(key, n))
			if off := broken(s, it); off >= 0 {
				t.Fatalf("%d bytes: differs in the segment at %d", n, off)
			}
			suffix := fmt.Sprintf(" 42 %d\r\n", n)
			if it.Chained() && string(s.Text(it)) != key+suffix {
				t.Fatalf("text of a chain %q", s.Text(it))
			}
			if it.Len() != n || it.Flags() != 42 || s.SuffixLen(it) != len(suffix) || len(s.Segment(it, n+2)) != 0 {
				t.Fatalf("length %d, flags %d, suffix %d", it.Len(), it.Flags(), s.SuffixLen(it))
			}
			e := s.Lock([]byte(key), s.Hash([]byte(key)))
			e.Link(it)
			e.Unlock()
		}
	}
	remove(s, "a chained key")
	unused(t, s)
}

func TestSegmentOutside(t *testing.T) {
	s := open(t, small)
	it, err := s.Alloc([]byte("k"), 0, 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Release(it)
	defer func() {
		if recover() == nil {
			t.Error("no panic for an offset behind the value")
		}
	}()
	s.Segment(it, 13)
}

func TestCASAndInPlace(t *testing.T) {
	s := open(t, small)
	seen := map[uint64]bool{0: true}
	fresh := func(cas uint64) {
		t.Helper()
		if seen[cas] {
			t.Fatalf("CAS %d was there before", cas)
		}
		seen[cas] = true
	}
	key := []byte("counter")
	for range 1000 {
		mustSet(t, s, "counter", "10")
		e := s.Lock(key, s.Hash(key))
		it := e.Item()
		fresh(it.CAS())
		if !e.Exclusive() {
			t.Fatal("nobody refers to the item")
		}
		copy(s.Writable(it, 0), "11")
		fresh(e.NewCAS())
		s.Retain(it)
		if e.Exclusive() {
			t.Fatal("exclusive with a reference")
		}
		s.Release(it)
		if !e.Exclusive() {
			t.Fatal("not exclusive after the reference is gone")
		}
		e.Unlock()
		wantValue(t, s, "counter", "11")
	}
}

func TestAccess(t *testing.T) {
	s := open(t, small)
	mustSet(t, s, "k", "v")
	key := []byte("k")
	look := func(wantAccess uint32, wantFetched bool) {
		t.Helper()
		e := s.Lock(key, s.Hash(key))
		defer e.Unlock()
		if it := e.Item(); it.LastAccess() != wantAccess || it.Fetched() != wantFetched {
			t.Fatalf("access %d, fetched %v; want %d, %v", it.LastAccess(), it.Fetched(), wantAccess, wantFetched)
		}
	}
	look(firstSecond, false)
	s.SetNow(firstSecond + accessStep - 1)
	wantValue(t, s, "k", "v")
	look(firstSecond, true)
	s.SetNow(firstSecond + accessStep)
	wantValue(t, s, "k", "v")
	look(firstSecond+accessStep, true)

	// An access that fetched nothing counts for the time of the last access, and not as a fetch.
	mustSet(t, s, "k", "v")
	s.SetNow(firstSecond + 3*accessStep)
	e := s.Lock(key, s.Hash(key))
	for range 5 {
		e.MarkAccessed()
	}
	e.Unlock()
	look(firstSecond+3*accessStep, false)
	wantValue(t, s, "k", "v")
	look(firstSecond+3*accessStep, true)

	// An item in other memory has the same history; a new one has none.
	s.SetNow(firstSecond + 4*accessStep)
	for _, link := range []func(*Entry, Item){(*Entry).Renew, (*Entry).Link} {
		e = s.Lock(key, s.Hash(key))
		it, err := e.AllocCAS(key, 0, 0, 1, 7)
		if err != nil {
			t.Fatal(err)
		}
		fill(s, it, []byte("w"))
		link(&e, it)
		e.Unlock()
		if it.Fetched() {
			look(firstSecond+3*accessStep, true)
		}
	}
	look(firstSecond+4*accessStep, false)
}
