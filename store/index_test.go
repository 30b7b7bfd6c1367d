package store

import (
	"fmt"
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

// TestIndexCrowded has all keys in one stripe, more than it has address space for: it goes on with longer chains.
func TestIndexCrowded(t *testing.T) {
	s := open(t, small)
	var keys []string
	for i := 0; len(keys) < 9000; i++ {
		key := fmt.Sprint("key", i)
		if Hash([]byte(key))&s.stripeMask == 7 {
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
