package evictsim

// QuickDemotion is CLOCK with a probation: Yang, Qiu, Zhang, Yue, Rashmi, "FIFO can be better than LRU: the power of lazy promotion and
// quick demotion", HotOS 2023. A new item is on probation until a tenth of the room has been stored after it; if it was not used by then it
// is evicted, else the hand of the clock decides about it from then on. What comes back while its ghost is remembered is not on probation.
//
// It is made so that it fits a slab class, where an item cannot move: probation is a flag of the item and a queue of links beside the items, the hand
// goes over all places and passes by those on probation, and a hit does what it does with CLOCK.
type QuickDemotion struct {
	table   table    // node.stamp is the place, node.in one of the constants below
	places  []uint32 // keys
	used    int      // places that were filled, from the first on
	hand    int
	queue   []uint32 // keys on probation, oldest first
	settled int      // items that are not on probation
	write   int      // uses that were counted
	ghosts  *ghosts
}

// Values of node.in beside none.
const (
	onProbation = 1
	settled     = 2
)

// ghostShare is how many in a hundred places as many evicted objects are remembered.
const ghostShare = 50

// NewQuickDemotion makes a QuickDemotion without room.
func NewQuickDemotion() *QuickDemotion { return &QuickDemotion{ghosts: newGhosts()} }

// Len, Writes, Grow, Use and Insert are Policy's.
func (q *QuickDemotion) Len() int { return q.used }

func (q *QuickDemotion) Writes() int { return q.write }

func (q *QuickDemotion) Grow(n int) {
	q.places = append(q.places, make([]uint32, n)...)
	q.ghosts.room = uint32(len(q.places) * ghostShare / 100)
}

func (q *QuickDemotion) Use(key uint32) bool {
	n := q.table.at(key)
	if n.in == none {
		return false
	}
	if n.uses < clockMost {
		n.uses++
		q.write++
	}
	return true
}

func (q *QuickDemotion) Insert(key uint32) {
	place := q.used
	if q.used < len(q.places) {
		q.used++
	} else {
		place = q.evict()
	}
	q.places[place] = key
	n := q.table.at(key)
	n.stamp, n.uses = uint32(place), 0
	if q.ghosts.take(key) {
		n.in = settled
		q.settled++
		return
	}
	n.in = onProbation
	q.queue = append(q.queue, key)
}

// evict frees a place: that of the first whose probation ends without a use, or when the queue is short enough, that of the first which the
// hand finds without one.
func (q *QuickDemotion) evict() int {
	for len(q.queue) >= max(len(q.places)/smallShare, 1) || q.settled == 0 {
		key := q.queue[0]
		q.queue = q.queue[1:]
		n := q.table.at(key)
		if n.uses == 0 {
			n.in = none
			q.ghosts.add(key)
			return int(n.stamp)
		}
		n.in = settled
		q.settled++
	}
	return q.turn()
}

// turn moves the hand to the next victim.
func (q *QuickDemotion) turn() int {
	for passed := 0; ; {
		place := q.hand
		if q.hand++; q.hand == len(q.places) {
			q.hand = 0
		}
		n := q.table.at(q.places[place])
		switch {
		case n.in != settled:
		case n.uses > 0 && passed < clockPatience:
			n.uses--
			passed++
		default:
			n.in = none
			q.settled--
			return place
		}
	}
}

// ghosts remembers the objects that were evicted last, without what they held.
type ghosts struct {
	room  uint32
	added uint32   // evictions so far
	when  []uint32 // by key: which eviction it was, from 1; 0: not remembered
}

func newGhosts() *ghosts { return &ghosts{} }

// grow adds room for n objects.
func (g *ghosts) grow(n int) { g.room += uint32(n) }

func (g *ghosts) add(key uint32) {
	if n := int(key) + 1; n > len(g.when) {
		g.when = append(g.when, make([]uint32, max(n, 2*len(g.when))-len(g.when))...)
	}
	g.added++
	g.when[key] = g.added
}

// take forgets the object, and says whether it was remembered.
func (g *ghosts) take(key uint32) bool {
	if int(key) >= len(g.when) || g.when[key] == 0 {
		return false
	}
	remembered := g.added-g.when[key] < g.room
	g.when[key] = 0
	return remembered
}
