package store

import (
	"math/bits"
	"runtime"
	"unsafe"

	"ringcached/store/prefetch"
)

// View is how an item looked to TryGet, which holds nothing: others may change or free the item at any time. What is read through the View is
// memory of the store, but it is the item's only if Unchanged says so afterwards. Item.Look makes the same of an item that its holder keeps.
type View struct {
	h       *header
	text    unsafe.Pointer // key, suffix, and the value if it is in one piece
	ident   uint64
	state   uint32
	shape   uint32
	length  uint32  // of the value
	version uint32  // of the stripe
	stripe  *stripe // nil: the item is kept
}

// suffixMin is the length of the shortest suffix. TryGet shows none that is shorter: a caller may cut it up before it knows that it is no suffix.
const suffixMin = uint32(len(" 0 0\r\n"))

// viewMax is the largest value, in bytes with its "\r\n", that TryGet shows.
const viewMax = 4096

// Outcome is what TryGet saw.
type Outcome uint8

const (
	Retry Outcome = iota // nothing that is sure: the caller has to Lock
	Miss                 // there is no such item
	Hit                  // there is, if View.Unchanged confirms it when the item has been read
)

// canTryGet: TryGet needs loads to be done in the order in which they stand, as amd64 does them.
const canTryGet = runtime.GOARCH == "amd64"

// tryGetBuckets is how many buckets of a chain TryGet looks through: while somebody changes the chain, it could seem to have no end.
const tryGetBuckets = 4

// beyond is how many bytes behind an address in the store's memory may be read before View.Unchanged finds out that they are no item.
const beyond = headerSize + linkSize + casSize + 0xff + 0x1f + viewMax

// TryGet looks key up without locking anything, so that readers on several cores do not disturb each other. It reads what others may be
// changing, and trusts it if the stripe's version was even, which says that nobody was changing anything, and is the same afterwards
// (a sequence lock, as in the Linux kernel's seqlock.h). It writes nothing: an item whose use would have to be noted, one that is dead,
// and one that is large are left to Lock.
//
// near is an Approach to the key, or the zero Approach. That the bucket still has the link that the Approach saw, at an even version, is
// what a search would find out.
func (s *Store) TryGet(key []byte, hash uint64, near *Approach, v *View) Outcome {
	if !canTryGet {
		return Retry
	}
	st := s.stripeOf(hash)
	version := st.version.Load()
	if version&1 != 0 {
		return Retry
	}
	v.stripe, v.version = st, version
	if near.link != 0 && near.b.links[near.slot%bucketSlots] == near.link {
		interleave()
		if v.read(s.at(near.link)); string(v.key()) == string(key) {
			return s.outcome(v)
		}
	}
	return s.tryFind(key, hash, v)
}

// tryFind is TryGet, which has taken note of the stripe's version, for a key that was not approached.
func (s *Store) tryFind(key []byte, hash uint64, v *View) Outcome {
	st := v.stripe
	j := st.bucketNumber(uint32(hash >> s.stripeBits))
	if j >= s.maxBuckets.Load() {
		return Retry
	}
	tag, b := tagOf(hash), s.bucket(st, j)
	for range tryGetBuckets {
		for m := b.matches(tag); m != 0; m &= m - 1 {
			link := b.links[bits.TrailingZeros32(m)]
			interleave()
			if link == 0 {
				continue
			}
			if v.read(s.at(link)); string(v.key()) == string(key) {
				return s.outcome(v)
			}
		}
		if b = s.spill.after(b); b == nil {
			interleave()
			if !v.Unchanged() {
				return Retry
			}
			return Miss
		}
	}
	return Retry
}

// outcome is Hit if the item is one of those that TryGet is for.
func (s *Store) outcome(v *View) Outcome {
	const shown = stateLinked | stateFetched | recencyMax
	now := s.now.Load()
	if v.state&(shown|stateChained|statePart) != shown || v.length > viewMax-2 || v.shape>>shapeSuffix&0x1f < suffixMin ||
		now-v.h.access >= accessStep || v.ident>>8 <= s.watermark.Load() {
		return Retry
	}
	if exptime := v.h.exptime; exptime != 0 && exptime <= now {
		return Retry
	}
	interleave()
	return Hit
}

// read takes from the header of h, once, what says where the text is and how long.
func (v *View) read(h *header) {
	state, shape := h.state.Load(), h.shape
	v.h, v.ident, v.state, v.shape, v.length = h, h.ident, state, shape, shape>>shapeLength
	v.text = unsafe.Add(unsafe.Pointer(h), headerSize)
	if state&(stateChained|stateOwnCAS) != 0 {
		v.text = unsafe.Add(v.text, extension(state))
	}
}

// Look makes v a View of an item that its holder keeps: by a reference, or by the lock of its entry.
func (it Item) Look(v *View) {
	v.read(it.h)
	v.stripe, v.length = nil, uint32(it.h.length())
}

// Unchanged confirms what was read through the View: the item was and is in the store, and nothing of it but expiry time and accesses has
// changed. False: what was read may be anything, and the caller has to Lock.
func (v *View) Unchanged() bool {
	interleave()
	return v.stripe == nil || v.stripe.version.Load() == v.version
}

func (v *View) key() []byte { return unsafe.Slice((*byte)(v.text), v.shape&0xff) }

// Text is Store.Text: key, " flags length\r\n", value, "\r\n". Of a chain, only key and suffix.
func (v *View) Text() []byte {
	n := v.shape&0xff + v.shape>>shapeSuffix&0x1f
	if v.state&stateChained == 0 {
		n += v.length + 2
	}
	return unsafe.Slice((*byte)(v.text), n)
}

// Suffix is " flags length\r\n", as it stands behind the key.
func (v *View) Suffix() []byte {
	return unsafe.Slice((*byte)(unsafe.Add(v.text, v.shape&0xff)), v.shape>>shapeSuffix&0x1f)
}

// Value is the value and "\r\n". Of a chain, nothing.
func (v *View) Value() []byte {
	if v.state&stateChained != 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Add(v.text, v.shape&0xff+v.shape>>shapeSuffix&0x1f)), v.length+2)
}

// Len is Item.Len.
func (v *View) Len() int { return int(v.length) }

// Class is Item.Class.
func (v *View) Class() int { return int(uint8(v.ident)) }

// Chained is Item.Chained.
func (v *View) Chained() bool { return v.state&stateChained != 0 }

// Flags is Item.Flags.
func (v *View) Flags() (flags uint32) {
	for _, c := range v.Suffix()[1:] {
		if c == ' ' {
			break
		}
		flags = flags*10 + uint32(c-'0')
	}
	return flags
}

// CAS is Item.CAS.
func (v *View) CAS() uint64 {
	if v.state&stateOwnCAS != 0 {
		return *(*uint64)(unsafe.Add(v.text, -casSize))
	}
	return v.ident >> 8
}

// Exptime is Item.Exptime.
func (v *View) Exptime() uint32 { return v.h.exptime }

// LastAccess is Item.LastAccess.
func (v *View) LastAccess() uint32 { return v.h.access }

// Fetched is Item.Fetched.
func (v *View) Fetched() bool { return v.state&stateFetched != 0 }

// Marks is Item.Marks.
func (v *View) Marks() Marks { return Marks(v.state) & allMarks }

// Approach brings what TryGet or Lock will read of a key near the processor, without waiting for it: first its bucket, then its item. A caller
// with many keys begins many Approaches and lets time pass between the steps of each, so that the memory for all of them is on its way
// while it does other work. This is O. Kocberber et al., "Asynchronous Memory Access Chaining", VLDB 2015. Steps should be spread: a
// processor drops what it is asked for while some twenty lines are under way. An Approach changes nothing and promises nothing. The
// zero Approach is one that never began.
type Approach struct {
	b    *bucket // that was asked for, or where link was
	link uint32  // of what seems to be the item; 0: none was seen
	slot uint8
	tag  uint8
	left approachStep
}

// approachStep is what the next Step of an Approach does.
type approachStep uint8

const (
	stepNothing  approachStep = iota
	stepHome                  // looks at the key's own bucket
	stepOverflow              // looks at the one behind it
)

// Approach begins to approach the key with the hash: it asks for its bucket.
func (s *Store) Approach(a *Approach, hash uint64) {
	st := s.stripeOf(hash)
	// What is read without the lock may be anything, and has to be kept within the memory.
	b := s.bucket(st, min(st.bucketNumber(uint32(hash>>(s.stripeBits&63))), s.maxBuckets.Load()-1))
	prefetch.Line(unsafe.Pointer(b))
	*a = Approach{b: b, tag: tagOf(hash), left: stepHome}
}

// Step goes on when the bucket is near: it asks for the item there, or for the next bucket of the chain, for which there is one more Step.
func (a *Approach) Step(s *Store) {
	if a.left != stepNothing {
		a.step(s)
	}
}

func (a *Approach) step(s *Store) {
	b, left := a.b, a.left
	a.left = stepNothing
	if slot := b.firstMatch(a.tag); slot < bucketSlots {
		link := b.links[slot]
		prefetch.Item(unsafe.Pointer(s.at(link)))
		if left == stepHome { // an overflow bucket may be another stripe's by the time that TryGet looks
			a.slot, a.link = uint8(slot), link
		}
		return
	}
	if b = s.spill.after(b); b != nil && left == stepHome {
		prefetch.Line(unsafe.Pointer(b))
		a.b, a.left = b, stepOverflow
	}
}
