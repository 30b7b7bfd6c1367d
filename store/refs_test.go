package store

import (
	"fmt"
	"testing"
)

// TestReferenceOutlives takes an item out of the index in every way while it is referenced.
func TestReferenceOutlives(t *testing.T) {
	s := open(t, small)
	for _, n := range []int{100, 100_000, 700_000} {
		for name, away := range map[string]func(){
			"delete":  func() { remove(s, "k") },
			"replace": func() { mustSet(t, s, "k", "other") },
			"flush":   func() { s.FlushAll(0); wantAbsent(t, s, "k") },
			"evict": func() {
				for i := range 40 {
					mustSet(t, s, fmt.Sprint("large", i), string(make([]byte, 1000_000)))
				}
				for i := range 40 {
					remove(s, fmt.Sprint("large", i))
				}
			},
		} {
			mustSet(t, s, "k", string(sealed("k", n)))
			e := s.Lock([]byte("k"), s.Hash([]byte("k")))
			it := s.ItemOf(e.Item().Ref())
			s.Retain(it)
			s.Retain(it)
			e.Unlock()
			away()
			s.Release(it)
			for i := range 20 {
				mustSet(t, s, fmt.Sprint("fresh", i), string(sealed("other", n)))
			}
			if off := broken(s, it); off >= 0 {
				t.Fatalf("%s: value of %d bytes changed at %d while it was referenced", name, n, off)
			}
			s.Release(it)
			remove(s, "k")
			for i := range 20 {
				remove(s, fmt.Sprint("fresh", i))
			}
			unused(t, s)
		}
	}
}

func TestUploadAbandoned(t *testing.T) {
	s := open(t, small)
	for _, n := range []int{0, 100, ChunkMax, 1_000_000} {
		it, err := s.Alloc([]byte("k"), 0, 0, n)
		if err != nil {
			t.Fatal(err)
		}
		s.Release(it)
		wantAbsent(t, s, "k")
		unused(t, s)
	}
}

// TestReferencesSaturate: an item whose references cannot be counted is lost, and never freed while somebody uses it.
func TestReferencesSaturate(t *testing.T) {
	s := open(t, small)
	const many = referenceHigh/referenceOne + 1000
	mustSet(t, s, "k", "value")
	e := s.Lock([]byte("k"), s.Hash([]byte("k")))
	it := e.Item()
	for range many {
		s.Retain(it)
	}
	e.Unlock()
	if n := s.Stats().RefsSaturated; n != 1 {
		t.Fatalf("%d saturated", n)
	}
	if !remove(s, "k") {
		t.Fatal("gone")
	}
	wantAbsent(t, s, "k")
	for range many {
		s.Release(it)
	}
	mustSet(t, s, "other", "other")
	if string(contents(s, it)) != "value" {
		t.Fatal("freed")
	}
	used := 0
	for _, c := range s.Classes() {
		used += c.ChunksUsed
	}
	if used != 2 {
		t.Fatalf("%d chunks used", used)
	}
}

// TestReferencesBelowSaturation: as many as can be counted come and go.
func TestReferencesBelowSaturation(t *testing.T) {
	s := open(t, small)
	mustSet(t, s, "k", "value")
	e := s.Lock([]byte("k"), s.Hash([]byte("k")))
	it := e.Item()
	for range referenceHigh/referenceOne - 2 {
		s.Retain(it)
	}
	e.Unlock()
	remove(s, "k")
	for range referenceHigh/referenceOne - 2 {
		s.Release(it)
	}
	unused(t, s)
}
