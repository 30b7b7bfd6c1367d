package store

import "unsafe"

// allocChain is alloc for items that are larger than the largest chunk, or for which no chunk is to be had although there is
// memory in smaller ones; the zero Item if that fails too. The head and all parts but the last are of the largest class, if that
// has any, and the last of the class that fits what is left. effort is how far it goes for them.
func (s *Store) allocChain(key []byte, flags, exptime uint32, n, suffix int, own uint32, held *stripe, effort effort) Item {
	before := headerSize + extension(stateChained|own) + len(key) + suffix
	total := before + n + 2
	floor := max(total/linksMost, min(total, ChunkMax)/effort.links()) // of the size of a chunk
	h, c := s.takeLink(max(before, floor), total, demand{ChunkMax, true, held}, &effort)
	if h == nil {
		return Item{}
	}
	h.ident, h.exptime, h.access = uint64(c.id), exptime, s.now.Load()
	h.shape = uint32(suffix)<<shapeSuffix | uint32(len(key))
	*h.chain() = chainLink{length: uint32(n)}
	h.setState(referenceOne | stateChained | own)
	writeText(unsafe.Slice((*byte)(h.text()), len(key)+suffix), key, flags, n)

	next := &h.chain().next
	for left := n + 2 - s.firstRoom(h); left > 0; {
		part, c := s.takeLink(max(headerSize+1, floor), headerSize+left, demand{headerSize + left, false, held}, &effort)
		if part == nil {
			s.release(h, 0)
			return Item{}
		}
		size := min(left, int(c.size)-headerSize)
		p := part.asPart()
		p.ident, p.owner, p.next, p.size = uint64(c.id), s.link(h), 0, uint32(size)
		p.state.Store(referenceOne | statePart) // behind the rest: from here on the hand follows owner
		*next = s.link(part)
		next = &p.next
		left -= size
	}
	return Item{h}
}

// effort is how far allocChain goes.
type effort int

const (
	share  effort = iota // chunks that classes have or can evict, a few of them in the place of a larger one
	empty                // the same, but pages of others are emptied as long as that succeeds
	gather               // many small chunks that classes have or can evict
)

const (
	linksFew  = 16
	linksMost = 1024
)

// links is how many chunks may stand for one of the best size.
func (e effort) links() int {
	if e == gather {
		return linksMost
	}
	return linksFew
}

// takeLink gets a chunk for a chain that has most bytes to go: the largest that makes sense, or a smaller one of at least least
// bytes. Its class is the second result.
func (s *Store) takeLink(least, most int, d demand, e *effort) (*header, *class) {
	c := s.classFor(min(most, ChunkMax))
	take, emptying := s.takeShared, *e == empty
	if emptying {
		take = s.take
	}
	if h, other := take(c, d); h != nil {
		return h, other
	}
	if emptying {
		*e = share // to try and empty a page for each of many chunks would take too long
	}
	for id := c.id - 1; id > 0 && int(s.classes[id].size) >= least; id-- {
		if h := s.takeAgain(&s.classes[id], d); h != nil {
			return h, &s.classes[id]
		}
	}
	switch {
	case emptying:
		return s.takeLast(c, d)
	case *e == share && d.head:
		return nil, nil // that is takeLast's
	}
	return s.borrow(c, ChunkMax, d)
}

// freeParts frees the parts of a chain from the one at link on. The head is there until all are free, so that whoever meets a part
// under its class's lock finds the item.
func (s *Store) freeParts(link uint32) {
	var locked *class
	for link != 0 {
		h := s.at(link)
		p := h.asPart()
		link = p.next
		c := &s.classes[h.class()]
		if c != locked {
			if locked != nil {
				locked.unlock()
			}
			c.lock()
			locked = c
		}
		check(p.state.Load()&statePart != 0, "chain leads to a chunk that is no part of one")
		c.requested -= headerSize + uint64(p.size)
		c.push(s, h)
	}
	if locked != nil {
		locked.unlock()
	}
}

// firstRoom is how many bytes of value and "\r\n" are in the first chunk of a chain.
func (s *Store) firstRoom(h *header) int {
	room := int(s.classes[h.class()].size) - headerSize - extension(h.state.Load()) - h.keyLen() - h.suffixLen()
	return min(room, int(h.chain().length)+2)
}

// Room is writable memory of the value and the "\r\n" behind it, from off on, as far as it is contiguous; empty when off is Len()+2.
// The caller owns the item: it is not linked yet, or Entry.Exclusive.
func (s *Store) Room(it Item, off int) []byte { return s.segment(it.h, off) }

// Segment is memory of the value and the "\r\n" behind it, from off on, as far as it is contiguous; empty when off is Len()+2. Not
// to be written to.
func (s *Store) Segment(it Item, off int) []byte { return s.segment(it.h, off) }

func (s *Store) segment(h *header, off int) []byte {
	value := unsafe.Add(h.text(), h.keyLen()+h.suffixLen())
	total := h.length() + 2
	if uint(off) > uint(total) {
		panic("store: offset outside of the value")
	}
	if !h.chained() {
		return unsafe.Slice((*byte)(unsafe.Add(value, off)), total-off)
	}
	room, next := s.firstRoom(h), h.chain().next
	for off >= room && next != 0 {
		off -= room
		p := s.at(next).asPart()
		value, room, next = unsafe.Add(unsafe.Pointer(p), headerSize), int(p.size), p.next
	}
	return unsafe.Slice((*byte)(unsafe.Add(value, off)), room-off)
}
