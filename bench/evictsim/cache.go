package evictsim

import "math"

// Request asks for one object, and stores it if it is not there.
type Request struct {
	Key  uint32
	Size uint32 // bytes of the item
}

// Cache is what a trace is replayed on.
type Cache interface {
	// Get says whether the object was there; it is afterwards.
	Get(r Request) bool
	// Writes is how many of the hits so far wrote to memory that all cores would share.
	Writes() int
}

// Count is a cache of a number of objects, whatever their sizes.
type Count struct{ policy Policy }

// NewCount makes a cache of n objects.
func NewCount(p Policy, n int) *Count {
	p.Grow(n)
	return &Count{p}
}

// Get is Cache's.
func (c *Count) Get(r Request) bool {
	if c.policy.Use(r.Key) {
		return true
	}
	c.policy.Insert(r.Key)
	return false
}

// Writes is Cache's.
func (c *Count) Writes() int { return c.policy.Writes() }

// Slabs is a cache in slab classes. Its memory is pages; a class that is full takes one as long as there are any, and evicts within itself
// then. Every class gets a first page, even beyond the limit, as memcached's do. Pages do not move from class to class.
type Slabs struct {
	kind    func() Policy
	page    int
	left    int // pages
	sizes   []int
	classes []slabClass
}

type slabClass struct {
	policy Policy
	room   int
}

// slabFactor is the ratio between the chunks of neighbouring classes, and slabLeast the smallest chunk in bytes: memcached's and
// ringcached's defaults.
const (
	slabFactor = 1.25
	slabLeast  = 96
)

// NewSlabs makes a cache of the given bytes in pages of the given size, whose classes have policies of the kind.
func NewSlabs(kind func() Policy, bytes int64, page int) *Slabs {
	s := &Slabs{kind: kind, page: page, left: int(bytes / int64(page))}
	for size := slabLeast; size < page/2; size = int(math.Ceil(float64(size)*slabFactor/8)) * 8 {
		s.sizes = append(s.sizes, size)
	}
	s.sizes = append(s.sizes, page)
	s.classes = make([]slabClass, len(s.sizes))
	return s
}

// Get is Cache's. No object may be larger than a page.
func (s *Slabs) Get(r Request) bool {
	i := 0
	for s.sizes[i] < int(r.Size) {
		i++
	}
	c := &s.classes[i]
	if c.policy == nil {
		c.policy = s.kind()
	}
	if c.policy.Use(r.Key) {
		return true
	}
	if c.policy.Len() == c.room && (s.left > 0 || c.room == 0) {
		s.left--
		n := s.page / s.sizes[i]
		c.policy.Grow(n)
		c.room += n
	}
	c.policy.Insert(r.Key)
	return false
}

// Writes is Cache's.
func (s *Slabs) Writes() (n int) {
	for _, c := range s.classes {
		if c.policy != nil {
			n += c.policy.Writes()
		}
	}
	return n
}

// Outcome is what came of a replay, in parts of 1.
type Outcome struct {
	Hits   float64 // of the requests
	Writes float64 // of the hits: those that wrote to memory that all cores would share
}

// Replay puts requests to the cache, and counts after the first warmup of them.
func Replay(c Cache, requests []Request, warmup int) Outcome {
	for _, r := range requests[:warmup] {
		c.Get(r)
	}
	hits, writes := 0, c.Writes()
	for _, r := range requests[warmup:] {
		if c.Get(r) {
			hits++
		}
	}
	return Outcome{
		Hits:   float64(hits) / float64(max(len(requests)-warmup, 1)),
		Writes: float64(c.Writes()-writes) / float64(max(hits, 1)),
	}
}

// Policy decides which objects stay in a cache that holds a number of them. It starts without room: Grow comes first.
type Policy interface {
	// Use notes that the object was asked for, and says whether it is there.
	Use(key uint32) bool
	// Insert stores an object that is not there, and evicts another if there is no room.
	Insert(key uint32)
	// Writes is how many of the uses so far wrote to memory that all cores would share.
	Writes() int
	// Len is how many objects are there.
	Len() int
	// Grow adds room for n objects.
	Grow(n int)
}

// Kind is a policy as the study lists it.
type Kind struct {
	Name string
	// Writes is what a hit writes to memory that all cores share.
	Writes string
	New    func() Policy
}

// Kinds lists the policies of the study. The third is the one that ringcached's store has.
func Kinds() []Kind {
	return []Kind{
		{"LRU", "up to 6 links of 4 items, under a lock of the list", func() Policy { return NewLRU() }},
		{"segmented LRU", "1 flag; later, by another thread, links as with LRU", func() Policy { return NewSegmented() }},
		{"CLOCK, 2 bits", "2 bits of the item, nothing when they are full", func() Policy { return NewClock(ClockOptions{}) }},
		{"CLOCK, 2 bits, ghosts", "2 bits of the item, nothing when they are full", func() Policy { return NewClock(ClockOptions{Ghosts: true}) }},
		{"SIEVE", "1 bit of the item, nothing when it is set", func() Policy { return NewSieve() }},
		{"S3-FIFO", "2 bits of the item, nothing when they are full", func() Policy { return NewS3FIFO() }},
		{"CLOCK, probation", "2 bits of the item, nothing when they are full", func() Policy { return NewQuickDemotion() }},
	}
}
