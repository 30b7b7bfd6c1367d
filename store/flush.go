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
	s.numbers.mu.lock(rankPool)
	s.watermark.Store(s.numbers.last)
	s.numbers.mu.unlock()
}

// numbers are the CAS numbers that stripes have. A block of them is taken, and all until then are declared dead, under its lock: whoever has a
// number above the watermark knew the watermark when he took it.
type numbers struct {
	mu   rankedMutex // rankPool
	last uint64      // of the last block
}

// take takes n numbers and says which is the last, and what the watermark is below them.
func (n *numbers) take(s *Store, count uint64) (last, watermark uint64) {
	n.mu.lock(rankPool)
	defer n.mu.unlock()
	n.last += count
	return n.last, s.watermark.Load()
}

const (
	// casBlock is how many CAS numbers a stripe takes at a time, so that stores on different cores seldom share a counter.
	casBlock = 64
	// casSingles is how many of a second it takes singly before. So the numbers of a store that has little to do are in the order of time, and
	// those of a busy one from second to second.
	casSingles = 64
)

// nextCAS is the number after all that items of this stripe have had. The stripe must be locked.
func (st *stripe) nextCAS(s *Store) uint64 {
	if now := s.now.Load(); st.cas >= st.casEnd || st.cas < s.watermark.Load() || st.second != now {
		st.takeNumbers(s, now)
	}
	st.cas++
	return st.cas
}

// takeNumbers gets CAS numbers for the stripe.
func (st *stripe) takeNumbers(s *Store, now uint32) {
	if st.second != now {
		st.second, st.taken = now, 0
	}
	count := uint64(1)
	if st.taken++; st.taken > casSingles {
		count = casBlock
	}
	last, watermark := s.numbers.take(s, count)
	st.cas, st.casEnd = last-count, last
	st.settle(watermark)
}

// flushed counts the linked items of a stripe that were flushed, and nobody has met since: items with numbers up to mark.
type flushed struct {
	mark  uint64
	items uint64
	bytes uint64
}

// has says that an item is among them.
func (f *flushed) has(h *header) bool { return h.cas() <= f.mark }

// settle takes note of a flush. The stripe must be locked. Everything that is linked now has a number up to the watermark: with a higher one
// comes a call of settle, see takeNumbers.
func (st *stripe) settle(watermark uint64) {
	if st.flushed.mark != watermark {
		st.flushed = flushed{mark: watermark, items: st.items, bytes: st.bytes}
	}
}

// uncount takes an item that is not linked any more out of the stripe's sums. In a store that took up the items of a file, flushed ones are
// not known to be.
func (st *stripe) uncount(h *header) {
	size := uint64(h.bytes())
	st.bytes -= size
	if f := &st.flushed; f.items > 0 && f.has(h) {
		f.items--
		f.bytes -= min(size, f.bytes)
	}
}

// dead says that h has expired or was flushed. Without the stripe's lock the answer is a guess.
func (s *Store) dead(h *header) bool { return s.expired(h) || s.flushed(h) }

func (s *Store) expired(h *header) bool {
	return h.exptime != 0 && h.exptime <= s.now.Load()
}

func (s *Store) flushed(h *header) bool { return h.cas() <= s.watermark.Load() }
