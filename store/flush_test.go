package store

import (
	"fmt"
	"testing"
)

func TestFlushAll(t *testing.T) {
	s := open(t, small)
	mustSet(t, s, "before", "1")
	mustSet(t, s, "upload", "old")
	it, err := s.Alloc([]byte("upload"), 0, 0, 3)
	if err != nil {
		t.Fatal(err)
	}
	fill(s, it, []byte("new"))
	s.FlushAll(0)
	mustSet(t, s, "after", "2")
	wantAbsent(t, s, "before")
	wantAbsent(t, s, "upload")
	wantValue(t, s, "after", "2")
	e := s.Lock([]byte("upload"), s.Hash([]byte("upload")))
	e.Link(it) // stored when it is complete, which is after the flush
	e.Unlock()
	wantValue(t, s, "upload", "new")
	if n := s.Stats().CurrItems; n != 2 {
		t.Fatalf("%d items", n)
	}
}

// TestFlushManyStripes: stripes hold blocks of CAS numbers from before the flush, which must not live or die wrongly.
func TestFlushManyStripes(t *testing.T) {
	s := open(t, small)
	keys := make([]string, 2000)
	for i := range keys {
		keys[i] = string(rune('a'+i%26)) + string(sealed("", 2)) + string(rune('0'+i/26))
	}
	for round := range 50 {
		for i, key := range keys {
			if i%2 == round%2 {
				mustSet(t, s, key, "v")
			}
		}
		s.FlushAll(0)
		for i, key := range keys {
			if i%3 == 0 {
				mustSet(t, s, key, "v")
			}
		}
		for i, key := range keys {
			if _, ok := get(s, key); ok != (i%3 == 0) {
				t.Fatalf("round %d: key %d found: %v", round, i, ok)
			}
		}
	}
}

func TestFlushDelayed(t *testing.T) {
	s := open(t, small)
	s.SetNow(100)
	mustSet(t, s, "before", "1")
	s.FlushAll(103)
	mustSet(t, s, "between", "2")
	s.SetNow(102)
	wantValue(t, s, "before", "1")
	wantValue(t, s, "between", "2")
	s.SetNow(103)
	wantAbsent(t, s, "before")
	wantAbsent(t, s, "between")
	mustSet(t, s, "after", "3")
	s.SetNow(110)
	wantValue(t, s, "after", "3")

	// The clock may step over the second.
	s.FlushAll(111)
	s.SetNow(200)
	wantAbsent(t, s, "after")

	// A second that has come is now, and an immediate flush takes the place of a later one.
	mustSet(t, s, "k", "4")
	s.FlushAll(300)
	s.FlushAll(200)
	wantAbsent(t, s, "k")
	mustSet(t, s, "k", "5")
	s.SetNow(300)
	wantValue(t, s, "k", "5")
}

func TestFlushWhileLocked(t *testing.T) {
	s := open(t, small)
	key := []byte("counter")
	mustSet(t, s, "counter", "1")
	e := s.Lock(key, s.Hash(key))
	s.FlushAll(0)
	e.NewCAS() // as incr does: the flush comes after it
	e.Unlock()
	wantAbsent(t, s, "counter")

	mustSet(t, s, "counter", "1")
	e = s.Lock(key, s.Hash(key))
	it, err := e.Alloc(key, 0, 0, 2)
	if err != nil {
		t.Fatal(err)
	}
	fill(s, it, []byte("12"))
	s.FlushAll(0)
	e.Link(it) // as append does
	e.Unlock()
	wantAbsent(t, s, "counter")
}

func TestExpiry(t *testing.T) {
	s := open(t, small)
	s.SetNow(1000)
	for _, c := range []struct {
		key     string
		exptime uint32
	}{{"never", 0}, {"past", 1}, {"now", 1000}, {"next", 1001}, {"later", 1100}} {
		if err := set(s, c.key, "v", 0, c.exptime); err != nil {
			t.Fatal(err)
		}
	}
	wantValue(t, s, "never", "v")
	wantAbsent(t, s, "past")
	wantAbsent(t, s, "now")
	wantValue(t, s, "next", "v")
	s.SetNow(1001)
	wantAbsent(t, s, "next")
	wantValue(t, s, "later", "v")

	touch := func(key string, sec uint32) {
		e := s.Lock([]byte(key), s.Hash([]byte(key)))
		defer e.Unlock()
		e.SetExptime(sec)
	}
	touch("later", 0)
	touch("never", 1050)
	s.SetNow(2000)
	wantValue(t, s, "later", "v")
	e := s.Lock([]byte("never"), s.Hash([]byte("never")))
	if e.Item().Valid() || !e.Expired() || e.Flushed() {
		t.Error("an item that expired does not show as that")
	}
	e.Unlock()
	s.FlushAll(0)
	e = s.Lock([]byte("later"), s.Hash([]byte("later")))
	if e.Item().Valid() || e.Expired() || !e.Flushed() {
		t.Error("an item that was flushed does not show as that")
	}
	e.Unlock()
	e = s.Lock([]byte("later"), s.Hash([]byte("later")))
	if e.Expired() || e.Flushed() {
		t.Error("an item that is gone shows as one that expired or was flushed just now")
	}
	e.Unlock()
	unused(t, s)
}

// TestFlushIsCounted: right after a flush it is known how much of the index is dead, and that goes down as the dead are met.
func TestFlushIsCounted(t *testing.T) {
	s := open(t, small)
	key := func(i int) string { return fmt.Sprintf("key %d", i) }
	for i := range 3000 {
		mustSet(t, s, key(i), "value")
	}
	want := func(items, dead uint64) {
		t.Helper()
		n := s.Stats()
		if n.CurrItems != items || n.FlushedItems != dead || (n.FlushedBytes == 0) != (dead == 0) || (n.Bytes == n.FlushedBytes) != (items == dead) {
			t.Errorf("%d items of %d bytes, of which %d of %d bytes were flushed; want %d and %d", n.CurrItems, n.Bytes, n.FlushedItems, n.FlushedBytes, items, dead)
		}
		audit(t, s)
	}
	want(3000, 0)
	s.FlushAll(0)
	want(3000, 3000)
	for i := range 1000 {
		mustSet(t, s, key(i), "value") // in the place of a dead one
	}
	mustSet(t, s, "new", "value")
	want(3001, 2000)
	wantAbsent(t, s, key(1500))
	remove(s, key(0))
	want(2999, 1999)
	s.FlushAll(0)
	want(2999, 2999)
	mustSet(t, s, key(0), "value")
	for c := NewCrawl(AllClasses, 0); s.Crawl(c, 100); {
	}
	want(1, 0)
	s.FlushAll(100)
	want(1, 0)
	s.SetNow(100)
	want(1, 1)
}

// TestReclaimed: what is stored in the place of an item that expired or was flushed is counted, and looking one up is not.
func TestReclaimed(t *testing.T) {
	s := open(t, small)
	for _, key := range []string{"a", "b", "c", "d"} {
		if err := set(s, key, "v", 0, 5); err != nil {
			t.Fatal(err)
		}
	}
	alter(t, s, "b", func(e *Entry) { e.MarkUsed() })
	want := func(reclaimed, unfetched uint64) {
		t.Helper()
		if n := s.Stats(); n.Reclaimed != reclaimed || n.ExpiredUnfetched != unfetched {
			t.Errorf("%d reclaimed, %d expired unfetched, want %d and %d", n.Reclaimed, n.ExpiredUnfetched, reclaimed, unfetched)
		}
	}
	s.SetNow(6)
	mustSet(t, s, "a", "v")
	want(1, 1)
	mustSet(t, s, "b", "v")
	want(2, 1)
	mustSet(t, s, "a", "v") // nothing had died
	wantAbsent(t, s, "c")
	mustSet(t, s, "c", "v")
	want(2, 1)
	s.FlushAll(0)
	mustSet(t, s, "a", "v")
	want(3, 2)
}

// TestNumbersInOrder: the numbers of a store that has little to do tell what was stored before what.
func TestNumbersInOrder(t *testing.T) {
	s := open(t, small)
	number := func(key string) (n uint64) {
		alter(t, s, key, func(e *Entry) { n = e.Item().CAS() })
		return n
	}
	last := uint64(0)
	for second := uint32(2); second < 12; second++ {
		s.SetNow(second)
		for i := range 100 {
			key := fmt.Sprintf("key %d", i)
			mustSet(t, s, key, "v")
			if n := number(key); n != last+1 {
				t.Fatalf("second %d: number %d after %d", second, n, last)
			}
			last++
		}
	}
	// A busy one takes more of them at a time, and none from before the next second.
	for range 1000 {
		mustSet(t, s, "key", "v")
	}
	mustSet(t, s, "other", "v")
	s.SetNow(12)
	mustSet(t, s, "key", "v")
	if n, other := number("key"), number("other"); n <= other {
		t.Errorf("number %d after %d", n, other)
	}
}
