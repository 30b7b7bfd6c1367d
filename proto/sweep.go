package proto

import (
	"time"

	"ringcached/store"
)

const (
	// sweepShare is the part of one core that sweeping takes at most, as a divisor of the time.
	sweepShare = 100
	// sweepBuckets is how many buckets of the store are looked at in a slice: some hundred items, in about a tenth of a millisecond.
	sweepBuckets = 64

	sweepPause = 100 * time.Millisecond // also when a slice seemed to take long, because others had the core
	sweepRest  = time.Second            // between two sweeps, and between two looks whether one is due
)

// sweeper finds expired and flushed items before their memory is wanted, so that none that is alive has to be evicted in their place, and
// soon after they died, so that an idle server does not count them for long. It goes over all items when something has died, as a crawl that
// nobody asked for, in slices and with pauses by which it takes no more than a hundredth of a core. A flush ends its rest.
type sweeper struct {
	crawl *store.Crawl // nil: it rests
	until time.Time    // when the pause or the rest is over
}

// slice goes on with the sweep if it is time to, and says how long to wait before the next one.
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
