package proto

import (
	"context"
	"time"
)

// Maintain does, slice by slice, what commands begin and no channel should have to wait for: crawls, page moves, and limits that were
// lowered. It returns when ctx ends, and must have returned before the store is closed. Without it such commands are answered, and
// nothing comes of them.
func (s *Server) Maintain(ctx context.Context) {
	for {
		pause, more := s.maintainSlice()
		var next <-chan time.Time
		if more {
			next = time.After(pause)
		}
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case <-next:
		}
	}
}

// maintainSlice does a slice of everything, and says whether there is more to do, and how long to wait before.
func (s *Server) maintainSlice() (pause time.Duration, more bool) {
	pause, more = s.st.Maintain()
	if crawlPause, crawling := s.crawler.slice(s.st); crawling {
		pause, more = choose(more, min(pause, crawlPause), crawlPause), true
	}
	return pause, more
}

// wakeMaintenance makes Maintain look what there is to do.
func (s *Server) wakeMaintenance() {
	select {
	case s.wake <- struct{}{}:
	default: // it will look anyway
	}
}
