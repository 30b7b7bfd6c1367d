package batch

import "testing"

func newTestStashes() *stashPool { return &stashPool{blocks: newTestPool()} }

func takeStash(t *testing.T, p *stashPool, room int) *stash {
	t.Helper()
	s, err := p.get()
	if err == nil && room > cap(s.buf) {
		err = p.grow(s, room)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestStashReuse: a stash that has grown is used again as it is, by whoever needs one.
func TestStashReuse(t *testing.T) {
	pool := newTestStashes()
	input := make([]byte, 5*stashSize)
	turn := func() {
		s := takeStash(t, pool, 0)
		if len(s.buf) != 0 || s.off != 0 || s.conn != 0 {
			t.Fatalf("a stash with %d bytes in it, %d of them handled", len(s.buf), s.off)
		}
		if cap(s.buf) < len(input) {
			if err := pool.grow(s, len(input)); err != nil {
				t.Fatal(err)
			}
		}
		s.buf = append(s.buf, input...)
		s.off, s.conn = len(input), 7
		pool.put(s)
	}
	if n := testing.AllocsPerRun(100, turn); n != 0 {
		t.Errorf("%v allocations for a stash of %d bytes", n, len(input))
	}
}

// TestStashGrows: what was not handled moves along, and to the beginning where that makes room enough.
func TestStashGrows(t *testing.T) {
	pool := newTestStashes()
	s := takeStash(t, pool, 0)
	s.buf = append(s.buf, pattern(stashSize)...)
	s.off = 1000
	if err := pool.grow(s, 1000); err != nil || cap(s.buf) != stashSize || s.off != 0 || string(s.rest()) != string(pattern(stashSize)[1000:]) {
		t.Fatalf("%v, room for %d, %d handled", err, cap(s.buf), s.off)
	}
	s.off = 10
	if err := pool.grow(s, 3*regionSize); err != nil || cap(s.buf)-len(s.buf) < 3*regionSize || string(s.rest()) != string(pattern(stashSize)[1010:]) {
		t.Fatalf("%v, room for %d, %d handled", err, cap(s.buf), s.off)
	}
	pool.put(s)
	if pool.blocks.lent != 0 {
		t.Errorf("%d bytes are kept", pool.blocks.lent)
	}
}

// TestStashesKept: of a peak no more is kept than keepStash, and nothing once it is over.
func TestStashesKept(t *testing.T) {
	pool := newTestStashes()
	var lent []*stash
	for range 2 * keepStash / stashSize {
		lent = append(lent, takeStash(t, pool, 0))
	}
	for _, s := range lent {
		pool.put(s)
	}
	if n := len(pool.kept); n != keepStash/stashSize || pool.room != keepStash || pool.blocks.lent != keepStash {
		t.Errorf("%d stashes of %d bytes are kept, want %d of %d", n, pool.room, keepStash/stashSize, keepStash)
	}
	pool.trim() // some were taken
	if len(pool.kept) == 0 {
		t.Error("nothing is kept while stashes are in use")
	}
	pool.trim()
	if len(pool.kept) != 0 || pool.room != 0 || pool.blocks.lent != 0 {
		t.Errorf("%d stashes of %d bytes are kept when nobody takes any", len(pool.kept), pool.room)
	}
}

// TestLargeStashesMakeRoom: one that fills what may be kept does not stay at the cost of many small ones.
func TestLargeStashesMakeRoom(t *testing.T) {
	pool := newTestStashes()
	pool.put(takeStash(t, pool, keepStash))
	turn := func() {
		a, b := takeStash(t, pool, 0), takeStash(t, pool, 0)
		pool.put(a)
		pool.put(b)
	}
	turn()
	if n := testing.AllocsPerRun(100, turn); n != 0 || pool.room != 2*stashSize {
		t.Errorf("%v allocations for two small stashes, %d bytes are kept", n, pool.room)
	}
	medium := takeStash(t, pool, keepStash)
	if pool.put(medium); pool.room != stashSize {
		t.Errorf("%d bytes are kept, want the small one's %d", pool.room, stashSize)
	}
}
