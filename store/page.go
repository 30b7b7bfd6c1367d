package store

import "sync/atomic"

// page is what is known of one page. It belongs to the class whose id it has, and is guarded by that class's lock.
type page struct {
	class    atomic.Uint32 // 0: in the pool. Others may look whether it is theirs
	draining bool          // is being emptied: gives no chunks, and the class gives it up when the last comes back
	listed   bool          // is in the class's list of pages with room
	place    uint32        // in class.pages
	used     uint32        // chunks in use, or being made or freed
	carved   uint32        // chunks from the beginning that have ever been in use since the class got the page
	free     uint32        // link of the first free one among them
	next     uint32        // number+1 of the neighbours in the list of pages with room
	previous uint32
}

// hasRoom says that a chunk can be had from the page.
func (p *page) hasRoom(c *class) bool { return p.free != 0 || p.carved < c.perPage }

// owner is the id of the class that has the page, 0 if it is in the pool.
func (p *page) owner() uint8 { return uint8(p.class.Load()) }

// begin makes it an empty page of the class with the id.
func (p *page) begin(id uint8, place uint32) {
	p.class.Store(uint32(id))
	p.draining, p.listed, p.place = false, false, place
	p.used, p.carved, p.free, p.next, p.previous = 0, 0, 0, 0, 0
}

// adopt makes a page out of the pool one of c's. The class must be locked.
func (c *class) adopt(s *Store, number uint32) {
	p := &s.pages[number]
	check(p.owner() == 0, "page out of the pool belongs to a class")
	p.begin(c.id, uint32(len(c.pages)))
	c.pages = append(c.pages, number)
	c.lacking = 0
	c.addPartial(s, number)
}

// giveUp returns an empty page to the pool, or to who had it emptied. The class must be locked.
func (c *class) giveUp(s *Store, number uint32) {
	p := &s.pages[number]
	check(p.used == 0, "page with chunks in use given up")
	c.dropPartial(s, number)
	last := len(c.pages) - 1
	moved := c.pages[last]
	c.pages[p.place] = moved
	s.pages[moved].place = p.place
	c.pages = c.pages[:last]
	spare := true
	if p.draining {
		s.move.done, spare = true, s.move.spare
		if s.move.to != nil {
			p.begin(0, 0) // endMove hands it on
			return
		}
	}
	p.begin(0, 0)
	s.pool.put(number, spare)
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
