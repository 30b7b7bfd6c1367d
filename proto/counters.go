package proto

import (
	"math/bits"
	"sync/atomic"
)

// counter names a count of the whole server.
type counter uint8

const (
	getMisses counter = iota
	getExpired
	getFlushed
	touchMisses
	deleteMisses
	incrMisses
	decrMisses
	casMisses
	flushCommands
	storeTooLarge
	storeNoMemory
	uploadKicks
	connYields
	metaCommands
	authCommands
	authErrors
	crawlerStarts
	datagramsIgnored  // they, or what was left of them, were no request
	datagramsRefused  // commands that are for connections
	datagramsTooLarge // replies
	walkLooked
	numCounters // at most 64: tally.dirty has a bit for each
)

// classCounter names a count that is kept for every slab class.
type classCounter uint8

const (
	getHits classCounter = iota
	setCommands
	deleteHits
	incrHits
	decrHits
	casHits
	casBadval
	touchHits
	numClassCounters // at most 8: tally.dirtyClass has a bit for each
)

// maxClasses is one more than the highest slab class. The store has fewer; what did not would be counted in class 0.
const maxClasses = 64

// counters are the values of all counters.
type counters struct {
	server [numCounters]uint64
	class  [maxClasses][numClassCounters]uint64
}

// tally counts for one worker, in plain memory: a hit is an addition and a bit. Only what changed is published.
type tally struct {
	counters
	dirty        uint64
	dirtyClasses uint64
	dirtyClass   [maxClasses]uint8
}

func (t *tally) add(c counter) {
	t.server[c]++
	t.dirty |= 1 << c
}

func (t *tally) addMany(c counter, n uint64) {
	t.server[c] += n
	t.dirty |= 1 << c
}

func (t *tally) addClass(class int, c classCounter) {
	if uint(class) >= maxClasses {
		class = 0
	}
	t.class[class][c]++
	t.dirtyClass[class] |= 1 << c
	t.dirtyClasses |= 1 << class
}

// sharedCounters are a worker's counters for others to read. Only the worker writes.
type sharedCounters struct {
	server [numCounters]atomic.Uint64
	class  [maxClasses][numClassCounters]atomic.Uint64
}

// publish copies what changed since the last time.
func (t *tally) publish(to *sharedCounters) {
	for ; t.dirty != 0; t.dirty &= t.dirty - 1 {
		i := bits.TrailingZeros64(t.dirty)
		to.server[i].Store(t.server[i])
	}
	for ; t.dirtyClasses != 0; t.dirtyClasses &= t.dirtyClasses - 1 {
		class := bits.TrailingZeros64(t.dirtyClasses)
		for m := t.dirtyClass[class]; m != 0; m &= m - 1 {
			i := bits.TrailingZeros8(m)
			to.class[class][i].Store(t.class[class][i])
		}
		t.dirtyClass[class] = 0
	}
}

// addTo adds what was published to sum.
func (c *sharedCounters) addTo(sum *counters) {
	for i := range c.server {
		sum.server[i] += c.server[i].Load()
	}
	for class := range c.class {
		for i := range c.class[class] {
			sum.class[class][i] += c.class[class][i].Load()
		}
	}
}

// sub takes base from c.
func (c *counters) sub(base *counters) {
	for i := range c.server {
		c.server[i] -= base.server[i]
	}
	for class := range c.class {
		for i := range c.class[class] {
			c.class[class][i] -= base.class[class][i]
		}
	}
}

// total is the sum of a counter over all classes.
func (c *counters) total(which classCounter) (n uint64) {
	for class := range c.class {
		n += c.class[class][which]
	}
	return n
}

// sum adds up what all workers published. The caller holds s.mu.
func (s *Server) sum(c *counters) {
	for _, w := range s.workers {
		w.shared.addTo(c)
	}
}

// counters are the counts since the last reset.
func (s *Server) counters() *counters {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := new(counters)
	s.sum(c)
	c.sub(&s.base)
	return c
}

// resetCounters makes all counts begin again. The workers' own go on: what they showed until now is taken off.
func (s *Server) resetCounters() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.base = counters{}
	s.sum(&s.base)
}
