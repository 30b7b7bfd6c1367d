package store

import "sync/atomic"

// SizeStep is the width of the steps in which Config.TrackSizes counts items, in bytes, as memcached's.
const SizeStep = 32

// sizesPart is how many steps are counted in one piece of memory.
const sizesPart = 1024

// sizes counts the items in the index by their size, rounded up to steps. Parts are made when an item of their sizes is met.
type sizes struct {
	parts []atomic.Pointer[[sizesPart]atomic.Int64]
}

func newSizes(itemMax int) *sizes {
	return &sizes{make([]atomic.Pointer[[sizesPart]atomic.Int64], (itemMax+SizeStep-1)/SizeStep/sizesPart+1)}
}

// add counts n items more of a size.
func (z *sizes) add(size int, n int64) {
	step := (size + SizeStep - 1) / SizeStep
	at := &z.parts[min(step/sizesPart, len(z.parts)-1)]
	part := at.Load()
	if part == nil {
		at.CompareAndSwap(nil, new([sizesPart]atomic.Int64))
		part = at.Load()
	}
	part[step%sizesPart].Add(n)
}

// NextSize is the first step above the one that ends with size bytes in which there are items, and how many; 0 if there is none, or
// if Config.TrackSizes does not say that they are counted.
func (s *Store) NextSize(size int) (next int, items uint64) {
	if s.sizes == nil {
		return 0, 0
	}
	for step := size/SizeStep + 1; step < len(s.sizes.parts)*sizesPart; step++ {
		part := s.sizes.parts[step/sizesPart].Load()
		if part == nil {
			step |= sizesPart - 1
			continue
		}
		if n := part[step%sizesPart].Load(); n > 0 {
			return step * SizeStep, uint64(n)
		}
	}
	return 0, 0
}

// SizeOf is the size of an item in bytes as memcached counts it: a header, a CAS unless there is none, key, flags if there are any, and the
// value, each with what ends it. Config.ItemMax is in the same terms.
func (s *Store) SizeOf(it Item) int { return s.sizeOf(it.h.keyLen(), it.Flags(), it.Len()) }

func (s *Store) sizeOf(key int, flags uint32, n int) int {
	size := memcachedHeader + key + 1 + n + 2
	if !s.config.NoCAS {
		size += casSize
	}
	if flags != 0 {
		size += 4
	}
	return size
}

// countSize counts that h came into the index, or for -1 left it, if that is wanted.
func (s *Store) countSize(h *header, n int64) {
	if s.sizes != nil {
		s.addSize(h, n)
	}
}

func (s *Store) addSize(h *header, n int64) { s.sizes.add(s.SizeOf(Item{h}), n) }

// countSizes counts what was taken up from a file.
func (s *Store) countSizes() {
	if s.sizes == nil {
		return
	}
	for w := (&Walk{Classes: AllClasses}); ; {
		st, first := s.lockNext(w)
		if st == nil {
			return
		}
		for b := first; b != nil; b = s.spill.after(b) {
			for i := range b.count() {
				s.countSize(s.at(b.links[i]), 1)
			}
		}
		st.unlock()
	}
}
