package store

import (
	"math"
	"unsafe"
)

// classesMax is the highest class id, as memcached's.
const classesMax = 63

// class is a slab class: all chunks of one size. Its lock has rankClass.
type class struct {
	id      uint8
	size    uint32 // of a chunk, in bytes
	perPage uint32

	mu      rankedMutex
	partial uint32   // number+1 of a page with room; the others hang on it
	pages   []uint32 // numbers of the pages that belong to the class, in the hand's order
	hand    hand
	wants   bool   // has evicted a page's worth since it last looked whether another class has colder memory
	since   uint32 // evictions since then

	victimAges uint32 // eight times the age of those evicted, on the average of the last eight or so

	borrowed uint32 // chunks that were taken of larger classes since this one got a page

	used      uint64 // chunks in use
	items     uint64 // of them, heads of items
	requested uint64 // bytes asked for of the chunks in use
	counters  classCounters

	_ [64]byte // classes next to each other are used by different cores
}

// classCounters are what ResetStats clears.
type classCounters struct {
	evicted          uint64
	evictedUnfetched uint64
	evictedActive    uint64
	expiredUnfetched uint64
	reclaimed        uint64
	outOfMemory      uint64
	pinnedSkips      uint64
	crawlerChecked   uint64
	crawlerReclaimed uint64
	evictedTime      uint32
}

// chunkSizes are the sizes of the classes from 1 on, in bytes: smallest is multiplied by factor until ChunkMax is reached. Each is
// made as large as it can be without fewer chunks fitting into a page.
func chunkSizes(smallest int, factor float64, unit int) []int {
	factor = max(factor, math.Pow(float64(ChunkMax)/float64(smallest), 1.0/(classesMax-1)))
	var sizes []int
	last := 0
	for size := float64(smallest); len(sizes) < classesMax-1; size *= factor {
		if len(sizes) > 0 && size*math.Sqrt(factor) >= ChunkMax {
			break // the largest class is as near
		}
		chunk := (int(math.Round(size)) + unit/2) / unit * unit
		chunk = max(chunk, last+unit, (smallest+unit-1)/unit*unit)
		last = PageSize / max(PageSize/chunk, 1) / unit * unit
		if last >= ChunkMax {
			break
		}
		sizes = append(sizes, last)
	}
	return append(sizes, ChunkMax)
}

// makeClasses sets up the classes and the table that finds one by size.
func (s *Store) makeClasses() {
	unit := 1 << s.shift
	sizes := chunkSizes(headerSize+s.config.ChunkMin, s.config.Factor, unit)
	s.classes = make([]class, len(sizes)+1)
	s.classOf = make([]uint8, ChunkMax/8+1)
	next := 0
	for i, size := range sizes {
		c := &s.classes[i+1]
		c.id, c.size, c.perPage = uint8(i+1), uint32(size), uint32(PageSize/size)
		for ; next*8 <= size; next++ {
			s.classOf[next] = c.id
		}
	}
}

// classFor is the class with the smallest chunks that hold size bytes, at most ChunkMax.
func (s *Store) classFor(size int) *class { return &s.classes[s.classOf[(size+7)/8]] }

func (c *class) lock()   { c.mu.lock(rankClass) }
func (c *class) unlock() { c.mu.unlock() }

// pop takes a free chunk out of a page of the class, nil if there is none. The class must be locked.
func (c *class) pop(s *Store) *header {
	if c.partial == 0 {
		return nil
	}
	number := c.partial - 1
	p := &s.pages[number]
	var h *header
	if p.free != 0 {
		h = s.at(p.free)
		p.free = h.asFree().next
		checkPoison(h, c.size)
	} else {
		h = (*header)(unsafe.Add(s.base, uintptr(number)*PageSize+uintptr(p.carved)*uintptr(c.size)))
		h.setState(0)
		p.carved++
	}
	p.used++
	c.used++
	if !p.hasRoom(c) {
		c.dropPartial(s, number)
	}
	return h
}

// push makes h, a chunk of the class, free again. The class must be locked. An empty page goes back to the pool, unless it is the
// last that the class has, or the class would lose and get it all the time.
func (c *class) push(s *Store, h *header) {
	number := s.pageOf(h)
	p := &s.pages[number]
	check(p.class == c.id && p.used > 0, "chunk given back to the wrong class, or twice")
	h.setState(0)
	poison(h, c.size)
	hadRoom := p.hasRoom(c)
	h.asFree().next = p.free
	p.free = s.link(h)
	p.used--
	c.used--
	if p.used == 0 && (p.draining || len(c.pages) > 1) {
		c.giveUp(s, number)
		return
	}
	if !hadRoom && !p.draining {
		c.addPartial(s, number)
	}
}
