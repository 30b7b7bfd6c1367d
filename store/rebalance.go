package store

import (
	"errors"
	"math"
	"runtime"
	"sync/atomic"
)

const (
	sampledChunks = 64 // of a page that may be taken
	sureReturns   = 32 // returned items that may be chance
	balanceLeast  = 32 // evictions of a class between two looks at others

	// Ages are known to within accessStep: an item is idle if it was not used for twice the age of what another class evicts, and this.
	colderBy = 2 * accessStep
)

// rebalance takes a page from the class that loses the fewest hits with it and gives it to c, if c gains more, bit by bit. An Alloc of c calls it
// now and then, while c evicts.
//
// What a class gains with one page more is known from its shadow: the items that came back so soon that they would still have been there. One page
// less costs a class about as many hits, and once those items of the page that are in use. So c gets the page when its returns are more than twice
// those of the other class since the last move of either, and what is lost once. A move that was wrong has then cost no more than waiting for it
// had. If nothing comes back, c still gets memory that has been idle for long: it may need more than a page to have any hits.
//
// This is hill climbing with shadow queues, as in Cidon, Eisenman, Alizadeh, Katti, "Cliffhanger: Scaling Performance Cliffs in Web Memory
// Caches", NSDI 2016, which moves small credits from classes chosen at random; here a whole page is evicted, so it has to be sure.
func (s *Store) rebalance(c *class, held *stripe) {
	m := &s.move
	if !m.mu.tryLock(rankMove) {
		return
	}
	if level := s.automove.Load(); level > AutomoveOff && !m.active.Load() {
		if from := s.cheapest(c, level); from != nil && s.startMove(from, 0, c, false) {
			c.shadow.returned.Store(0)
			from.shadow.returned.Store(0)
		}
	}
	if m.active.Load() && !m.unclaimed {
		s.stepMove(rebalanceStep, held)
	}
	m.mu.unlock()
}

// cheapest is the class that c should get a page of, nil if there is none. At automove level 2 any advantage will do. The last page of a class
// is taken only if it is idle. s.move.mu must be held.
func (s *Store) cheapest(c *class, level int32) *class {
	gain, evicted := int64(c.shadow.returned.Load()), c.meanVictimAge()
	idle := 2*evicted + colderBy
	factor, sure := int64(2), int64(sureReturns)
	if level >= AutomoveEager {
		idle, factor, sure = evicted, 1, 0
	}
	var cheapest *class
	least := gain
	for i := range s.classes[1:] {
		other := &s.classes[i+1]
		if other == c {
			continue
		}
		loss := factor * int64(other.shadow.returned.Load())
		if loss > least {
			continue
		}
		other.lock()
		if len(other.pages) > 0 {
			inUse, idleFor := s.samplePage(other, idle)
			if loss += inUse; idleFor <= idle {
				loss += sure
			}
			last := len(other.pages) == 1 && (inUse > 0 || idleFor <= idle)
			if !last && (loss < least || loss == least && idleFor > idle) {
				cheapest, least = other, loss
			}
		}
		other.unlock()
	}
	s.ageReturns()
	return cheapest
}

// samplePage looks at some chunks of the page that the class would lose. inUse is about how many items there have been used since the hand
// passed by, and within the last idle seconds; age is how long ago they were used on the average. The class must be locked.
func (s *Store) samplePage(c *class, idle uint32) (inUse int64, age uint32) {
	if c.hand.page >= uint32(len(c.pages)) {
		c.hand = hand{}
	}
	number := c.pages[c.hand.page]
	p := &s.pages[number]
	var items, used, ages uint32
	step := max(p.carved/sampledChunks, 1)
	for i := uint32(0); i < p.carved; i += step {
		h := c.chunkAt(s, number, i)
		state := h.state.Load()
		if state&statePart != 0 {
			h = s.at(h.asPart().owner)
			state = h.state.Load()
		}
		if state&stateLinked == 0 {
			continue
		}
		items++
		a := s.age(h)
		ages += a
		if state&recencyMax != 0 && a <= idle {
			used++
		}
	}
	if items == 0 {
		return 0, math.MaxUint32
	}
	return int64(p.used * used / items), ages / items
}

// ageReturns halves what the classes have for returns each time that as many pages were filled anew as the store has.
func (s *Store) ageReturns() {
	m := &s.move
	if m.filled++; m.filled < 3*s.pool.pages() {
		return
	}
	m.filled = 0
	for i := range s.classes[1:] {
		s.classes[i+1].shadow.halveReturns()
	}
}

// ageAtHand is the age of the item that the hand meets next: about the oldest of the class. The class must be locked.
func (s *Store) ageAtHand(c *class) (age uint32, ok bool) {
	if len(c.pages) == 0 {
		return 0, false
	}
	at := c.hand
	if at.page >= uint32(len(c.pages)) {
		at = hand{}
	}
	number := c.pages[at.page]
	for i := at.chunk; i < min(at.chunk+16, s.pages[number].carved); i++ {
		h := c.chunkAt(s, number, i)
		state := h.state.Load()
		if state&(stateLinked|statePart|stateProbation) == stateLinked {
			return s.age(h), true
		}
	}
	return 0, false
}

// meanVictimAge is the age of the items that the hand evicted last, on the average.
func (c *class) meanVictimAge() uint32 {
	c.lock()
	defer c.unlock()
	return c.victimAges / 8
}

const shadowSample = 256 // evictions at most that a page's worth is represented by

// shadow remembers what a class evicted lately, for as long as one page more would have kept it: an item that comes back meanwhile is a hit
// that the class missed for want of a page. Of a class with many chunks to a page a part of the keys stands for all of them.
type shadow struct {
	keys evictedKeys
	// returned is how many items came back, an estimate; halved now and then, see ageReturns.
	returned atomic.Uint32
}

// sampleShift is the binary logarithm of how many keys one stands for, if n keys are to be represented by most at the most.
func sampleShift(n, most uint32) uint32 {
	shift := uint32(0)
	for n>>shift > most {
		shift++
	}
	return shift
}

// noteEviction notes the eviction of a key. The class must be locked.
func (sh *shadow) noteEviction(c *class, hash uint64) { sh.keys.note(hash, c.shadowShift, 0) }

// noteReturn looks whether a key that is new in the class was evicted lately.
func (sh *shadow) noteReturn(c *class, hash uint64) {
	if _, ok := sh.keys.take(hash, c.shadowShift, c.perPage); ok {
		sh.returned.Add(1 << c.shadowShift)
	}
}

// halveReturns makes what came back so far count half.
func (sh *shadow) halveReturns() {
	sh.returned.Add(-((sh.returned.Load() + 1) / 2))
}

const (
	evictedSlots = 1024
	evictedMark  = 1 << 15 // in a slot, above the time
)

// evictedTable has the slots of evictedKeys. Tables lie beside the classes, so that one that is never used takes no memory.
type evictedTable [evictedSlots]atomic.Uint32

// evictedKeys remembers keys that a class evicted lately: a sample of them, chosen by their hashes. Notes are made under the class's lock;
// anybody may look.
//
// A slot is a word: 16 bits of the hash, a mark, and the time of the eviction, which is counted in evictions. 0 is none.
type evictedKeys struct {
	slots *evictedTable
	clock atomic.Uint32 // evictions so far
}

// slotFor is the slot of a hash and the word without mark and time that is in it, where one key of 1<<shift counts. It returns false if this one
// does not.
func (k *evictedKeys) slotFor(hash uint64, shift uint32) (slot *atomic.Uint32, word uint32, ok bool) {
	key := uint32(hash >> 24) // the lowest bits choose the stripe
	if key&(1<<shift-1) != 0 {
		return nil, 0, false
	}
	return &k.slots[key>>shift%evictedSlots], uint32(hash>>48) << 16, true
}

// note notes the eviction of a key with a mark, 0 or evictedMark. It reports whether the key counts.
func (k *evictedKeys) note(hash uint64, shift, mark uint32) bool {
	now := k.clock.Load() + 1
	k.clock.Store(now)
	slot, word, ok := k.slotFor(hash, shift)
	if ok {
		slot.Store(word | mark | now>>shift&(evictedMark-1))
	}
	return ok
}

// take forgets a key, and returns its mark if it was noted within that many evictions.
func (k *evictedKeys) take(hash uint64, shift, within uint32) (mark uint32, ok bool) {
	slot, word, ok := k.slotFor(hash, shift)
	if !ok {
		return 0, false
	}
	was := slot.Load()
	if was>>16 != word>>16 || was == 0 {
		return 0, false
	}
	since := (k.clock.Load()>>shift - was) & (evictedMark - 1)
	return was & evictedMark, since <= within>>shift && slot.CompareAndSwap(was, 0)
}

const (
	drainBatch    = 64  // chunks that are emptied while a class is locked
	drainPasses   = 16  // over a page, before what cannot be evicted is waited for no longer
	drainPages    = 4   // pages of a class that are tried
	drainLooks    = 16  // pages of all classes that are tried
	rebalanceStep = 128 // chunks that are emptied by one Alloc for the sake of balance
)

// move is the page that is being taken from a class. There is one at a time. Its lock is taken between stripe and class.
type move struct {
	mu        rankedMutex
	active    atomic.Bool // read without the lock, too
	from      *class
	to        *class // gets the page; nil: the pool
	unclaimed bool   // nobody waits for the page: the system may have it
	number    uint32 // of the page
	cursor    uint32 // the next chunk of it
	passes    int
	filled    uint32 // pages' worth that classes evicted since their returns were halved
	done      bool   // the page is empty and not from's any more; under from's lock
}

// moveCounters count what becomes of the items of pages that are emptied, for statistics.
type moveCounters struct {
	pages     atomic.Uint64 // that were emptied
	evicted   atomic.Uint64 // items
	reclaimed atomic.Uint64 // items that were dead
	busy      atomic.Uint64 // times that a chunk could not be emptied
}

// emptyPageFor gets a page into the pool for c, which has nothing that could be evicted. It empties one of another class, of those with
// the most pages first, and the last page of a class only if that is idle, or lasts says so. It returns false if no page can be emptied.
func (s *Store) emptyPageFor(c *class, held *stripe, lasts bool) bool {
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

// tryPages calls try with the first pages, counted from the hand, of the class with the most of them, then of the next, until it returns true or
// drainLooks have been tried. It passes over the class but, which may be nil, and without lasts over the last page of a class that uses it. It
// reports whether try returned true.
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
		if !lasts && !s.canSpare(from) {
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

// canSpare reports whether a class can do without a page: it has more, or has not used it for long.
func (s *Store) canSpare(c *class) bool {
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

// startMove begins to empty the nth page of a class from the hand on, for the class to or for the pool. It returns false if there is no such
// page, or something in it is in use.
func (s *Store) startMove(from *class, nth uint32, to *class, unclaimed bool) bool {
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
	m.from, m.to, m.unclaimed, m.number, m.cursor, m.passes, m.done = from, to, unclaimed, number, 0, 0, false
	m.active.Store(true)
	from.dropPartial(s, number)
	p.draining = true
	if p.used == 0 {
		from.giveUp(s, number)
	}
	return true
}

// pinned reports whether a page has chunks that cannot be emptied now.
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

// finishMove empties the page to the end, and reports whether that was possible.
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
		runtime.Gosched() // others have a stripe that is needed
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

// Levels of SetAutomove.
const (
	AutomoveOff     = 0 // a class gets pages of another only when it has nothing that it could evict
	AutomoveCareful = 1 // also those of a class in which a page clearly serves fewer hits: the default
	AutomoveEager   = 2 // or fewer at all
)

// SetAutomove says how readily pages move to classes that evict.
func (s *Store) SetAutomove(level int) { s.automove.Store(int32(level)) }

// Automove is the level that SetAutomove set.
func (s *Store) Automove() int { return int(s.automove.Load()) }

// What Reassign says.
var (
	ErrMoving    = errors.New("store: a page is being moved already, or all are in use")
	ErrBadClass  = errors.New("store: no such class")
	ErrNoSpare   = errors.New("store: the class has no page to spare")
	ErrSameClass = errors.New("store: from a class to itself")
)

const (
	// AnyClass makes Reassign take the page of the class with the most of them.
	AnyClass = -1
	// NoClass stands for the pages that belong to no class.
	NoClass = 0
)

// Reassign begins to take a page from the class from, evicting what is in it, and to give it to the class to. Calls of Maintain go on
// with it, as long as that says that there is more to do. A class keeps its last page.
func (s *Store) Reassign(from, to int) error {
	switch {
	case from == to:
		return ErrSameClass
	case from < AnyClass || from >= len(s.classes) || to < NoClass || to >= len(s.classes):
		return ErrBadClass
	}
	var target *class
	if to != NoClass {
		target = &s.classes[to]
	}
	if from == NoClass {
		return s.assignFree(target)
	}
	m := &s.move
	if !m.mu.tryLock(rankMove) {
		return ErrMoving
	}
	defer m.mu.unlock()
	if m.active.Load() {
		return ErrMoving
	}
	source := s.source(from, to)
	if source == nil {
		return ErrNoSpare
	}
	for nth := range uint32(drainPages) {
		if s.startMove(source, nth, target, false) {
			return nil
		}
	}
	return ErrMoving
}

// source is the class to take a page from, nil if it has none to spare.
func (s *Store) source(from, to int) *class {
	var c *class
	if from == AnyClass {
		var tried [classesMax + 1]bool
		tried[to] = true
		c = s.largestClass(&tried)
	} else {
		c = &s.classes[from]
	}
	if c == nil {
		return nil
	}
	c.lock()
	defer c.unlock()
	if len(c.pages) < 2 {
		return nil
	}
	return c
}

// assignFree gives a class a page that belongs to none.
func (s *Store) assignFree(to *class) error {
	number, ok := s.pool.get()
	if !ok {
		return ErrNoSpare
	}
	to.lock()
	to.adopt(s, number)
	to.unlock()
	return nil
}
