package proto

import (
	"context"
	"time"
)

// maintainRest is how long Maintain waits when there is nothing to do. A page that is being moved while nobody stores anything waits no longer.
const maintainRest = time.Second

// Maintain does, slice by slice, what no channel should have to wait for: it sweeps out what has expired, and goes on with what commands
// began, crawls, page moves, and limits that were lowered. It returns when ctx ends, and must have returned before the store is closed.
// Without it such commands are answered, and nothing comes of them.
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

// maintainSlice does a slice of everything, and says how long to wait before the next.
func (s *Server) maintainSlice(w *sweeper) (pause time.Duration) {
	pause = maintainRest
	if s.crawler.settings().enabled {
		pause = w.slice(s.st, time.Now())
	}
	if storePause, more := s.st.Maintain(); more {
		pause = min(pause, storePause)
	}
	if crawlPause, more := s.crawler.slice(s.st); more {
		pause = min(pause, crawlPause)
	}
	return pause
}

// wakeMaintenance makes Maintain look what there is to do.
func (s *Server) wakeMaintenance() {
	select {
	case s.wake <- struct{}{}:
	default: // it will look anyway
	}
}
