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

	patrol    hand      // looks for dead items
	probation linkQueue // items on probation, oldest first
	wants     bool      // has evicted a page's worth since it last looked whether it should have a page of another class
	since     uint32    // evictions since then

	victimAges uint32 // eight times the age of those evicted, on the average of the last eight or so

	lacking uint32 // chunks that were wanted in vain since the class got a page
	barren  uint8  // times that the hand found no victim lately, up to barrenMost

	used      uint64 // chunks in use
	items     uint64 // of them, heads of items
	requested uint64 // bytes asked for of the chunks in use
	counters  classCounters

	shadowShift uint // see shadowShift
	shadow      shadow

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
	crowded          uint64 // evicted or reclaimed by evictFromChain
	evictedTime      uint32
}

// memcachedHeader is what memcached has in front of a key, in bytes; with its CAS it is 32 more than the header here.
const memcachedHeader = 48

// coarse is the factor between the classes of large items, where the ones before have used up so many that there are not enough left
// for Config.Factor.
const coarse = 1.25

// chunkSizes are the sizes of the classes from 1 on, in bytes; the smallest has room for so many behind the header. A class holds what
// memcached's class of the same number holds, so that what was found to suit some items there suits them here: its chunk is as much
// smaller as the header is. Each is made as large as it can be without fewer chunks fitting into a page.
func chunkSizes(room int, factor float64, unit int) []int {
	const saved = memcachedHeader + casSize - headerSize
	var sizes []int
	last := 0
	for size := float64(memcachedHeader + room); len(sizes) < classesMax-1; size *= nextFactor(size, factor, classesMax-len(sizes)) {
		if len(sizes) > 0 && size*math.Sqrt(factor) >= ChunkMax {
			break // the largest class is as near
		}
		size = math.Ceil(math.Floor(size)/8) * 8
		chunk := max(int(size)-saved, headerSize+room, last+1)
		last = PageSize / max(PageSize/roundUp(chunk, unit), 1) / unit * unit
		if last >= ChunkMax {
			break
		}
		sizes = append(sizes, last)
	}
	return append(sizes, ChunkMax)
}

// nextFactor is the ratio between the class of size and the next, if there may be so many more: factor as long as those that are left
// then reach ChunkMax in coarse steps.
func nextFactor(size, factor float64, left int) float64 {
	wide := max(coarse, factor)
	if size*factor*math.Pow(wide, float64(left-2)) >= ChunkMax {
		return factor
	}
	return max(factor, math.Pow(ChunkMax/size, 1/float64(left-1)))
}

func roundUp(n, unit int) int { return (n + unit - 1) / unit * unit }

// makeClasses sets up the classes and the table that finds one by size.
func (s *Store) makeClasses() {
	unit := 1 << s.shift
	sizes := chunkSizes(s.config.ChunkMin, s.config.Factor, unit)
	s.classes = make([]class, len(sizes)+1)
	s.classOf = make([]uint8, ChunkMax/8+1)
	next := 0
	for i, size := range sizes {
		c := &s.classes[i+1]
		c.id, c.size, c.perPage = uint8(i+1), uint32(size), uint32(PageSize/size)
		c.shadowShift = shadowShift(c.perPage)
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
	check(p.owner() == c.id && p.used > 0, "chunk given back to the wrong class, or twice")
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
