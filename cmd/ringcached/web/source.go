package web

import (
	"ringcached/batch"
	"ringcached/proto/hotkeys"
	"ringcached/proto/latency"
)

// Source is the server that is shown. Its methods are called from any goroutine; none of them waits for a channel's thread.
type Source interface {
	// Report calls add for the lines of `stats group`: "", settings, items, slabs, batch or hotkeys. False: there is no such group.
	Report(group string, add func(name, value string)) bool
	// Channels are the counts of each channel since the start: `stats reset` does not change them.
	Channels() []batch.Stats
	// Latency is how long commands of a class were handled since the start.
	Latency(class latency.Class) latency.Histogram
	// HotKeys are the keys that are used most, at most n, the most used first. False: the server has no --hot-keys.
	HotKeys(n int) (keys []hotkeys.Key, looked bool)
	// Engine is the I/O engine that was taken, and why.
	Engine() batch.Choice
	// Ready reports whether clients should come: the server serves, and has not been told to stop.
	Ready() bool
}
