package store

import "testing"

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
