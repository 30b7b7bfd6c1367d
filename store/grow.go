package store

// An item whose value is still on its way takes memory as the value comes: a client that sends nothing but the first line of a large set must
// not make others lose theirs. Until enough of it is there to believe in the rest, the value is in a small chunk, and is copied from there into
// the memory that it stays in: once, and a thirtieth of it. A chain gets its parts one by one.

const (
	growTrust = 32      // bytes that an item may have in advance for each of its value that came,
	growFree  = 1 << 10 // and beside these

	smallMost = ChunkMax / growTrust * 2 // bytes of a chunk that a beginning is in
)

// Begin is Alloc for a value of n bytes of which only the first came bytes are at hand: it takes memory for as many as these are worth, and
// Grow takes the rest.
func (s *Store) Begin(key []byte, flags, exptime uint32, n, came int) (Item, error) {
	return s.begin(key, flags, exptime, n, came, 0)
}

// BeginCAS is Begin for an item whose CAS is to be cas, as AllocCAS is Alloc.
func (s *Store) BeginCAS(key []byte, flags, exptime uint32, n, came int, cas uint64) (Item, error) {
	it, err := s.begin(key, flags, exptime, n, came, stateOwnCAS)
	if err == nil {
		*it.h.ownCAS() = cas
	}
	return it, err
}

func (s *Store) begin(key []byte, flags, exptime uint32, n, came int, own uint32) (Item, error) {
	if n <= ChunkMax/2 && n <= growTrust*came {
		return s.alloc(key, flags, exptime, n, own, nil) // as nearly always
	}
	if s.tooLarge(len(key), flags, n) {
		return Item{}, ErrTooLarge
	}
	o := newOrder(key, flags, exptime, n, own, nil)
	return s.place(&o, came, 0)
}

// place makes an item as o says, of whose value came bytes are there, with room for more than the first written of them.
func (s *Store) place(o *order, came, written int) (Item, error) {
	total := o.total()
	trusted := growFree + growTrust*came
	if s.config.NoEvict && s.pool.free.Load() == 1 {
		trusted = max(trusted, total) // the last page is for what is to stay
	}
	if o.fitsChunk() && trusted >= total {
		return s.alloc(o.key, o.flags, o.exptime, o.n, o.own, nil)
	}
	least, most := o.before()+written+1, total
	if trusted < min(total, ChunkMax) {
		// So much that, when it is full, it is evidence enough for all.
		most = max(least, min(trusted, o.before()+min(total, ChunkMax)/growTrust+1))
	}
	for try := 1; ; try++ {
		for e := share; e <= gather; e++ {
			effort, low := e, least
			if trusted >= ChunkMax {
				low = max(low, e.floor(total))
			} else if it := s.chainAt(o, s.takeSmall(low, most, e)); it.Valid() {
				return s.addEnd(it, o)
			}
			if it := s.allocHead(o, low, most, &effort); it.Valid() {
				return s.addEnd(it, o)
			}
			if e == share && s.scarceLately(most) {
				return Item{}, s.noMemory(most)
			}
		}
		if try == allocTries || s.config.NoEvict {
			s.scarce(most)
			return Item{}, s.noMemory(most)
		}
	}
}

// takeSmall gets a chunk for the beginning of a value, of at least least bytes and about most. Other than takeLink it empties a page for that rather
// than take a far larger chunk: in a store of large items each beginning would take as much as a whole one.
func (s *Store) takeSmall(least, most int, e effort) *header {
	c, d := s.classFor(most), demand{ChunkMax, true, nil}
	if e == gather {
		return nil // that is takeLink's
	}
	if h, _ := s.takeShared(c, d); h != nil {
		return h
	}
	for id := c.id - 1; id > 0 && int(s.classes[id].size) >= least; id-- {
		if h := s.takeAgain(&s.classes[id], d); h != nil {
			return h
		}
	}
	if h, _ := s.borrow(c, smallMost, d); h != nil || e == share {
		return h
	}
	return s.takeRefilled(c, d, false)
}

// addEnd sees to it that there is a place for the value's end too where only that has none.
func (s *Store) addEnd(it Item, o *order) (Item, error) {
	if left := o.n + 2 - s.firstRoom(it.h); left > len("\r\n") || left == 0 {
		return it, nil
	}
	if it, err := s.addMore(it, s.firstRoom(it.h)); err == nil {
		return it, nil
	}
	s.Release(it)
	return Item{}, ErrNoMemory
}

// Grow gives an item that Begin made room for more than the first off bytes of its value and "\r\n", which are written and all that there is
// room for. The item may move: the result is the one to go on with. On an error it stays as it was, and there is no more room.
func (s *Store) Grow(it Item, off int) (Item, error) {
	h := it.h
	if h.chain().next != 0 || int(s.classes[h.class()].size) >= share.floor(ChunkMax) {
		return s.addMore(it, off)
	}
	// Its chunk is a small one.
	own := h.state.Load() & stateOwnCAS
	o := newOrder(it.Key(), it.Flags(), h.exptime, it.Len(), own, nil)
	moved, err := s.place(&o, off, off)
	if err != nil {
		return s.addMore(it, off) // of chunks as small
	}
	if own != 0 {
		*moved.h.ownCAS() = *h.ownCAS()
	}
	moved.SetMarks(it.Marks())
	for at := 0; at < off; {
		from := s.segment(h, at)
		at += copy(s.segment(moved.h, at), from[:min(len(from), off-at)])
	}
	c := &s.classes[h.class()]
	s.Release(it)
	if s.config.NoEvict {
		c.spare(s)
	}
	return moved, nil
}

// spare gives the class's only page up if it is empty: where nothing is evicted, a class that has but values on their way would keep it for ever.
func (c *class) spare(s *Store) {
	c.lock()
	defer c.unlock()
	if len(c.pages) == 1 && s.pages[c.pages[0]].used == 0 {
		c.giveUp(s, c.pages[0])
	}
}

// addMore is Grow for a chain whose chunks stay.
func (s *Store) addMore(it Item, off int) (Item, error) {
	h := it.h
	next := &h.chain().next
	for *next != 0 {
		next = &s.at(*next).asPart().next
	}
	total := headerSize + linkSize + h.keyLen() + h.suffixLen() + it.Len() + 2
	for left := it.Len() + 2 - off; left > 0; {
		p := s.addPartSomehow(h, next, left, total)
		if p == nil {
			return it, ErrNoMemory
		}
		next = &p.next
		if left -= int(p.size); left > len("\r\n") {
			break // the end has its place with the last of the value
		}
	}
	return it, nil
}

// addPartSomehow is addPart by any effort, for an item of total bytes.
func (s *Store) addPartSomehow(h *header, next *uint32, left, total int) *partHeader {
	size := headerSize + left
	for try := 1; ; try++ {
		for e := share; e <= gather; e++ {
			effort := e
			if p := s.addPart(h, next, left, e.floor(total), nil, &effort); p != nil {
				return p
			}
			if e == share && s.scarceLately(size) {
				_ = s.noMemory(size)
				return nil
			}
		}
		if try == allocTries || s.config.NoEvict {
			s.scarce(size)
			_ = s.noMemory(size)
			return nil
		}
	}
}

// Footprint is how many bytes of chunks an item is in.
func (s *Store) Footprint(it Item) int {
	h := it.h
	n := int(s.classes[h.class()].size)
	if !h.chained() {
		return n
	}
	for link := h.chain().next; link != 0; {
		p := s.at(link)
		n += int(s.classes[p.class()].size)
		link = p.asPart().next
	}
	return n
}
