package evictsim

// Sieve is SIEVE: Zhang, Yang, Yue, Vigfusson, Rashmi, "SIEVE is simpler than LRU: an efficient turn-key eviction algorithm for web
// caches", NSDI 2024. Items stay in the order in which they came; a hit marks an item. A hand goes from the oldest to the newest, unmarks
// those that are marked and evicts the first that is not, so that marked items stay where they are and new ones are looked at soon.
type Sieve struct {
	table table
	list  list
	hand  uint32 // key+1 of the item to look at next; 0: the oldest
	room  int
	write int // uses that marked an item
}

// NewSieve makes a Sieve without room.
func NewSieve() *Sieve { return &Sieve{list: list{number: 1}} }

// Len, Writes, Grow, Use and Insert are Policy's.
func (s *Sieve) Len() int { return s.list.len }

func (s *Sieve) Writes() int { return s.write }

func (s *Sieve) Grow(n int) { s.room += n }

func (s *Sieve) Use(key uint32) bool {
	n := s.table.at(key)
	if n.in == none {
		return false
	}
	if n.uses == 0 {
		n.uses = 1
		s.write++
	}
	return true
}

func (s *Sieve) Insert(key uint32) {
	if s.list.len >= s.room {
		s.evict()
	}
	s.table.at(key).uses = 0
	s.list.pushNewest(&s.table, key)
}

func (s *Sieve) evict() {
	for {
		if s.hand == 0 {
			s.hand = s.list.oldest
		}
		key := s.hand - 1
		n := s.table.at(key)
		s.hand = n.newer
		if n.uses == 0 {
			s.list.remove(&s.table, key)
			return
		}
		n.uses = 0
	}
}
