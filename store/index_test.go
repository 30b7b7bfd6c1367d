package store

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"testing"
)

func TestMatches(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 100000 {
		var b bucket
		for i := range b.tags {
			b.tags[i] = uint8(random.IntN(4)) * uint8(random.IntN(128))
		}
		tag := b.tags[random.IntN(bucketSlots)]
		var want uint32
		for i, other := range b.tags {
			if other == tag {
				want |= 1 << i
			}
		}
		if got := b.matches(tag); got != want {
			t.Fatalf("tags %v: %d is at %012b, want %012b", b.tags, tag, got, want)
		}
		if got := b.firstMatch(tag); got != bits.TrailingZeros32(want) {
			t.Fatalf("tags %v: %d is first at %d, want %012b", b.tags, tag, got, want)
		}
		if got := b.firstMatch(251); got < bucketSlots {
			t.Fatalf("tags %v: 251 is at %d", b.tags, got)
		}
	}
}

// TestIndexGrows puts in and takes out while buckets split.
func TestIndexGrows(t *testing.T) {
	s := open(t, Config{Limit: 64 << 20, ItemMax: 1 << 20, Factor: 1.25, ChunkMin: 48})
	const count = 200000
	for i := range count {
		mustSet(t, s, fmt.Sprint("key", i), fmt.Sprint(i))
		if i%3 == 0 {
			wantValue(t, s, fmt.Sprint("key", i/2), fmt.Sprint(i/2))
		}
	}
	stats := s.Stats()
	if stats.CurrItems != count {
		t.Fatalf("%d items", stats.CurrItems)
	}
	perItem := float64(stats.HashBytes) / count
	t.Logf("%.2f bytes of index per item, %d overflow buckets for %d buckets", perItem, s.spill.used, stats.HashBytes/bucketSize)
	if perItem > 10.5 {
		t.Errorf("%.2f bytes of index per item", perItem)
	}
	audit(t, s)
	for i := range count {
		if !remove(s, fmt.Sprint("key", i)) {
			t.Fatalf("key%d is gone", i)
		}
	}
	unused(t, s)
	if s.spill.used != 0 {
		t.Errorf("%d overflow buckets in use by an empty index", s.spill.used)
	}
}

// TestHashIsSeeded: keys that one store has in a single bucket are spread by another, which has a seed of its own.
func TestHashIsSeeded(t *testing.T) {
	a, b := open(t, small), open(t, small)
	const crowd, bits = 200, 1<<11 - 1
	places := map[uint64]int{}
	for i, n := 0, 0; n < crowd; i++ {
		key := []byte(fmt.Sprint("key", i))
		if a.Hash(key)&bits == 0 {
			n++
			places[b.Hash(key)&bits]++
			mustSet(t, b, string(key), "v")
		}
	}
	for place, n := range places {
		if n > crowd/20 {
			t.Errorf("%d keys of %d are together at %d again", n, crowd, place)
		}
	}
	if most := longestChain(b); most > 3 {
		t.Errorf("a chain of %d buckets", most)
	}
}

// longestChain is how many buckets a lookup may have to go through.
func longestChain(s *Store) (most int) {
	for i := range s.stripes {
		st := &s.stripes[i]
		for j := range st.buckets() {
			n := 0
			for b := s.bucket(st, j); b != nil; b = s.spill.after(b) {
				n++
			}
			most = max(most, n)
		}
	}
	return most
}

// TestIndexCrowded has all keys in one stripe, more than it has address space for: it goes on with longer chains.
func TestIndexCrowded(t *testing.T) {
	s := open(t, small)
	var keys []string
	for i := 0; len(keys) < 2000; i++ {
		key := fmt.Sprint("key", i)
		if s.Hash([]byte(key))&s.stripeMask == 7 {
			keys = append(keys, key)
		}
	}
	for _, key := range keys {
		mustSet(t, s, key, "of "+key)
	}
	if st := &s.stripes[7]; st.buckets() != s.maxBuckets.Load() {
		t.Errorf("%d buckets of %d: not crowded", st.buckets(), s.maxBuckets.Load())
	}
	audit(t, s)
	random := rand.New(rand.NewPCG(1, 2))
	random.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	for i, key := range keys {
		wantValue(t, s, key, "of "+key)
		if !remove(s, key) {
			t.Fatalf("%s is gone", key)
		}
		if i == len(keys)/2 {
			audit(t, s)
		}
	}
	unused(t, s)
}
