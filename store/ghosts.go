package store

import "unsafe"

// Of the keys that were evicted last from each bucket of the index, ghostSlots are remembered, by 16 bits of their hashes in one word beside the bucket.
const (
	ghostBits  = 16
	ghostSlots = 64 / ghostBits
	ghostSize  = 8 // bytes for a bucket
)

// ghostOf is what is remembered of a hash: bits that choose neither the bucket nor the tag, and never 0.
func ghostOf(hash uint64) uint64 { return max(hash>>40&(1<<ghostBits-1), 1) }

// ghosts are those of the bucket of a hash, the last in the lowest bits. The stripe must be locked, here and below.
func (s *Store) ghosts(st *stripe, hash uint64) *uint64 {
	j := st.place(uint32(hash >> s.stripeBits))
	return (*uint64)(unsafe.Add(s.ghostMemory.base(), (uintptr(j)<<s.stripeBits+uintptr(st.number))*ghostSize))
}

// remember notes that the key with the hash was evicted.
func (s *Store) remember(st *stripe, hash uint64) {
	g := s.ghosts(st, hash)
	*g = *g<<ghostBits | ghostOf(hash)
}

// recall says whether the key with the hash is remembered, and forgets it.
func (s *Store) recall(st *stripe, hash uint64) bool {
	g := s.ghosts(st, hash)
	for i, all := uint(0), *g; all != 0; i, all = i+ghostBits, all>>ghostBits {
		if all&(1<<ghostBits-1) == ghostOf(hash) {
			below := uint64(1)<<i - 1
			*g = *g&below | *g>>ghostBits&^below
			return true
		}
	}
	return false
}
