package store

import (
	"runtime"
	"sync/atomic"
)

const (
	drainBatch    = 64  // chunks that are emptied while a class is locked
	drainPasses   = 16  // over a page, before what cannot be evicted is waited for no longer
	drainPages    = 4   // pages of a class that are tried
	drainLooks    = 16  // pages of all classes that are tried
	rebalanceStep = 128 // chunks that are emptied by one Alloc for the sake of balance
)

// move is the page that is being taken from a class. There is one at a time. Its lock is taken between stripe and class.
type move struct {
	mu     rankedMutex
	active atomic.Bool // for a look without the lock
	from   *class
	to     *class // gets the page; nil: the pool
	spare  bool   // nobody waits for the page: the system may have it
	number uint32 // of the page
	cursor uint32 // the next chunk of it
	passes int
	filled uint32 // pages' worth that classes evicted since their returns were halved
	done   bool   // the page is empty and not from's any more; under from's lock
}

// moveCounters count what becomes of the items of pages that are emptied, for statistics.
type moveCounters struct {
	pages     atomic.Uint64 // that were emptied
	evicted   atomic.Uint64 // items
	reclaimed atomic.Uint64 // items that were dead
	busy      atomic.Uint64 // times that a chunk could not be emptied
}

// refill gets a page into the pool for c, which has nothing that could be evicted. It empties one of another class, of those with
// the most pages first, and the last page of a class only if that is idle, or lasts says so. It says no if no page can be emptied.
func (s *Store) refill(c *class, held *stripe, lasts bool) bool {
	if s.config.NoEvict {
		return false
	}
	m := &s.move
	m.mu.lock(rankMove)
	defer m.mu.unlock()
	if s.pool.available() || m.active.Load() && s.finishMove(held) && s.pool.available() {
		return true
	}
	return s.tryPages(c, lasts, func(from *class, nth uint32) bool {
		return s.startMove(from, nth, nil, false) && s.finishMove(held)
	})
}

// tryPages calls try with the first pages, counted from the hand, of the class with the most of them, then of the next, until it says
// yes or drainLooks have been tried. It passes over the class but, which may be nil, and without lasts over the last page of a class that
// uses it. It says whether try said yes.
func (s *Store) tryPages(but *class, lasts bool, try func(from *class, nth uint32) bool) bool {
	var tried [classesMax + 1]bool
	if but != nil {
		tried[but.id] = true
	}
	for looks := 0; looks < drainLooks; {
		from := s.largestClass(&tried)
		if from == nil {
			break
		}
		tried[from.id] = true
		if !lasts && !s.spares(from) {
			continue
		}
		for nth := range uint32(drainPages) {
			if try(from, nth) {
				return true
			}
			looks++
		}
	}
	return false
}

// spares says that a class can do without a page: it has more, or has not used it for long.
func (s *Store) spares(c *class) bool {
	c.lock()
	defer c.unlock()
	if len(c.pages) != 1 {
		return len(c.pages) > 1
	}
	inUse, idleFor := s.samplePage(c, colderBy)
	return inUse == 0 && idleFor > colderBy
}

// largestClass is the class with the most pages that was not tried, nil if none has any.
func (s *Store) largestClass(tried *[classesMax + 1]bool) *class {
	var largest *class
	most := 0
	for i := range s.classes[1:] {
		c := &s.classes[i+1]
		if tried[c.id] {
			continue
		}
		c.lock()
		n := len(c.pages)
		c.unlock()
		if n > most {
			largest, most = c, n
		}
	}
	return largest
}

// startMove begins to empty the nth page of a class from the hand on, for the class to or for the pool. It says no if there is no such
// page, or something in it is in use.
func (s *Store) startMove(from *class, nth uint32, to *class, spare bool) bool {
	from.lock()
	defer from.unlock()
	if nth >= uint32(len(from.pages)) {
		return false
	}
	number := from.pages[(from.hand.page+nth)%uint32(len(from.pages))]
	p := &s.pages[number]
	if p.draining || s.pinned(from, number) {
		return false
	}
	m := &s.move
	m.from, m.to, m.spare, m.number, m.cursor, m.passes, m.done = from, to, spare, number, 0, 0, false
	m.active.Store(true)
	from.dropPartial(s, number)
	p.draining = true
	if p.used == 0 {
		from.giveUp(s, number)
	}
	return true
}

// pinned says that a page has chunks that cannot be emptied now.
func (s *Store) pinned(c *class, number uint32) bool {
	p := &s.pages[number]
	var evictable uint32
	for i := range p.carved {
		h := c.chunkAt(s, number, i)
		state := h.state.Load()
		if state == 0 {
			continue // free, or about to be used
		}
		if state&statePart != 0 {
			state = s.at(h.asPart().owner).state.Load()
		}
		if state&stateLinked == 0 || referenced(state) {
			return true
		}
		evictable++
	}
	return evictable != p.used
}

// finishMove empties the page to the end, and says whether that was possible.
func (s *Store) finishMove(held *stripe) bool {
	m := &s.move
	for m.active.Load() {
		s.stepMove(drainBatch, held)
	}
	return m.done
}

// stepMove goes on with the move for n chunks, and ends it if the page is empty, or cannot be emptied. m.mu must be held.
func (s *Store) stepMove(n int, held *stripe) {
	m := &s.move
	from := m.from
	from.lock()
	for ; n > 0 && !m.done && m.cursor < s.pages[m.number].carved; n-- {
		chunk := from.chunkAt(s, m.number, m.cursor)
		m.cursor++
		h := s.emptyChunk(from, chunk, held)
		if h == nil {
			continue
		}
		if h.chained() {
			from.unlock()
			s.release(h, 0)
			from.lock()
			continue
		}
		from.requested -= h.requested(from.size)
		from.items--
		from.push(s, h)
	}
	end := false
	switch p := &s.pages[m.number]; {
	case m.done:
		end = true
	case m.cursor >= p.carved:
		m.cursor = 0
		if m.passes++; m.passes < drainPasses {
			break
		}
		end, p.draining = true, false
		if p.hasRoom(from) {
			from.addPartial(s, m.number)
		}
	}
	from.unlock()
	if end {
		s.endMove()
	} else if m.cursor == 0 {
		runtime.Gosched() // for who has a stripe that is needed
	}
}

// emptyChunk takes the item that a chunk belongs to out of the index, and returns it; nil if there is none, or it is in use.
func (s *Store) emptyChunk(from *class, chunk *header, held *stripe) *header {
	h := s.candidate(from, chunk, true)
	if h == nil {
		if chunk.state.Load() != 0 {
			s.moves.busy.Add(1)
		}
		return nil
	}
	dead := s.dead(h)
	switch {
	case !s.tryEvict(from, h, held):
		s.moves.busy.Add(1)
		return nil
	case dead:
		s.moves.reclaimed.Add(1)
	default:
		s.moves.evicted.Add(1)
	}
	return h
}

// endMove hands the page on, if it is empty.
func (s *Store) endMove() {
	m := &s.move
	if m.done {
		s.moves.pages.Add(1)
	}
	if m.done && m.to != nil {
		m.to.lock()
		m.to.adopt(s, m.number)
		m.to.unlock()
	}
	m.active.Store(false)
}
