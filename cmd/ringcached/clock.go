package main

import (
	"time"

	"ringcached/store"
)

// clock gives the store its second, which everything with an expiry time is
// compared with. It counts from the start of the server on the monotonic clock,
// so that setting the system's time neither expires nor revives anything.
type clock struct {
	items *store.Store
	start time.Time
}

// firstSecond is the store's second at start: 0 means never there, and 1 is a
// time that has always passed.
const firstSecond = 2

func newClock(items *store.Store, start time.Time) *clock {
	c := &clock{items, start}
	c.tick(start)
	return c
}

func (c *clock) tick(now time.Time) {
	c.items.SetNow(firstSecond + uint32(now.Sub(c.start)/time.Second))
}
