package proto

import (
	"time"

	"ringcached/store"
)

// UploadLeast is uploadLeast.
const UploadLeast = uploadLeast

// OpaquesInUse is how many opaques of ms commands are kept.
func (w *Worker) OpaquesInUse() int { return len(w.opaques.all) - len(w.opaques.free) }

// WalksInUse is how many walks have not ended.
func (w *Worker) WalksInUse() (n int) {
	for _, k := range w.walks {
		if k != nil {
			n++
		}
	}
	return n
}

// Sweeper sweeps by a clock of the test's.
type Sweeper struct{ sweeper }

// Slice is a slice of the sweep at the time now.
func (s *Sweeper) Slice(st *store.Store, now time.Time) time.Duration { return s.slice(st, now) }
