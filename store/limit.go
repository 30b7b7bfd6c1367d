package store

import (
	"errors"
	"fmt"
	"os"
	"time"

	"ringcached/store/memory"
	"ringcached/store/snapshot"
)

// makePages puts the pages of the limit into the pool.
func (s *Store) makePages() {
	s.base = s.itemMemory.Base()
	s.pages = make([]page, s.config.pagesMax())
	s.pool.unit = 1
	if s.file != nil {
		s.pool.reserves, s.pool.unit = true, uint32(s.file.Unit(PageSize, memory.HugePageSize())/PageSize)
	}
	s.pool.resize(uint32(s.config.pages()))
	s.limit.Store(s.config.Limit)
	s.addHugePages()
}

// addHugePages says of which memory MakeHugePages makes huge pages. Files are left alone, whose file system decides on theirs, and so is all memory
// with Config.HugePages, which has had its chance.
func (s *Store) addHugePages() {
	s.huge = memory.NewHugePages()
	if s.config.HugePages {
		return
	}
	if s.file == nil {
		s.huge.Add(s.itemMemory, s.pool.takenBytes, s.pagesInUse)
	}
	s.huge.Add(s.indexMemory, s.bucketBytes, nil)
	s.huge.Add(s.spillMemory, func() int64 { return int64(s.spill.touched()) * bucketSize }, nil)
}

// MakeHugePages makes a huge page of memory that is all in use, or looks for some, for a slice of about a millisecond. It returns how long to wait
// before the next. It is for the goroutine that calls Maintain.
func (s *Store) MakeHugePages(now time.Time) (pause time.Duration) { return s.huge.Slice(now) }

// pagesInUse reports whether n bytes at off, whole pages, belong to classes that have used nearly every byte of them: each chunk has been in use, and
// none is so large that an item could leave out one of the system's pages.
func (s *Store) pagesInUse(off, n int64) bool {
	for number := off / PageSize; number < (off+n)/PageSize; number++ {
		p := &s.pages[number]
		id := p.owner()
		c := &s.classes[id]
		if id == 0 || int(c.size) > os.Getpagesize() {
			return false
		}
		c.lock()
		used := p.owner() == id && p.carved == c.perPage
		c.unlock()
		if !used {
			return false
		}
	}
	return true
}

// itemBytes is the size of the mapping for a number of pages.
func itemBytes(pages int) int64 { return int64(pages)*PageSize + beyond }

// fileBytes is how much of the memory file lies in front of the room for its trailer. It does not depend on what TryGet reads, so that a version of
// the server takes up what another kept. The mapping ends in the trailer's room: nothing is written there through it.
func fileBytes(pages int) int64 { return memory.WholePages(int64(pages)*PageSize + 1) }

const _ = uint(4<<10 + snapshot.TrailerRoom - beyond) // not negative: the file is as long as its mapping, whatever the size of the system's pages

// Limit is the memory for items, in bytes: Config.Limit, or what SetLimit said last.
func (s *Store) Limit() int64 { return s.limit.Load() }

// ItemMax is Config.ItemMax.
func (s *Store) ItemMax() int { return s.config.ItemMax }

// LimitMax is how far SetLimit can raise the limit: Config.LimitMax, or less where there is less address space.
func (s *Store) LimitMax() int64 { return int64(len(s.pages)) * PageSize }

// SetLimit changes the memory for items, with the same bounds as Config.Limit; up to Config.LimitMax. A higher limit holds at once, but for pages
// of Config.File whose memory was given back: calls of Maintain reserve it, and if the file system has no more, lower the limit to what there is
// (see OnLimitCut). A lower one takes away at once what no item uses; calls of Maintain evict what is in the rest. An error
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
	if err := s.itemMemory.Grow(itemBytes(pages)); err != nil {
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

// Maintain goes on, for a slice of about a millisecond, with what SetLimit and Reassign began. It reports whether there is more to do, and how
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
	if !m.active.Load() && owes && !s.config.NoEvict && !s.startLimitMove() {
		pause = pinnedPause
	}
	for n := 0; n < maintainChunks && m.active.Load(); n += drainBatch {
		s.stepMove(drainBatch, nil)
	}
	m.mu.unlock()
	return pause, true
}

// startLimitMove begins to empty a page of the class that has most of them, or of the next that can spare one now.
func (s *Store) startLimitMove() bool {
	return s.tryPages(nil, true, func(from *class, nth uint32) bool { return s.startMove(from, nth, nil, true) })
}

// changePages gives memory above the limit back to the system, and reserves what is below it, for about a millisecond. It reports whether there may
// be more to do. The system calls may be slow, where a file system waits for its disk, so no lock is held meanwhile.
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

// giveBackUnit gives the memory of a unit back. If that fails, the pages take memory that they should not, and nothing else is wrong.
func (s *Store) giveBackUnit(first uint32) {
	off, n := int64(first)*PageSize, int64(s.pool.unit)*PageSize
	s.huge.Forget(s.itemMemory, off, n)
	_ = s.itemMemory.GiveBack(off, n)
}

// reservePage reserves memory for a page that the limit has room for, or for a unit of them, if there is one that lacks it.
func (s *Store) reservePage() bool {
	first, ok := s.pool.nextLacking()
	if !ok {
		return false
	}
	if err := s.file.Reserve(int64(first)*PageSize, int64(s.pool.unit)*PageSize); err != nil {
		s.giveBackUnit(first) // what was reserved of it
		s.cutLimit(first, err)
	} else {
		s.pool.reserved(first)
	}
	return true
}

// cutLimit lowers the limit to what there is, since there is no memory for a unit of pages.
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

// addressSpaceForOthers is the address space in bytes that mapForLimits leaves to the rest of the process: to its heap, its connections, its rings.
const addressSpaceForOthers = 512 << 20

// mapForLimits maps memory for Config.Limit, with address space up to LimitMax. Where there is less of that, as under a limit on it (ulimit -v),
// LimitMax is lowered.
func (s *Store) mapForLimits() error {
	for {
		err := s.mapAll()
		least := s.config.pagesMax() == s.config.pages()
		if err == nil && !least {
			err = memory.CheckAddressSpace(addressSpaceForOthers)
		}
		if err == nil || least {
			return err
		}
		if err := s.unmapAll(); err != nil {
			return err
		}
		s.config.LimitMax /= 2
	}
}

// mapAll maps memory for the pages of the limit and for their items' index, and address space for the most pages.
func (s *Store) mapAll() (err error) {
	pages, most := s.config.pages(), s.config.pagesMax()
	if s.file != nil {
		s.itemMemory, err = memory.MapFile("items", s.file.Items, itemBytes(pages), s.config.HugePages)
	} else {
		s.itemMemory, err = memory.Map("items", itemBytes(pages), itemBytes(most), s.config.HugePages, memory.CollapsibleSize())
	}
	if err != nil {
		return err
	}
	now, then := s.indexRoom(pages), s.indexRoom(most)
	for _, m := range []struct {
		to        **memory.Mapping
		purpose   string
		now, most int64
	}{
		{&s.indexMemory, "the index", now.home(s), then.home(s)},
		{&s.spillMemory, "the index's overflow", now.overflow(), then.overflow()},
		{&s.ghostMemory, "evicted keys", now.ghosts(s), then.ghosts(s)},
		{&s.queueMemory, "probation", now.queues(), then.queues()},
	} {
		if *m.to, err = memory.Map(m.purpose, m.now, m.most, s.config.HugePages, memory.CollapsibleSize()); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) unmapAll() error {
	return errors.Join(s.itemMemory.Unmap(), s.indexMemory.Unmap(), s.spillMemory.Unmap(), s.ghostMemory.Unmap(), s.queueMemory.Unmap())
}
