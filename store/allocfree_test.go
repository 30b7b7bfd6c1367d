//go:build !race && !invariants

package store

import "testing"

// TestHotPathAllocatesNothing: race detector and invariants allocate of their own, so that this is built without them.
func TestHotPathAllocatesNothing(t *testing.T) {
	s, keys := warm(t)
	var v View
	i := 0
	next := func() []byte {
		if i++; i == len(keys) {
			i = 0
		}
		return keys[i]
	}
	for name, work := range map[string]func(){
		"get":  func() { hit(s, next(), &v) },
		"set":  func() { put(s, next(), benchValue) },
		"miss": func() { hit(s, []byte("no such key"), &v) },
		"delete and set": func() {
			key := next()
			e := s.Lock(key, s.Hash(key))
			if e.Item().Valid() {
				e.Unlink()
			}
			e.Unlock()
			put(s, key, benchValue)
		},
		"reference": func() {
			key := next()
			e := s.Lock(key, s.Hash(key))
			it := e.Item()
			s.Retain(it)
			e.Unlock()
			s.Release(s.ItemOf(it.Ref()))
		},
		"append": func() {
			key := next()
			e := s.Lock(key, s.Hash(key))
			it, err := e.Alloc(key, 0, 0, len(benchValue)-2)
			if err != nil {
				t.Fatal(err)
			}
			copy(s.Writable(it, 0), s.Segment(e.Item(), 0))
			e.Link(it)
			e.Unlock()
		},
	} {
		if n := testing.AllocsPerRun(10_000, work); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// TestEvictionAllocatesNothing, with a store that is full from the start.
func TestEvictionAllocatesNothing(t *testing.T) {
	s := open(t, small)
	key := []byte("key 0000000")
	next := func() {
		for i := len(key) - 1; ; i-- {
			if key[i]++; key[i] <= '9' {
				break
			}
			key[i] = '0'
		}
		put(s, key, benchValue)
	}
	for s.Stats().Evictions == 0 {
		for range 1000 {
			next()
		}
	}
	if n := testing.AllocsPerRun(10_000, next); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
