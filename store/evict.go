package store

import "unsafe"

const (
	evictScan  = 1024 // chunks that the hand passes at most for one victim
	evictHot   = 64   // of them in use, before one is evicted although it is: no search over a whole class of hot items
	evictAhead = 8    // chunks behind the victim that are looked at for a dead item to take instead
)

// hand is the place of a class's clock hand.
type hand struct {
	page  uint32 // in class.pages
	chunk uint32 // in the page, the next to look at
}

// chunkAt is the i-th chunk of a page of the class.
func (c *class) chunkAt(s *Store, number, i uint32) *header {
	return (*header)(unsafe.Add(s.base, uintptr(number)*PageSize+uintptr(i)*uintptr(c.size)))
}

// advance moves the hand to the next chunk, nil if the class has none. The class must be locked, here and below.
func (c *class) advance(s *Store) *header {
	for range len(c.pages) + 1 {
		if c.hand.page >= uint32(len(c.pages)) {
			c.hand = hand{}
			if len(c.pages) == 0 {
				return nil
			}
		}
		number := c.pages[c.hand.page]
		if p := &s.pages[number]; !p.draining && c.hand.chunk < p.carved {
			h := c.chunkAt(s, number, c.hand.chunk)
			c.hand.chunk++
			return h
		}
		c.hand = hand{page: c.hand.page + 1}
	}
	return nil
}

// evict finds a victim and takes it out of the index. The result is its chunk, in use and empty; or, if it is a chain, the item with
// the reference that was the index's, for the caller to release without the class's lock; or nothing.
func (s *Store) evict(c *class, held *stripe) (h *header, chain Item) {
	hot := 0
	for scanned := range evictScan {
		chunk := c.advance(s)
		if chunk == nil {
			break
		}
		h := s.candidate(c, chunk, scanned >= evictHot)
		if h == nil {
			continue
		}
		if !s.dead(h) {
			if hot < evictHot && h.cool() {
				hot++
				continue
			}
			if ahead, i := s.deadAhead(c); ahead != nil && s.tryEvict(c, ahead, held) {
				c.hand.chunk = i + 1 // what lies between gets away for a round: a new item must not be in front of the hand
				return s.vacate(c, ahead)
			}
		}
		if s.tryEvict(c, h, held) {
			return s.vacate(c, h)
		}
	}
	return nil, Item{}
}

// candidate is the item that a chunk belongs to, nil if it cannot be evicted now. A chain with its head in this class is met
// there; only with parts set is it met at its parts too.
func (s *Store) candidate(c *class, chunk *header, parts bool) *header {
	h, state := chunk, chunk.state.Load()
	if state&statePart != 0 {
		h = s.at(chunk.asPart().owner)
		if h.class() == c.id && !parts {
			return nil
		}
		state = h.state.Load()
	}
	if state&stateLinked == 0 {
		return nil
	}
	if referenced(state) {
		c.counters.pinnedSkips++
		return nil
	}
	return h
}

// cool takes one off the recency count. It says no if that is 0.
func (h *header) cool() bool {
	for {
		state := h.state.Load()
		if state&recencyMax == 0 {
			return false
		}
		if h.state.CompareAndSwap(state, state-recencyOne) {
			return true
		}
	}
}

// deadAhead is an expired or flushed item close in front of the hand and its chunk's number, nil if there is none.
func (s *Store) deadAhead(c *class) (*header, uint32) {
	number := c.pages[c.hand.page]
	for i := c.hand.chunk; i < min(c.hand.chunk+evictAhead, s.pages[number].carved); i++ {
		h := c.chunkAt(s, number, i)
		state := h.state.Load()
		if state&(stateLinked|statePart) == stateLinked && !referenced(state) && s.dead(h) {
			return h, i
		}
	}
	return nil, 0
}

// tryEvict takes h out of the index, if its stripe is not locked by others and nobody refers to it. Its chunk, or one of its chunks,
// is in c, whose lock keeps it from being freed meanwhile. held is the stripe that the caller has locked already, or nil.
func (s *Store) tryEvict(c *class, h *header, held *stripe) bool {
	hash := Hash(h.key())
	st := s.stripeOf(hash)
	if st != held && !st.tryLock() {
		return false
	}
	b, slot := s.locate(st, hash, s.link(h))
	state := h.state.Load()
	ok := b != nil && !referenced(state)
	if ok {
		s.countEvicted(c, h, state)
		s.unlinkSlot(st, hash, b, slot, h)
		if state&stateChained != 0 {
			h.state.And(^uint32(stateLinked))
		} else {
			h.setState(0)
		}
	}
	if st != held {
		st.unlock()
	}
	return ok
}

// vacate is what evict says of an item that tryEvict took.
func (s *Store) vacate(c *class, h *header) (*header, Item) {
	if !s.dead(h) {
		c.shadow.remember(c, Hash(h.key()))
	}
	if h.chained() {
		return nil, Item{h}
	}
	c.requested -= h.requested(c.size)
	c.items--
	poison(h, c.size)
	return h, Item{}
}

// countEvicted counts under memcached's names: what was dead is reclaimed, what was alive is evicted.
func (s *Store) countEvicted(c *class, h *header, state uint32) {
	n := &c.counters
	unfetched := uint64(1)
	if state&stateFetched != 0 {
		unfetched = 0
	}
	if s.dead(h) {
		n.reclaimed++
		n.expiredUnfetched += unfetched
		return
	}
	if f := s.onEviction.Load(); f != nil {
		(*f)(Item{h})
	}
	n.evicted++
	n.evictedUnfetched += unfetched
	if state&recencyMax != 0 {
		n.evictedActive++
	}
	n.evictedTime = s.age(h)
	c.victimAges += n.evictedTime - c.victimAges/8
	if c.since++; c.since >= max(c.perPage, balanceLeast) {
		c.since, c.wants = 0, true
	}
}

// age is how many seconds ago the item was used.
func (s *Store) age(h *header) uint32 {
	now := s.now.Load()
	return now - min(h.access, now)
}
