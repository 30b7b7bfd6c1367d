package store

import (
	"slices"
	"sync/atomic"
)

// pagePool has the pages that belong to no class. Its lock has rankPool.
//
// The limit is kept here: pages of classes, returned and fresh ones are within it, surplus and retired ones are not. When it was lowered
// below what the classes have, debt says how many pages have to follow. When it was raised by pages that have no memory now, lacking says how
// many of them have to get it. A page for which a system call is made meanwhile is on no list.
type pagePool struct {
	free atomic.Int32 // pages to be had; for a look without the lock

	mu       rankedMutex
	taken    uint32   // pages below this number have been used
	fresh    uint32   // pages from taken up to this number may be
	returned []uint32 // used pages that are free
	surplus  []uint32 // used pages above the limit, whose memory is to be given back to the system
	retired  []uint32 // pages above the limit without memory
	debt     uint32   // pages that classes have above the limit
	lacking  uint32   // pages below the limit that are not usable yet: they are retired, or under way
	underway uint32   // pages whose memory is being given back, or reserved, without the lock
	unit     uint32   // memory is given back and reserved for so many pages side by side at a time; see itemFile.unit
	reserves bool     // memory has to be reserved before a retired page is used again: there is a file
}

// available says whether get would have a page, if nobody came in between.
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

// put gives a page back. A spare one, which nobody waits for, goes to the system if the limit was lowered.
func (p *pagePool) put(number uint32, spare bool) {
	p.mu.lock(rankPool)
	if spare && p.debt > 0 {
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

// resize makes it so many pages with those that the classes have, or as near as is possible at once: the rest is debt, or lacking.
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

// owes says whether classes have pages above the limit.
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

// unreserved ends what nextLacking began: there is no memory for the pages, nor will there be for others. It says how many pages were wanted
// in vain, 0 if none is any more, and how many there are.
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
