package store

// FlushAll makes every item that is in the store now disappear, at once (at 0, or a second that has come) or when the second at
// comes. The cost does not depend on the number of items: what is flushed is known by its CAS, and goes when it is looked up or
// evicted. A later call replaces a delayed flush that has not happened yet.
func (s *Store) FlushAll(at uint32) {
	if at > s.now.Load() {
		s.flushAt.Store(at)
		// The second may have come in between, with nobody to notice it later.
		s.flushDue(s.now.Load())
		return
	}
	s.flushAt.Store(0)
	s.flush()
}

// flushDue executes a delayed flush whose second has come.
func (s *Store) flushDue(now uint32) {
	if at := s.flushAt.Load(); at != 0 && at <= now && s.flushAt.CompareAndSwap(at, 0) {
		s.flush()
	}
}

// flush declares all CAS numbers given so far dead. Stripes hold blocks of numbers that they have not used up yet; those are dead
// too, and stripe.nextCAS never gives them out again.
func (s *Store) flush() {
	mark := s.casBlocks.Load()
	for {
		old := s.watermark.Load()
		if mark <= old || s.watermark.CompareAndSwap(old, mark) {
			return
		}
	}
}

// casBlock is how many CAS numbers a stripe takes at a time, so that stores on different cores seldom share a counter.
const casBlock = 64

// nextCAS is the number after all that items of this stripe have had. The stripe must be locked.
func (st *stripe) nextCAS(s *Store) uint64 {
	if st.cas >= st.casEnd || st.cas < s.watermark.Load() {
		st.casEnd = s.casBlocks.Add(casBlock)
		st.cas = st.casEnd - casBlock
	}
	st.cas++
	return st.cas
}

// dead says that h has expired or was flushed. Without the stripe's lock the answer is a guess.
func (s *Store) dead(h *header) bool { return s.expired(h) || s.flushed(h) }

func (s *Store) expired(h *header) bool {
	return h.exptime != 0 && h.exptime <= s.now.Load()
}

func (s *Store) flushed(h *header) bool { return h.cas() <= s.watermark.Load() }
