package evictsim

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
