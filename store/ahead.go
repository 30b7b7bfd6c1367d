package store

import (
	"math/bits"
	"unsafe"
)

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
		buckets[i] = s.bucket(st, min(st.place(uint32(hash>>s.stripeBits)), most))
		prefetchLine(unsafe.Pointer(buckets[i]))
	}
	for i, hash := range hashes {
		b := buckets[i]
		if m := b.matches(tagOf(hash)); m != 0 {
			prefetchItem(unsafe.Pointer(s.at(b.links[bits.TrailingZeros32(m)])))
		}
	}
}
