package batch

import "testing"

// TestStashReuse: a stash that has grown is used again as it is, by whoever needs one.
func TestStashReuse(t *testing.T) {
	var pool stashPool
	input := make([]byte, 5*stashSize)
	turn := func() {
		s := pool.get()
		if len(s.buf) != 0 || s.off != 0 {
			t.Fatalf("a stash with %d bytes in it, %d of them handled", len(s.buf), s.off)
		}
		s.buf = append(s.buf, input...)
		s.off = len(input)
		pool.put(s)
	}
	if n := testing.AllocsPerRun(100, turn); n != 0 {
		t.Errorf("%v allocations for a stash of %d bytes", n, len(input))
	}
}

// TestStashesKept: of a peak no more is kept than keepStash, and nothing once it is over.
func TestStashesKept(t *testing.T) {
	var pool stashPool
	var lent []*stash
	for range 2 * keepStash / stashSize {
		lent = append(lent, pool.get())
	}
	for _, s := range lent {
		pool.put(s)
	}
	if n := len(pool.kept); n != keepStash/stashSize || pool.room != keepStash {
		t.Errorf("%d stashes of %d bytes are kept, want %d of %d", n, pool.room, keepStash/stashSize, keepStash)
	}
	pool.trim() // some were taken
	if len(pool.kept) == 0 {
		t.Error("nothing is kept while stashes are in use")
	}
	pool.trim()
	if len(pool.kept) != 0 || pool.room != 0 {
		t.Errorf("%d stashes of %d bytes are kept when nobody takes any", len(pool.kept), pool.room)
	}
}

// TestLargeStashesMakeRoom: one that fills what may be kept does not stay at the cost of many small ones.
func TestLargeStashesMakeRoom(t *testing.T) {
	var pool stashPool
	large := pool.get()
	large.buf = make([]byte, 0, keepStash)
	pool.put(large)
	turn := func() {
		a, b := pool.get(), pool.get()
		pool.put(a)
		pool.put(b)
	}
	turn()
	if n := testing.AllocsPerRun(100, turn); n != 0 || pool.room != 2*stashSize {
		t.Errorf("%v allocations for two small stashes, %d bytes are kept", n, pool.room)
	}
	medium := pool.get()
	medium.buf = make([]byte, 0, keepStash)
	if pool.put(medium); pool.room != stashSize {
		t.Errorf("%d bytes are kept, want the small one's %d", pool.room, stashSize)
	}
}
