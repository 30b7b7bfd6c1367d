package trial

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"ringcached/bench/load"
)

const (
	// mostStorming is how many connections of a storm are under way at most: what is due beyond that is left out, and told.
	mostStorming = 256
	// leastStorm is the part of a storm that has to happen.
	leastStorm = 0.9
)

// storm opens connections beside the load, at a steady rate: each makes one request and is closed. Over TLS that is a whole handshake each.
type storm struct {
	began     time.Time
	perSecond float64
	stop      context.CancelFunc
	all       sync.WaitGroup
	begun     atomic.Int64
	failed    chan error // the first
}

// startStorm begins one, which ends with the context or by end.
func startStorm(ctx context.Context, at load.Endpoint, perSecond float64) *storm {
	s := &storm{began: time.Now(), perSecond: perSecond, failed: make(chan error, 1)}
	ctx, s.stop = context.WithCancel(ctx)
	s.all.Go(func() {
		room := make(chan struct{}, mostStorming)
		gap, due := int64(1e9/perSecond), load.Now()
		for ; ctx.Err() == nil; due += gap {
			load.SleepUntil(ctx, due)
			select {
			case room <- struct{}{}:
				s.begun.Add(1)
				s.all.Go(func() {
					s.one(ctx, at)
					<-room
				})
			default:
			}
		}
	})
	return s
}

// one makes a connection.
func (s *storm) one(ctx context.Context, at load.Endpoint) {
	c, err := at.Dial(ctx, load.ConnectTimeout)
	if err == nil {
		defer context.AfterFunc(ctx, func() { _ = c.Close() })()
		err = ask(c, 1)
		_ = c.Close()
	}
	if err != nil && ctx.Err() == nil {
		select {
		case s.failed <- err:
		default: // it is not the first
		}
	}
}

// end ends the storm. It says what was wrong with it: failure is why the server failed, and less why there were not as many connections as there
// should have been. Both are empty if nothing was, as of no storm.
func (s *storm) end() (failure, less string) {
	if s == nil {
		return "", ""
	}
	took := time.Since(s.began).Seconds()
	s.stop()
	s.all.Wait()
	select {
	case err := <-s.failed:
		return fmt.Sprintf("a connection beside the load: %v", err), ""
	default:
	}
	if rate := float64(s.begun.Load()) / took; rate < leastStorm*s.perSecond-1 {
		less = fmt.Sprintf("only %.0f of %.0f connections a second were opened beside the load", rate, s.perSecond)
	}
	return "", less
}
