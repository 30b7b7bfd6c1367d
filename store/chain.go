package store

import "unsafe"

// allocChain is alloc for items that are larger than the largest chunk, or for which no chunk is to be had although there is
// memory in smaller ones; the zero Item if that fails too. The head and all parts but the last are of the largest class, if that
// has any, and the last of the class that fits what is left.
func (s *Store) allocChain(key []byte, flags, exptime uint32, n, suffix int, own uint32, held *stripe) Item {
	before := headerSize + extension(stateChained|own) + len(key) + suffix
	starved := before-linkSize+n+2 <= ChunkMax // take has found nothing for it
	h, c := s.takeLink(before, before+n+2, demand{ChunkMax, true, held}, &starved)
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
		part, c := s.takeLink(headerSize+1, headerSize+left, demand{headerSize + left, false, held}, &starved)
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

// linksMost bounds how many chunks a chain may need of the smallest that are taken for it.
const linksMost = 1024

// takeLink gets a chunk for a chain that has most bytes to go: the largest that makes sense, or a smaller one of at least least
// bytes. Its class is the second result. Once starved it only looks for chunks that classes have or can evict: to try and empty a
// page for each of many small chunks would take too long.
func (s *Store) takeLink(least, most int, d demand, starved *bool) (*header, *class) {
	c := s.classFor(min(most, ChunkMax))
	if !*starved {
		if h, other := s.take(c, d); h != nil {
			return h, other
		}
		*starved = true
	}
	if h := s.takeAgain(c, d); h != nil {
		return h, c
	}
	if h, other := s.borrow(c, ChunkMax, d); h != nil {
		return h, other
	}
	for id := c.id - 1; id > 0; id-- {
		c := &s.classes[id]
		if int(c.size) < least || int(c.size) < most/linksMost {
			break
		}
		if h := s.takeAgain(c, d); h != nil {
			return h, c
		}
	}
	return nil, nil
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
