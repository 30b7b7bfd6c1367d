package store

import (
	"math/bits"
	"unsafe"

	"ringcached/store/prefetch"
)

// ClassSet is a set of slab classes: bit id stands for the class of that id.
type ClassSet uint64

// AllClasses has every class.
const AllClasses = ^ClassSet(0)

// has reports whether the class with the id is in the set.
func (c ClassSet) has(id uint8) bool { return c&(1<<id) != 0 }

// Walk is a position on the way over the items of Classes; a Walk with nothing but Classes and Quick set is at the beginning. Its owner may keep it
// for any time: it holds nothing of the store's.
//
// The way over AllClasses goes from stripe to stripe, and in a stripe over the buckets in the order of their numbers with the bits reversed.
// In this order the two halves of a bucket that is split are neighbours, so that what was passed stays passed when the index grows. A key
// that is there during the whole walk is met exactly once, however often its item is replaced; one that comes or goes meanwhile, once or
// not at all.
//
// The way over some classes goes over their pages instead, and costs what these classes have, see pageWalk. There an item that stays is met
// exactly once; a key whose item is replaced meanwhile may be met again, or missed.
type Walk struct {
	Classes ClassSet
	// Quick makes a walk over some classes call visit under the lock of the item's class, not of its stripe: for less than half the cost, to
	// see keys, lengths and numbers. What else is seen, and that an item has not expired, may be about to change.
	Quick bool
	// Looked is how many buckets, or chunks of pages, the walk has looked at.
	Looked uint64

	begun   bool
	byPages bool
	pages   pageWalk

	stripe   uint32
	reversed uint64 // the number of the bucket in the stripe, its bits reversed; 1<<32 is the end
}

// begin chooses the way, if that was not done yet.
func (w *Walk) begin(s *Store) {
	if w.begun {
		return
	}
	w.begun = true
	if w.byPages = w.Classes != AllClasses; w.byPages {
		w.pages.begin(s, w.Classes)
	}
}

// Visit calls visit for the living items in the next step of the walk, some dozen or so, and reports whether there is more to visit. visit
// runs under the stripe's lock, unless Quick: it has the item to itself meanwhile, and must neither wait nor call the store.
func (s *Store) Visit(w *Walk, visit func(Item)) (more bool) {
	w.begin(s)
	if w.byPages {
		return s.visitPages(w, visit)
	}
	st, first := s.lockNext(w)
	if st == nil {
		return false
	}
	s.prefetchChain(first)
	for b := first; b != nil; b = s.spill.after(b) {
		for i := range b.count() {
			if h := s.at(b.links[i]); !s.dead(h) {
				visit(Item{h})
			}
		}
	}
	st.unlock()
	return int(w.stripe) < len(s.stripes)
}

// prefetchChain has the processor bring the items of a bucket and those behind it near, all at once: they lie anywhere.
func (s *Store) prefetchChain(b *bucket) {
	for ; b != nil; b = s.spill.after(b) {
		for i := range b.count() {
			prefetch.Item(unsafe.Pointer(s.at(b.links[i])))
		}
	}
}

// lockNext moves the walk over its next bucket, which it returns, with the stripe locked; nil at the end. Stripes without items are
// passed by: an index that has grown does not shrink.
func (s *Store) lockNext(w *Walk) (*stripe, *bucket) {
	for int(w.stripe) < len(s.stripes) {
		st := &s.stripes[w.stripe]
		st.lock()
		w.Looked++
		if st.items > 0 {
			return st, s.nextBucket(st, w)
		}
		st.unlock()
		w.stripe, w.reversed = w.stripe+1, 0
	}
	return nil, nil
}

// nextBucket moves the walk over its next bucket in a stripe.
func (s *Store) nextBucket(st *stripe, w *Walk) *bucket {
	number := bits.Reverse32(uint32(w.reversed))
	mask := st.mask.Load()
	j, level := number&mask, bits.Len32(mask)
	if j < st.split.Load() {
		j, level = number&(mask<<1|1), level+1
	}
	// All hashes that share the bucket's level bits are in it: so long a stretch of places.
	if w.reversed += 1 << (32 - level); w.reversed == 1<<32 {
		w.stripe, w.reversed = w.stripe+1, 0
	}
	return s.bucket(st, j)
}

const (
	// pageChunks is how many chunks a step of a walk over pages looks at, under the lock of their class.
	pageChunks = 16
	// pagesPassed is how many pages it passes by in a step because there is nothing in them for it.
	pagesPassed = 256
)

// pageWalk is a position on the way over the pages of some classes: over those that they had when it began, the last that a class got first, and
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
	for _, f := range all { // see Approach
		st := s.stripeOf(f.hash)
		prefetch.Line(unsafe.Pointer(s.bucket(st, min(st.bucketNumber(uint32(f.hash>>s.stripeBits)), most))))
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

// look looks at the next chunks of a page that seemed to be c's, and reports whether there were any.
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
