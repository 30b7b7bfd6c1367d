package store

import "math"

const (
	sampledChunks = 64 // of a page that may be taken
	sureReturns   = 32 // returned items that may be chance
	balanceLeast  = 32 // evictions of a class between two looks at others

	// Ages are known to within accessStep: an item is idle if it was not used for twice the age of what another class evicts, and this.
	colderBy = 2 * accessStep
)

// rebalance is called by an Alloc of c now and then, while c evicts: it takes a page from the class in which it is worth least and gives it to
// c, if that makes more of it, bit by bit.
//
// What one page more is worth to a class is known from its shadow (shadow.go): the items that came back so soon that they would still have been
// there. One page less costs a class about as many hits, and once those items of the page that are in use. So c gets the page when its returns
// are more than twice those of the other class since the last move of either, and what is lost once. A move that was wrong has then cost
// no more than waiting for it had. If nothing comes back, c still gets memory that has been idle for long: it may need more than a page to
// have any hits.
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
	if m.active.Load() && !m.spare {
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
	s.forgetReturns()
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

// forgetReturns halves what the classes have for returns each time that as many pages were filled anew as the store has.
func (s *Store) forgetReturns() {
	m := &s.move
	if m.filled++; m.filled < 3*s.pool.pages() {
		return
	}
	m.filled = 0
	for i := range s.classes[1:] {
		s.classes[i+1].shadow.forget()
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
