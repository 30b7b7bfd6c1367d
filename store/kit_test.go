package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/zeebo/xxh3"
)

// small is a store that tests can fill.
var small = Config{Limit: 8 << 20, ItemMax: 1 << 20, Factor: 1.25, ChunkMin: 48}

// open makes a store that is audited and closed when the test ends.
func open(t testing.TB, c Config) *Store {
	t.Helper()
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !t.Failed() {
			audit(t, s)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// fill writes value and "\r\n" into an item, chunk by chunk.
func fill(s *Store, it Item, value []byte) {
	text := append(bytes.Clone(value), '\r', '\n')
	for off := 0; off < len(text); {
		n := copy(s.Writable(it, off), text[off:])
		off += n
	}
}

// contents reads an item's value, and panics if the "\r\n" is not behind it: fit for goroutines other than the test's.
func contents(s *Store, it Item) []byte {
	var text []byte
	for len(text) < it.Len()+2 {
		text = append(text, s.Segment(it, len(text))...)
	}
	if len(text) != it.Len()+2 || string(text[it.Len():]) != "\r\n" {
		panic(fmt.Sprintf("value of %d bytes is %d long with its end", it.Len(), len(text)))
	}
	return text[:it.Len()]
}

// set stores like a client that does not care what was there.
func set(s *Store, key, value string, flags, exptime uint32) error {
	it, err := s.Alloc([]byte(key), flags, exptime, len(value))
	if err != nil {
		return err
	}
	fill(s, it, []byte(value))
	e := s.Lock([]byte(key), s.Hash([]byte(key)))
	e.Link(it)
	e.Unlock()
	return nil
}

func mustSet(t testing.TB, s *Store, key, value string) {
	t.Helper()
	if err := set(s, key, value, 0, 0); err != nil {
		t.Fatalf("set %s, %d bytes: %v", key, len(value), err)
	}
}

func get(s *Store, key string) (value string, ok bool) {
	e := s.Lock([]byte(key), s.Hash([]byte(key)))
	defer e.Unlock()
	if !e.Item().Valid() {
		return "", false
	}
	e.MarkUsed()
	return string(contents(s, e.Item())), true
}

func remove(s *Store, key string) bool {
	e := s.Lock([]byte(key), s.Hash([]byte(key)))
	defer e.Unlock()
	if !e.Item().Valid() {
		return false
	}
	e.Unlink()
	return true
}

// wantValue fails unless the key has the value.
func wantValue(t testing.TB, s *Store, key, value string) {
	t.Helper()
	got, ok := get(s, key)
	switch {
	case !ok:
		t.Fatalf("%s is gone", key)
	case got != value:
		t.Fatalf("%s is %.40q, want %.40q", key, got, value)
	}
}

func wantAbsent(t testing.TB, s *Store, key string) {
	t.Helper()
	if got, ok := get(s, key); ok {
		t.Fatalf("%s is there: %.40q", key, got)
	}
}

// sealed is a value of n bytes that shows if any of it was changed, or belongs to another key.
func sealed(key string, n int) []byte {
	value := make([]byte, n)
	word := xxh3.Hash([]byte(key)) + uint64(n)
	for i := 0; i < n; i += 8 {
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], word)
		copy(value[i:], b[:])
		word = word*6364136223846793005 + 1442695040888963407
	}
	return value
}

// broken says where a value differs from what sealed made, -1 if nowhere.
func broken(s *Store, it Item) int {
	want := append(sealed(string(it.Key()), it.Len()), '\r', '\n')
	for off := 0; off < len(want); {
		part := s.Segment(it, off)
		if !bytes.Equal(part, want[off:off+len(part)]) {
			return off
		}
		off += len(part)
	}
	return -1
}

// unused fails if any chunk is in use.
func unused(t testing.TB, s *Store) {
	t.Helper()
	for _, c := range s.Classes() {
		if c.ChunksUsed != 0 || c.Items != 0 || c.MemRequested != 0 {
			t.Errorf("class %d of %d bytes: %d chunks, %d items, %d bytes in use", c.ID, c.ChunkSize, c.ChunksUsed, c.Items, c.MemRequested)
		}
	}
	if n := s.Stats(); n.CurrItems != 0 || n.Bytes != 0 {
		t.Errorf("%d items of %d bytes in the index", n.CurrItems, n.Bytes)
	}
}

// audit checks all books of a store that nobody uses: pages, chunks, free lists, index.
func audit(t testing.TB, s *Store) {
	t.Helper()
	linked := 0
	owned := 0
	for i := range s.classes[1:] {
		c := &s.classes[i+1]
		owned += len(c.pages)
		linked += auditClass(t, s, c)
	}
	n := s.pool.counts()
	if m := &s.move; m.active.Load() && m.done && m.to != nil {
		owned++ // on its way
	}
	if owned != n.used {
		t.Errorf("classes have %d pages, the pool counts %d", owned, n.used)
	}
	config := s.config
	config.Limit = s.Limit()
	if have := owned + n.returned + n.untouched + n.lacking - int(s.pool.debt); have != config.pages() {
		t.Errorf("%d pages owned, %d returned, %d untouched, %d too many; the limit is %d", owned, n.returned, n.untouched, s.pool.debt, config.pages())
	}
	if int(s.pool.free.Load()) != n.returned+n.untouched {
		t.Errorf("pool counts %d pages, has %d", s.pool.free.Load(), n.returned+n.untouched)
	}
	auditIndex(t, s, linked)
	auditProbation(t, s)
}

// auditProbation checks that the queues have all that is on probation, and no block is lost.
func auditProbation(t testing.TB, s *Store) {
	t.Helper()
	p := &s.linkBlocks
	blocks := uint32(1) // 0 is none
	for number := p.free; number != 0; number = p.at(number)[0] {
		blocks++
	}
	for i := range s.classes {
		c := &s.classes[i]
		q, queued := c.probation, map[uint32]bool{}
		for at, n := q.first, uint32(0); n < q.length; at, n = at+1, n+1 {
			if at == blockLinks {
				q.head, at = p.at(q.head)[0], 1
				blocks++
			}
			queued[p.at(q.head)[at]] = true
		}
		if q.length > 0 {
			blocks++
			if q.head != q.tail {
				t.Errorf("class %d: the queue ends in block %d, not %d", c.id, q.head, q.tail)
			}
		}
		for _, number := range c.pages {
			for i := range s.pages[number].carved {
				h := c.chunkAt(s, number, i)
				if state := h.state.Load(); state&statePart == 0 && state&stateProbation != 0 && !queued[s.link(h)] {
					t.Fatalf("%q is on probation for ever", h.key())
				}
			}
		}
	}
	if blocks != p.next {
		t.Errorf("%d blocks of %d found", blocks, p.next)
	}
}

func auditClass(t testing.TB, s *Store, c *class) (linked int) {
	t.Helper()
	var used, items, requested uint64
	for place, number := range c.pages {
		p := &s.pages[number]
		if p.owner() != c.id || p.position != uint32(place) {
			t.Fatalf("page %d is of class %d at %d, want %d at %d", number, p.owner(), p.position, c.id, place)
		}
		if p.listed != (p.hasRoom(c) && !p.draining) {
			t.Errorf("page %d of class %d: listed %v, room %v, draining %v", number, c.id, p.listed, p.hasRoom(c), p.draining)
		}
		free := uint32(0)
		for link := p.free; link != 0; link = s.at(link).asFree().next {
			free++
		}
		if free+p.used != p.carved {
			t.Errorf("page %d: %d free and %d used of %d", number, free, p.used, p.carved)
		}
		used += uint64(p.used)
		for i := range p.carved {
			h := c.chunkAt(s, number, i)
			state := h.state.Load()
			switch {
			case state == 0:
			case state&statePart != 0:
				requested += headerSize + uint64(h.asPart().size)
			default:
				items++
				requested += h.requested(c.size)
				if state&stateLinked != 0 {
					linked++
				}
			}
		}
	}
	if used != c.used || items != c.items || requested != c.requested {
		t.Errorf("class %d: counts %d chunks, %d items, %d bytes; has %d, %d, %d", c.id, c.used, c.items, c.requested, used, items, requested)
	}
	return linked
}

// auditIndex counts the links of all buckets and looks every item up.
func auditIndex(t testing.TB, s *Store, linked int) {
	t.Helper()
	found, spilled := 0, uint32(0)
	for i := range s.stripes {
		st := &s.stripes[i]
		var bytes, flushed uint64
		inStripe := 0
		for j := range st.buckets() {
			for b := s.bucket(st, j); b != nil; b = s.spill.after(b) {
				n := b.count()
				for slot := range n {
					h := s.at(b.links[slot])
					hash := s.Hash(h.key())
					if s.stripeOf(hash) != st || tagOf(hash) != b.tags[slot] {
						t.Fatalf("%q is in the wrong stripe, or has the wrong tag", h.key())
					}
					if _, _, got := s.find(st, hash, h.key()); got != h {
						t.Fatalf("%q is linked and cannot be found", h.key())
					}
					bytes += uint64(h.bytes())
					inStripe++
					if st.flushed.has(h) {
						flushed++
					}
				}
				if b.spill != 0 {
					spilled++
					if n != bucketSlots {
						t.Errorf("bucket with %d slots in use in front of another", n)
					}
				} else if n == 0 && b != s.bucket(st, j) {
					t.Error("empty overflow bucket")
				}
			}
		}
		if s.restored.Items == 0 && flushed != st.flushed.items {
			t.Errorf("stripe %d: counts %d flushed items, has %d", i, st.flushed.items, flushed)
		}
		if uint64(inStripe) != st.items || bytes != st.bytes {
			t.Errorf("stripe %d: counts %d items of %d bytes, has %d of %d", i, st.items, st.bytes, inStripe, bytes)
		}
		found += inStripe
	}
	if found != linked {
		t.Errorf("%d items in the index, %d say that they are", found, linked)
	}
	if spilled != s.spill.used {
		t.Errorf("%d overflow buckets in use, %d counted", spilled, s.spill.used)
	}
}
