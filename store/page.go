package store

import "sync/atomic"

// page is what is known of one page. It belongs to the class whose id it has, and is guarded by that class's lock.
type page struct {
	class    uint8  // 0: in the pool
	draining bool   // is being emptied: gives no chunks, and goes to the pool when the last comes back
	listed   bool   // is in the class's list of pages with room
	place    uint32 // in class.pages
	used     uint32 // chunks in use, or being made or freed
	carved   uint32 // chunks from the beginning that have ever been in use since the class got the page
	free     uint32 // link of the first free one among them
	next     uint32 // number+1 of the neighbours in the list of pages with room
	previous uint32
}

// hasRoom says that a chunk can be had from the page.
func (p *page) hasRoom(c *class) bool { return p.free != 0 || p.carved < c.perPage }

// pagePool has the pages that belong to no class. Its lock has rankPool.
type pagePool struct {
	free atomic.Int32 // pages to be had; for a look without the lock

	mu       rankedMutex
	taken    uint32   // pages below this number have been used
	fresh    uint32   // number of pages of the store
	returned []uint32 // used pages that are free
}

// available says whether get would have a page, if nobody came in between.
func (p *pagePool) available() bool { return p.free.Load() > 0 }

// get takes a page out of the pool.
func (p *pagePool) get() (number uint32, ok bool) {
	if !p.available() {
		return 0, false
	}
	p.mu.lock(rankPool)
	switch last := len(p.returned) - 1; {
	case last >= 0:
		number, ok = p.returned[last], true
		p.returned = p.returned[:last]
	case p.taken < p.fresh:
		number, ok = p.taken, true
		p.taken++
	}
	if ok {
		p.free.Add(-1)
	}
	p.mu.unlock()
	return number, ok
}

// put gives a page back.
func (p *pagePool) put(number uint32) {
	p.mu.lock(rankPool)
	p.returned = append(p.returned, number)
	p.free.Add(1)
	p.mu.unlock()
}

// counts are the pages that were used and are free, and those that were never used.
func (p *pagePool) counts() (returned, untouched int) {
	p.mu.lock(rankPool)
	returned, untouched = len(p.returned), int(p.fresh-p.taken)
	p.mu.unlock()
	return returned, untouched
}

// adopt makes a page out of the pool one of c's. The class must be locked.
func (c *class) adopt(s *Store, number uint32) {
	p := &s.pages[number]
	check(p.class == 0, "page out of the pool belongs to a class")
	*p = page{class: c.id, place: uint32(len(c.pages))}
	c.pages = append(c.pages, number)
	c.borrowed = 0
	c.addPartial(s, number)
}

// giveUp returns an empty page to the pool. The class must be locked.
func (c *class) giveUp(s *Store, number uint32) {
	p := &s.pages[number]
	check(p.used == 0, "page with chunks in use given up")
	c.dropPartial(s, number)
	last := len(c.pages) - 1
	moved := c.pages[last]
	c.pages[p.place] = moved
	s.pages[moved].place = p.place
	c.pages = c.pages[:last]
	if p.draining {
		s.move.done = true
	}
	*p = page{}
	s.pool.put(number)
}

// addPartial lists a page as one with room, the first to be used. The class must be locked.
func (c *class) addPartial(s *Store, number uint32) {
	p := &s.pages[number]
	if p.listed {
		return
	}
	p.listed, p.previous, p.next = true, 0, c.partial
	if c.partial != 0 {
		s.pages[c.partial-1].previous = number + 1
	}
	c.partial = number + 1
}

// dropPartial takes a page off that list. The class must be locked.
func (c *class) dropPartial(s *Store, number uint32) {
	p := &s.pages[number]
	if !p.listed {
		return
	}
	if p.previous != 0 {
		s.pages[p.previous-1].next = p.next
	} else {
		c.partial = p.next
	}
	if p.next != 0 {
		s.pages[p.next-1].previous = p.previous
	}
	p.listed, p.previous, p.next = false, 0, 0
}
