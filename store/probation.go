package store

// Probation: "quick demotion" in front of the hand's CLOCK, after Yang, Qiu, Zhang, Yue, Rashmi, "FIFO can be better than LRU: the power of
// lazy promotion and quick demotion", HotOS 2023; docs/eviction.md has what it gives. An item with a new key, stored while the store
// is full, is on probation until a tenth as many as its class has are stored after it. If nobody used it by then it is the next to be
// evicted; else it is settled, and the hand decides about it from then on. A key that went like that and comes back while the index still
// remembers it (ghosts.go) is wanted, and settled at once.
//
// The order is in a queue of links beside the items (linkqueue.go): an item cannot move, and a hit writes nothing for it.

const (
	probationShare = 10   // one item of so many of a class is on probation
	probationMost  = 5    // one of so many, while nothing has to be evicted
	probationLeast = 512  // items of a class below which there is none: too few for a tenth of them to be a trial
	handAnyway     = 2    // the hand takes items on probation too behind one of so many of the chunks that it passes at most
	probationScan  = 1024 // ends of probations that are decided for one victim
)

// enroll puts h, just linked under a new key, on probation, if that makes sense. Its stripe must be locked.
func (s *Store) enroll(st *stripe, hash uint64, h *header) {
	if s.pool.available() || s.config.NoEvict || h.chained() || s.recall(st, hash) {
		return
	}
	c := &s.classes[h.class()]
	c.lock()
	defer c.unlock()
	if c.items < probationLeast {
		return
	}
	if uint64(c.probation.length) >= c.items/probationMost {
		if old := s.endProbation(c); old != nil {
			old.state.And(^uint32(stateProbation))
		}
	}
	if c.probation.push(&s.linkBlocks, s.link(h)) {
		h.state.Or(stateProbation)
	}
}

// demote takes the first item out of the index whose probation ends without a use, nil if there is none. The class must be locked, here and below.
func (s *Store) demote(c *class, held *stripe) *header {
	for range probationScan {
		if n := uint64(c.probation.length); n == 0 || n < c.items/probationShare {
			break
		}
		h := s.endProbation(c)
		if h == nil {
			continue
		}
		if state := h.state.Load(); !referenced(state) && (state&recencyMax == 0 || s.dead(h)) && s.tryEvict(c, h, held) {
			return h
		}
		h.state.And(^uint32(stateProbation))
	}
	return nil
}

// endProbation takes the oldest link out of the queue. It returns the item there, whose flag its caller is to clear, or nil if it is not
// on probation any more. Where it went before its time and the chunk has another on probation, it is that one: its own link comes to
// nothing then.
func (s *Store) endProbation(c *class) *header {
	link, ok := c.probation.pop(&s.linkBlocks)
	if !ok {
		return nil
	}
	h := s.at(link)
	offset := s.offset(h)
	p := &s.pages[offset/PageSize]
	if p.owner() != c.id || uint32(offset%PageSize)/c.size >= p.carved {
		return nil
	}
	if h.state.Load()&(stateLinked|statePart|stateProbation) != stateLinked|stateProbation {
		return nil
	}
	if p.draining { // it goes with its page, or stays if that cannot be emptied
		h.state.And(^uint32(stateProbation))
		return nil
	}
	return h
}
