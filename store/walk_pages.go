package store

import "unsafe"

const (
	// pageChunks is how many chunks a step of a walk over pages looks at, under the lock of their class.
	pageChunks = 16
	// pagesPassed is how many pages it passes by in a step because there is nothing in them for it.
	pagesPassed = 256
)

// pageWalk is a place on the way over the pages of some classes: over those that they had when it began, the last that a class got first, and
// from the last chunk of a page to its first. So a class that only grows is met with what was stored last first. A page that a class gives up
// meanwhile takes no items with it, and one that it gets has newer ones only.
type pageWalk struct {
	pages []uint32 // still to be visited; the last is the next, or the one under way
	chunk uint32   // of the one under way, those below are still to be visited; 0: none is under way
}

// found is an item that a pageWalk saw under its class's lock. By the time that its stripe is locked it may be gone.
type found struct {
	hash uint64
	link uint32
}

// begin takes down the pages. Classes without items are left out.
func (at *pageWalk) begin(s *Store, classes ClassSet) {
	for i := range s.classes {
		c := &s.classes[i]
		if !classes.has(c.id) || i == 0 {
			continue
		}
		c.lock()
		if c.items > 0 {
			at.pages = append(at.pages, c.pages...)
		}
		c.unlock()
	}
}

// visitPages is Visit over pages.
func (s *Store) visitPages(w *Walk, visit func(Item)) (more bool) {
	var room [pageChunks]found
	if w.Quick {
		s.nextChunks(w, func(h *header) {
			if !s.dead(h) {
				visit(Item{h})
			}
		})
		return len(w.pages.pages) > 0
	}
	all := s.findNext(w, room[:0])
	most := s.maxBuckets.Load() - 1
	for _, f := range all { // see Prefetch
		st := s.stripeOf(f.hash)
		prefetchLine(unsafe.Pointer(s.bucket(st, min(st.place(uint32(f.hash>>s.stripeBits)), most))))
	}
	for _, f := range all {
		if st, h, _, _ := s.lockFound(w, f); st != nil {
			if !s.dead(h) {
				visit(Item{h})
			}
			st.unlock()
		}
	}
	return len(w.pages.pages) > 0
}

// lockFound locks the stripe of what a walk found, and gives the item with its slot; a nil stripe, and nothing is locked, if it is gone.
// Whatever the index has under that link and hash now is an item in that chunk, if not the same.
func (s *Store) lockFound(w *Walk, f found) (*stripe, *header, *bucket, int) {
	st := s.stripeOf(f.hash)
	st.lock()
	if b, slot := s.locate(st, f.hash, f.link); b != nil {
		if h := s.at(f.link); w.Classes.has(h.class()) {
			return st, h, b, slot
		}
	}
	st.unlock()
	return nil, nil, nil, 0
}

// findNext moves the walk over some chunks of a page, and appends the items that begin there to out.
func (s *Store) findNext(w *Walk, out []found) []found {
	s.nextChunks(w, func(h *header) { out = append(out, found{s.Hash(h.key()), s.link(h)}) })
	return out
}

// nextChunks moves the walk over some chunks of a page, and calls see for the linked items that begin there, under the class's lock.
func (s *Store) nextChunks(w *Walk, see func(*header)) {
	at := &w.pages
	for range pagesPassed {
		if len(at.pages) == 0 {
			return
		}
		number, looked := at.pages[len(at.pages)-1], false
		if id := s.pages[number].owner(); id != 0 && w.Classes.has(id) {
			looked = at.look(s, w, &s.classes[id], number, see)
		} else {
			at.chunk = 0
		}
		if at.chunk == 0 {
			at.pages = at.pages[:len(at.pages)-1]
		}
		if looked {
			return
		}
	}
}

// look looks at the next chunks of a page that seemed to be c's, and says whether there were any.
func (at *pageWalk) look(s *Store, w *Walk, c *class, number uint32, see func(*header)) bool {
	c.lock()
	defer c.unlock()
	p := &s.pages[number]
	if p.owner() != c.id || p.used == 0 {
		at.chunk = 0
		return false
	}
	if at.chunk == 0 || at.chunk > p.carved {
		at.chunk = p.carved
	}
	for n := min(at.chunk, pageChunks); n > 0; n-- {
		at.chunk--
		w.Looked++
		h := c.chunkAt(s, number, at.chunk)
		if h.state.Load()&(stateLinked|statePart) == stateLinked {
			see(h)
		}
	}
	return true
}
