package store

import (
	"fmt"
	"math/rand/v2"
	"strings"
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
		e := s.Lock([]byte(key), s.Hash([]byte(key)))
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
