package store

import (
	"math"
)

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

// next takes count numbers and says which is the last, and what the watermark is below them.
func (n *numbers) next(s *Store, count uint64) (last, watermark uint64) {
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
		st.takeCASBlock(s, now)
	}
	st.cas++
	return st.cas
}

// takeCASBlock gets CAS numbers for the stripe.
func (st *stripe) takeCASBlock(s *Store, now uint32) {
	if st.second != now {
		st.second, st.taken = now, 0
	}
	count := uint64(1)
	if st.taken++; st.taken > casSingles {
		count = casBlock
	}
	last, watermark := s.numbers.next(s, count)
	st.cas, st.casEnd = last-count, last
	st.noteFlush(watermark)
}

// flushed counts the linked items of a stripe that were flushed, and nobody has met since: items with numbers up to upTo.
type flushed struct {
	upTo  uint64
	items uint64
	bytes uint64
}

// has reports whether an item is among them.
func (f *flushed) has(h *header) bool { return h.cas() <= f.upTo }

// noteFlush takes note of a flush. The stripe must be locked. Everything that is linked now has a number up to the watermark: with a higher one
// comes a call of noteFlush, see takeCASBlock.
func (st *stripe) noteFlush(watermark uint64) {
	if st.flushed.upTo != watermark {
		st.flushed = flushed{upTo: watermark, items: st.items, bytes: st.bytes}
	}
}

// uncount takes an item that is not linked any more out of the stripe's sums. A store that restored items from a file does not know
// which of them were flushed.
func (st *stripe) uncount(h *header) {
	size := uint64(h.bytes())
	st.bytes -= size
	if f := &st.flushed; f.items > 0 && f.has(h) {
		f.items--
		f.bytes -= min(size, f.bytes)
	}
}

// dead reports whether h has expired or was flushed. Without the stripe's lock the answer is a guess.
func (s *Store) dead(h *header) bool { return s.expired(h) || s.flushed(h) }

func (s *Store) expired(h *header) bool {
	return h.exptime != 0 && h.exptime <= s.now.Load()
}

func (s *Store) flushed(h *header) bool { return h.cas() <= s.watermark.Load() }

// NewSweep begins a crawl over everything. Whatever dies from now on is for the next one.
func (s *Store) NewSweep() *Crawl {
	s.soonest.Store(math.MaxUint32)
	s.swept.Store(s.watermark.Load())
	return NewCrawl(AllClasses, 0)
}

// SweepDue reports whether something in the store has expired or was flushed that the last sweep left, or that it may have; so before the first
// one. It costs nothing, so that who asks again and again need not sweep for it.
func (s *Store) SweepDue() bool {
	return s.soonest.Load() <= s.now.Load() || s.FlushUnswept()
}

// FlushUnswept reports whether there was a flush since the last sweep began.
func (s *Store) FlushUnswept() bool { return s.swept.Load() != s.watermark.Load() }

// noteExpiry takes note of an item that expires at sec, 0 for never. There is nearly always one that does so sooner.
func (s *Store) noteExpiry(sec uint32) {
	for sec != 0 {
		soonest := s.soonest.Load()
		if sec >= soonest || s.soonest.CompareAndSwap(soonest, sec) {
			return
		}
	}
}

// Crawl is a walk that gives back the memory of items that have expired or were flushed.
type Crawl struct {
	walk Walk
	left [classesMax + 1]uint32 // of each class: items that may still be looked at
	dead []uint32               // links, of one bucket
	seen [classesMax + 1]crawled
}

// crawled is what was done in a class and is not in its counters yet.
type crawled struct{ checked, reclaimed, unfetched uint64 }

// NewCrawl begins a crawl of some classes, of each over most items at the most, 0 for all.
func NewCrawl(classes ClassSet, most uint32) *Crawl {
	c := &Crawl{walk: Walk{Classes: classes}}
	for i := range c.left {
		c.left[i] = most - 1 // for 0 more than there can be
	}
	return c
}

// Crawl goes on with c over n steps, buckets or some chunks of a page, and reports whether there is more to do.
func (s *Store) Crawl(c *Crawl, n int) (more bool) {
	more = true
	for ; n > 0 && more; n-- {
		more = s.crawlStep(c)
	}
	for id := range c.seen {
		if seen := &c.seen[id]; seen.checked > 0 {
			s.classes[id].countCrawled(seen)
			*seen = crawled{}
		}
	}
	return more
}

// crawlStep removes what is dead in the next step of the way.
func (s *Store) crawlStep(c *Crawl) (more bool) {
	c.walk.begin(s)
	if c.walk.Classes == 0 {
		return false
	}
	if c.walk.byPages {
		return s.crawlPages(c)
	}
	return s.crawlBucket(c)
}

// crawlBucket removes what is dead in the next bucket. That is gathered first, since removing a link moves others.
func (s *Store) crawlBucket(c *Crawl) (more bool) {
	st, first := s.lockNext(&c.walk)
	if st == nil {
		return false
	}
	c.dead = c.dead[:0]
	s.prefetchChain(first)
	for b := first; b != nil; b = s.spill.after(b) {
		for i := range b.count() {
			switch h := s.at(b.links[i]); {
			case !c.countLook(h.class()):
			case s.dead(h):
				c.dead = append(c.dead, b.links[i])
			default:
				s.noteExpiry(h.exptime)
			}
		}
	}
	for _, link := range c.dead {
		h := s.at(link)
		hash := s.Hash(h.key())
		b, slot := s.locate(st, hash, link)
		s.crawlRemove(c, st, hash, b, slot, h)
	}
	st.unlock()
	return c.walk.Classes != 0 && int(c.walk.stripe) < len(s.stripes)
}

// crawlPages removes what is dead in the next chunks.
func (s *Store) crawlPages(c *Crawl) (more bool) {
	var room [pageChunks]found
	for _, f := range s.findNext(&c.walk, room[:0]) {
		st, h, b, slot := s.lockFound(&c.walk, f)
		if st == nil {
			continue
		}
		switch {
		case !c.countLook(h.class()):
		case s.dead(h):
			s.crawlRemove(c, st, f.hash, b, slot, h)
		default:
			s.noteExpiry(h.exptime)
		}
		st.unlock()
	}
	return c.walk.Classes != 0 && len(c.walk.pages.pages) > 0
}

// crawlRemove removes a dead item, whose stripe is locked.
func (s *Store) crawlRemove(c *Crawl, st *stripe, hash uint64, b *bucket, slot int, h *header) {
	seen := &c.seen[h.class()]
	seen.reclaimed++
	if h.state.Load()&stateFetched == 0 && !s.flushed(h) {
		seen.unfetched++
	}
	s.unlinkSlot(st, hash, b, slot, h)
	s.release(h, stateLinked)
}

// countLook counts an item of a class, and reports whether it is to be looked at. A class of which enough were looked at is left out from then on.
func (c *Crawl) countLook(class uint8) bool {
	if !c.walk.Classes.has(class) {
		return false
	}
	c.seen[class].checked++
	if c.left[class] == 0 {
		c.walk.Classes &^= 1 << class
	}
	c.left[class]--
	return true
}

func (c *class) countCrawled(n *crawled) {
	c.lock()
	c.counters.crawlerChecked += n.checked
	c.counters.crawlerReclaimed += n.reclaimed
	c.counters.expiredUnfetched += n.unfetched
	c.unlock()
}
