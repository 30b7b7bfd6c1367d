package store

import (
	"sync/atomic"
	"unsafe"
)

const (
	headerSize = 24
	linkSize   = 8 // what the head of a chain has behind its header: chainLink
	casSize    = 8 // what an item with a CAS of its own has behind that
)

// header is the beginning of an item's first chunk. What the state says that it is extended by follows, a chainLink, a CAS of the
// client's choice, and then key, suffix, value and "\r\n".
type header struct {
	ident   uint64        // CAS number << 8 | class id; the number orders stores and flushes, whatever CAS the client sees
	exptime uint32        // second of expiry, 0 for never
	access  uint32        // second of the last access, a little behind: see accessStep
	state   atomic.Uint32 // reference count and flags, 0 for a free chunk
	shape   uint32        // value length << 13 | suffix length << 8 | key length; the value length is in chainLink for a chain
}

// partHeader is the same memory in the further chunks of a chain: statePart tells them apart.
type partHeader struct {
	ident uint64 // class id
	owner uint32 // link of the first chunk
	next  uint32 // link of the next part, 0 for the last
	state atomic.Uint32
	size  uint32 // bytes of the value here
}

// freeHeader is the same memory in a free chunk.
type freeHeader struct {
	_     uint64
	next  uint32 // link of the next free chunk of the page
	_     uint32
	state atomic.Uint32
	_     uint32
}

// chainLink stands behind the header of a chain's first chunk.
type chainLink struct {
	length uint32 // of the value
	next   uint32 // link of the first part
}

// Flags and fields of header.state. Changing anything in it takes an atomic operation, since references come and go without a lock.
const (
	stateLinked    = 1 << 0 // in the index, which holds one of the references; under the stripe's lock
	stateFetched   = 1 << 1 // has been fetched since it was stored; under the stripe's lock
	stateChained   = 1 << 2 // first chunk of a chain
	statePart      = 1 << 3 // further chunk of a chain
	recencyOne     = 1 << 4 // two bits that count uses, up to recencyMax; the hand counts down
	recencyMax     = 3 * recencyOne
	stateOwnCAS    = 1 << 6 // the CAS that clients see is not in ident but behind the header
	stateStale     = 1 << 7 // stateStale and the next two are marks: under the stripe's lock, no meaning to the store
	stateWon       = 1 << 8
	stateBinary    = 1 << 9
	stateProbation = 1 << 10 // its class's probation queue has a link to it; under the class's lock, from the moment that it is linked
	referenceOne   = 1 << 12 // references are counted above the flags
	referenceHigh  = 1 << 31 // from here on the item stays for ever: see Retain
)

// Fields of header.shape. The value of an unchained item is below ChunkMax, which is 1 << (32-shapeLength).
const (
	shapeSuffix = 8
	shapeLength = 13
)

var _ = [1]struct{}{}[unsafe.Sizeof(header{})-headerSize]
var _ = [1]struct{}{}[unsafe.Sizeof(partHeader{})-headerSize]
var _ = [1]struct{}{}[unsafe.Sizeof(freeHeader{})-headerSize]
var _ = [1]struct{}{}[unsafe.Sizeof(chainLink{})-linkSize]

func (h *header) asPart() *partHeader { return (*partHeader)(unsafe.Pointer(h)) }
func (h *header) asFree() *freeHeader { return (*freeHeader)(unsafe.Pointer(h)) }
func (h *header) chain() *chainLink   { return (*chainLink)(unsafe.Add(unsafe.Pointer(h), headerSize)) }

// setState writes the state of a chunk that nobody else changes now, for less than an atomic store costs.
func (h *header) setState(state uint32) { *(*uint32)(unsafe.Pointer(&h.state)) = state }

func (h *header) cas() uint64       { return h.ident >> 8 }
func (h *header) setCAS(cas uint64) { h.ident = cas<<8 | h.ident&0xff }
func (h *header) class() uint8      { return uint8(h.ident) }
func (h *header) keyLen() int       { return int(h.shape & 0xff) }
func (h *header) suffixLen() int    { return int(h.shape >> shapeSuffix & 0x1f) }
func (h *header) chained() bool     { return h.state.Load()&stateChained != 0 }

// referenced reports whether a linked item with the state has references beside the index's.
func referenced(state uint32) bool { return state >= 2*referenceOne }

// extension is the size of what is between header and key of an item with the state.
func extension(state uint32) int {
	return int(state/stateChained&1)*linkSize + int(state/stateOwnCAS&1)*casSize
}

// text is where the key begins.
func (h *header) text() unsafe.Pointer {
	state := h.state.Load()
	if state&(stateChained|stateOwnCAS) == 0 {
		return unsafe.Add(unsafe.Pointer(h), headerSize)
	}
	return unsafe.Add(unsafe.Pointer(h), headerSize+extension(state))
}

func (h *header) key() []byte { return unsafe.Slice((*byte)(h.text()), h.keyLen()) }

func (h *header) length() int {
	if h.chained() {
		return int(h.chain().length)
	}
	return int(h.shape >> shapeLength)
}

// bytes is the size of the whole item with its header, without what chaining adds.
func (h *header) bytes() int {
	return headerSize + extension(h.state.Load()&stateOwnCAS) + h.keyLen() + h.suffixLen() + h.length() + 2
}

// requested is how much of the first chunk is used.
func (h *header) requested(chunk uint32) uint64 {
	if h.chained() {
		return uint64(chunk)
	}
	return uint64(h.bytes())
}

// Item is a key with its value, in the store's memory: valid as long as its holder has a reference to it, or the lock of the entry
// it was found through. The zero Item is none.
//
// What Alloc wrote does not change. CAS, expiry time and the accesses change under the entry's lock, and are read there.
type Item struct{ h *header }

// Valid reports whether there is an item.
func (it Item) Valid() bool { return it.h != nil }

// Key is the item's key, in the store's memory.
func (it Item) Key() []byte { return it.h.key() }

// Len is the length of the value in bytes, without the "\r\n" that is stored behind it.
func (it Item) Len() int { return it.h.length() }

// Number is higher the later the item was stored, or its CAS changed: of two items, nearly always; see casSingles.
func (it Item) Number() uint64 { return it.h.cas() }

// CAS is the number that the item got when it was linked or last changed, 0 before that; or the one that a client chose for it.
func (it Item) CAS() uint64 {
	if it.h.ownsCAS() {
		return *it.h.ownCAS()
	}
	return it.h.cas()
}

// Exptime is the second of expiry, 0 for never.
func (it Item) Exptime() uint32 { return it.h.exptime }

// LastAccess is the second of the last access, at most accessStep behind.
func (it Item) LastAccess() uint32 { return it.h.access }

// Fetched reports whether the item has been fetched since it was stored.
func (it Item) Fetched() bool { return it.h.state.Load()&stateFetched != 0 }

// Class is the id of the slab class of the item's first chunk.
func (it Item) Class() int { return int(it.h.class()) }

// Chained reports whether the item is in more than one chunk, and has to be read with Segment.
func (it Item) Chained() bool { return it.h.chained() }

// Flags are the client's flags, as they stand in the suffix.
func (it Item) Flags() uint32 {
	var flags uint32
	for p := unsafe.Add(it.h.text(), it.h.keyLen()+1); *(*byte)(p) != ' '; p = unsafe.Add(p, 1) {
		flags = flags*10 + uint32(*(*byte)(p)-'0')
	}
	return flags
}

// SuffixLen is the length of " flags length\r\n", which stands behind the key.
func (s *Store) SuffixLen(it Item) int { return it.h.suffixLen() }

// Text is the item as it is sent: key, " flags length\r\n", value, "\r\n". Of a chain, only key and suffix. Not to be written to.
func (s *Store) Text(it Item) []byte {
	h := it.h
	if h.chained() {
		return unsafe.Slice((*byte)(h.text()), h.keyLen()+h.suffixLen())
	}
	shape := h.shape
	n := shape&0xff + shape>>shapeSuffix&0x1f + shape>>shapeLength + 2
	return unsafe.Slice((*byte)(h.text()), n)
}

// Retain counts one more reference to it. The caller has one already, or holds the lock of the item's entry. An item with half a million references
// is never freed again: its memory is lost, and counted in Stats.RefsSaturated, but not corrupted.
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

// Marks are what a protocol notes about an item. They mean nothing to the store, and a new item has none.
type Marks uint32

const (
	MarkStale  Marks = stateStale  // the value is known to be old
	MarkWon    Marks = stateWon    // a client was told to bring a new value
	MarkBinary Marks = stateBinary // the key came encoded, and is shown so
	allMarks         = MarkStale | MarkWon | MarkBinary
)

// Marks are the item's.
func (it Item) Marks() Marks { return Marks(it.h.state.Load()) & allMarks }

// SetMarks makes m the item's marks. The caller owns the item, which is not linked, or has its entry locked.
func (it Item) SetMarks(m Marks) {
	now := it.Marks()
	if set := m &^ now & allMarks; set != 0 {
		it.h.state.Or(uint32(set))
	}
	if gone := now &^ m; gone != 0 {
		it.h.state.And(^uint32(gone))
	}
}

// An item's number, in its header, says when it was stored: a flush goes by it, so it must grow with every store. It serves as
// CAS too, unless a client wants another, of which any of 64 bits is allowed: then the item has room for that behind its header, and
// its number goes on to mean what it means.

// ownsCAS reports whether the item has room for a CAS that a client chose.
func (h *header) ownsCAS() bool { return h.state.Load()&stateOwnCAS != 0 }

// ownCAS is where that CAS lies.
func (h *header) ownCAS() *uint64 {
	at := headerSize + extension(h.state.Load()&stateChained)
	return (*uint64)(unsafe.Add(unsafe.Pointer(h), at))
}

// AllocCAS is Alloc for an item whose CAS is to be cas, and stays so when it is linked.
func (s *Store) AllocCAS(key []byte, flags, exptime uint32, n int, cas uint64) (Item, error) {
	it, err := s.alloc(key, flags, exptime, n, stateOwnCAS, nil)
	if err == nil {
		*it.h.ownCAS() = cas
	}
	return it, err
}

// AllocCAS is Store.AllocCAS under the entry's lock, as Entry.Alloc is Store.Alloc.
func (e *Entry) AllocCAS(key []byte, flags, exptime uint32, n int, cas uint64) (Item, error) {
	it, err := e.alloc(key, flags, exptime, n, stateOwnCAS)
	if err == nil {
		*it.h.ownCAS() = cas
	}
	return it, err
}

// OwnCAS is the CAS that AllocCAS or Entry.SetCAS gave the item; no if it is one for which the store chooses. After Entry.NewCAS it is
// the store's choice.
func (it Item) OwnCAS() (cas uint64, ok bool) {
	if !it.h.ownsCAS() {
		return 0, false
	}
	return *it.h.ownCAS(), true
}

// SetCAS gives the item the CAS cas after a change in place, as NewCAS gives it one of the store's. False says that the item has no room
// for it, which only AllocCAS makes, and nothing was done.
func (e *Entry) SetCAS(cas uint64) bool {
	if !e.h.ownsCAS() {
		return false
	}
	e.assignCAS(e.h)
	*e.h.ownCAS() = cas
	return true
}
