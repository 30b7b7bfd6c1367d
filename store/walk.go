package store

import (
	"math/bits"
	"unsafe"
)

// ClassSet is a set of slab classes: bit id stands for the class of that id.
type ClassSet uint64

// AllClasses has every class.
const AllClasses = ^ClassSet(0)

// has says that the class with the id is in the set.
func (c ClassSet) has(id uint8) bool { return c&(1<<id) != 0 }

// Walk is a place on the way over the items of Classes. With no place set it is the beginning. It is its owner's, who may keep it for as
// long as he likes: it holds nothing of the store's.
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

	stripe uint32
	place  uint64 // in the stripe: the bucket's number, reversed; 1<<32 is the end
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

// Visit calls visit for the living items in the next step of the walk, some dozen or so, and says whether there is more to visit. visit
// runs under the stripe's lock, unless Quick: the item is its own for so long, and it must neither wait nor call the store.
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
			prefetchItem(unsafe.Pointer(s.at(b.links[i])))
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
		w.stripe, w.place = w.stripe+1, 0
	}
	return nil, nil
}

// nextBucket moves the walk over its next bucket in a stripe.
func (s *Store) nextBucket(st *stripe, w *Walk) *bucket {
	place := bits.Reverse32(uint32(w.place))
	mask := st.mask.Load()
	j, level := place&mask, bits.Len32(mask)
	if j < st.split.Load() {
		j, level = place&(mask<<1|1), level+1
	}
	// All hashes that share the bucket's level bits are in it: so long a stretch of places.
	if w.place += 1 << (32 - level); w.place == 1<<32 {
		w.stripe, w.place = w.stripe+1, 0
	}
	return s.bucket(st, j)
}
