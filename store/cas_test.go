package store

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
)

// mustSetCAS stores value under key with a CAS of the caller's choice.
func mustSetCAS(t testing.TB, s *Store, key, value string, cas uint64) {
	t.Helper()
	it, err := s.AllocCAS([]byte(key), 7, 0, len(value), cas)
	if err != nil {
		t.Fatal(err)
	}
	fill(s, it, []byte(value))
	e := s.Lock([]byte(key), s.Hash([]byte(key)))
	e.Link(it)
	e.Unlock()
}

func casOf(s *Store, key string) uint64 {
	e := s.Lock([]byte(key), s.Hash([]byte(key)))
	defer e.Unlock()
	if !e.Item().Valid() {
		return math.MaxUint64
	}
	return e.Item().CAS()
}

// TestOwnCASAndFlush: what a client chose says nothing about the order of stores and flushes.
func TestOwnCASAndFlush(t *testing.T) {
	s := open(t, small)
	for range 1000 {
		mustSet(t, s, "other", "1")
	}
	mustSetCAS(t, s, "low", "1", 1)
	mustSetCAS(t, s, "high", "1", math.MaxUint64-1)
	s.FlushAll(0)
	wantAbsent(t, s, "low")
	wantAbsent(t, s, "high")
	mustSetCAS(t, s, "low", "2", 0)
	mustSetCAS(t, s, "high", "2", 1<<63)
	wantValue(t, s, "low", "2")
	wantValue(t, s, "high", "2")
	if low, high := casOf(s, "low"), casOf(s, "high"); low != 0 || high != 1<<63 {
		t.Errorf("CAS %d and %d", low, high)
	}
	s.FlushAll(0)
	wantAbsent(t, s, "low")
	wantAbsent(t, s, "high")
	audit(t, s)
}

// TestOwnCASSizes goes over sizes of all kinds, chains included.
func TestOwnCASSizes(t *testing.T) {
	s := open(t, Config{Limit: 32 << 20, ItemMax: 4 << 20, Factor: 1.25, ChunkMin: 48})
	for _, n := range []int{0, 1, 40, 41, 47, 48, 49, 1000, ChunkMax - 60, ChunkMax - 40, ChunkMax - 32, ChunkMax, ChunkMax + 1, 1 << 20, 3 << 20} {
		value := bytes.Repeat([]byte("v"), n)
		mustSetCAS(t, s, "key", string(value), uint64(n)<<32)
		wantValue(t, s, "key", string(value))
		e := s.Lock([]byte("key"), s.Hash([]byte("key")))
		it := e.Item()
		if cas, ok := it.OwnCAS(); !ok || cas != uint64(n)<<32 || it.CAS() != cas || it.Flags() != 7 || it.Len() != n {
			t.Errorf("%d bytes: CAS %d, %v; flags %d; length %d", n, cas, ok, it.Flags(), it.Len())
		}
		e.Unlock()
		audit(t, s)
	}
	if _, err := s.AllocCAS([]byte("key"), 0, 0, 4<<20, 1); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
}

func TestCASInPlace(t *testing.T) {
	s := open(t, small)
	mustSet(t, s, "plain", "1")
	mustSetCAS(t, s, "own", "1", 500)
	e := s.Lock([]byte("plain"), s.Hash([]byte("plain")))
	before := e.Item().CAS()
	if e.SetCAS(9) || e.Item().CAS() != before {
		t.Error("a CAS was put where there is no room")
	}
	if _, ok := e.Item().OwnCAS(); ok {
		t.Error("a CAS of the store's choice is taken for another")
	}
	e.Unlock()
	e = s.Lock([]byte("own"), s.Hash([]byte("own")))
	if !e.SetCAS(9) || e.Item().CAS() != 9 {
		t.Error("not set")
	}
	if cas := e.NewCAS(); cas <= before || e.Item().CAS() != cas {
		t.Errorf("new CAS %d, item %d", cas, e.Item().CAS())
	}
	e.Unlock()
}

func TestMarks(t *testing.T) {
	s := open(t, small)
	mustSetCAS(t, s, "a", "1", 5)
	e := s.Lock([]byte("a"), s.Hash([]byte("a")))
	it := e.Item()
	for _, m := range []Marks{0, MarkStale, MarkStale | MarkWon, MarkWon | MarkBinary, MarkBinary, 0} {
		s.Retain(it)
		it.SetMarks(m)
		e.MarkUsed()
		s.Release(it)
		if it.Marks() != m {
			t.Errorf("marks %x, want %x", it.Marks(), m)
		}
	}
	it.SetMarks(^Marks(0))
	if it.Marks() != allMarks || it.CAS() != 5 {
		t.Errorf("marks %x, CAS %d", it.Marks(), it.CAS())
	}
	e.Unlock()
	mustSet(t, s, "a", "2")
	e = s.Lock([]byte("a"), s.Hash([]byte("a")))
	if m := e.Item().Marks(); m != 0 {
		t.Errorf("a new item has marks %x", m)
	}
	e.Unlock()
	audit(t, s)
}

// TestOwnCASEvicted: what eviction and the emptying of a page free is counted with the room for the CAS; audit looks.
func TestOwnCASEvicted(t *testing.T) {
	s := open(t, small)
	value := strings.Repeat("v", 1000)
	for i := uint64(0); s.Stats().Evictions < 100; i++ {
		mustSetCAS(t, s, fmt.Sprintf("key%08d", i), value, i+1)
	}
	audit(t, s)
	c := s.classFor(headerSize + casSize + len("key00000000 7 1000\r\n") + len(value) + 2)
	if err := s.Reassign(int(c.id), int(c.id)+1); err != nil {
		t.Fatal(err)
	}
	settle(t, s)
}
