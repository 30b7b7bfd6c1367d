package store

import "unsafe"

// Retain counts one more reference to it. Only for who has one already, or holds the lock of the item's entry. Should half a million
// be counted, the item is never freed again: memory lost, and counted in Stats.RefsSaturated, but not corrupted.
func (s *Store) Retain(it Item) {
	state := it.h.state.Add(referenceOne)
	check(state >= 2*referenceOne, "retained an item without references")
	if state >= referenceHigh {
		s.saturate(it.h)
	}
}

// saturate puts a count that is too high in the middle of the range that Release leaves alone, out of reach of those that add to it.
func (s *Store) saturate(h *header) {
	const middle = referenceHigh + referenceHigh/2
	for {
		state := h.state.Load()
		if state >= middle && state < middle+referenceHigh/4 {
			return
		}
		if h.state.CompareAndSwap(state, middle|state&(referenceOne-1)) {
			if state < middle {
				s.saturated.Add(1)
			}
			return
		}
	}
}

// Release gives a reference back, from any goroutine. The last one frees the memory.
func (s *Store) Release(it Item) { s.release(it.h, 0) }

// release gives a reference back and clears the given flags, which must be set, in one step.
func (s *Store) release(h *header, flags uint32) {
	if h.state.Load() >= referenceHigh {
		h.state.And(^flags)
		return
	}
	state := h.state.Add(-(referenceOne + flags)) // two's complement
	check(state < referenceHigh, "reference count below zero")
	if state < referenceOne {
		check(state&stateLinked == 0, "item freed while it is in the index")
		s.free(h)
	}
}

// free gives an item's memory back: of a chain the parts first, since they point to the head.
func (s *Store) free(h *header) {
	if h.chained() {
		s.freeParts(h.chain().next)
	}
	c := &s.classes[h.class()]
	c.lock()
	c.requested -= h.requested(c.size)
	c.items--
	c.push(s, h)
	c.unlock()
}

// Ref is the item as a number, for where a pointer cannot go; ItemOf is its inverse. It holds no reference by itself.
func (it Item) Ref() uint64 { return uint64(uintptr(unsafe.Pointer(it.h))) }

// ItemOf is the item whose Ref is ref.
func (s *Store) ItemOf(ref uint64) Item {
	if ref == 0 {
		return Item{}
	}
	return Item{(*header)(unsafe.Add(s.base, uintptr(ref)-uintptr(s.base)))}
}
