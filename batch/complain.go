package batch

import (
	"sync"
	"time"
)

// complainEvery is how often the same complaint is made at most.
const complainEvery = time.Minute

// complaints are what goes wrong again and again, and was logged.
type complaints struct {
	mu   sync.Mutex
	made map[complaint]time.Time
}

type complaint struct{ what, why string }

// complain logs that something fails that is tried again soon, for all channels together once in a while.
func (s *Server) complain(what string, err error) {
	c := &s.complaints
	c.mu.Lock()
	now := time.Now()
	about := complaint{what, err.Error()}
	last, made := c.made[about]
	due := !made || now.Sub(last) >= complainEvery
	if due {
		if c.made == nil {
			c.made = map[complaint]time.Time{}
		}
		c.made[about] = now
	}
	c.mu.Unlock()
	if due {
		s.config.log(0, "%s: %v; trying again every %v", what, err, acceptRetry)
	}
}
