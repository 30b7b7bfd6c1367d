package store

import (
	"fmt"
	"time"
)

// makePages puts the pages of the limit into the pool.
func (s *Store) makePages() {
	s.base = s.itemMemory.base()
	s.pages = make([]page, s.config.pagesMax())
	s.pool.unit = 1
	if s.file != nil {
		s.pool.reserves, s.pool.unit = true, s.file.unit()
	}
	s.pool.resize(uint32(s.config.pages()))
	s.limit.Store(s.config.Limit)
}

// itemBytes is the size of the mapping for so many pages.
func itemBytes(pages int) int64 { return int64(pages)*PageSize + beyond }

// Limit is the memory for items, in bytes: Config.Limit, or what SetLimit said last.
func (s *Store) Limit() int64 { return s.limit.Load() }

// ItemMax is Config.ItemMax.
func (s *Store) ItemMax() int { return s.config.ItemMax }

// LimitMax is how far SetLimit can raise the limit: Config.LimitMax, or less where there is less address space.
func (s *Store) LimitMax() int64 { return int64(len(s.pages)) * PageSize }

// SetLimit changes the memory for items, with the same bounds as Config.Limit; up to Config.LimitMax. More can be had at once, but for pages of
// Config.File whose memory was given back: calls of Maintain reserve it, and if the file system has no more, lower the limit to what there is
// (see OnLimitCut). Of less, what no item uses is taken away at once, and the rest by calls of Maintain, which evict what is in it. An error
// says what is wrong with the limit, and nothing was changed then.
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
	s.pool.resize(uint32(pages))
	s.limit.Store(bytes)
	return nil
}

const (
	maintainChunks = 512 // chunks that are emptied by one Maintain
	maintainPages  = 16  // pages that it gives back to the system, or reserves

	maintainPause = time.Millisecond
	pinnedPause   = 50 * time.Millisecond // when nothing can be emptied
	emptyPause    = time.Second           // when nothing may be evicted, and pages go as they become empty
)

// Maintain goes on, for a slice of about a millisecond, with what SetLimit and Reassign began. It says whether there is more to do, and how
// long to wait before the next slice, so that others get at the classes and at the processor.
func (s *Store) Maintain() (pause time.Duration, more bool) {
	more = s.changePages()
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

// changePages gives memory above the limit back to the system, and reserves what is below it, for about a millisecond. It says whether there may
// be more. The system calls may be slow, where a file system waits for its disk, so no lock is held meanwhile.
func (s *Store) changePages() (more bool) {
	begin := time.Now()
	for range maintainPages {
		if !s.reservePage() && !s.retirePage() {
			return false
		}
		if time.Since(begin) >= maintainPause {
			break
		}
	}
	return true
}

// retirePage gives the memory of a page above the limit, or of a unit of them, back to the system, if there is one.
func (s *Store) retirePage() bool {
	first, ok := s.pool.nextSurplus()
	if ok {
		s.giveBackUnit(first)
		s.pool.retire(first)
	}
	return ok
}

// giveBackUnit may fail: then pages take memory that they should not, which is all that there is to it.
func (s *Store) giveBackUnit(first uint32) {
	_ = s.itemMemory.giveBack(int64(first)*PageSize, int64(s.pool.unit)*PageSize)
}

// reservePage reserves memory for a page that the limit has room for, or for a unit of them, if there is one that lacks it.
func (s *Store) reservePage() bool {
	first, ok := s.pool.nextLacking()
	if !ok {
		return false
	}
	if err := s.file.reserve(int64(first)*PageSize, int64(s.pool.unit)*PageSize); err != nil {
		s.giveBackUnit(first) // what could be had
		s.cutLimit(first, err)
	} else {
		s.pool.reserved(first)
	}
	return true
}

// cutLimit lowers the limit to what there is, since no memory can be had for a unit of pages.
func (s *Store) cutLimit(first uint32, why error) {
	s.limitMu.Lock()
	missing, pages := s.pool.unreserved(first)
	if missing > 0 {
		s.limit.Store(int64(pages) * PageSize)
		s.limitCuts.Add(1)
	}
	s.limitMu.Unlock()
	if tell := s.onLimitCut.Load(); tell != nil && missing > 0 {
		(*tell)(int64(pages)*PageSize, int64(missing)*PageSize, why)
	}
}

// OnLimitCut makes f be called when the limit that SetLimit has raised could not be reached: with the limit that it is now, how much less that is,
// and why. It is called by Maintain.
func (s *Store) OnLimitCut(f func(limit, missing int64, why error)) { s.onLimitCut.Store(&f) }
