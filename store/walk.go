package store

import "math/bits"

// ClassSet is a set of slab classes: bit id stands for the class of that id.
type ClassSet uint64

// AllClasses has every class.
const AllClasses = ^ClassSet(0)

// Walk is a place on the way over the items of Classes. With no place set it is the beginning. It is its owner's, who may keep it for as
// long as he likes: it holds nothing.
//
// The way goes from stripe to stripe, and in a stripe over the buckets in the order of their numbers with the bits reversed. In this
// order the two halves of a bucket that is split are neighbours, so that what was passed stays passed when the index grows. A key that
// is there during the whole walk is met exactly once, however often its item is replaced; one that comes or goes meanwhile, once or
// not at all.
type Walk struct {
	Classes ClassSet

	stripe uint32
	place  uint64 // in the stripe: the bucket's number, reversed; 1<<32 is the end
}

// Visit calls visit for the living items in the next bucket of the walk, a dozen or so, and says whether there are more buckets. visit
// runs under the stripe's lock: the item is its own for so long, and it must neither wait nor call the store.
func (s *Store) Visit(w *Walk, visit func(Item)) (more bool) {
	st, first := s.lockNext(w)
	for b := first; b != nil; b = s.spill.after(b) {
		for i := range b.count() {
			h := s.at(b.links[i])
			if w.Classes&(1<<h.class()) != 0 && !s.dead(h) {
				visit(Item{h})
			}
		}
	}
	st.unlock()
	return int(w.stripe) < len(s.stripes)
}

// lockNext moves the walk over its next bucket, which it returns, with the stripe locked. The walk must not be at its end.
func (s *Store) lockNext(w *Walk) (*stripe, *bucket) {
	st := &s.stripes[w.stripe]
	st.lock()
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
	return st, s.bucket(st, j)
}
