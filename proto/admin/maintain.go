package admin

import (
	"context"
	"time"

	"ringcached/store"
)

// maintainRest is how long Maintain waits at most, also for a page that is being moved while nobody stores anything.
const maintainRest = time.Second

// Maintain does, slice by slice, what no channel should have to wait for: it sweeps out what has expired, makes huge pages of memory that is all in
// use, and goes on with crawls, page moves and lower limits, which commands began. It returns when ctx ends, and must have returned before the
// store is closed. If nobody calls it, such commands are answered and have no effect.
func (s *Server) Maintain(ctx context.Context) {
	var w sweeper
	for {
		next := time.NewTimer(s.maintainSlice(&w))
		select {
		case <-ctx.Done():
			next.Stop()
			return
		case <-s.wake:
			next.Stop()
		case <-next.C:
		}
	}
}

// maintainSlice does a slice of everything, and returns how long to wait before the next.
func (s *Server) maintainSlice(w *sweeper) (pause time.Duration) {
	pause = maintainRest
	if s.crawler.settings().enabled {
		pause = w.slice(s.st, time.Now())
	}
	if storePause, more := s.st.Maintain(); more {
		pause = min(pause, storePause)
	}
	pause = min(pause, s.st.MakeHugePages(time.Now()))
	if crawlPause, more := s.crawler.slice(s.st); more {
		pause = min(pause, crawlPause)
	}
	return pause
}

// wakeMaintenance makes Maintain look for work.
func (s *Server) wakeMaintenance() {
	select {
	case s.wake <- struct{}{}:
	default: // it will look anyway
	}
}

const (
	// sweepShare is the part of one core that sweeping takes at most, as a divisor of the time.
	sweepShare = 100
	// sweepBuckets is how many buckets of the store are looked at in a slice: some hundred items, in about a tenth of a millisecond.
	sweepBuckets = 64

	sweepPause = 100 * time.Millisecond // also when a slice seemed to take long, because others had the core
	sweepRest  = time.Second            // between two sweeps, and between two checks whether one is due
)

// sweeper frees expired and flushed items before their memory is wanted, so that the store evicts no live item in their place, and soon after
// they died, so that an idle server does not count them for long. When something has died it goes over all items, as a crawl that nobody
// asked for, in slices and with pauses so that it takes no more than a hundredth of a core. A flush ends its rest.
type sweeper struct {
	crawl *store.Crawl // nil: it rests
	until time.Time    // when the pause or the rest is over
}

// slice goes on with the sweep if it is time to, and returns how long to wait before the next one.
func (w *sweeper) slice(st *store.Store, now time.Time) (pause time.Duration) {
	if left := w.until.Sub(now); left > 0 && (w.crawl != nil || !st.FlushUnswept()) {
		return left
	}
	pause = sweepRest
	if w.crawl == nil && st.SweepDue() {
		w.crawl = st.NewSweep()
	}
	if w.crawl != nil {
		if st.Crawl(w.crawl, sweepBuckets) {
			pause = min(sweepShare*time.Since(now), sweepPause)
		} else {
			w.crawl = nil
		}
	}
	w.until = now.Add(pause)
	return pause
}
