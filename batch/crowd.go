package batch

import (
	"sync/atomic"
	"time"
)

// crowdPause is how long nothing is said again of connections above the limit.
const crowdPause = time.Minute

// crowd counts connections above Config.MaxConns for the log.
type crowd struct {
	turned atomic.Uint64 // away, or made to wait, and not told of yet
	told   atomic.Int64  // when that was last told, since the server's beginning; 0: never
}

// turnedAway notes that a connection was refused, or has to wait.
func (s *Server) turnedAway() {
	if !s.stopping.Load() {
		s.crowd.turned.Add(1)
		s.tellCrowd()
	}
}

// tellCrowd logs how many connections were above the limit, if there were any and the last time is long enough ago. It is called when there
// is one, and every second.
func (s *Server) tellCrowd() {
	now, last := int64(time.Since(s.began))+1, s.crowd.told.Load()
	if s.crowd.turned.Load() == 0 || last != 0 && now-last < int64(crowdPause) || !s.crowd.told.CompareAndSwap(last, now) {
		return
	}
	what := "refused"
	if s.config.Pause {
		what = "had to wait"
	}
	s.config.log(0, "the limit of %d connections (-c) was reached: %d %s", s.config.MaxConns, s.crowd.turned.Swap(0), what)
}
