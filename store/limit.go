package store

import (
	"fmt"
	"time"
)

// makePages puts the pages of the limit into the pool.
func (s *Store) makePages() {
	s.base = s.itemMemory.base()
	s.pages = make([]page, s.config.pagesMax())
	s.pool.resize(uint32(s.config.pages()))
	s.limit.Store(s.config.Limit)
}

// itemBytes is the size of the mapping for so many pages.
func itemBytes(pages int) int64 { return int64(pages)*PageSize + beyond }

// Limit is the memory for items, in bytes: Config.Limit, or what SetLimit said last.
func (s *Store) Limit() int64 { return s.limit.Load() }

// LimitMax is how far SetLimit can raise the limit: Config.LimitMax, or less where there is less address space.
func (s *Store) LimitMax() int64 { return int64(len(s.pages)) * PageSize }

// SetLimit changes the memory for items, with the same bounds as Config.Limit; up to Config.LimitMax. More can be had at once. Of less, what
// no item uses is taken away at once, and the rest by calls of Maintain, which evict what is in it. An error says what is wrong with
// the limit, and nothing was changed then.
func (s *Store) SetLimit(bytes int64) error {
	config := s.config
	config.Limit = bytes
	if err := config.Validate(); err != nil {
		return err
	}
	pages := config.pages()
	if pages > len(s.pages) {
		return fmt.Errorf("address space was reserved for %d megabytes at the start", len(s.pages)*PageSize>>20)
	}
	s.limitMu.Lock()
	defer s.limitMu.Unlock()
	if err := s.itemMemory.grow(itemBytes(pages)); err != nil {
		return err
	}
	if err := s.growIndex(pages); err != nil {
		return err
	}
	if s.file != nil && bytes > s.Limit() {
		if err := s.file.reserve(); err != nil {
			return err
		}
		s.pool.unretire()
	}
	s.pool.resize(uint32(pages))
	s.limit.Store(bytes)
	return nil
}

const (
	maintainChunks = 512 // chunks that are emptied by one Maintain
	maintainPages  = 16  // pages that it gives back to the system

	maintainPause = time.Millisecond
	pinnedPause   = 50 * time.Millisecond // when nothing can be emptied
	emptyPause    = time.Second           // when nothing may be evicted, and pages go as they become empty
)

// Maintain goes on, for a slice of about a millisecond, with what SetLimit and Reassign began. It says whether there is more to do, and how
// long to wait before the next slice, so that others get at the classes and at the processor.
func (s *Store) Maintain() (pause time.Duration, more bool) {
	more = s.retireSurplus()
	pause = maintainPause
	owes := s.pool.owes()
	m := &s.move
	switch {
	case m.active.Load():
	case !owes:
		return pause, more
	case s.config.NoEvict:
		return emptyPause, true
	}
	m.mu.lock(rankMove)
	if !m.active.Load() && owes && !s.config.NoEvict && !s.startSpareMove() {
		pause = pinnedPause
	}
	for n := 0; n < maintainChunks && m.active.Load(); n += drainBatch {
		s.stepMove(drainBatch, nil)
	}
	m.mu.unlock()
	return pause, true
}

// startSpareMove begins to empty a page of the class that has most of them, or of the next that can spare one now.
func (s *Store) startSpareMove() bool {
	return s.tryPages(nil, true, func(from *class, nth uint32) bool { return s.startMove(from, nth, nil, true) })
}

// retireSurplus gives memory above the limit back to the system. It says whether there may be more.
func (s *Store) retireSurplus() (more bool) {
	s.limitMu.Lock()
	defer s.limitMu.Unlock()
	for range maintainPages {
		number, ok := s.pool.nextSurplus()
		if !ok {
			return false
		}
		// If it fails the page takes memory that it should not, which is all that there is to it.
		_ = s.itemMemory.giveBack(int64(number)*PageSize, PageSize)
		s.pool.retire(number)
	}
	return true
}
