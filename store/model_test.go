package store

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// modelItem is what the model knows of an item.
type modelItem struct {
	value   string
	flags   uint32
	exptime uint32
	cas     uint64
}

// model is a store as a Go map, beside the store itself, which must be too large to evict.
type model struct {
	t       *testing.T
	s       *Store
	random  *rand.Rand
	items   map[string]modelItem
	now     uint32
	flushAt uint32
}

// live is the item that a lookup must find now.
func (m *model) live(key string) (modelItem, bool) {
	item, ok := m.items[key]
	if ok && item.exptime != 0 && item.exptime <= m.now {
		delete(m.items, key)
		ok = false
	}
	return item, ok
}

// check compares the entry with the model.
func (m *model) check(e *Entry, key string) (modelItem, bool) {
	m.t.Helper()
	want, ok := m.live(key)
	it := e.Item()
	if it.Valid() != ok {
		m.t.Fatalf("second %d: %s found %v, want %v", m.now, key, it.Valid(), ok)
	}
	if !ok {
		return want, ok
	}
	got := modelItem{string(contents(m.s, it)), it.Flags(), it.Exptime(), it.CAS()}
	if got != want || string(it.Key()) != key {
		m.t.Fatalf("%s is %.80v, want %.80v", key, got, want)
	}
	return want, ok
}

// size is mostly small, sometimes chained.
func (m *model) size() int {
	switch m.random.IntN(200) {
	case 0:
		return m.random.IntN(1_500_000)
	case 1, 2, 3, 4:
		return m.random.IntN(100_000)
	}
	return m.random.IntN(500)
}

// exptime is seldom, and then soon, or past.
func (m *model) exptime() uint32 {
	switch m.random.IntN(20) {
	case 0:
		return 1
	case 1, 2, 3:
		return m.now + uint32(m.random.IntN(5))
	}
	return 0
}

func (m *model) set(key string) {
	item := modelItem{string(sealed(key, m.size())), 0, m.exptime(), 0}
	if m.random.IntN(4) == 0 { // flags of every length
		item.flags = m.random.Uint32() >> m.random.IntN(32)
	}
	it, err := m.s.Alloc([]byte(key), item.flags, item.exptime, len(item.value))
	if err != nil {
		m.t.Fatalf("%d bytes: %v", len(item.value), err)
	}
	fill(m.s, it, []byte(item.value))
	e := m.s.Lock([]byte(key), m.s.Hash([]byte(key)))
	defer e.Unlock()
	m.check(&e, key)
	e.Link(it)
	item.cas = e.Item().CAS()
	if e.Item() != it || item.cas == 0 {
		m.t.Fatal("the entry does not have what was linked")
	}
	m.items[key] = item
	if item.exptime == 0 || item.exptime > m.now { // only Lock looks at the time
		m.check(&e, key)
	}
}

// extend is append, with the new item made under the lock.
func (m *model) extend(key string) {
	e := m.s.Lock([]byte(key), m.s.Hash([]byte(key)))
	defer e.Unlock()
	item, ok := m.check(&e, key)
	if !ok {
		return
	}
	item.value += "more"
	it, err := e.Alloc([]byte(key), item.flags, item.exptime, len(item.value))
	if err != nil {
		m.t.Fatalf("%d bytes: %v", len(item.value), err)
	}
	fill(m.s, it, []byte(item.value))
	e.Link(it)
	item.cas = it.CAS()
	m.items[key] = item
	m.check(&e, key)
}

func (m *model) change(key string) {
	e := m.s.Lock([]byte(key), m.s.Hash([]byte(key)))
	defer e.Unlock()
	item, ok := m.check(&e, key)
	if !ok {
		return
	}
	e.MarkUsed()
	switch m.random.IntN(4) {
	case 0:
		e.Unlink()
		delete(m.items, key)
	case 1:
		item.exptime = m.exptime()
		e.SetExptime(item.exptime)
		m.items[key] = item
		if item.exptime == 0 || item.exptime > m.now {
			m.check(&e, key)
		}
		return
	case 2:
		if !e.Exclusive() {
			m.t.Fatal("not exclusive, and nobody has a reference")
		}
		if item.value == "" {
			return
		}
		item.value = "!" + item.value[1:]
		m.s.Writable(e.Item(), 0)[0] = '!'
		item.cas = e.NewCAS()
		m.items[key] = item
	}
	m.check(&e, key)
}

// tick lets time go on, or flushes.
func (m *model) tick() {
	switch m.random.IntN(10) {
	case 0:
		m.s.FlushAll(0)
		m.flushAt = 0
		clear(m.items)
	case 1: // replaces one that is still to come
		m.flushAt = m.now + 1 + uint32(m.random.IntN(3))
		m.s.FlushAll(m.flushAt)
	default:
		m.now++
		m.s.SetNow(m.now)
		if m.flushAt != 0 && m.flushAt <= m.now {
			m.flushAt = 0
			clear(m.items)
		}
	}
}

func TestModel(t *testing.T) {
	const keys = 3000
	rounds := 100_000
	if invariants {
		rounds = 50_000
	}
	m := &model{
		t: t, random: rand.New(rand.NewPCG(3, 4)), items: map[string]modelItem{}, now: firstSecond,
		s: open(t, Config{Limit: 512 << 20, ItemMax: 2 << 20, Factor: 1.25, ChunkMin: 48}),
	}
	for range rounds {
		key := fmt.Sprint("key", m.random.IntN(keys))
		switch n := m.random.IntN(1000); {
		case n == 0:
			m.tick()
		case n < 300:
			m.set(key)
		case n < 350:
			m.extend(key)
		case n < 500:
			m.change(key)
		default:
			e := m.s.Lock([]byte(key), m.s.Hash([]byte(key)))
			if _, ok := m.check(&e, key); ok {
				e.MarkUsed()
			}
			e.Unlock()
		}
	}
	if n := m.s.Stats(); n.Evictions != 0 || n.OutOfMemory != 0 {
		t.Fatalf("%d evictions, %d times out of memory: the store was too small", n.Evictions, n.OutOfMemory)
	}
	audit(t, m.s)
	for i := range keys {
		remove(m.s, fmt.Sprint("key", i))
	}
	unused(t, m.s)
}
