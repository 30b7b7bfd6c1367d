package hotkeys

import (
	"hash/maphash"
	"sort"
	"sync"
)

const (
	// size is how many counters a sketch has.
	size = 1024
	// places is how many places its hash table has, so that it is half full at most.
	places = 2 * size
	// keyMax is the length of the longest key.
	keyMax = 250
	// kept is how many counters of a sketch a Set merges. It bounds what a Report costs where there are many workers.
	kept = 256
)

// Sketch counts the keys of one worker.
type Sketch struct {
	now  func() uint32
	seed maphash.Seed

	mu sync.Mutex // a worker only tries to take it
	counters
}

// counters are those of a sketch, up to size of them. They are ranked by their counts: rank 0 has the smallest. A key stays in its slot as long as it
// has a counter.
type counters struct {
	used    int
	samples uint64       // all that were counted, halved like the counts
	count   [size]uint32 // by rank: the key was sampled so often at most
	sure    [size]uint32 // by rank: and so often at least
	slot    [size]uint16 // by rank
	rank    [size]uint16 // by slot, as what follows
	hash    [size]uint32 // of the key
	length  [size]uint8  // of the key
	keys    [size][keyMax]byte
	table   [places]uint16 // 1 + slot, 0 for none: a key is in the first free place from its hash on

	halved  uint32 // when the counts were last halved, on the Set's clock
	elapsed uint32 // for how many seconds before that they stand
}

func newSketch(now func() uint32) *Sketch {
	k := &Sketch{now: now, seed: maphash.MakeSeed()}
	k.halved = now()
	return k
}

// Offer counts that key was used. Only the sketch's worker may call it. It keeps no reference to key, allocates nothing and waits for nobody. What is
// longer than a key may be, or empty, is not counted.
func (k *Sketch) Offer(key []byte) {
	if len(key) == 0 || len(key) > keyMax || !k.mu.TryLock() {
		return
	}
	k.age(k.now())
	hash := uint32(maphash.Bytes(k.seed, key))
	k.samples++
	if slot, ok := k.find(key, hash); ok {
		k.increase(k.rank[slot])
	} else if k.used < size {
		k.append(key, hash)
	} else {
		k.takeOver(key, hash)
	}
	k.mu.Unlock()
}

// find finds a key's slot.
func (c *counters) find(key []byte, hash uint32) (slot uint16, ok bool) {
	for at := hash % places; c.table[at] != 0; at = (at + 1) % places {
		slot := c.table[at] - 1
		if c.hash[slot] == hash && string(c.keys[slot][:c.length[slot]]) == string(key) {
			return slot, true
		}
	}
	return 0, false
}

// put puts a key that has no counter into a slot that has no key.
func (c *counters) put(slot uint16, key []byte, hash uint32) {
	c.hash[slot] = hash
	c.length[slot] = uint8(copy(c.keys[slot][:], key))
	at := hash % places
	for c.table[at] != 0 {
		at = (at + 1) % places
	}
	c.table[at] = slot + 1
}

// remove takes a slot's key out of the hash table. Keys behind it that it kept from their places move up.
func (c *counters) remove(slot uint16) {
	gap := c.hash[slot] % places
	for c.table[gap] != slot+1 {
		gap = (gap + 1) % places
	}
	for at := (gap + 1) % places; c.table[at] != 0; at = (at + 1) % places {
		home := c.hash[c.table[at]-1] % places
		if (at-home)%places >= (at-gap)%places {
			c.table[gap] = c.table[at]
			gap = at
		}
	}
	c.table[gap] = 0
}

// append gives a key a new counter, at the lowest rank: its count is 1, and none is smaller.
func (c *counters) append(key []byte, hash uint32) {
	slot := uint16(c.used)
	c.used++
	copy(c.count[1:c.used], c.count[:])
	copy(c.sure[1:c.used], c.sure[:])
	copy(c.slot[1:c.used], c.slot[:])
	for r := 1; r < c.used; r++ {
		c.rank[c.slot[r]] = uint16(r)
	}
	c.count[0], c.sure[0], c.slot[0], c.rank[slot] = 1, 1, slot, 0
	c.put(slot, key, hash)
}

// takeOver gives a key the smallest counter, whose count it may deserve: nobody knows.
func (c *counters) takeOver(key []byte, hash uint32) {
	slot := c.slot[0]
	c.remove(slot)
	c.put(slot, key, hash)
	c.sure[0] = 0
	c.increase(0)
}

// increase adds one to the count at a rank, which may raise the rank: the counter changes places with the highest one that had the same count.
func (c *counters) increase(rank uint16) {
	r, n := int(rank), c.count[rank]
	top := r
	if r+1 < c.used && c.count[r+1] == n {
		top += sort.Search(c.used-r-1, func(i int) bool { return c.count[r+1+i] > n })
		c.slot[r], c.slot[top] = c.slot[top], c.slot[r]
		c.sure[r], c.sure[top] = c.sure[top], c.sure[r]
		c.rank[c.slot[r]], c.rank[c.slot[top]] = rank, uint16(top)
	}
	c.count[top]++
	c.sure[top]++
}

// age halves the counts for every HalfLife that has passed. What was rounded leaves the bounds true, and the ranks as they are.
func (c *counters) age(now uint32) {
	if int32(now-c.halved) < HalfLife {
		return
	}
	for range min((now-c.halved)/HalfLife, 64) {
		c.halve()
	}
	c.halved = now - (now-c.halved)%HalfLife
}

func (c *counters) halve() {
	for r := range c.used {
		c.count[r] -= c.count[r] / 2
		c.sure[r] /= 2
	}
	c.samples /= 2
	c.elapsed = (c.elapsed + HalfLife) / 2
}

// summary is what a Set takes of a sketch: the largest counters, the smallest of them first. It is a sketch of fewer counters.
type summary struct {
	n       int
	floor   uint64 // a key that has none of these counters was sampled so often at most
	samples uint64
	seconds uint32 // for which the counts stand
	count   [kept]uint32
	sure    [kept]uint32
	length  [kept]uint8
	keys    [kept][keyMax]byte
}

// summarize tells what the sketch has counted until now.
func (k *Sketch) summarize(to *summary) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.now()
	k.age(now)
	to.n, to.floor, to.samples, to.seconds = min(k.used, kept), 0, k.samples, k.elapsed+now-k.halved
	first := k.used - to.n
	if first > 0 {
		to.floor = uint64(k.count[first-1])
	}
	copy(to.count[:], k.count[first:k.used])
	copy(to.sure[:], k.sure[first:k.used])
	for i := range to.n {
		slot := k.slot[first+i]
		to.length[i] = uint8(copy(to.keys[i][:], k.keys[slot][:k.length[slot]]))
	}
}
