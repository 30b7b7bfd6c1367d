package store

import (
	"math/bits"
	"runtime"
	"unsafe"

	"ringcached/store/prefetch"
)

// Copy is an item as it was at one moment, in memory of its holder: good until the next TryGet into it.
type Copy struct{ mem [copyMax / 8]uint64 }

// copyMax is the size of the largest item, in bytes with its header, that a Copy holds. Up to about that size copying twice costs no more
// than a lock that nobody else wants; for items of 2000 bytes it cost a quarter to a third more (BenchmarkCopyOfSize).
const copyMax = 1024

// Item is the copy, for reading only.
func (c *Copy) Item() Item { return Item{(*header)(unsafe.Pointer(&c.mem))} }

// Outcome is what TryGet saw.
type Outcome uint8

const (
	Retry Outcome = iota // nothing that is sure: the caller has to Lock
	Miss                 // there is no such item
	Hit                  // there is, and it was copied
)

// canTryGet: TryGet needs loads to be done in the order in which they stand, as amd64 does them.
const canTryGet = runtime.GOARCH == "amd64"

// tryGetBuckets is how many buckets of a chain TryGet looks through: while somebody changes the chain, it could seem to have no end.
const tryGetBuckets = 4

// beyond is how many bytes behind an address in the store's memory TryGet may read before it finds out that they are no item.
const beyond = headerSize + linkSize + casSize + 256 + copyMax

// TryGet looks key up without locking anything, so that readers on several cores do not disturb each other. It reads what others may be
// changing, and trusts it if the stripe's version was even, which says that nobody was changing anything, and is the same afterwards
// (a sequence lock, as in the Linux kernel's seqlock.h). It writes nothing: an item whose use would have to be noted, one that is dead,
// and one that is large are left to Lock.
func (s *Store) TryGet(key []byte, hash uint64, c *Copy) Outcome {
	if !canTryGet {
		return Retry
	}
	st := s.stripeOf(hash)
	version := st.version.Load()
	if version&1 != 0 {
		return Retry
	}
	h, sure := s.tryFind(st, hash, key)
	if !sure {
		return Retry
	}
	interleave()
	if h != nil && !s.copyTo(c, h) || st.version.Load() != version {
		return Retry
	}
	if h == nil {
		return Miss
	}
	return Hit
}

// tryFind is find without the stripe's lock. It does not read outside of the store's memory, whatever it finds.
func (s *Store) tryFind(st *stripe, hash uint64, key []byte) (h *header, sure bool) {
	tag := tagOf(hash)
	j := st.bucketNumber(uint32(hash >> s.stripeBits))
	if j >= s.maxBuckets.Load() {
		return nil, false
	}
	b := s.bucket(st, j)
	for range tryGetBuckets {
		for m := b.matches(tag); m != 0; m &= m - 1 {
			link := b.links[bits.TrailingZeros32(m)]
			interleave()
			if h := s.at(link); link != 0 && string(h.key()) == string(key) {
				return h, true
			}
		}
		if b = s.spill.after(b); b == nil {
			return nil, true
		}
	}
	return nil, false
}

// copyTo copies an item that may be changing, unless it is not one of those that TryGet is for.
func (s *Store) copyTo(c *Copy, h *header) bool {
	const shown = stateLinked | stateFetched | recencyMax
	state, shape := h.state.Load(), h.shape
	size := headerSize + extension(state&stateOwnCAS) + int(shape&0xff+shape>>shapeSuffix&0x1f+shape>>shapeLength) + 2
	if state&(shown|stateChained|statePart) != shown || size > copyMax || s.now.Load()-h.access >= accessStep || s.dead(h) {
		return false
	}
	interleave()
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&c.mem)), copyMax), unsafe.Slice((*byte)(unsafe.Pointer(h)), size))
	return true
}

// PrefetchMax is the most keys that are worth a Prefetch at once: about as many as a core fetches cache lines at a time.
const PrefetchMax = 10

// Prefetch has the processor bring near what TryGet or Lock will read of the keys with these hashes, at most PrefetchMax of them, so that it
// waits for memory once and not for each key: first their buckets, all at once, then their items. It changes nothing and promises
// nothing. This is group prefetching, of S. Chen et al., "Improving Hash Join Performance through Prefetching", ICDE 2004.
func (s *Store) Prefetch(hashes []uint64) {
	var buckets [PrefetchMax]*bucket
	hashes = hashes[:min(len(hashes), PrefetchMax)]
	most := s.maxBuckets.Load() - 1
	for i, hash := range hashes {
		st := s.stripeOf(hash)
		// What is read without the lock may be anything, and has to be kept within the memory.
		buckets[i] = s.bucket(st, min(st.bucketNumber(uint32(hash>>s.stripeBits)), most))
		prefetch.Line(unsafe.Pointer(buckets[i]))
	}
	for i, hash := range hashes {
		b := buckets[i]
		if m := b.matches(tagOf(hash)); m != 0 {
			prefetch.Item(unsafe.Pointer(s.at(b.links[bits.TrailingZeros32(m)])))
		}
	}
}
