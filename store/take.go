package store

// takeTries bounds how often take starts again because others took what it freed, or a victim was a chain.
const takeTries = 64

// demand is what a chunk is wanted for.
type demand struct {
	bytes int     // that will be used of it, or as many of them as it has
	head  bool    // it is the first of an item
	held  *stripe // that the caller has locked, nil for none
}

// take gets a chunk of c: a free one, one of a new page, one whose item is evicted, one of a page that is taken from another
// class, or a larger one of another class, which is the second result then. nil if none of that can be. The chunk's state is 0, so
// that nobody touches it before it is filled.
func (s *Store) take(c *class, d demand) (*header, *class) {
	for range takeTries {
		h, again := s.takeFrom(c, d)
		switch {
		case h != nil:
			return h, c
		case again:
			continue
		}
		if s.mayBorrow(c) {
			if h, other := s.borrow(c, 2*c.size, d); h != nil {
				return h, other
			}
		}
		if s.config.NoEvict || !s.refill(c, d.held) {
			if h, other := s.borrow(c, ChunkMax, d); h != nil {
				return h, other
			}
			break
		}
	}
	return nil, nil
}

// takeFrom is one try to get a chunk of c itself, or a page out of the pool. It says whether to try again, when it freed something
// that was not a chunk of c, or not by itself.
func (s *Store) takeFrom(c *class, d demand) (h *header, again bool) {
	c.lock()
	h, chain := s.takeLocked(c, d.held)
	if h == nil {
		c.unlock()
		if !chain.Valid() {
			return nil, false
		}
		s.Release(chain)
		return nil, true
	}
	c.requested += uint64(min(d.bytes, int(c.size)))
	if d.head {
		c.items++
	}
	wants := c.wants
	c.wants = false
	c.unlock()
	if wants || s.move.active.Load() {
		s.rebalance(c, d.held)
	}
	return h, false
}

// takeLocked is takeFrom under the class's lock. A chain that was evicted has to be released, without the lock, before its chunks
// are free.
func (s *Store) takeLocked(c *class, held *stripe) (h *header, chain Item) {
	if h := c.pop(s); h != nil {
		return h, Item{}
	}
	if number, ok := s.pool.get(); ok {
		c.adopt(s, number)
		return c.pop(s), Item{}
	}
	if s.config.NoEvict {
		return nil, Item{}
	}
	return s.evict(c, held)
}

// mayBorrow says that c, which has nothing that could be evicted, is not in such demand yet that emptying a page of others is
// worth its cost: in a store of few pages, items of many sizes would empty a page for one item each.
func (s *Store) mayBorrow(c *class) bool {
	c.lock()
	defer c.unlock()
	c.borrowed++
	return c.borrowed <= c.perPage/8
}

// borrow takes a chunk of a class above c, of at most size bytes.
func (s *Store) borrow(c *class, size uint32, d demand) (*header, *class) {
	for i := int(c.id) + 1; i < len(s.classes) && s.classes[i].size <= size; i++ {
		other := &s.classes[i]
		if h := s.takeAgain(other, d); h != nil {
			return h, other
		}
	}
	return nil, nil
}

// takeAgain is takeFrom until that makes no sense any more.
func (s *Store) takeAgain(c *class, d demand) *header {
	for range takeTries {
		if h, again := s.takeFrom(c, d); !again {
			return h
		}
	}
	return nil
}
