package store

import "sync/atomic"

// pagePool has the pages that belong to no class. Its lock has rankPool.
//
// The limit is kept here: pages of classes, returned and fresh ones are within it, surplus and retired ones are not. When it was lowered
// below what the classes have, debt says how many pages have to follow.
type pagePool struct {
	free atomic.Int32 // pages to be had; for a look without the lock

	mu       rankedMutex
	taken    uint32   // pages below this number have been used
	fresh    uint32   // pages from taken up to this number may be
	returned []uint32 // used pages that are free
	surplus  []uint32 // used pages above the limit, whose memory is to be given back to the system
	retired  []uint32 // pages above the limit without memory
	debt     uint32   // pages that classes have above the limit
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

// pages is how many there are within the limit, and those that classes have above it.
func (p *pagePool) pages() uint32 {
	p.mu.lock(rankPool)
	defer p.mu.unlock()
	return p.fresh - uint32(len(p.surplus)+len(p.retired))
}

// resize makes it so many pages with those that the classes have, or as near as is possible at once: the rest is debt.
func (p *pagePool) resize(pages uint32) {
	p.mu.lock(rankPool)
	have := p.fresh - uint32(len(p.surplus)+len(p.retired))
	p.debt = 0
	for ; have < pages; have++ {
		number, ok := pop(&p.surplus)
		if !ok {
			number, ok = pop(&p.retired)
		}
		if !ok {
			p.fresh += pages - have
			break
		}
		p.returned = append(p.returned, number)
	}
	if have > pages {
		untouched := min(have-pages, p.fresh-p.taken)
		p.fresh -= untouched
		have -= untouched
	}
	for ; have > pages; have-- {
		number, ok := pop(&p.returned)
		if !ok {
			p.debt = have - pages
			break
		}
		p.surplus = append(p.surplus, number)
	}
	p.free.Store(int32(len(p.returned)) + int32(p.fresh-p.taken))
	p.mu.unlock()
}

// owes says whether classes have pages above the limit.
func (p *pagePool) owes() bool {
	p.mu.lock(rankPool)
	defer p.mu.unlock()
	return p.debt > 0
}

// nextSurplus takes a page whose memory is to be given back; retire follows.
func (p *pagePool) nextSurplus() (number uint32, ok bool) {
	p.mu.lock(rankPool)
	defer p.mu.unlock()
	return pop(&p.surplus)
}

func (p *pagePool) retire(number uint32) {
	p.mu.lock(rankPool)
	p.retired = append(p.retired, number)
	p.mu.unlock()
}

// unretire says that all pages have memory again: what is above the limit is to be given back once more.
func (p *pagePool) unretire() {
	p.mu.lock(rankPool)
	p.surplus = append(p.surplus, p.retired...)
	p.retired = nil
	p.mu.unlock()
}

// poolCounts are numbers of pages.
type poolCounts struct{ used, returned, untouched, withdrawn int }

// counts are the pages that classes have, those that were used and are free, those that were never used, and those above the limit.
func (p *pagePool) counts() poolCounts {
	p.mu.lock(rankPool)
	defer p.mu.unlock()
	n := poolCounts{returned: len(p.returned), untouched: int(p.fresh - p.taken), withdrawn: len(p.surplus) + len(p.retired)}
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
