package admin

import (
	"math/bits"
	"sync/atomic"
)

// Counter names a count of the whole server.
type Counter uint8

const (
	GetMisses Counter = iota
	GetExpired
	GetFlushed
	TouchMisses
	DeleteMisses
	IncrMisses
	DecrMisses
	CasMisses
	FlushCommands
	StoreTooLarge
	StoreNoMemory
	UploadKicks
	ConnYields
	MetaCommands
	AuthCommands
	AuthErrors
	crawlerStarts
	DatagramsIgnored  // datagrams, or rests of them, that were no request
	DatagramsRefused  // commands in datagrams that only connections may give
	DatagramsTooLarge // replies that were longer than a datagram's may be
	looked            // buckets and chunks that long replies looked at
	numCounters       // Tally.dirty has a bit for each
)

// ClassCounter names a count that is kept for every slab class.
type ClassCounter uint8

const (
	GetHits ClassCounter = iota
	SetCommands
	DeleteHits
	IncrHits
	DecrHits
	CasHits
	CasBadval
	TouchHits
	numClassCounters // Tally.dirtyClass has a bit for each
)

// It does not compile when there are more counters than Tally has bits.
const (
	_ = 64 - numCounters
	_ = 8 - numClassCounters
)

// maxClasses is one more than the highest slab class. A class beyond it, which the store does not have, would count as class 0.
const maxClasses = 64

// counters are the values of all counters.
type counters struct {
	server [numCounters]uint64
	class  [maxClasses][numClassCounters]uint64
}

// Tally counts for one worker, in plain memory: a count is an addition and a bit. Only what changed is published, at the end of a batch.
type Tally struct {
	counters
	dirty        uint64
	dirtyClasses uint64
	dirtyClass   [maxClasses]uint8
}

// Add adds one to a count.
func (t *Tally) Add(c Counter) {
	t.server[c]++
	t.dirty |= 1 << c
}

func (t *Tally) addMany(c Counter, n uint64) {
	t.server[c] += n
	t.dirty |= 1 << c
}

// AddClass adds one to the count of a slab class.
func (t *Tally) AddClass(class int, c ClassCounter) {
	if uint(class) >= maxClasses {
		class = 0
	}
	t.class[class][c]++
	t.dirtyClass[class] |= 1 << c
	t.dirtyClasses |= 1 << class
}

// publishedCounters are a worker's counters for others to read. Only the worker writes them.
type publishedCounters struct {
	server [numCounters]atomic.Uint64
	class  [maxClasses][numClassCounters]atomic.Uint64
}

// publish copies what changed since the last time.
func (t *Tally) publish(to *publishedCounters) {
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
func (c *publishedCounters) addTo(sum *counters) {
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
func (c *counters) total(which ClassCounter) (n uint64) {
	for class := range c.class {
		n += c.class[class][which]
	}
	return n
}

// sum adds up what all workers published. s.mu is locked.
func (s *Server) sum(c *counters) {
	for _, w := range s.workers {
		w.published.addTo(c)
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

// resetCounters makes all counts begin at 0. The workers' own counters go on; what they show now is the base that is subtracted.
func (s *Server) resetCounters() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.base = counters{}
	s.sum(&s.base)
}
