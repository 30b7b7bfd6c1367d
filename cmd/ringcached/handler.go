package main

import (
	"time"

	"ringcached/internal/contract"
	"ringcached/proto"
	"ringcached/store"
)

// handler is the worker of a channel, and in the first channel the store's clock: one clock, and no thread of its own for it.
type handler struct {
	*proto.Worker
	clock *clock // nil in the other channels
}

var _ contract.Handler = handler{}

func newHandler(w *proto.Worker, channel int, c *clock) handler {
	if channel != 0 {
		c = nil
	}
	return handler{w, c}
}

// Tick runs the store's second.
func (h handler) Tick(now time.Time) {
	if h.clock != nil {
		h.clock.tick(now)
	}
}

// clock gives the store its second, which everything with an expiry time is
// compared with. It counts from the start of the server on the monotonic clock,
// so that setting the system's time neither expires nor revives anything; or, where
// the store took up the items of an earlier server, from the start of the first.
type clock struct {
	items *store.Store
	start time.Time
}

// firstSecond is the store's second at start: 0 means never there, and 1 is a
// time that has always passed.
const firstSecond = 2

func newClock(items *store.Store, now time.Time) *clock {
	c := &clock{items, now.Add(-age(items.Restored(), now))}
	c.tick(now)
	return c
}

// age is how long ago the store's first second was: between two servers time passes
// as on the wall clock, which may have been set, but never back.
func age(r store.Restored, now time.Time) time.Duration {
	if r.Why != nil {
		return 0
	}
	return r.Age + max(0, now.Round(0).Sub(r.Wall))
}

func (c *clock) tick(now time.Time) {
	c.items.SetNow(firstSecond + uint32(now.Sub(c.start)/time.Second))
}
