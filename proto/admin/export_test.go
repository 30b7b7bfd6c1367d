package admin

import (
	"time"

	"ringcached/store"
)

// Sweeper sweeps by a clock of the test's.
type Sweeper struct{ sweeper }

// Slice is a slice of the sweep at the time now.
func (s *Sweeper) Slice(st *store.Store, now time.Time) time.Duration { return s.slice(st, now) }
