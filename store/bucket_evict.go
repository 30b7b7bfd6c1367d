package store

// chainMax is how many buckets a chain may have. It bounds what a lookup, a split and a step of a walk cost to chainMax*bucketSlots = 72 links,
// whoever chose the keys. A bucket that is about to be split has 18 items on average; more than 72 come together by chance in one of
// 10^22 buckets.
const chainMax = 6

// evictFromChain evicts one item of a chain that is one bucket too long since link added is in it; added stays. Dead items go first, then
// those with the lowest recency count, and among these the one that was added last: a client that fills a bucket on purpose evicts its own
// items rather than those that others use. The stripe must be locked, and changing.
func (s *Store) evictFromChain(st *stripe, hash uint64, added uint32) {
	const dead, unknown = 0, recencyMax + 2
	var from *bucket
	slot, least := 0, uint32(unknown)
	for b := s.home(st, hash); b != nil; b = s.spill.after(b) {
		for i := range b.count() {
			if b.links[i] == added {
				continue
			}
			h, worth := s.at(b.links[i]), uint32(dead)
			if !s.dead(h) {
				worth = h.state.Load()&recencyMax + 1
			}
			if worth <= least {
				from, slot, least = b, i, worth
			}
		}
	}
	h := s.at(from.links[slot])
	c := &s.classes[h.class()]
	c.lock()
	s.countEvicted(c, h, h.state.Load())
	c.counters.crowded++
	c.unlock()
	s.unlinkSlot(st, hash, from, slot, h)
	s.release(h, stateLinked)
}
