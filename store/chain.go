package store

import "unsafe"

// order is what an item is to be.
type order struct {
	key            []byte
	flags, exptime uint32
	n              int // bytes of the value
	suffix         int // length of what stands between key and value
	own            uint32
	held           *stripe
}

func newOrder(key []byte, flags, exptime uint32, n int, own uint32, held *stripe) order {
	suffix := len("  \r\n") + digits(flags) + digits(uint32(n))
	return order{key, flags, exptime, n, suffix, own, held}
}

// before is how much of the first chunk of a chain is not value.
func (o *order) before() int {
	return headerSize + extension(stateChained|o.own) + len(o.key) + o.suffix
}

// total is the size of the item, as a chain in one chunk.
func (o *order) total() int { return o.before() + o.n + 2 }

// fitsChunk says that it need not be a chain.
func (o *order) fitsChunk() bool { return o.total()-linkSize <= ChunkMax }

// floor is the least size of a chunk in a chain of total bytes, as far as effort goes. It counts for all but the head's own text and the end.
func (e effort) floor(total int) int {
	return max(total/linksMost, min(total, ChunkMax)/e.links())
}

// allocChain is alloc for items that are larger than the largest chunk, or for which no chunk is to be had although there is
// memory in smaller ones; the zero Item if that fails too. The head and all parts but the last are of the largest class, if that
// has any, and the last of the class that fits what is left. effort is how far it goes for them.
func (s *Store) allocChain(o *order, effort effort) Item {
	floor := effort.floor(o.total())
	it := s.allocHead(o, max(o.before(), floor), o.total(), &effort)
	if !it.Valid() {
		return it
	}
	next := &it.h.chain().next
	for left := o.n + 2 - s.firstRoom(it.h); left > 0; {
		p := s.addPart(it.h, next, left, floor, o.held, &effort)
		if p == nil {
			s.release(it.h, 0)
			return Item{}
		}
		next = &p.next
		left -= int(p.size)
	}
	return it
}

// allocHead makes the first chunk of a chain, of at least least bytes and of at most most if there is such a one, without its parts; the zero
// Item if there is none.
func (s *Store) allocHead(o *order, least, most int, effort *effort) Item {
	h, _ := s.takeLink(least, most, demand{ChunkMax, true, o.held}, effort)
	return s.chainAt(o, h)
}

// chainAt begins a chain in the chunk at h, if there is one.
func (s *Store) chainAt(o *order, h *header) Item {
	if h == nil {
		return Item{}
	}
	c := &s.classes[s.pages[s.pageOf(h)].owner()]
	h.ident, h.exptime, h.access = uint64(c.id), o.exptime, s.now.Load()
	h.shape = uint32(o.suffix)<<shapeSuffix | uint32(len(o.key))
	*h.chain() = chainLink{length: uint32(o.n)}
	h.setState(referenceOne | stateChained | o.own)
	writeText(unsafe.Slice((*byte)(h.text()), len(o.key)+o.suffix), o.key, o.flags, o.n)
	return Item{h}
}

// addPart hangs a chunk on the end of the chain of h, which is at next, for the first of the left bytes that have no place yet; nil if no
// chunk of at least floor bytes can be had, or of less if they need less.
func (s *Store) addPart(h *header, next *uint32, left, floor int, held *stripe, effort *effort) *partHeader {
	part, c := s.takeLink(max(headerSize+1, floor), headerSize+left, demand{headerSize + left, false, held}, effort)
	if part == nil {
		return nil
	}
	p := part.asPart()
	p.ident, p.owner, p.next, p.size = uint64(c.id), s.link(h), 0, uint32(min(left, int(c.size)-headerSize))
	p.state.Store(referenceOne | statePart) // behind the rest: from here on the hand follows owner
	*next = s.link(part)
	return p
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

// Room is writable memory of the value and the "\r\n" behind it, from off on, as far as it is contiguous; empty when off is Len()+2, or
// where an item that Begin made has to Grow. The caller owns the item: it is not linked yet, or Entry.Exclusive.
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
