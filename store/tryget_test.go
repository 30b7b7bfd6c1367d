package store

import (
	"fmt"
	"strings"
	"testing"
)

// warmUp uses an item so often that using it once more changes nothing.
func warmUp(s *Store, key string) {
	for range 4 {
		get(s, key)
	}
}

// wantTryGet fails unless TryGet sees what is wanted, and copies the value that Lock finds.
func wantTryGet(t *testing.T, s *Store, key string, want Outcome) {
	t.Helper()
	if !canTryGet {
		want = Retry
	}
	var c Copy
	if saw := s.TryGet([]byte(key), s.Hash([]byte(key)), &c); saw != want {
		t.Fatalf("%s: saw %d, want %d", key, saw, want)
	}
	if want != Hit {
		return
	}
	e := s.Lock([]byte(key), s.Hash([]byte(key)))
	defer e.Unlock()
	it, is := c.Item(), e.Item()
	if string(s.Text(it)) != string(s.Text(is)) || string(it.Key()) != key || it.Flags() != is.Flags() || it.CAS() != is.CAS() ||
		it.Exptime() != is.Exptime() || it.LastAccess() != is.LastAccess() || it.Class() != is.Class() || it.Marks() != is.Marks() || !it.Fetched() {
		t.Errorf("%s: the copy is %q, the item %q", key, s.Text(it), s.Text(is))
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

// TestTryGetAtSizes: up to the largest that is copied, and none of those that are longer or in several pieces.
func TestTryGetAtSizes(t *testing.T) {
	s := open(t, small)
	for _, n := range []int{0, 1, 100, 900, copyMax - headerSize - len("size"+" 0 100\r\n"+"\r\n") + 1, 5000, 700_000} {
		mustSet(t, s, "size", strings.Repeat("x", n))
		warmUp(s, "size")
		want := Hit
		if n > 900 {
			want = Retry
		}
		wantTryGet(t, s, "size", want)
	}
	key := strings.Repeat("k", KeyMax)
	mustSet(t, s, key, strings.Repeat("v", copyMax-headerSize-KeyMax-len(" 0 733\r\n"+"\r\n")))
	warmUp(s, key)
	wantTryGet(t, s, key, Hit)
}

// TestTryGetDuringChange: what is being changed cannot be told without the lock.
func TestTryGetDuringChange(t *testing.T) {
	s := open(t, small)
	mustSet(t, s, "a", "old")
	warmUp(s, "a")
	hash := s.Hash([]byte("a"))

	e := s.Lock([]byte("a"), hash)
	var c Copy
	if saw := s.TryGet([]byte("a"), hash, &c); canTryGet && (saw != Hit || string(s.Text(c.Item())) != "a 0 3\r\nold\r\n") {
		t.Errorf("saw %d, %q while nothing was changed", saw, s.Text(c.Item()))
	}
	if !e.Exclusive() {
		t.Fatal("not exclusive")
	}
	if saw := s.TryGet([]byte("a"), hash, &c); saw != Retry {
		t.Errorf("saw %d while the value was changed in place", saw)
	}
	e.Unlock()
	wantTryGet(t, s, "a", Hit)

	e = s.Lock([]byte("a"), hash)
	e.Unlink()
	if saw := s.TryGet([]byte("a"), hash, &c); saw != Retry {
		t.Errorf("saw %d while the item was removed", saw)
	}
	e.Unlock()
	wantTryGet(t, s, "a", Miss)
}

// BenchmarkCopyOfSize is a hit with its answer copied, as proto does it: "tryget" copies the item into a Copy and from there, "lock" copies
// it once, under the lock. To see larger sizes, raise copyMax.
func BenchmarkCopyOfSize(b *testing.B) {
	for _, n := range []int{64, 256, 512, 900} {
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
		var c Copy
		reply := make([]byte, 8<<10)
		for i := 0; p.Next(); i++ {
			key := keys[i%len(keys)]
			hash := s.Hash(key)
			if tryGet {
				if s.TryGet(key, hash, &c) != Hit {
					panic("a key is gone")
				}
				copy(reply, s.Text(c.Item()))
				continue
			}
			e := s.Lock(key, hash)
			e.MarkUsed()
			copy(reply, s.Text(e.Item()))
			e.Unlock()
		}
	})
}
