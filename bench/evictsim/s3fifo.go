package evictsim

// S3FIFO is S3-FIFO: Yang, Zhang, Qiu, Yue, Rashmi, "FIFO queues are all you need for cache eviction", SOSP 2023. New items go to a small
// queue of 10 % of the room, and from its end to the main queue if they were used more than once, else out; what was evicted there and
// comes back soon, while its ghost is remembered, goes to the main queue at once. There, an item with uses is put in front again with one
// use less.
type S3FIFO struct {
	table       table
	small, main list
	ghosts      *ghosts // as many as the main queue has room for
	room        int
	write       int // uses that were counted
}

const (
	smallShare = 10 // the small queue's part of the room is one part of this many
	s3Most     = 3  // uses that are counted
	promoteAt  = 2  // uses in the small queue that make an item stay
)

// NewS3FIFO makes an S3FIFO without room.
func NewS3FIFO() *S3FIFO {
	return &S3FIFO{small: list{number: 1}, main: list{number: 2}, ghosts: newGhosts()}
}

// Len, Writes, Grow, Use and Insert are Policy's.
func (s *S3FIFO) Len() int { return s.small.len + s.main.len }

func (s *S3FIFO) Writes() int { return s.write }

func (s *S3FIFO) Grow(n int) {
	s.room += n
	s.ghosts.room = uint32(s.room - s.smallRoom())
}

func (s *S3FIFO) smallRoom() int { return max(s.room/smallShare, 1) }

func (s *S3FIFO) Use(key uint32) bool {
	n := s.table.at(key)
	if n.in == none {
		return false
	}
	if n.uses < s3Most {
		n.uses++
		s.write++
	}
	return true
}

func (s *S3FIFO) Insert(key uint32) {
	for s.Len() >= s.room {
		if s.small.len >= s.smallRoom() || s.main.len == 0 {
			s.evictSmall()
		} else {
			s.evictMain()
		}
	}
	s.table.at(key).uses = 0
	if s.ghosts.take(key) {
		s.main.pushNewest(&s.table, key)
	} else {
		s.small.pushNewest(&s.table, key)
	}
}

// evictSmall evicts from the small queue. What is to stay goes to the main queue, and makes room there if that is full.
func (s *S3FIFO) evictSmall() {
	for s.small.len > 0 {
		key := s.small.popOldest(&s.table)
		n := s.table.at(key)
		if n.uses < promoteAt {
			s.ghosts.add(key)
			return
		}
		n.uses = 0
		s.main.pushNewest(&s.table, key)
		if s.main.len > s.room-s.smallRoom() {
			s.evictMain()
			return
		}
	}
}

// evictMain evicts from the main queue.
func (s *S3FIFO) evictMain() {
	for s.main.len > 0 {
		key := s.main.popOldest(&s.table)
		n := s.table.at(key)
		if n.uses == 0 {
			return
		}
		n.uses--
		s.main.pushNewest(&s.table, key)
	}
}
