package store

import (
	"unsafe"
)

// itemSpec is what an item is to be.
type itemSpec struct {
	key            []byte
	flags, exptime uint32
	n              int // bytes of the value
	suffix         int // length of what stands between key and value
	own            uint32
	held           *stripe
}

func newItemSpec(key []byte, flags, exptime uint32, n int, own uint32, held *stripe) itemSpec {
	suffix := len("  \r\n") + digits(flags) + digits(uint32(n))
	return itemSpec{key, flags, exptime, n, suffix, own, held}
}

// before is how much of the first chunk of a chain is not value.
func (spec *itemSpec) before() int {
	return headerSize + extension(stateChained|spec.own) + len(spec.key) + spec.suffix
}

// total is the size of the item, as a chain in one chunk.
func (spec *itemSpec) total() int { return spec.before() + spec.n + 2 }

// fitsChunk reports whether it need not be a chain.
func (spec *itemSpec) fitsChunk() bool { return spec.total()-linkSize <= ChunkMax }

// floor is the least size of a chunk in a chain of total bytes, as far as effort goes. It counts for all but the head's own text and the end.
func (e effort) floor(total int) int {
	return max(total/linksMost, min(total, ChunkMax)/e.links())
}

// allocChain is alloc for items that are larger than the largest chunk, or for which there is no chunk although there is memory in smaller
// ones; it returns the zero Item if that fails too. The head and all parts but the last are of the largest class, if that has any, and the last is
// of the class that fits what is left.
func (s *Store) allocChain(spec *itemSpec, effort effort) Item {
	floor := effort.floor(spec.total())
	it := s.allocHead(spec, max(spec.before(), floor), spec.total(), &effort)
	if !it.Valid() {
		return it
	}
	next := &it.h.chain().next
	for left := spec.n + 2 - s.firstRoom(it.h); left > 0; {
		p := s.addPart(it.h, next, left, floor, spec.held, &effort)
		if p == nil {
			s.release(it.h, 0)
			return Item{}
		}
		next = &p.next
		left -= int(p.size)
	}
	return it
}

// allocHead makes the first chunk of a chain, without its parts: of at least least bytes and of at most most if there is such a one. It returns the
// zero Item if there is none.
func (s *Store) allocHead(spec *itemSpec, least, most int, effort *effort) Item {
	h, _ := s.chunkForChain(least, most, demand{ChunkMax, true, spec.held}, effort)
	return s.chainAt(spec, h)
}

// chainAt begins a chain in the chunk at h, if there is one.
func (s *Store) chainAt(spec *itemSpec, h *header) Item {
	if h == nil {
		return Item{}
	}
	c := &s.classes[s.pages[s.pageOf(h)].owner()]
	h.ident, h.exptime, h.access = uint64(c.id), spec.exptime, s.now.Load()
	h.shape = uint32(spec.suffix)<<shapeSuffix | uint32(len(spec.key))
	*h.chain() = chainLink{length: uint32(spec.n)}
	h.setState(referenceOne | stateChained | spec.own)
	writeText(unsafe.Slice((*byte)(h.text()), len(spec.key)+spec.suffix), spec.key, spec.flags, spec.n)
	return Item{h}
}

// addPart appends a chunk to the chain of h, whose end is at next, for the first of the left bytes that have no memory yet. It returns nil if there
// is no chunk of at least floor bytes, or of less if they need less.
func (s *Store) addPart(h *header, next *uint32, left, floor int, held *stripe, effort *effort) *partHeader {
	part, c := s.chunkForChain(max(headerSize+1, floor), headerSize+left, demand{headerSize + left, false, held}, effort)
	if part == nil {
		return nil
	}
	p := part.asPart()
	p.ident, p.owner, p.next, p.size = uint64(c.id), s.link(h), 0, uint32(min(left, int(c.size)-headerSize))
	p.state.Store(referenceOne | statePart) // behind the rest: from here on the hand follows owner
	*next = s.link(part)
	return p
}

const (
	linksFew  = 16
	linksMost = 1024
)

// links is how many chunks may take the place of one of the best size.
func (e effort) links() int {
	if e == gatherSmall {
		return linksMost
	}
	return linksFew
}

// chunkForChain gets a chunk for a chain that has most bytes to go: the largest that makes sense, or a smaller one of at least least
// bytes. Its class is the second result.
func (s *Store) chunkForChain(least, most int, d demand, e *effort) (*header, *class) {
	c := s.classFor(min(most, ChunkMax))
	take, emptying := s.chunkNear, *e == emptyPages
	if emptying {
		take = s.chunkEmptying
	}
	if h, other := take(c, d); h != nil {
		return h, other
	}
	if emptying {
		*e = usual // to try and empty a page for each of many chunks would take too long
	}
	for id := c.id - 1; id > 0 && int(s.classes[id].size) >= least; id-- {
		if h := s.chunkOf(&s.classes[id], d); h != nil {
			return h, &s.classes[id]
		}
	}
	switch {
	case emptying:
		return s.chunkByAnyMeans(c, d)
	case *e == usual && d.head:
		return nil, nil // chunkByAnyMeans does that
	}
	return s.largerChunk(c, ChunkMax, d)
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

// Writable is memory of the value and the "\r\n" behind it, from off on, as far as it is contiguous; empty when off is Len()+2, or
// where an item that Begin made has to Grow. The caller owns the item: it is not linked yet, or Entry.Exclusive.
func (s *Store) Writable(it Item, off int) []byte { return s.segment(it.h, off) }

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

// An item whose value is still arriving takes memory as the value comes: a client that sends nothing but the first line of a large set must not
// evict the items of others. Until a thirtieth of the value is there, it is in a small chunk; then it is copied, once, into the memory that it stays
// in. A chain gets its parts one by one.

const (
	growTrust = 32      // bytes that an item may have in advance for each of its value that came,
	growFree  = 1 << 10 // and beside these

	smallMost = ChunkMax / growTrust * 2 // bytes of a chunk that a beginning is in
)

// Begin is Alloc for a value of n bytes of which only the first came bytes have arrived: it takes as much memory as these justify, and Grow takes
// the rest.
func (s *Store) Begin(key []byte, flags, exptime uint32, n, came int) (Item, error) {
	return s.begin(key, flags, exptime, n, came, 0)
}

// BeginCAS is Begin for an item whose CAS is to be cas, as AllocCAS is Alloc.
func (s *Store) BeginCAS(key []byte, flags, exptime uint32, n, came int, cas uint64) (Item, error) {
	it, err := s.begin(key, flags, exptime, n, came, stateOwnCAS)
	if err == nil {
		*it.h.ownCAS() = cas
	}
	return it, err
}

func (s *Store) begin(key []byte, flags, exptime uint32, n, came int, own uint32) (Item, error) {
	if n <= ChunkMax/2 && n <= growTrust*came {
		return s.alloc(key, flags, exptime, n, own, nil) // as nearly always
	}
	if s.tooLarge(len(key), flags, n) {
		return Item{}, ErrTooLarge
	}
	spec := newItemSpec(key, flags, exptime, n, own, nil)
	return s.allocBeginning(&spec, came, 0)
}

// allocBeginning makes an item as spec says, of whose value came bytes are there, with room for more than the first written of them.
func (s *Store) allocBeginning(spec *itemSpec, came, written int) (Item, error) {
	total := spec.total()
	trusted := growFree + growTrust*came
	if s.config.NoEvict && s.pool.free.Load() == 1 {
		trusted = max(trusted, total) // the last page is for what is to stay
	}
	if spec.fitsChunk() && trusted >= total {
		return s.alloc(spec.key, spec.flags, spec.exptime, spec.n, spec.own, nil)
	}
	least, most := spec.before()+written+1, total
	if trusted < min(total, ChunkMax) {
		// So much that, when it is full, it is evidence enough for all.
		most = max(least, min(trusted, spec.before()+min(total, ChunkMax)/growTrust+1))
	}
	for attempt := (attempt{}); ; {
		effort, low := attempt.effort, least
		if trusted >= ChunkMax {
			low = max(low, effort.floor(total))
		} else if it := s.chainAt(spec, s.chunkForBeginning(low, most, effort)); it.Valid() {
			return s.addEnd(it, spec)
		}
		if it := s.allocHead(spec, low, most, &effort); it.Valid() {
			return s.addEnd(it, spec)
		}
		if !attempt.next(s, most) {
			return Item{}, ErrNoMemory
		}
	}
}

// chunkForBeginning gets a chunk for the beginning of a value, of at least least bytes and about most. Unlike chunkForChain it empties a page rather
// than take a far larger chunk: in a store of large items each beginning would take as much as a whole item.
func (s *Store) chunkForBeginning(least, most int, e effort) *header {
	c, d := s.classFor(most), demand{ChunkMax, true, nil}
	if e == gatherSmall {
		return nil // chunkForChain does that
	}
	if h, _ := s.chunkNear(c, d); h != nil {
		return h
	}
	for id := c.id - 1; id > 0 && int(s.classes[id].size) >= least; id-- {
		if h := s.chunkOf(&s.classes[id], d); h != nil {
			return h
		}
	}
	if h, _ := s.largerChunk(c, smallMost, d); h != nil || e == usual {
		return h
	}
	return s.chunkOfEmptiedPage(c, d, false)
}

// addEnd adds a chunk for the value's "\r\n" where it alone does not fit.
func (s *Store) addEnd(it Item, spec *itemSpec) (Item, error) {
	if left := spec.n + 2 - s.firstRoom(it.h); left > len("\r\n") || left == 0 {
		return it, nil
	}
	if it, err := s.addMore(it, s.firstRoom(it.h)); err == nil {
		return it, nil
	}
	s.Release(it)
	return Item{}, ErrNoMemory
}

// Grow makes room for more in an item that Begin made, whose first off bytes of value and "\r\n" are written and fill the room that there is. The
// item may move: the caller goes on with the result. On an error it stays as it was.
func (s *Store) Grow(it Item, off int) (Item, error) {
	h := it.h
	if h.chain().next != 0 || int(s.classes[h.class()].size) >= usual.floor(ChunkMax) {
		return s.addMore(it, off)
	}
	// Its chunk is a small one.
	own := h.state.Load() & stateOwnCAS
	spec := newItemSpec(it.Key(), it.Flags(), h.exptime, it.Len(), own, nil)
	moved, err := s.allocBeginning(&spec, off, off)
	if err != nil {
		return s.addMore(it, off) // of chunks as small
	}
	if own != 0 {
		*moved.h.ownCAS() = *h.ownCAS()
	}
	moved.SetMarks(it.Marks())
	for at := 0; at < off; {
		from := s.segment(h, at)
		at += copy(s.segment(moved.h, at), from[:min(len(from), off-at)])
	}
	c := &s.classes[h.class()]
	s.Release(it)
	if s.config.NoEvict {
		c.giveUpEmptyPage(s)
	}
	return moved, nil
}

// giveUpEmptyPage gives the class's only page up if it is empty: where nothing is evicted, a class that had only arriving values would keep it
// for ever.
func (c *class) giveUpEmptyPage(s *Store) {
	c.lock()
	defer c.unlock()
	if len(c.pages) == 1 && s.pages[c.pages[0]].used == 0 {
		c.giveUp(s, c.pages[0])
	}
}

// addMore is Grow for a chain whose chunks stay.
func (s *Store) addMore(it Item, off int) (Item, error) {
	h := it.h
	end := &h.chain().next
	for *end != 0 {
		end = &s.at(*end).asPart().next
	}
	next, total := end, headerSize+linkSize+h.keyLen()+h.suffixLen()+it.Len()+2
	for left := it.Len() + 2 - off; left > 0; {
		p := s.addPartByAnyEffort(h, next, left, total)
		if p == nil {
			s.freeParts(*end) // the one without room for all of the "\r\n"
			*end = 0
			return it, ErrNoMemory
		}
		next = &p.next
		if left -= int(p.size); left > len("\r\n") {
			break // the last chunk of the value has room for its "\r\n"
		}
	}
	return it, nil
}

// addPartByAnyEffort is addPart for an item of total bytes.
func (s *Store) addPartByAnyEffort(h *header, next *uint32, left, total int) *partHeader {
	for attempt := (attempt{}); ; {
		effort := attempt.effort
		if p := s.addPart(h, next, left, effort.floor(total), nil, &effort); p != nil {
			return p
		}
		if !attempt.next(s, headerSize+left) {
			return nil
		}
	}
}

// Footprint is the size of the chunks that an item lies in, in bytes.
func (s *Store) Footprint(it Item) int {
	h := it.h
	n := int(s.classes[h.class()].size)
	if !h.chained() {
		return n
	}
	for link := h.chain().next; link != 0; {
		p := s.at(link)
		n += int(s.classes[p.class()].size)
		link = p.asPart().next
	}
	return n
}
