package store

import "math"

// NewSweep begins a crawl over everything. Whatever dies from now on is for the next one.
func (s *Store) NewSweep() *Crawl {
	s.soonest.Store(math.MaxUint32)
	s.swept.Store(s.watermark.Load())
	return NewCrawl(AllClasses, 0)
}

// SweepDue says that something in the store has expired or was flushed that the last sweep left, or that it may have; so before the first
// one. It costs nothing, so that who asks again and again need not sweep for it.
func (s *Store) SweepDue() bool {
	return s.soonest.Load() <= s.now.Load() || s.FlushUnswept()
}

// FlushUnswept says that there was a flush since the last sweep began.
func (s *Store) FlushUnswept() bool { return s.swept.Load() != s.watermark.Load() }

// expires takes note of an item that expires at sec, 0 for never. There is nearly always one that does so sooner.
func (s *Store) expires(sec uint32) {
	for sec != 0 {
		soonest := s.soonest.Load()
		if sec >= soonest || s.soonest.CompareAndSwap(soonest, sec) {
			return
		}
	}
}
