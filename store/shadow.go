package store

import "sync/atomic"

const (
	shadowSlots  = 512 // of a class
	shadowSample = 256 // evictions at most that a page's worth is represented by
)

// shadow remembers what a class evicted lately, for as long as one page more would have kept it: an item that comes back meanwhile is a hit
// that the class missed for want of a page. Of a class with many chunks to a page a part of the keys stands for all of them, chosen by
// their hashes.
//
// A slot is a word: 16 bits of the hash, and the time of the eviction, which is counted in evictions.
type shadow struct {
	slots [shadowSlots]atomic.Uint32
	clock atomic.Uint32 // evictions of the class so far; written under the class's lock
	// returned is how many items came back, an estimate; halved now and then, see forgetReturns.
	returned atomic.Uint32
}

// shadowShift is the binary logarithm of how many keys, of a class with so many chunks to a page, one stands for.
func shadowShift(perPage uint32) uint {
	shift := uint(0)
	for perPage>>shift > shadowSample {
		shift++
	}
	return shift
}

// place is the slot of a hash and the word without a time that is in it. It says no if the key does not count.
func (sh *shadow) place(c *class, hash uint64) (slot *atomic.Uint32, word uint32, ok bool) {
	key := uint32(hash >> 24) // the lowest bits choose the stripe
	if key&(1<<c.shadowShift-1) != 0 {
		return nil, 0, false
	}
	return &sh.slots[key>>c.shadowShift%shadowSlots], uint32(hash>>48) << 16, true
}

// remember notes the eviction of a key. The class must be locked.
func (sh *shadow) remember(c *class, hash uint64) {
	now := sh.clock.Load() + 1
	sh.clock.Store(now)
	if slot, word, ok := sh.place(c, hash); ok {
		slot.Store(word | now>>c.shadowShift&0xffff)
	}
}

// welcome looks whether a key that is new in the class was evicted lately.
func (sh *shadow) welcome(c *class, hash uint64) {
	slot, word, ok := sh.place(c, hash)
	if !ok {
		return
	}
	was := slot.Load()
	if was>>16 != word>>16 || was == 0 {
		return
	}
	if since := sh.clock.Load()>>c.shadowShift - was; since&0xffff <= c.perPage>>c.shadowShift && slot.CompareAndSwap(was, 0) {
		sh.returned.Add(1 << c.shadowShift)
	}
}

// forget makes what came back so far count half.
func (sh *shadow) forget() {
	sh.returned.Add(-((sh.returned.Load() + 1) / 2))
}
