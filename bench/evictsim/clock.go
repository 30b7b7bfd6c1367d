package evictsim

// clock is CLOCK with a count, as the store has it (store/evict.go): a hand goes over the places of the items, takes
// one use off each that has any, and evicts the first that has none; the new item takes its place, without a use.
//
// With probation, the hand passes by new items until a tenth of the room was stored after them; one not used by then is
// evicted. What comes back while its ghost is remembered, half as many as there is room, is not on probation.
type clock struct {
	objects
	remembers bool    // what comes back soon after it was evicted starts with one use
	probation bool    // new items are on probation
	places    []*node // node.stamp is the place
	hand      int
	queue     []*node // on probation, oldest first
	trial     list    // what node.in is on probation, and
	settled   list    // off it: no more than names
}

// patience is how many items in use the hand passes before it evicts one.
const patience = 64

func (c *clock) Insert(key uint32) {
	n, place := c.at(key), len(c.places)
	if c.len == c.room {
		place = c.evict()
		c.places[place] = n
	} else {
		c.places = append(c.places, n)
		c.len++
	}
	n.stamp, n.uses, n.in = uint32(place), 0, &c.settled
	switch {
	case c.remembers && c.revive(n, c.room):
		n.uses = 1
	case c.probation && !c.revive(n, c.room/2):
		n.in = &c.trial
		c.queue = append(c.queue, n)
	}
}

// evict frees the place of the first whose probation ends without a use, else of the first that the hand finds without.
func (c *clock) evict() int {
	for c.probation && len(c.queue) >= max(c.room/smallShare, 1) {
		n := c.queue[0]
		c.queue = c.queue[1:]
		if n.uses == 0 {
			n.in = nil
			c.bury(n)
			return int(n.stamp)
		}
		n.in = &c.settled
	}
	for passed := 0; ; {
		place := c.hand
		c.hand = (c.hand + 1) % c.room
		n := c.places[place]
		switch {
		case n.in != &c.settled:
		case n.uses > 0 && passed < patience:
			n.uses--
			passed++
		default:
			if n.in = nil; c.remembers {
				c.bury(n)
			}
			return place
		}
	}
}
