package main

import (
	"time"

	"ringcached/internal/contract"
	"ringcached/proto"
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
