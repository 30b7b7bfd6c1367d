package store

import (
	"runtime"
	"strconv"
	"sync/atomic"
	"time"
	"unsafe"
)

// Alloc makes an item that is not in the index yet, for a value of n bytes: its key and suffix are there, the value and the "\r\n"
// behind it are the caller's to write (Writable). exptime is a second of the store, 0 for never. The caller owns its one reference,
// and ends with Entry.Link or Release.
//
// ErrTooLarge says that the item is above Config.ItemMax, or the key above KeyMax; ErrNoMemory that there is no memory. Making
// room may evict other items. Alloc may be called under an entry's lock, but Entry.Alloc is better there.
func (s *Store) Alloc(key []byte, flags, exptime uint32, n int) (Item, error) {
	return s.alloc(key, flags, exptime, n, 0, nil)
}

// alloc is Alloc for a caller that may have locked the stripe held. own is stateOwnCAS for an item with room for a CAS, or 0.
func (s *Store) alloc(key []byte, flags, exptime uint32, n int, own uint32, held *stripe) (Item, error) {
	if s.tooLarge(len(key), flags, n) {
		return Item{}, ErrTooLarge
	}
	suffix := len("  \r\n") + digits(flags) + digits(uint32(n))
	size := headerSize + extension(own) + len(key) + suffix + n + 2
	for attempt := (attempt{}); ; {
		if h, c := s.chunkForItem(size, attempt.effort, held); h != nil {
			h.ident, h.exptime, h.access = uint64(c.id), exptime, s.now.Load()
			h.shape = uint32(n)<<shapeLength | uint32(suffix)<<shapeSuffix | uint32(len(key))
			h.setState(referenceOne | own)
			writeText(unsafe.Slice((*byte)(h.text()), len(key)+suffix), key, flags, n)
			return Item{h}, nil
		}
		if attempt.effort != emptyPages || size > ChunkMax { // otherwise chunkForItem did all that can be done by it
			spec := itemSpec{key, flags, exptime, n, suffix, own, held}
			if it := s.allocChain(&spec, attempt.effort); it.Valid() {
				return it, nil
			}
		}
		if !attempt.next(s, size) {
			return Item{}, ErrNoMemory
		}
	}
}

// effort is how far an attempt to find memory goes.
type effort int

const (
	usual       effort = iota // a chunk of the class that fits, or of one a little above; a few that classes have or can evict
	emptyPages                // the same, but pages of other classes are emptied as long as that succeeds
	gatherSmall               // many small chunks that classes have or can evict
)

// allocRounds is how often all efforts are made before memory is given up: what others are about to free, or have locked, may be free a moment
// later.
const allocRounds = 3

// attempt is one of the attempts to find memory for an item, from the least effort to the greatest, and that allocRounds times. The zero attempt is
// the first.
type attempt struct {
	effort effort
	round  int
}

// next is the attempt after one that found no memory for size bytes. It says no when there is none left, or when all of them failed for others a
// moment ago, and counts that memory lacked.
func (a *attempt) next(s *Store, size int) bool {
	switch {
	case a.effort == usual && s.scarceLately(size):
		s.countNoMemory(size)
		return false
	case a.effort < gatherSmall:
		a.effort++
		return true
	case a.round == allocRounds-1 || s.config.NoEvict:
		s.noteScarce(size)
		s.countNoMemory(size)
		return false
	}
	runtime.Gosched()
	*a = attempt{round: a.round + 1}
	return true
}

// tooLarge counts as memcached does, see SizeOf.
func (s *Store) tooLarge(key int, flags uint32, n int) bool {
	return key > KeyMax || n < 0 || n > s.config.ItemMax-s.sizeOf(key, flags, 0)
}

// writeText renders key and suffix into text, which is as long as they are.
func writeText(text, key []byte, flags uint32, n int) {
	at := copy(text, key)
	text[at] = ' '
	b := strconv.AppendUint(text[:at+1], uint64(flags), 10)
	b = append(b, ' ')
	b = strconv.AppendUint(b, uint64(n), 10)
	b = append(b, '\r', '\n')
	check(len(b) == len(text), "suffix is not as long as computed")
}

// digits is the length of n in decimal.
func digits(n uint32) int {
	d := 1
	for ; n >= 10; n /= 10 {
		d++
	}
	return d
}

// demand is what a chunk is wanted for.
type demand struct {
	bytes int     // that will be used of it, or as many of them as it has
	head  bool    // it is the first of an item
	held  *stripe // that the caller has locked, nil for none
}

// The ways to a chunk, from the cheapest to the costliest. Each returns nil if it finds none, and beside the chunk the class that it is of, where
// that may be another. The state of the chunk is 0, so that nobody touches it before it is filled.
//
//	chunkOf             of the class itself: a free one, one of a free page, or that of an item that is evicted
//	chunkNear           or of a class with chunks up to nearMost times as large
//	chunkEmptying       but rather of a page that is emptied, if another class can spare one
//	chunkByAnyMeans     or of any class above, and of the only page of another class
//
// With fewer pages than there are sizes of items, some classes have no page. If each emptied the only page of another class, that would
// have to do the same next. So they use the pages of others: larger chunks here, or chains of smaller ones, see alloc.

const (
	chunkTries = 64 // how often chunkOf starts again because others took what it freed, or a victim was a chain
	nearMost   = 4  // how many times as large as needed a chunk may be, while there are other ways
)

// chunkForItem gets a chunk for an item of size bytes by an effort, nil if that is no way to a whole chunk, or the item has to be a chain.
func (s *Store) chunkForItem(size int, e effort, held *stripe) (*header, *class) {
	if size > ChunkMax {
		return nil, nil
	}
	c, d := s.classFor(size), demand{size, true, held}
	switch e {
	case usual:
		return s.chunkEmptying(c, d)
	case emptyPages:
		return s.chunkByAnyMeans(c, d)
	}
	return nil, nil
}

func (s *Store) chunkEmptying(c *class, d demand) (*header, *class) {
	h := s.chunkOf(c, d)
	if h == nil && s.countUnmet(c) {
		h = s.chunkOfEmptiedPage(c, d, false)
	}
	if h != nil {
		return h, c
	}
	return s.largerChunk(c, nearMost*c.size, d)
}

func (s *Store) chunkNear(c *class, d demand) (*header, *class) {
	if h := s.chunkOf(c, d); h != nil {
		return h, c
	}
	return s.largerChunk(c, nearMost*c.size, d)
}

// chunkByAnyMeans is for when neither chunkEmptying nor smaller chunks were a way. Only now and then it empties a page first.
func (s *Store) chunkByAnyMeans(c *class, d demand) (*header, *class) {
	if !c.emptyingDue() {
		if h, other := s.largerChunk(c, ChunkMax, d); h != nil {
			return h, other
		}
	}
	if h := s.chunkOfEmptiedPage(c, d, true); h != nil {
		return h, c
	}
	return s.largerChunk(c, ChunkMax, d)
}

// chunkOfEmptiedPage empties a page of another class for c. With lasts it may be the only one of its class.
func (s *Store) chunkOfEmptiedPage(c *class, d demand, lasts bool) *header {
	for range chunkTries {
		if !s.emptyPageFor(c, d.held, lasts) {
			break
		}
		if h := s.chunkOf(c, d); h != nil {
			return h
		}
	}
	return nil
}

// largerChunk gets a chunk of a class above c, of at most size bytes.
func (s *Store) largerChunk(c *class, size uint32, d demand) (*header, *class) {
	for i := int(c.id) + 1; i < len(s.classes) && s.classes[i].size <= size; i++ {
		other := &s.classes[i]
		if h := s.chunkOf(other, d); h != nil {
			return h, other
		}
	}
	return nil, nil
}

func (s *Store) chunkOf(c *class, d demand) *header {
	for range chunkTries {
		if h, again := s.tryChunk(c, d); !again {
			return h
		}
	}
	return nil
}

// tryChunk is one try of chunkOf. It reports whether to try again, since it freed something that was not a chunk of c, or not that alone.
func (s *Store) tryChunk(c *class, d demand) (h *header, again bool) {
	c.lock()
	h, chain := s.popOrEvict(c, d.held)
	if h == nil {
		c.unlock()
		if !chain.Valid() {
			return nil, false
		}
		s.Release(chain)
		return nil, true
	}
	c.requested += uint64(min(d.bytes, int(c.size)))
	if d.head {
		c.items++
	}
	wantsPage := c.wantsPage
	c.wantsPage = false
	c.unlock()
	if wantsPage || s.move.active.Load() {
		s.rebalance(c, d.held)
	}
	return h, false
}

// popOrEvict is tryChunk under the class's lock. A chain that was evicted has to be released, without the lock, before its chunks
// are free.
func (s *Store) popOrEvict(c *class, held *stripe) (h *header, chain Item) {
	if h := c.pop(s); h != nil {
		return h, Item{}
	}
	if number, ok := s.pool.get(); ok {
		c.adopt(s, number)
		return c.pop(s), Item{}
	}
	if s.config.NoEvict {
		return nil, Item{}
	}
	return s.evict(c, held)
}

// countUnmet counts that c has nothing that could be evicted, and reports whether it is time to empty a page of others.
func (s *Store) countUnmet(c *class) bool {
	c.lock()
	c.unmet++
	c.unlock()
	return c.emptyingDue()
}

// emptyingDue reports whether c lacked chunks often enough to justify emptying a page for it: in a store of few pages, items of many sizes would empty
// one for each item.
func (c *class) emptyingDue() bool {
	c.lock()
	defer c.unlock()
	return c.unmet%(c.perPage/8+1) == 0
}

// scarceRest is how long, after an Alloc failed with all efforts, others of that size and above make only the first: a store in which clients hold
// everything would otherwise do little else than look for memory that is not there.
const scarceRest = 20 * time.Millisecond

// scarcity has the times at which Allocs last failed, by class, in nanoseconds since start; 0 is never.
type scarcity struct {
	start  time.Time
	failed [classesMax + 1]atomic.Int64
}

// noteScarce notes that there was no memory for size bytes.
func (s *Store) noteScarce(size int) {
	s.scarcity.failed[s.classFor(min(size, ChunkMax)).id].Store(int64(time.Since(s.scarcity.start)))
}

// scarceLately reports whether a moment ago there was no memory for size bytes or fewer.
func (s *Store) scarceLately(size int) bool {
	if s.config.NoEvict {
		return false // a failure costs little there
	}
	now := int64(time.Since(s.scarcity.start))
	for id := s.classFor(min(size, ChunkMax)).id; id > 0; id-- {
		if at := s.scarcity.failed[id].Load(); at != 0 && now-at < int64(scarceRest) {
			return true
		}
	}
	return false
}

// countNoMemory counts that there was none for size bytes.
func (s *Store) countNoMemory(size int) {
	c := s.classFor(min(size, ChunkMax))
	c.lock()
	c.counters.outOfMemory++
	c.unlock()
}
