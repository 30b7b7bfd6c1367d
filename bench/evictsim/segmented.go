package evictsim

// segmented is memcached's segmented LRU (doc/new_lru.txt of its sources): HOT for new items, WARM for those that were
// used more than once, COLD for the rest, from whose end is evicted. HOT holds at most 20 % of the items and WARM 40 %;
// an item that reaches the end of either goes to COLD, unless it was used meanwhile. One that is used for the second
// time in COLD goes to WARM. The server's thread for that looks now and then, here it has always just looked.
type segmented struct {
	objects
	hot, warm, cold list
	now             uint32 // requests so far; node.stamp is when the last use was noted
}

// memcached's defaults: parts of the items in percent, and the greatest age of an end, in those of COLD's.
const (
	hotPercent, warmPercent = 20, 40
	hotAge, warmAge         = 0.2, 2.0
)

// Flags in node.uses.
const (
	fetched = 1 << iota // used since it was stored
	active              // and once more since it came to where it is
)

func (s *segmented) Use(key uint32) bool {
	s.now++
	n := s.at(key)
	if n.in == nil || n.uses&active != 0 {
		return n.in != nil
	}
	s.writes++
	if n.uses&fetched == 0 {
		n.uses |= fetched
		return true
	}
	n.stamp = s.now
	if n.in == &s.cold {
		s.move(&s.warm, n)
		s.maintain()
	} else {
		n.uses |= active
	}
	return true
}

func (s *segmented) Insert(key uint32) {
	if s.len >= s.room {
		for _, l := range []*list{&s.hot, &s.warm} {
			if s.cold.len == 0 {
				s.age(l, -1, 0)
			}
		}
		s.remove(s.cold.oldest())
	}
	n := s.at(key)
	n.uses, n.stamp = 0, s.now
	s.push(&s.hot, n)
	s.maintain()
}

// maintain does what memcached's thread does, until there is nothing to do.
func (s *segmented) maintain() {
	var coldest float64
	if s.cold.len > 0 {
		coldest = float64(s.now - s.cold.oldest().stamp)
	}
	for s.age(&s.hot, s.len*hotPercent/100, coldest*hotAge) {
	}
	for s.age(&s.warm, s.len*warmPercent/100, coldest*warmAge) {
	}
}

// age looks at the end of HOT or WARM: an item in use goes to WARM's beginning, another to COLD if the list is longer
// than most, or the item was idle for longer than limit. It says whether something moved.
func (s *segmented) age(l *list, most int, limit float64) bool {
	if l.len == 0 {
		return false
	}
	n := l.oldest()
	switch {
	case n.uses&active != 0:
		n.uses &^= active
		s.move(&s.warm, n)
	case l.len > most || float64(s.now-n.stamp) > limit:
		s.move(&s.cold, n)
	default:
		return false
	}
	return true
}
