package evictsim

// Policy decides which objects stay in a cache that has room for a number of them, at first for none: Grow comes first.
type Policy interface {
	Use(key uint32) bool // notes that the object was asked for, and says whether it is there
	Insert(key uint32)   // stores an object that is not there, and evicts another if there is no room
	Grow(n int)          // adds room for n objects
	Free() int           // objects that there is room for beside those that are there
	Writes() int         // uses so far that wrote to memory which all cores would share
}

// Kind is a policy as the study lists it.
type Kind struct {
	Name, Writes string // Writes: what a hit writes to memory that all cores share
	New          func() Policy
}

// Kinds lists the policies of the study. The last one is that of ringcached's store.
func Kinds() []Kind {
	const two = "2 bits of the item, nothing when they are full"
	return []Kind{
		{"LRU", "up to 6 links of 4 items, under a lock of the list", func() Policy { return new(lru) }},
		{"segmented LRU", "1 flag; later, by another thread, links as with LRU", func() Policy { return new(segmented) }},
		{"CLOCK, 2 bits", two, func() Policy { return new(clock) }},
		{"CLOCK, 2 bits, ghosts", two, func() Policy { return &clock{remembers: true} }},
		{"SIEVE", "1 bit of the item, nothing when it is set", func() Policy { return new(sieve) }},
		{"S3-FIFO", two, func() Policy { return new(s3fifo) }},
		{"CLOCK, probation", two, func() Policy { return &clock{probation: true} }},
	}
}

// objects is what all policies have: the objects by number, from 0, and how many of them the cache holds.
type objects struct {
	nodes             []*node
	room, len, writes int
	evicted           uint32 // objects that became ghosts so far
}

// node is what a policy keeps of an object, whether it is cached or not.
type node struct {
	in           *list // that it is in, at most one; nil: it is not cached
	older, newer *node // its neighbours there; the list's end is that of both ends
	key          uint32
	stamp        uint32 // a time, or a place
	ghost        uint32 // which eviction it was, from 1; 0: it is not remembered
	uses         uint8  // or flags
}

// list is an order of objects, a ring with an end: older than that is the newest, newer the oldest.
type list struct {
	end node
	len int
}

// usesMost is how many uses of an object are counted: two bits.
const usesMost = 3

func (o *objects) Free() int           { return o.room - o.len }
func (o *objects) Writes() int         { return o.writes }
func (o *objects) Grow(n int)          { o.room += n }
func (o *objects) Use(key uint32) bool { return o.count(key, usesMost) }

// count counts a use of an object that is there, most of them.
func (o *objects) count(key uint32, most uint8) bool {
	n := o.at(key)
	if n.in != nil && n.uses < most {
		n.uses++
		o.writes++
	}
	return n.in != nil
}

func (o *objects) at(key uint32) *node {
	for int(key) >= len(o.nodes) {
		block := make([]node, max(len(o.nodes), 1<<10))
		for i := range block {
			block[i].key = uint32(len(o.nodes))
			o.nodes = append(o.nodes, &block[i])
		}
	}
	return o.nodes[key]
}

// push makes an object the newest of a list.
func (o *objects) push(l *list, n *node) {
	if l.end.older == nil {
		l.end.older, l.end.newer = &l.end, &l.end
	}
	n.in, n.older, n.newer = l, l.end.older, &l.end
	n.older.newer, l.end.older = n, n
	l.len++
	o.len++
}

func (o *objects) remove(n *node) {
	n.older.newer, n.newer.older = n.newer, n.older
	n.in.len--
	n.in = nil
	o.len--
}

// move makes an object the newest of a list that was in one.
func (o *objects) move(l *list, n *node) {
	o.remove(n)
	o.push(l, n)
}

// oldest is that of a list that is not empty.
func (l *list) oldest() *node { return l.end.newer }

// bury makes an object that was evicted a ghost.
func (o *objects) bury(n *node) {
	o.evicted++
	n.ghost = o.evicted
}

// revive forgets the ghost of an object, and says whether it was among the last room of them.
func (o *objects) revive(n *node, room int) bool {
	there := n.ghost > 0 && int(o.evicted-n.ghost) < room
	n.ghost = 0
	return there
}

// lru evicts what was not used for longest. Every hit moves the item to the front of a list that all cores share.
type lru struct {
	objects
	list list
}

func (l *lru) Use(key uint32) bool {
	n := l.at(key)
	if n.in != nil && l.list.end.older != n {
		l.move(&l.list, n)
		l.writes++
	}
	return n.in != nil
}

func (l *lru) Insert(key uint32) {
	if l.len >= l.room {
		l.remove(l.list.oldest())
	}
	l.push(&l.list, l.at(key))
}

// sieve keeps items in the order in which they came; a hit marks an item. A hand goes from the oldest to the newest,
// unmarks those that are marked and evicts the first that is not, so that new ones are looked at soon.
type sieve struct {
	objects
	list list
	hand *node // the item to look at next; nil or the list's end: the oldest
}

func (s *sieve) Use(key uint32) bool { return s.count(key, 1) }

func (s *sieve) Insert(key uint32) {
	for s.len >= s.room {
		if s.hand == nil || s.hand == &s.list.end {
			s.hand = s.list.oldest()
		}
		n := s.hand
		if s.hand = n.newer; n.uses == 0 {
			s.remove(n)
		}
		n.uses = 0
	}
	s.push(&s.list, s.at(key))
}

// s3fifo has a small queue of 10 % of the room for new items. From its end they go to the main queue if they were used
// more than once, else out; what was evicted there and comes back while its ghost is remembered goes to the main queue.
// There, an item with uses is put in front again with one use less. As many ghosts are remembered as it has room for.
type s3fifo struct {
	objects
	small, main list
}

// smallShare and promoteAt: the small queue has one part of this many, and so many uses there make an item stay.
const smallShare, promoteAt = 10, 2

func (s *s3fifo) Insert(key uint32) {
	small := max(s.room/smallShare, 1)
	for s.len >= s.room {
		if s.small.len < small && s.main.len > 0 {
			s.evictMain()
			continue
		}
		n := s.small.oldest()
		if n.uses < promoteAt {
			s.remove(n)
			s.bury(n)
			break
		}
		n.uses = 0 // it stays, and makes room where it goes if that is full
		if s.move(&s.main, n); s.main.len > s.room-small {
			s.evictMain()
		}
	}
	n := s.at(key)
	n.uses = 0
	if s.revive(n, s.room-small) {
		s.push(&s.main, n)
	} else {
		s.push(&s.small, n)
	}
}

func (s *s3fifo) evictMain() {
	for n := s.main.oldest(); ; n = s.main.oldest() {
		if n.uses == 0 {
			s.remove(n)
			return
		}
		n.uses--
		s.move(&s.main, n)
	}
}
