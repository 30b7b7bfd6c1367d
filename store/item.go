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
	referenceHigh  = 1 << 31 // so many that the item stays for ever: see Retain
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

// referenced says that a linked item with the state has references beside the index's.
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

// Valid says that there is an item.
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

// Fetched says that the item has been fetched since it was stored.
func (it Item) Fetched() bool { return it.h.state.Load()&stateFetched != 0 }

// Class is the id of the slab class of the item's first chunk.
func (it Item) Class() int { return int(it.h.class()) }

// Chained says that the item is in more than one chunk, and has to be read with Segment.
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
