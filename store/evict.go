package store

import "unsafe"

const (
	evictScan  = 1024 // chunks that the hand passes at most for one victim,
	barrenMost = 4    // how often evictScan is halved at most: once for each time that the hand found none, until it finds one again
	evictHot   = 64   // of them in use before the hand evicts one that is in use: it does not search a whole class of hot items
	patrolScan = 4    // chunks that are looked at for a dead item to take instead of a victim
)

// hand is a position on a round over a class's chunks.
type hand struct {
	page  uint32 // in class.pages
	chunk uint32 // in the page, the next to look at
}

// chunkAt is the i-th chunk of a page of the class.
func (c *class) chunkAt(s *Store, number, i uint32) *header {
	return (*header)(unsafe.Add(s.base, uintptr(number)*PageSize+uintptr(i)*uintptr(c.size)))
}

// next moves the hand over the class c by one chunk, which it returns, nil if the class has none. The class must be locked, here and below.
func (at *hand) next(s *Store, c *class) *header {
	for range len(c.pages) + 1 {
		if at.page >= uint32(len(c.pages)) {
			*at = hand{}
			if len(c.pages) == 0 {
				return nil
			}
		}
		number := c.pages[at.page]
		if p := &s.pages[number]; !p.draining && at.chunk < p.carved {
			h := c.chunkAt(s, number, at.chunk)
			at.chunk++
			return h
		}
		*at = hand{page: at.page + 1}
	}
	return nil
}

// evict finds a victim and takes it out of the index. The result is its chunk, in use and empty; or, if it is a chain, the item with
// the reference that was the index's, for the caller to release without the class's lock; or nothing.
func (s *Store) evict(c *class, held *stripe) (h *header, chain Item) {
	if h := s.evictDead(c, held); h != nil {
		return s.finishEviction(c, h, byHand)
	}
	if h := s.evictAfterProbation(c, held); h != nil {
		return s.finishEviction(c, h, afterProbation)
	}
	hot, most, once := 0, evictScan>>c.barren, c.adapted.recencyCounts()
	for scanned := range most {
		chunk := c.hand.next(s, c)
		if chunk == nil {
			break
		}
		h := s.candidate(c, chunk, scanned >= evictHot)
		if h == nil || scanned < most/handAnyway && h.state.Load()&stateProbation != 0 {
			continue
		}
		if !s.dead(h) && hot < evictHot && h.cool(once) {
			hot++
			continue
		}
		if s.tryEvict(c, h, held) {
			c.barren = 0
			return s.finishEviction(c, h, byHand)
		}
	}
	c.barren = min(c.barren+1, barrenMost)
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

// cool takes one off the recency count, or all. It returns false if that is 0.
func (h *header) cool(all bool) bool {
	for {
		state := h.state.Load()
		if state&recencyMax == 0 {
			return false
		}
		cooler := state - recencyOne
		if all {
			cooler = state &^ recencyMax
		}
		if h.state.CompareAndSwap(state, cooler) {
			return true
		}
	}
}

// evictDead takes an expired or flushed item out of the index, if the patrol, which goes its own round, meets one; nil if not.
func (s *Store) evictDead(c *class, held *stripe) *header {
	for range patrolScan {
		h := c.patrol.next(s, c)
		if h == nil {
			break
		}
		state := h.state.Load()
		if state&(stateLinked|statePart) == stateLinked && !referenced(state) && s.dead(h) && s.tryEvict(c, h, held) {
			return h
		}
	}
	return nil
}

// tryEvict takes h out of the index, if its stripe is not locked by others and nobody refers to it. Its chunk, or one of its chunks,
// is in c, whose lock keeps it from being freed meanwhile. held is the stripe that the caller has locked already, or nil. The caller counts
// what is freed, and sets the state to 0.
func (s *Store) tryEvict(c *class, h *header, held *stripe) bool {
	hash := s.Hash(h.key())
	st := s.stripeOf(hash)
	if st != held && !st.tryLock() {
		return false
	}
	b, slot := s.locate(st, hash, s.link(h))
	state := h.state.Load()
	ok := b != nil && !referenced(state)
	if ok {
		s.countEvicted(c, h, state)
		if state&stateProbation != 0 && !s.dead(h) {
			s.addGhost(st, hash)
		}
		s.unlinkSlot(st, hash, b, slot, h)
		if state&stateChained != 0 {
			h.state.And(^uint32(stateLinked))
		} else {
			h.setState(state & stateOwnCAS) // which is part of its size, until the chunk is free
		}
	}
	if st != held {
		st.unlock()
	}
	return ok
}

// finishEviction returns, of an item that tryEvict took out of the index, what evict returns.
func (s *Store) finishEviction(c *class, h *header, by chooser) (*header, Item) {
	if !s.dead(h) {
		hash := s.Hash(h.key())
		c.shadow.noteEviction(c, hash)
		c.adapted.noteEviction(c, hash, by)
	}
	if h.chained() {
		return nil, Item{h}
	}
	c.requested -= h.requested(c.size)
	c.items--
	h.setState(0)
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
	if state&stateProbation == 0 {
		c.victimAges += n.evictedTime - c.victimAges/8
	}
	if c.since++; c.since >= max(c.perPage, balanceLeast) {
		c.since, c.wantsPage = 0, true
	}
}

// age is how many seconds ago the item was used.
func (s *Store) age(h *header) uint32 {
	now := s.now.Load()
	return now - min(h.access, now)
}
