package store

import (
	"strings"
	"testing"
)

// warmUp uses an item so often that using it once more changes nothing.
func warmUp(s *Store, key string) {
	for range 4 {
		get(s, key)
	}
}

// wantGlance fails unless Glance sees what is wanted, and copies the value that Lock finds.
func wantGlance(t *testing.T, s *Store, key string, want Glimpse) {
	t.Helper()
	if !canGlance {
		want = Unsure
	}
	var c Copy
	if saw := s.Glance([]byte(key), s.Hash([]byte(key)), &c); saw != want {
		t.Fatalf("%s: saw %d, want %d", key, saw, want)
	}
	if want != Found {
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

func TestGlance(t *testing.T) {
	s := open(t, small)
	s.SetNow(100)
	wantGlance(t, s, "a", Absent)
	if err := set(s, "a", "value", 17, 200); err != nil {
		t.Fatal(err)
	}
	wantGlance(t, s, "a", Unsure) // its use has to be noted
	warmUp(s, "a")
	wantGlance(t, s, "a", Found)
	s.SetNow(100 + accessStep)
	wantGlance(t, s, "a", Unsure) // once more
	warmUp(s, "a")
	wantGlance(t, s, "a", Found)
	s.SetNow(200)
	wantGlance(t, s, "a", Unsure) // expired: Lock counts that
	wantAbsent(t, s, "a")
	wantGlance(t, s, "a", Absent)

	mustSet(t, s, "b", "value")
	warmUp(s, "b")
	wantGlance(t, s, "b", Found)
	s.FlushAll(0)
	wantGlance(t, s, "b", Unsure)
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
	wantGlance(t, s, "own", Found)
}

// TestGlanceAtSizes: up to the largest that is copied, and none of those that are longer or in several pieces.
func TestGlanceAtSizes(t *testing.T) {
	s := open(t, small)
	for _, n := range []int{0, 1, 100, 900, copyMax - headerSize - len("size"+" 0 100\r\n"+"\r\n") + 1, 5000, 700_000} {
		mustSet(t, s, "size", strings.Repeat("x", n))
		warmUp(s, "size")
		want := Found
		if n > 900 {
			want = Unsure
		}
		wantGlance(t, s, "size", want)
	}
	key := strings.Repeat("k", KeyMax)
	mustSet(t, s, key, strings.Repeat("v", copyMax-headerSize-KeyMax-len(" 0 733\r\n"+"\r\n")))
	warmUp(s, key)
	wantGlance(t, s, key, Found)
}

// TestGlanceDuringChange: what is being changed cannot be told without the lock.
func TestGlanceDuringChange(t *testing.T) {
	s := open(t, small)
	mustSet(t, s, "a", "old")
	warmUp(s, "a")
	hash := s.Hash([]byte("a"))

	e := s.Lock([]byte("a"), hash)
	var c Copy
	if saw := s.Glance([]byte("a"), hash, &c); canGlance && (saw != Found || string(s.Text(c.Item())) != "a 0 3\r\nold\r\n") {
		t.Errorf("saw %d, %q while nothing was changed", saw, s.Text(c.Item()))
	}
	if !e.Exclusive() {
		t.Fatal("not exclusive")
	}
	if saw := s.Glance([]byte("a"), hash, &c); saw != Unsure {
		t.Errorf("saw %d while the value was changed in place", saw)
	}
	e.Unlock()
	wantGlance(t, s, "a", Found)

	e = s.Lock([]byte("a"), hash)
	e.Unlink()
	if saw := s.Glance([]byte("a"), hash, &c); saw != Unsure {
		t.Errorf("saw %d while the item was removed", saw)
	}
	e.Unlock()
	wantGlance(t, s, "a", Absent)
}
