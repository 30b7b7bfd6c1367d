package store

import (
	"fmt"
	"testing"
	"unsafe"

	"ringcached/store/keyhash"
)

// allAlike is a store in which all keys have the hash 0.
func allAlike(t testing.TB, c Config) *Store {
	s := open(t, c)
	s.secrets = keyhash.Secrets{}
	return s
}

// TestBucketIsBounded: where all keys are in one bucket it has as many as it may, and what is stored last is there.
func TestBucketIsBounded(t *testing.T) {
	const most, count = chainMax * bucketSlots, 5000
	for _, noEvict := range []bool{false, true} {
		c := small
		c.NoEvict = noEvict
		s := allAlike(t, c)
		evicted := 0
		s.OnEviction(func(Item) { evicted++ })
		for i := range count {
			key := fmt.Sprint("key", i)
			mustSet(t, s, key, "of "+key)
			wantValue(t, s, key, "of "+key)
			if n := longestChain(s); i%100 == 0 && n > chainMax {
				t.Fatalf("a chain of %d buckets after %d items", n, i+1)
			}
		}
		n := s.Stats()
		if n.CurrItems != most || n.HashEvictions != count-most || n.Evictions != count-most || evicted != count-most {
			t.Errorf("%d items, %d evictions from buckets, %d evictions, %d told of; want %d, and %d each",
				n.CurrItems, n.HashEvictions, n.Evictions, evicted, most, count-most)
		}
		audit(t, s)
		s.ResetStats()
		if n := s.Stats().HashEvictions; n != 0 {
			t.Errorf("%d after a reset", n)
		}
	}
}

// TestBucketKeepsWhatIsUsed: who floods a bucket drives out his own items, dead ones first, and not those that are in use.
func TestBucketKeepsWhatIsUsed(t *testing.T) {
	s := allAlike(t, small)
	mustSet(t, s, "used", "value")
	wantValue(t, s, "used", "value")
	if err := set(s, "mortal", "value", 0, firstSecond+1); err != nil {
		t.Fatal(err)
	}
	fillUp := func(from, to int) {
		for i := from; i < to; i++ {
			mustSet(t, s, fmt.Sprint("flood", i), "value")
		}
	}
	const room = chainMax*bucketSlots - 2
	fillUp(0, room)
	s.SetNow(firstSecond + 2)
	fillUp(room, room+1)
	if n := s.Stats(); n.HashEvictions != 1 || n.Reclaimed != 1 || n.Evictions != 0 {
		t.Errorf("%d from the bucket, %d reclaimed, %d evicted; the dead one had to go", n.HashEvictions, n.Reclaimed, n.Evictions)
	}
	fillUp(room+1, 1000)
	wantValue(t, s, "used", "value")
	wantValue(t, s, "flood0", "value")
	wantAbsent(t, s, "flood998")
	wantValue(t, s, "flood999", "value")
}

// TestFullBucketIsSearched: in a bucket with as many items as it may have, all with one tag, each can be read, replaced and removed, under the
// lock and without.
func TestFullBucketIsSearched(t *testing.T) {
	s := allAlike(t, small)
	for round := range 3 {
		for i := range chainMax * bucketSlots {
			key := fmt.Sprint("key", i)
			mustSet(t, s, key, fmt.Sprint(round))
		}
		var v View
		for i := range chainMax * bucketSlots {
			key := fmt.Sprint("key", i)
			wantValue(t, s, key, fmt.Sprint(round))
			if saw := s.TryGet([]byte(key), 0, new(Approach), &v); saw == Miss {
				t.Errorf("%s seems absent", key)
			}
		}
	}
	if n := s.Stats().HashEvictions; n != 0 {
		t.Errorf("%d evicted from a bucket that was not overfull", n)
	}
	audit(t, s)
	for i := range chainMax * bucketSlots {
		if !remove(s, fmt.Sprint("key", i)) {
			t.Errorf("key%d is gone", i)
		}
	}
	unused(t, s)
}

// TestFullStoreHasNoFullBucket: by chance no bucket comes near the bound, however full the store is.
func TestFullStoreHasNoFullBucket(t *testing.T) {
	s := open(t, Config{Limit: 32 << 20, ItemMax: 1 << 20, Factor: 1.25, ChunkMin: 1})
	for i := 0; s.Stats().Evictions == 0; i++ {
		for j := range 1000 {
			mustSet(t, s, fmt.Sprint(i*1000+j), "")
		}
	}
	if n := s.Stats(); n.HashEvictions != 0 {
		t.Errorf("%d of %d items were evicted from buckets", n.HashEvictions, n.CurrItems)
	}
	if most := longestChain(s); most >= chainMax {
		t.Errorf("a chain of %d buckets", most)
	} else {
		t.Logf("%d items, at most %d buckets in a chain", s.Stats().CurrItems, most)
	}
}

// BenchmarkBucketFull is the most that a bucket can cost: all keys are in it, with one tag. "hit" reads the one that is found last, "miss" looks
// for one that is not there, "evict" stores new ones. Beside it is what the same costs in an index whose keys are spread.
func BenchmarkBucketFull(b *testing.B) {
	for _, spread := range []bool{true, false} {
		s := open(b, small)
		if !spread {
			s.secrets = keyhash.Secrets{}
		}
		keys := make([][]byte, chainMax*bucketSlots)
		for i := range keys {
			keys[i] = fmt.Appendf(nil, "key:%016d", i)
			put(s, keys[i], benchValue)
		}
		var v View
		run := func(name string, f func(i int)) {
			b.Run(fmt.Sprintf("%s/spread=%v", name, spread), func(b *testing.B) {
				i := 0
				for b.Loop() {
					f(i)
					i++
				}
			})
		}
		absent, next := []byte("absent:0000000000000"), []byte("new:0000000000000000")
		run("hit", func(int) { hit(s, keys[len(keys)-1], &v) })
		run("miss", func(int) { hit(s, absent, &v) })
		run("evict", func(i int) {
			*(*uint64)(unsafe.Pointer(&next[len(next)-8])) = uint64(i)
			put(s, next, benchValue)
		})
	}
}
