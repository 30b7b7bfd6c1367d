package store

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

// Crawl goes on with c over n steps, buckets or some chunks of a page, and says whether there is more to do.
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
			case !c.check(h.class()):
			case s.dead(h):
				c.dead = append(c.dead, b.links[i])
			default:
				s.expires(h.exptime)
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
		case !c.check(h.class()):
		case s.dead(h):
			s.crawlRemove(c, st, f.hash, b, slot, h)
		default:
			s.expires(h.exptime)
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

// check counts an item of a class, and says whether it is to be looked at. A class of which enough were looked at is left out from then on.
func (c *Crawl) check(class uint8) bool {
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
