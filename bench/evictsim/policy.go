package evictsim

// Policy decides which objects stay in a cache that has room for a number of them. It starts without room: Grow comes first.
type Policy interface {
	Use(key uint32) bool // notes that the object was asked for, and says whether it is there
	Insert(key uint32)   // stores an object that is not there, and evicts another if there is no room
	Grow(n int)          // adds room for n objects
	Len() int            // objects that are there
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
	nodes             []node
	room, len, writes int
	evicted           uint32 // objects that became ghosts so far
}

// node is what a policy keeps of an object, whether it is cached or not.
type node struct {
	newer, older uint32 // neighbours in its list, as key+1; 0: none
	in           *list  // nil: it is not cached
	uses         uint8  // or flags
	stamp        uint32 // a time, or a place
	ghost        uint32 // which eviction it was, from 1; 0: it is not remembered
}

// list is an order of objects. An object is in one list at most.
type list struct {
	newest, oldest uint32 // as key+1; 0: none
	len            int
}

// usesMost is how many uses of an object are counted: two bits.
const usesMost = 3

func (o *objects) Len() int            { return o.len }
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

// at returns the node of an object, which is good until at is called for another one.
func (o *objects) at(key uint32) *node {
	if n := len(o.nodes); int(key) >= n {
		o.nodes = append(o.nodes, make([]node, max(n, int(key)+1-n, 1<<10))...)
	}
	return &o.nodes[key]
}

// push puts an object into a list as the newest one.
func (o *objects) push(l *list, key uint32) {
	n := o.at(key)
	n.in, n.newer, n.older = l, 0, l.newest
	*o.link(l.newest, false, &l.oldest) = key + 1
	l.newest = key + 1
	l.len++
	o.len++
}

// remove takes an object out of its list.
func (o *objects) remove(key uint32) {
	n := o.at(key)
	l := n.in
	*o.link(n.newer, true, &l.newest) = n.older
	*o.link(n.older, false, &l.oldest) = n.newer
	n.in = nil
	l.len--
	o.len--
}

// link is the link to the older or newer neighbour in the object at, a key+1, or the end of the list if that is none.
func (o *objects) link(at uint32, older bool, end *uint32) *uint32 {
	switch {
	case at == 0:
		return end
	case older:
		return &o.nodes[at-1].older
	}
	return &o.nodes[at-1].newer
}

// pop takes the oldest object out of a list that is not empty.
func (o *objects) pop(l *list) uint32 {
	key := l.oldest - 1
	o.remove(key)
	return key
}

// move makes an object the newest of a list.
func (o *objects) move(l *list, key uint32) {
	o.remove(key)
	o.push(l, key)
}

// bury makes an object that was evicted a ghost.
func (o *objects) bury(key uint32) {
	o.evicted++
	o.at(key).ghost = o.evicted
}

// revive forgets the ghost of an object, and says whether it was among the last room of them.
func (o *objects) revive(key uint32, room int) bool {
	n := o.at(key)
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
	there := l.at(key).in != nil
	if there && l.list.newest != key+1 {
		l.move(&l.list, key)
		l.writes++
	}
	return there
}

func (l *lru) Insert(key uint32) {
	if l.len >= l.room {
		l.pop(&l.list)
	}
	l.push(&l.list, key)
}

// sieve keeps items in the order in which they came; a hit marks an item. A hand goes from the oldest to the newest, unmarks those that are marked and
// evicts the first that is not, so that marked items stay where they are and new ones are looked at soon.
type sieve struct {
	objects
	list list
	hand uint32 // key+1 of the item to look at next; 0: the oldest
}

func (s *sieve) Use(key uint32) bool { return s.count(key, 1) }

func (s *sieve) Insert(key uint32) {
	for s.len >= s.room {
		if s.hand == 0 {
			s.hand = s.list.oldest
		}
		at := s.hand - 1
		n := s.at(at)
		if s.hand = n.newer; n.uses == 0 {
			s.remove(at)
		}
		n.uses = 0
	}
	s.at(key).uses = 0
	s.push(&s.list, key)
}

// s3fifo has a small queue of 10 % of the room for new items. From its end they go to the main queue if they were used more than once, else out; what was
// evicted there and comes back while its ghost is remembered goes to the main queue at once. There, an item with uses is put in front again with one use
// less. It remembers as many ghosts as the main queue has room for.
type s3fifo struct {
	objects
	small, main list
}

// smallShare and promoteAt: the small queue has one part of this many, and so many uses there make an item stay.
const smallShare, promoteAt = 10, 2

func (s *s3fifo) mainRoom() int { return s.room - max(s.room/smallShare, 1) }

func (s *s3fifo) Insert(key uint32) {
	for s.len >= s.room {
		if s.small.len >= s.room-s.mainRoom() || s.main.len == 0 {
			s.evictSmall()
		} else {
			s.evictMain()
		}
	}
	s.at(key).uses = 0
	if s.revive(key, s.mainRoom()) {
		s.push(&s.main, key)
	} else {
		s.push(&s.small, key)
	}
}

// evictSmall evicts from the small queue. What is to stay goes to the main queue, and makes room there if that is full.
func (s *s3fifo) evictSmall() {
	for s.small.len > 0 {
		key := s.pop(&s.small)
		n := s.at(key)
		if n.uses < promoteAt {
			s.bury(key)
			return
		}
		n.uses = 0
		if s.push(&s.main, key); s.main.len > s.mainRoom() {
			s.evictMain()
			return
		}
	}
}

func (s *s3fifo) evictMain() {
	for s.main.len > 0 {
		key := s.main.oldest - 1
		n := s.at(key)
		if n.uses == 0 {
			s.remove(key)
			return
		}
		n.uses--
		s.move(&s.main, key)
	}
}
