package store

// accessStep is how many seconds an item's last access is allowed to be behind, so that a hit seldom has to write it.
const accessStep = 15

// Entry is a key under the lock of its stripe, with its item if it has one. Only the goroutine that locked it uses it, and before Unlock must neither
// lock another nor wait for anything.
type Entry struct {
	s    *Store
	st   *stripe
	hash uint64
	b    *bucket // where the item's link is; nil if it has to be looked for
	slot int
	h    *header
	gone absence
	// Of the item that Lock found dead:
	goneClass   uint8
	goneFetched bool
}

// absence is why there is no item.
type absence uint8

const (
	never absence = iota
	goneExpired
	goneFlushed
)

// Lock looks key up, whose Hash is hash, and keeps its stripe locked until Entry.Unlock. It removes an item that has
// expired or was flushed, which counts as absent.
func (s *Store) Lock(key []byte, hash uint64) Entry {
	st := s.stripeOf(hash)
	st.lock()
	e := Entry{s: s, st: st, hash: hash}
	e.b, e.slot, e.h = s.find(st, hash, key)
	if e.h != nil && s.dead(e.h) {
		e.drop()
	}
	return e
}

// drop removes an item that has died.
func (e *Entry) drop() {
	gone := goneExpired
	if e.s.flushed(e.h) {
		gone = goneFlushed
	}
	e.goneClass, e.goneFetched = e.h.class(), e.h.state.Load()&stateFetched != 0
	e.Unlink()
	e.gone = gone
}

// countReclaimed counts, as memcached does, that an item takes the place of one that Lock found dead.
func (e *Entry) countReclaimed() {
	c := &e.s.classes[e.goneClass]
	c.lock()
	c.counters.reclaimed++
	if !e.goneFetched {
		c.counters.expiredUnfetched++
	}
	c.unlock()
	e.gone = never
}

// Unlock unlocks the stripe. The entry must not be used afterwards, and its item only with a reference.
func (e *Entry) Unlock() { e.st.unlock() }

// Item is the item that the key has, the zero Item if none.
func (e *Entry) Item() Item { return Item{e.h} }

// Expired reports whether Lock found the item expired, and removed it.
func (e *Entry) Expired() bool { return e.gone == goneExpired }

// Flushed reports whether Lock found the item flushed, and removed it.
func (e *Entry) Flushed() bool { return e.gone == goneFlushed }

// MarkUsed counts an access to the item that gave its value to a client. Of an item in frequent use, nothing has to be written.
func (e *Entry) MarkUsed() { e.countUse(stateFetched) }

// MarkAccessed counts an access that did not give the value: it is a reason to keep the item, which still counts as not fetched.
func (e *Entry) MarkAccessed() { e.countUse(0) }

// countUse counts an access and sets flags of the item's state.
func (e *Entry) countUse(flags uint32) {
	h := e.h
	if now := e.s.now.Load(); now-h.access >= accessStep {
		h.access = now
	}
	for {
		state := h.state.Load()
		used := state | flags
		if state&recencyMax != recencyMax {
			used += recencyOne
		}
		if used == state || h.state.CompareAndSwap(state, used) {
			return
		}
	}
}

// Link puts it, an item that Alloc made for the same key, into the index with a new CAS, instead of the item that the key has. The caller's
// reference becomes the index's.
func (e *Entry) Link(it Item) {
	s, st, h := e.s, e.st, it.h
	check(h.state.Load()&stateLinked == 0 && s.Hash(h.key()) == e.hash, "linked an item twice, or under another key's entry")
	e.assignCAS(h)
	h.state.Or(stateLinked | e.recency())
	s.noteExpiry(h.exptime)
	size := uint64(h.bytes())
	st.total++
	st.bytes += size
	s.countSize(h, 1)
	if old := e.h; old != nil {
		e.findSlot()
		e.b.links[e.slot] = s.link(h)
		st.uncount(old)
		s.countSize(old, -1)
		if st.flushed.has(h) { // as old was: see assignCAS
			st.flushed.items++
			st.flushed.bytes += size
		}
		s.release(old, stateLinked)
	} else {
		if e.gone != never {
			e.countReclaimed()
		}
		s.insert(st, e.hash, s.link(h))
		c := &s.classes[h.class()]
		c.shadow.noteReturn(c, e.hash)
		c.adapted.noteReturn(c, e.hash)
		s.startProbation(st, e.hash, h)
		e.b = nil
	}
	e.h = h
}

// Renew links it, the entry's item in other memory: what is known of its uses stays.
func (e *Entry) Renew(it Item) {
	it.h.access = e.h.access
	it.h.state.Or(e.h.state.Load() & stateFetched)
	e.Link(it)
}

// recency is the recency count of the item there is, which one that takes its place goes on with.
func (e *Entry) recency() uint32 {
	if e.h == nil {
		return 0
	}
	return e.h.state.Load() & recencyMax
}

// Unlink removes the item.
func (e *Entry) Unlink() {
	e.findSlot()
	e.s.unlinkSlot(e.st, e.hash, e.b, e.slot, e.h)
	e.s.release(e.h, stateLinked)
	e.h, e.b = nil, nil
}

// unlinkSlot takes the item h out of the index, which still has its reference and flag.
func (s *Store) unlinkSlot(st *stripe, hash uint64, b *bucket, slot int, h *header) {
	st.beginChange()
	s.remove(st, hash, b, slot)
	st.uncount(h)
	s.countSize(h, -1)
}

// findSlot makes sure that the entry knows where the item's link is.
func (e *Entry) findSlot() {
	if e.b == nil {
		e.b, e.slot = e.s.locate(e.st, e.hash, e.s.link(e.h))
	}
}

// SetExptime makes the item expire at sec, 0 for never.
func (e *Entry) SetExptime(sec uint32) {
	e.h.exptime = sec
	e.s.noteExpiry(sec)
}

// Exclusive reports whether only the index refers to the item, so that its value may be changed in place until Unlock. NewCAS belongs to it.
func (e *Entry) Exclusive() bool {
	if referenced(e.h.state.Load()) {
		return false
	}
	e.st.beginChange()
	return true
}

// NewCAS gives the item a new CAS after a change in place, and returns it.
func (e *Entry) NewCAS() uint64 {
	e.assignCAS(e.h)
	if e.h.ownsCAS() {
		*e.h.ownCAS() = e.h.cas()
	}
	return e.h.cas()
}

// assignCAS gives h, which is or becomes the entry's item, a CAS. If the item that the entry has was flushed since Lock, then the
// operation counts as done before the flush, and its result is flushed too: what was made from flushed data must not come back.
func (e *Entry) assignCAS(h *header) {
	e.st.beginChange()
	cas := e.st.nextCAS(e.s)
	if e.h != nil && e.s.flushed(e.h) {
		cas = e.h.cas()
	}
	h.setCAS(cas)
}

// Alloc is Store.Alloc under the entry's lock, for the same key or another. Making room does not evict the entry's item.
func (e *Entry) Alloc(key []byte, flags, exptime uint32, n int) (Item, error) {
	return e.alloc(key, flags, exptime, n, 0)
}

func (e *Entry) alloc(key []byte, flags, exptime uint32, n int, own uint32) (Item, error) {
	if e.h != nil {
		e.h.state.Add(referenceOne) // eviction passes by what is referenced
	}
	it, err := e.s.alloc(key, flags, exptime, n, own, e.st)
	if e.h != nil {
		e.h.state.Add(^uint32(referenceOne - 1))
	}
	e.b = nil // eviction may have moved links within the stripe
	return it, err
}
