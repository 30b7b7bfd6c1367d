package evictsim

import "math"

// Request asks for one object, and stores it if it is not there.
type Request struct {
	Key  uint32
	Size uint32 // bytes of the item
}

// Cache is a cache in slab classes. A class that is full takes another page as long as there are any, and evicts within
// itself then. Every class gets a first page, even beyond the limit, as memcached's do. Pages stay in their class.
type Cache struct {
	kind    func() Policy
	page    int // bytes
	left    int // pages
	sizes   []int
	classes []Policy // of each size; nil: it has no page
}

// slabFactor is the ratio between neighbouring chunks, slabLeast the smallest, in bytes: everybody's defaults.
const slabFactor, slabLeast = 1.25, 96

// NewCount makes a cache of n objects of size 1.
func NewCount(kind func() Policy, n int) *Cache {
	return &Cache{kind: kind, page: n, left: 1, sizes: []int{1}, classes: make([]Policy, 1)}
}

// NewSlabs makes a cache of the given bytes in pages of the given size, whose classes have policies of the kind.
func NewSlabs(kind func() Policy, bytes int64, page int) *Cache {
	c := &Cache{kind: kind, page: page, left: int(bytes / int64(page))}
	for size := slabLeast; size < page/2; size = int(math.Ceil(float64(size)*slabFactor/8)) * 8 {
		c.sizes = append(c.sizes, size)
	}
	c.sizes = append(c.sizes, page)
	c.classes = make([]Policy, len(c.sizes))
	return c
}

// Get says whether the object was there; it is afterwards. No object may be larger than a page.
func (c *Cache) Get(r Request) bool {
	i := 0
	for c.sizes[i] < int(r.Size) {
		i++
	}
	first := c.classes[i] == nil
	if first {
		c.classes[i] = c.kind()
	}
	class := c.classes[i]
	if class.Use(r.Key) {
		return true
	}
	if first || class.Free() == 0 && c.left > 0 {
		c.left--
		class.Grow(c.page / c.sizes[i])
	}
	class.Insert(r.Key)
	return false
}

// Replay puts requests to the cache. Of those after the warmup it counts hits, and of these those that write, as parts.
func (c *Cache) Replay(requests []Request, warmup int) (hits, writes float64) {
	written := func() (n int) {
		for _, class := range c.classes {
			if class != nil {
				n += class.Writes()
			}
		}
		return n
	}
	hitsOf(c.Get, requests[:warmup])
	before := written()
	hits = hitsOf(c.Get, requests[warmup:])
	return hits, float64(written()-before) / max(hits*float64(len(requests)-warmup), 1)
}

// hitsOf is the part of the requests that are hits.
func hitsOf(get func(Request) bool, requests []Request) float64 {
	n := 0
	for _, r := range requests {
		if get(r) {
			n++
		}
	}
	return float64(n) / float64(max(len(requests), 1))
}

// StrictLRU is the part of the requests after the first warmup of them that an LRU hits which holds the given number of
// bytes, as if memory could be cut at every byte: what no server with slab classes is.
func StrictLRU(requests []Request, warmup int, bytes int64) float64 {
	var l lru
	size := make(map[uint32]int64)
	get := func(r Request) bool {
		if l.Use(r.Key) {
			return true
		}
		for bytes < int64(r.Size) && l.len > 0 {
			n := l.list.oldest()
			l.remove(n)
			bytes += size[n.key]
		}
		size[r.Key] = int64(r.Size)
		bytes -= int64(r.Size)
		l.push(&l.list, l.at(r.Key))
		return false
	}
	hitsOf(get, requests[:warmup])
	return hitsOf(get, requests[warmup:])
}
