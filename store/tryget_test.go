package store

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

// warmUp uses an item so often that using it once more changes nothing.
func warmUp(s *Store, key string) {
	for range 4 {
		get(s, key)
	}
}

// wantTryGet fails unless TryGet sees what is wanted, and shows the item that Lock finds.
func wantTryGet(t *testing.T, s *Store, key string, want Outcome) {
	t.Helper()
	if !canTryGet {
		want = Retry
	}
	var v View
	if saw := s.TryGet([]byte(key), s.Hash([]byte(key)), new(Approach), &v); saw != want {
		t.Fatalf("%s: saw %d, want %d", key, saw, want)
	}
	if want != Hit {
		return
	}
	e := s.Lock([]byte(key), s.Hash([]byte(key)))
	defer e.Unlock()
	wantView(t, s, &v, e.Item())
	if !v.Unchanged() {
		t.Errorf("%s: seems changed", key)
	}
	var kept View
	e.Item().Look(&kept)
	wantView(t, s, &kept, e.Item())
}

// wantView fails unless v shows the item, which is in one piece.
func wantView(t *testing.T, s *Store, v *View, it Item) {
	t.Helper()
	head := len(it.Key()) + s.SuffixLen(it)
	if text := s.Text(it); string(v.Text()) != string(text) || string(v.Value()) != string(text[head:]) || string(v.Suffix()) != string(text[len(it.Key()):head]) {
		t.Errorf("shown is %q with %q and %q, the item is %q", v.Text(), v.Suffix(), v.Value(), text)
	}
	if v.Flags() != it.Flags() || v.CAS() != it.CAS() || v.Exptime() != it.Exptime() || v.LastAccess() != it.LastAccess() || v.Len() != it.Len() ||
		v.Class() != it.Class() || v.Marks() != it.Marks() || v.Fetched() != it.Fetched() || v.Chained() {
		t.Errorf("%q is not shown as it is", it.Key())
	}
}

func TestTryGet(t *testing.T) {
	s := open(t, small)
	s.SetNow(100)
	wantTryGet(t, s, "a", Miss)
	if err := set(s, "a", "value", 17, 200); err != nil {
		t.Fatal(err)
	}
	wantTryGet(t, s, "a", Retry) // its use has to be noted
	warmUp(s, "a")
	wantTryGet(t, s, "a", Hit)
	s.SetNow(100 + accessStep)
	wantTryGet(t, s, "a", Retry) // once more
	warmUp(s, "a")
	wantTryGet(t, s, "a", Hit)
	s.SetNow(200)
	wantTryGet(t, s, "a", Retry) // expired: Lock counts that
	wantAbsent(t, s, "a")
	wantTryGet(t, s, "a", Miss)

	mustSet(t, s, "b", "value")
	warmUp(s, "b")
	wantTryGet(t, s, "b", Hit)
	s.FlushAll(0)
	wantTryGet(t, s, "b", Retry)
	wantAbsent(t, s, "b")

	it, err := s.AllocCAS([]byte("own"), 0, 0, 2, 1<<63)
	if err != nil {
		t.Fatal(err)
	}
	it.SetMarks(MarkBinary | MarkStale)
	fill(s, it, []byte("!!"))
	e := s.Lock([]byte("own"), s.Hash([]byte("own")))
	e.Link(it)
	e.Unlock()
	warmUp(s, "own")
	wantTryGet(t, s, "own", Hit)
}

// TestTryGetAtSizes: up to the largest that is shown, and none of those that are longer or in several pieces.
func TestTryGetAtSizes(t *testing.T) {
	s := open(t, small)
	for _, key := range []string{"s", "size", strings.Repeat("k", KeyMax)} {
		for _, n := range []int{0, 1, 100, 1000, viewMax - 3, viewMax - 2, viewMax - 1, 5000, 700_000} {
			if err := set(s, key, strings.Repeat("x", n), math.MaxUint32, 0); err != nil {
				t.Fatal(err)
			}
			warmUp(s, key)
			want := Hit
			if n+2 > viewMax {
				want = Retry
			}
			wantTryGet(t, s, key, want)
		}
	}
}

// TestTryGetTornHeader: a chunk may become a part of a chain, whose size is where an item has its shape, between two looks at its header. TryGet shows
// nothing of which a reader could not take the flags, whatever the size, even though it would not count.
func TestTryGetTornHeader(t *testing.T) {
	s := open(t, small)
	mustSet(t, s, "k", "value")
	warmUp(s, "k")
	wantTryGet(t, s, "k", Hit)
	e := s.Lock([]byte("k"), s.Hash([]byte("k")))
	defer e.Unlock()
	h := e.Item().h
	shape := h.shape
	defer func() { h.shape = shape }()
	for suffix := range uint32(1 << 5) {
		h.shape = shape&^(0x1f<<shapeSuffix) | suffix<<shapeSuffix
		var v View
		saw := s.TryGet([]byte("k"), e.hash, new(Approach), &v)
		if saw == Hit {
			_ = v.Flags()
		}
		if least := uint32(len(" 0 0\r\n")); saw == Hit && suffix < least {
			t.Errorf("shows an item with a suffix of %d bytes", suffix)
		}
	}
}

// TestLookAtChain: of an item in several pieces a View has key and suffix.
func TestLookAtChain(t *testing.T) {
	s := open(t, small)
	mustSet(t, s, "chain", strings.Repeat("x", 700_000))
	e := s.Lock([]byte("chain"), s.Hash([]byte("chain")))
	defer e.Unlock()
	var v View
	e.Item().Look(&v)
	if string(v.Text()) != "chain 0 700000\r\n" || v.Len() != 700_000 || len(v.Value()) != 0 || !v.Chained() || v.CAS() != e.Item().CAS() || !v.Unchanged() {
		t.Errorf("shown is %q, %d bytes", v.Text(), v.Len())
	}
}

// TestTryGetDuringChange: what is being changed cannot be told without the lock.
func TestTryGetDuringChange(t *testing.T) {
	s := open(t, small)
	mustSet(t, s, "a", "old")
	warmUp(s, "a")
	hash := s.Hash([]byte("a"))

	e := s.Lock([]byte("a"), hash)
	var v View
	if saw := s.TryGet([]byte("a"), hash, new(Approach), &v); canTryGet && (saw != Hit || string(v.Text()) != "a 0 3\r\nold\r\n" || !v.Unchanged()) {
		t.Errorf("saw %d, %q while nothing was changed", saw, v.Text())
	}
	if !e.Exclusive() {
		t.Fatal("not exclusive")
	}
	if canTryGet && v.Unchanged() {
		t.Error("what is read from now on would count although the value is being changed")
	}
	if saw := s.TryGet([]byte("a"), hash, new(Approach), &v); saw != Retry {
		t.Errorf("saw %d while the value was changed in place", saw)
	}
	e.Unlock()
	wantTryGet(t, s, "a", Hit)

	e = s.Lock([]byte("a"), hash)
	e.Unlink()
	if saw := s.TryGet([]byte("a"), hash, new(Approach), &v); saw != Retry {
		t.Errorf("saw %d while the item was removed", saw)
	}
	e.Unlock()
	wantTryGet(t, s, "a", Miss)
}

// TestApproach: TryGet finds what Lock finds, whatever an Approach to the key has seen before, of this key or of another.
func TestApproach(t *testing.T) {
	s := open(t, small)
	name := func(i int) string { return fmt.Sprint("key", i) }
	const count = 3000 // enough for overflow buckets
	hits := 0
	check := func(key string, near *Approach, there bool) {
		t.Helper()
		var v View
		switch saw := s.TryGet([]byte(key), s.Hash([]byte(key)), near, &v); {
		case saw == Miss && there, saw == Hit && !there, saw == Hit && string(v.Value()) != key+"\r\n":
			t.Fatalf("%s: saw %d", key, saw)
		case saw == Hit:
			hits++
		}
	}
	for i := range count {
		mustSet(t, s, name(i), name(i))
		warmUp(s, name(i))
	}
	nears := make([]Approach, count)
	for steps := range 4 {
		for i := range nears {
			s.Approach(&nears[i], s.Hash([]byte(name(i))))
			for range steps {
				nears[i].Step(s)
			}
		}
		for i := range nears {
			check(name(i), &nears[i], true)
			check(name((i+1)%count), &nears[i], true) // another key's
			check("no such key", &nears[i], false)
		}
	}
	if canTryGet && hits != 4*2*count {
		t.Errorf("%d hits", hits)
	}
	for i := range count { // they go, and others come in their place: slots move, buckets split
		remove(s, name(i))
		check(name(i), &nears[i], false)
		for j := range 2 {
			mustSet(t, s, name(count+2*i+j), name(count+2*i+j))
			warmUp(s, name(count+2*i+j))
		}
		check(name(count+2*i), &nears[i], true)
	}
	for i := range nears {
		check(name(i), &nears[i], false)
		check(name(count+i), &nears[i], true)
	}
}

// BenchmarkCopyOfSize is a hit with its answer copied, as proto does it: "tryget" without the lock, "lock" under it.
func BenchmarkCopyOfSize(b *testing.B) {
	for _, n := range []int{64, 256, 512, 900, 2000, 4000} {
		b.Run(fmt.Sprintf("tryget/%d", n), func(b *testing.B) { copyOfSize(b, n, true) })
		b.Run(fmt.Sprintf("lock/%d", n), func(b *testing.B) { copyOfSize(b, n, false) })
	}
}

func copyOfSize(b *testing.B, n int, tryGet bool) {
	s := open(b, small)
	keys := make([][]byte, 64)
	for i := range keys {
		keys[i] = fmt.Appendf(nil, "key:%016d", i)
		mustSet(b, s, string(keys[i]), strings.Repeat("v", n))
		warmUp(s, string(keys[i]))
	}
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(p *testing.PB) {
		var v View
		reply := make([]byte, 8<<10)
		for i := 0; p.Next(); i++ {
			key := keys[i%len(keys)]
			hash := s.Hash(key)
			if tryGet {
				if s.TryGet(key, hash, new(Approach), &v) != Hit || copy(reply, v.Text()) == 0 || !v.Unchanged() {
					panic("a key is gone")
				}
				continue
			}
			e := s.Lock(key, hash)
			e.MarkUsed()
			copy(reply, s.Text(e.Item()))
			e.Unlock()
		}
	})
}
