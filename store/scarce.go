package store

import (
	"sync/atomic"
	"time"
)

// scarceRest is how long after an Alloc that failed, for all that could be tried, others of that size and above try only what is cheap: a store
// in which everything is held by clients would do little else than look for memory that is not there.
const scarceRest = 20 * time.Millisecond

// scarcity is when Allocs failed last, by class, in nanoseconds since start. 0: never.
type scarcity struct {
	start  time.Time
	failed [classesMax + 1]atomic.Int64
}

// scarce notes that there was no memory for size bytes.
func (s *Store) scarce(size int) {
	s.scarcity.failed[s.classFor(min(size, ChunkMax)).id].Store(int64(time.Since(s.scarcity.start)))
}

// scarceLately says that there was none a moment ago, for so many bytes or fewer.
func (s *Store) scarceLately(size int) bool {
	if s.config.NoEvict {
		return false // that costs little
	}
	now := int64(time.Since(s.scarcity.start))
	for id := s.classFor(min(size, ChunkMax)).id; id > 0; id-- {
		if at := s.scarcity.failed[id].Load(); at != 0 && now-at < int64(scarceRest) {
			return true
		}
	}
	return false
}

// noMemory counts that there was none for size bytes.
func (s *Store) noMemory(size int) error {
	c := s.classFor(min(size, ChunkMax))
	c.lock()
	c.counters.outOfMemory++
	c.unlock()
	return ErrNoMemory
}
