package evictsim

// Segmented is memcached's segmented LRU (doc/new_lru.txt of its sources, since 1.5 the default): HOT for new items, WARM for those that were used
// more than once, COLD for the rest, from whose end is evicted. HOT holds at most 20 % of the items and WARM 40 %; an item that reaches the end of
// either goes to COLD, unless it was used meanwhile. One that is used for the second time in COLD goes to WARM.
//
// The server moves items in a thread that looks now and then. Here it has always just looked, which is the best that it can do.
type Segmented struct {
	table           table
	hot, warm, cold list
	room            int
	now             uint32 // requests so far
	write           int    // uses that set a flag
}

// memcached's defaults.
const (
	hotPercent    = 20
	warmPercent   = 40
	hotMaxFactor  = 0.2 // times the age of COLD's end: the greatest age of HOT's end
	warmMaxFactor = 2.0
)

// Flags in node.uses; node.stamp is the time of the last use that was noted.
const (
	fetched = 1 << iota // used since it was stored
	active              // and once more since it came to where it is
)

// NewSegmented makes a Segmented without room.
func NewSegmented() *Segmented {
	return &Segmented{hot: list{number: 1}, warm: list{number: 2}, cold: list{number: 3}}
}

// Len, Writes, Grow, Use and Insert are Policy's.
func (s *Segmented) Len() int { return s.hot.len + s.warm.len + s.cold.len }

func (s *Segmented) Writes() int { return s.write }

func (s *Segmented) Grow(n int) { s.room += n }

func (s *Segmented) Use(key uint32) bool {
	s.now++
	n := s.table.at(key)
	switch {
	case n.in == none:
		return false
	case n.uses&active != 0:
		return true
	}
	s.write++
	switch {
	case n.uses&fetched == 0:
		n.uses |= fetched
	case n.in == s.cold.number:
		n.stamp = s.now
		s.cold.remove(&s.table, key)
		s.warm.pushNewest(&s.table, key)
		s.maintain()
	default:
		n.uses |= active
		n.stamp = s.now
	}
	return true
}

func (s *Segmented) Insert(key uint32) {
	if s.Len() >= s.room {
		if s.cold.len == 0 {
			s.age(&s.hot, -1, 0)
		}
		if s.cold.len == 0 {
			s.age(&s.warm, -1, 0)
		}
		s.cold.popOldest(&s.table)
	}
	n := s.table.at(key)
	n.uses, n.stamp = 0, s.now
	s.hot.pushNewest(&s.table, key)
	s.maintain()
}

// maintain does what memcached's thread does, until there is nothing to do.
func (s *Segmented) maintain() {
	var oldest float64
	if s.cold.len > 0 {
		oldest = float64(s.now - s.table.at(s.cold.oldest-1).stamp)
	}
	total := s.Len()
	for s.age(&s.hot, total*hotPercent/100, oldest*hotMaxFactor) {
	}
	for s.age(&s.warm, total*warmPercent/100, oldest*warmMaxFactor) {
	}
}

// age looks at the end of HOT or WARM: an item in use goes to WARM's beginning, another to COLD if the list is longer than most, or the item was idle
// for longer than oldest. It says whether something moved.
func (s *Segmented) age(l *list, most int, oldest float64) bool {
	if l.len == 0 {
		return false
	}
	key := l.oldest - 1
	n := s.table.at(key)
	switch {
	case n.uses&active != 0:
		n.uses &^= active
		l.remove(&s.table, key)
		s.warm.pushNewest(&s.table, key)
	case l.len > most || float64(s.now-n.stamp) > oldest:
		l.remove(&s.table, key)
		s.cold.pushNewest(&s.table, key)
	default:
		return false
	}
	return true
}
