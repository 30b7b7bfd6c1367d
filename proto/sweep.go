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

	sweepPause    = 100 * time.Millisecond // also when a slice seemed to take long, because others had the core
	sweepShortest = time.Second            // between two sweeps, when the last one found something
	sweepLongest  = time.Minute            // when the last ones found nothing
)

// sweeper finds expired and flushed items before their memory is wanted, so that none that is alive has to be evicted in their place. It
// goes over all items again and again, as a crawl that nobody asked for, in slices and with pauses by which it takes no more than a
// hundredth of a core; the longer it finds nothing, the longer it rests.
type sweeper struct {
	crawl *store.Crawl  // nil: it rests
	until time.Time     // when the pause or the rest is over
	rest  time.Duration // after this sweep, if it finds nothing
	found uint64        // store.Stats.CrawlerReclaimed when the sweep began
}

// slice goes on with the sweep if it is time to, and says how long to wait before the next one.
func (w *sweeper) slice(st *store.Store, now time.Time) (pause time.Duration) {
	if left := w.until.Sub(now); left > 0 {
		return left
	}
	if w.crawl == nil {
		w.crawl, w.found = store.NewCrawl(store.AllClasses, 0), st.Stats().CrawlerReclaimed
	}
	if st.Crawl(w.crawl, sweepBuckets) {
		pause = min(sweepShare*time.Since(now), sweepPause)
	} else {
		w.crawl = nil
		if w.rest = min(2*w.rest, sweepLongest); w.rest == 0 || st.Stats().CrawlerReclaimed > w.found {
			w.rest = sweepShortest
		}
		pause = w.rest
	}
	w.until = now.Add(pause)
	return pause
}
