package store

import (
	"math"
	"slices"
	"sync/atomic"
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
	adapted   adaptation
	wantsPage bool   // has evicted a page's worth since it last looked whether it should have a page of another class
	since     uint32 // evictions since then

	victimAges uint32 // eight times the age of those evicted, on the average of the last eight or so

	unmet  uint32 // chunks that were wanted in vain since the class got a page
	barren uint8  // times that the hand found no victim lately, up to barrenMost

	used      uint64 // chunks in use
	items     uint64 // of them, heads of items
	requested uint64 // bytes asked for of the chunks in use
	counters  classCounters

	shadowShift uint32 // see sampleShift
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

// coarse is the factor between the classes of large items, where the ones before have left too few
// for Config.Factor.
const coarse = 1.25

// chunkSizes are the sizes of the classes from 1 on, in bytes; the smallest has room for that many behind the header. A class holds what
// memcached's class of the same number holds, so that what was found to suit some items there suits them here: its chunk is as much
// smaller as the header is. Each is made as large as it can be without fewer chunks fitting into a page.
func chunkSizes(room int, factor float64, unit int) []int {
	const saved = memcachedHeader + casSize - headerSize
	var sizes []int
	last := 0
	for size := float64(memcachedHeader + room); len(sizes) < classesMax-1; size *= nextFactor(size, factor, classesMax-len(sizes)) {
		if len(sizes) > 0 && size*math.Sqrt(factor) >= ChunkMax {
			break // the largest class is nearer
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

// nextFactor is the ratio between the class of size and the next, if there may be left more: factor as long as those that are left
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
	tables := make([]evictedTable, 2*len(sizes))
	next := 0
	for i, size := range sizes {
		c := &s.classes[i+1]
		c.id, c.size, c.perPage = uint8(i+1), uint32(size), uint32(PageSize/size)
		c.shadowShift = sampleShift(c.perPage, shadowSample)
		c.shadow.keys.slots, c.adapted.keys.slots = &tables[2*i], &tables[2*i+1]
		c.adapted.uses = recencyMax << usesFine
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

// page is what is known of one page. It belongs to the class whose id it has, and is guarded by that class's lock.
type page struct {
	class    atomic.Uint32 // 0: in the pool. Others may look whether it is theirs
	draining bool          // is being emptied: gives no chunks, and the class gives it up when the last comes back
	listed   bool          // is in the class's list of pages with room
	position uint32        // in class.pages
	used     uint32        // chunks in use, or being made or freed
	carved   uint32        // chunks from the beginning that have ever been in use since the class got the page
	free     uint32        // link of the first free one among them
	next     uint32        // number+1 of the neighbours in the list of pages with room
	previous uint32
}

// hasRoom reports whether the page has a free chunk.
func (p *page) hasRoom(c *class) bool { return p.free != 0 || p.carved < c.perPage }

// owner is the id of the class that has the page, 0 if it is in the pool.
func (p *page) owner() uint8 { return uint8(p.class.Load()) }

// begin makes it an empty page of the class with the id.
func (p *page) begin(id uint8, position uint32) {
	p.class.Store(uint32(id))
	p.draining, p.listed, p.position = false, false, position
	p.used, p.carved, p.free, p.next, p.previous = 0, 0, 0, 0, 0
}

// adopt makes a page out of the pool one of c's. The class must be locked.
func (c *class) adopt(s *Store, number uint32) {
	p := &s.pages[number]
	check(p.owner() == 0, "page out of the pool belongs to a class")
	p.begin(c.id, uint32(len(c.pages)))
	c.pages = append(c.pages, number)
	c.unmet = 0
	c.addPartial(s, number)
}

// giveUp returns an empty page to the pool, or to who had it emptied. The class must be locked.
func (c *class) giveUp(s *Store, number uint32) {
	p := &s.pages[number]
	check(p.used == 0, "page with chunks in use given up")
	c.dropPartial(s, number)
	last := len(c.pages) - 1
	moved := c.pages[last]
	c.pages[p.position] = moved
	s.pages[moved].position = p.position
	c.pages = c.pages[:last]
	unclaimed := true
	if p.draining {
		s.move.done, unclaimed = true, s.move.unclaimed
		if s.move.to != nil {
			p.begin(0, 0) // endMove hands it on
			return
		}
	}
	p.begin(0, 0)
	s.pool.put(number, unclaimed)
}

// addPartial lists a page as one with room, the first to be used. The class must be locked.
func (c *class) addPartial(s *Store, number uint32) {
	p := &s.pages[number]
	if p.listed {
		return
	}
	p.listed, p.previous, p.next = true, 0, c.partial
	if c.partial != 0 {
		s.pages[c.partial-1].previous = number + 1
	}
	c.partial = number + 1
}

// dropPartial takes a page off that list. The class must be locked.
func (c *class) dropPartial(s *Store, number uint32) {
	p := &s.pages[number]
	if !p.listed {
		return
	}
	if p.previous != 0 {
		s.pages[p.previous-1].next = p.next
	} else {
		c.partial = p.next
	}
	if p.next != 0 {
		s.pages[p.next-1].previous = p.previous
	}
	p.listed, p.previous, p.next = false, 0, 0
}

// pagePool has the pages that belong to no class. Its lock has rankPool.
//
// The limit is kept here: pages of classes, returned and fresh ones are within it, surplus and retired ones are not. When it was lowered
// below what the classes have, debt says how many pages have to follow. When it was raised by pages that have no memory now, lacking says how
// many of them have to get it. A page for which a system call is made meanwhile is on no list.
type pagePool struct {
	free atomic.Int32 // pages that get would find; read without the lock

	mu       rankedMutex
	taken    uint32   // pages below this number have been used
	fresh    uint32   // pages from taken up to this number may be
	returned []uint32 // used pages that are free
	surplus  []uint32 // used pages above the limit, whose memory is to be given back to the system
	retired  []uint32 // pages above the limit without memory
	debt     uint32   // pages that classes have above the limit
	lacking  uint32   // pages below the limit that are not usable yet: they are retired, or under way
	underway uint32   // pages whose memory is being given back, or reserved, without the lock
	unit     uint32   // how many pages side by side have their memory given back or reserved at a time; see snapshot.File.Unit
	reserves bool     // memory has to be reserved before a retired page is used again: there is a file
}

// available reports whether get would have a page, if nobody came in between.
func (p *pagePool) available() bool { return p.free.Load() > 0 }

// get takes a page out of the pool.
func (p *pagePool) get() (number uint32, ok bool) {
	if !p.available() {
		return 0, false
	}
	p.mu.lock(rankPool)
	if number, ok = pop(&p.returned); !ok && p.taken < p.fresh {
		number, ok = p.taken, true
		p.taken++
	}
	if ok {
		p.free.Add(-1)
	}
	p.mu.unlock()
	return number, ok
}

// put gives a page back. An unclaimed one, which nobody waits for, goes to the system if the limit was lowered.
func (p *pagePool) put(number uint32, unclaimed bool) {
	p.mu.lock(rankPool)
	if unclaimed && p.debt > 0 {
		p.debt--
		p.surplus = append(p.surplus, number)
	} else {
		p.returned = append(p.returned, number)
		p.free.Add(1)
	}
	p.mu.unlock()
}

// usable is how many pages there are within the limit, and those that classes have above it. The pool must be locked.
func (p *pagePool) usable() uint32 {
	return p.fresh - uint32(len(p.surplus)+len(p.retired)) - p.underway
}

// pages is usable for others.
func (p *pagePool) pages() uint32 {
	p.mu.lock(rankPool)
	defer p.mu.unlock()
	return p.usable()
}

// resize makes it pages pages, with those that the classes have, as far as that is possible at once: the rest is debt, or lacking.
func (p *pagePool) resize(pages uint32) {
	p.mu.lock(rankPool)
	defer p.mu.unlock()
	p.debt, p.lacking = 0, 0
	have := p.usable()
	for ; have < pages; have++ {
		number, ok := pop(&p.surplus)
		if !ok && !p.reserves {
			number, ok = pop(&p.retired)
		}
		if !ok {
			break
		}
		p.returned = append(p.returned, number)
	}
	if have < pages {
		p.lacking = min(pages-have, uint32(len(p.retired))+p.underway)
		p.fresh += pages - have - p.lacking
	} else {
		p.shrink(have - pages)
	}
	p.countFree()
}

// shrink makes it less pages: those that were never used first, then those that are free, and the rest is debt. The pool must be locked.
func (p *pagePool) shrink(less uint32) {
	untouched := min(less, p.fresh-p.taken)
	less -= untouched
	if p.reserves { // they have memory, too
		for ; untouched > 0; untouched-- {
			p.surplus = append(p.surplus, p.taken)
			p.taken++
		}
	}
	p.fresh -= untouched
	for ; less > 0; less-- {
		number, ok := pop(&p.returned)
		if !ok {
			break
		}
		p.surplus = append(p.surplus, number)
	}
	p.debt = less
}

func (p *pagePool) countFree() {
	p.free.Store(int32(len(p.returned)) + int32(p.fresh-p.taken))
}

// owes reports whether classes have pages above the limit.
func (p *pagePool) owes() bool {
	p.mu.lock(rankPool)
	defer p.mu.unlock()
	return p.debt > 0
}

// nextSurplus takes the pages of a unit whose memory is to be given back, and returns the first; retire follows. What is in a unit with a page
// that is in use keeps its memory, and is the first to be used again.
func (p *pagePool) nextSurplus() (first uint32, ok bool) {
	p.mu.lock(rankPool)
	defer p.mu.unlock()
	unit := int(p.unit)
	if unit > 1 {
		slices.Sort(p.surplus)
	}
	for at := len(p.surplus) - unit; at >= 0; at-- {
		if first = p.surplus[at]; first%p.unit == 0 && p.surplus[at+unit-1] == first+p.unit-1 {
			p.surplus = slices.Delete(p.surplus, at, at+unit)
			p.underway += p.unit
			return first, true
		}
	}
	return 0, false
}

// nextLacking takes the pages of a unit whose memory is to be reserved, and returns the first; reserved or unreserved follows.
func (p *pagePool) nextLacking() (first uint32, ok bool) {
	p.mu.lock(rankPool)
	defer p.mu.unlock()
	begin := len(p.retired) - int(p.unit) // they came together
	if p.lacking == 0 || begin < 0 {
		return 0, false
	}
	first = p.retired[begin]
	p.retired = p.retired[:begin]
	p.underway += p.unit
	return first, true
}

// retire ends what nextSurplus began: the pages have no memory. If they are wanted again they need none where that comes as it is touched.
func (p *pagePool) retire(first uint32) {
	p.mu.lock(rankPool)
	defer p.mu.unlock()
	p.underway -= p.unit
	for number := first; number < first+p.unit; number++ {
		if p.lacking > 0 && !p.reserves {
			p.lacking--
			p.returned = append(p.returned, number)
		} else {
			p.retired = append(p.retired, number)
		}
	}
	p.countFree()
}

// reserved ends what nextLacking began: the pages have memory. Those that are not wanted are surplus.
func (p *pagePool) reserved(first uint32) {
	p.mu.lock(rankPool)
	defer p.mu.unlock()
	p.underway -= p.unit
	for number := first; number < first+p.unit; number++ {
		if p.lacking > 0 {
			p.lacking--
			p.returned = append(p.returned, number)
		} else {
			p.surplus = append(p.surplus, number)
		}
	}
	p.countFree()
}

// unreserved ends what nextLacking began: there is no memory for the pages, nor will there be for others. It says how many pages are
// missing, 0 if the limit does not ask for them any more, and how many there are.
func (p *pagePool) unreserved(first uint32) (missing, pages uint32) {
	p.mu.lock(rankPool)
	defer p.mu.unlock()
	p.underway -= p.unit
	for number := first; number < first+p.unit; number++ {
		p.retired = append(p.retired, number)
	}
	missing, p.lacking = p.lacking, 0
	return missing, p.usable()
}

// poolCounts are numbers of pages.
type poolCounts struct{ used, returned, untouched, withdrawn, lacking int }

// counts are the pages that classes have, those that were used and are free, those that were never used, those that are not usable, and how many
// of these the limit has room for.
func (p *pagePool) counts() poolCounts {
	p.mu.lock(rankPool)
	defer p.mu.unlock()
	n := poolCounts{returned: len(p.returned), untouched: int(p.fresh - p.taken), lacking: int(p.lacking)}
	n.withdrawn = len(p.surplus) + len(p.retired) + int(p.underway)
	n.used = int(p.taken) - n.returned - n.withdrawn
	return n
}

// takenBytes is how much memory, from the beginning, has been used by classes at some time.
func (p *pagePool) takenBytes() int64 {
	p.mu.lock(rankPool)
	defer p.mu.unlock()
	return int64(p.taken) * PageSize
}

// pop takes the last number off a list.
func pop(list *[]uint32) (number uint32, ok bool) {
	last := len(*list) - 1
	if last < 0 {
		return 0, false
	}
	number = (*list)[last]
	*list = (*list)[:last]
	return number, true
}
