package evictsim

// ClockOptions are the variants of CLOCK.
type ClockOptions struct {
	Most   uint8 // uses that are counted for an item; 0: as the store does, 3
	Ghosts bool  // what comes back soon after it was evicted starts with one use
}

// Clock is CLOCK with a count: Corbató, "A paging experiment with the Multics system" (1968), generalised as in Smith, "Sequentiality and
// prefetching in database systems", ACM TODS 3 (1978). It is as ringcached's store has it (store/evict.go): a hand goes over the places of
// the items in the order of memory, takes one use off each that has any, and evicts the first that has none; the new item takes its place,
// just behind the hand. New items start with no use, a hit adds one up to three. When the hand has taken uses off 64 items it evicts the
// next, whatever its uses.
type Clock struct {
	table  table    // node.stamp is the place, node.in 1 if it has one
	places []uint32 // keys
	used   int      // places that were filled, from the first on
	hand   int
	most   uint8
	write  int // uses that were counted
	ghosts *ghosts
}

// clockMost is how many uses of an item are counted.
const clockMost = 3

// clockPatience is how many items in use the hand passes before it evicts one.
const clockPatience = 64

// NewClock makes a Clock without room.
func NewClock(o ClockOptions) *Clock {
	c := &Clock{most: clockMost}
	if o.Most > 0 {
		c.most = o.Most
	}
	if o.Ghosts {
		c.ghosts = newGhosts()
	}
	return c
}

// Len, Writes, Grow, Use and Insert are Policy's.
func (c *Clock) Len() int { return c.used }

func (c *Clock) Writes() int { return c.write }

func (c *Clock) Grow(n int) {
	c.places = append(c.places, make([]uint32, n)...)
	if c.ghosts != nil {
		c.ghosts.grow(n)
	}
}

func (c *Clock) Use(key uint32) bool {
	n := c.table.at(key)
	if n.in == none {
		return false
	}
	if n.uses < c.most {
		n.uses++
		c.write++
	}
	return true
}

func (c *Clock) Insert(key uint32) {
	place := c.used
	if c.used < len(c.places) {
		c.used++
	} else {
		place = c.evict()
	}
	c.places[place] = key
	n := c.table.at(key)
	n.in, n.uses = 1, 0
	if c.ghosts != nil && c.ghosts.take(key) {
		n.uses = 1
	}
}

// evict frees a place, and leaves the hand behind it.
func (c *Clock) evict() int {
	for passed := 0; ; passed++ {
		place := c.hand
		if c.hand++; c.hand == len(c.places) {
			c.hand = 0
		}
		key := c.places[place]
		n := c.table.at(key)
		if n.uses > 0 && passed < clockPatience {
			n.uses--
			continue
		}
		n.in = none
		if c.ghosts != nil {
			c.ghosts.add(key)
		}
		return place
	}
}
