package store

import (
	"runtime"
	"strconv"
	"sync/atomic"
	"time"
	"unsafe"
)

// Alloc makes an item that is not in the index yet, for a value of n bytes: its key and suffix are there, the value and the "\r\n"
// behind it are the caller's to write (Room). exptime is a second of the store, 0 for never. The caller owns its one reference,
// and ends with Entry.Link or Release.
//
// ErrTooLarge says that the item is above Config.ItemMax, or the key above KeyMax; ErrNoMemory that no memory can be had. Making
// room may evict other items. Alloc may be called under an entry's lock, but Entry.Alloc is better there.
func (s *Store) Alloc(key []byte, flags, exptime uint32, n int) (Item, error) {
	return s.alloc(key, flags, exptime, n, 0, nil)
}

// allocTries is how often Alloc looks for memory before it gives up: what others are about to free, or have locked, may be had a
// moment later.
const allocTries = 3

// alloc is Alloc for a caller that may have locked the stripe held. own is stateOwnCAS for an item with room for a CAS, or 0.
func (s *Store) alloc(key []byte, flags, exptime uint32, n int, own uint32, held *stripe) (Item, error) {
	if s.tooLarge(len(key), flags, n) {
		return Item{}, ErrTooLarge
	}
	suffix := len("  \r\n") + digits(flags) + digits(uint32(n))
	size := headerSize + extension(own) + len(key) + suffix + n + 2
	for try := 1; ; try++ {
		for e := share; e <= gather; e++ {
			if h, c := s.takeWhole(size, e, held); h != nil {
				h.ident, h.exptime, h.access = uint64(c.id), exptime, s.now.Load()
				h.shape = uint32(n)<<shapeLength | uint32(suffix)<<shapeSuffix | uint32(len(key))
				h.setState(referenceOne | own)
				writeText(unsafe.Slice((*byte)(h.text()), len(key)+suffix), key, flags, n)
				return Item{h}, nil
			}
			if e == empty && size <= ChunkMax {
				continue // takeWhole did
			}
			o := order{key, flags, exptime, n, suffix, own, held}
			if it := s.allocChain(&o, e); it.Valid() {
				return it, nil
			}
			if e == share && s.scarceLately(size) {
				return Item{}, s.noMemory(size)
			}
		}
		if try == allocTries || s.config.NoEvict {
			s.scarce(size)
			return Item{}, s.noMemory(size)
		}
		runtime.Gosched()
	}
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

// takeTries bounds how often take starts again because others took what it freed, or a victim was a chain.
const takeTries = 64

// demand is what a chunk is wanted for.
type demand struct {
	bytes int     // that will be used of it, or as many of them as it has
	head  bool    // it is the first of an item
	held  *stripe // that the caller has locked, nil for none
}

// wasteMost is how many times as large as needed a chunk of another class may be, while there are other ways.
const wasteMost = 4

// take gets a chunk of c: a free one, one of a new page, one whose item is evicted, one of a page that another class can spare, or a
// larger one of another class, which is the second result then. nil if none of that can be. The chunk's state is 0, so that nobody
// touches it before it is filled.
//
// With fewer pages than there are sizes of items, some classes have no page. If each emptied the only page of another class, that would
// have to do the same next. So they share the pages of others: larger chunks here, or chains of smaller ones, see alloc.
func (s *Store) take(c *class, d demand) (*header, *class) {
	h := s.takeAgain(c, d)
	if h == nil && s.lacks(c) {
		h = s.takeRefilled(c, d, false)
	}
	if h != nil {
		return h, c
	}
	return s.borrow(c, wasteMost*c.size, d)
}

// takeLast is for when take found nothing and sharing smaller chunks is no way either: a larger chunk of any size or, now and then, one of a
// page that was the only one of another class.
func (s *Store) takeLast(c *class, d demand) (*header, *class) {
	if !c.due() {
		if h, other := s.borrow(c, ChunkMax, d); h != nil {
			return h, other
		}
	}
	if h := s.takeRefilled(c, d, true); h != nil {
		return h, c
	}
	return s.borrow(c, ChunkMax, d)
}

// takeRefilled empties a page of another class for c. With lasts it may be the only one of its class.
func (s *Store) takeRefilled(c *class, d demand, lasts bool) *header {
	for range takeTries {
		if !s.refill(c, d.held, lasts) {
			break
		}
		if h := s.takeAgain(c, d); h != nil {
			return h
		}
	}
	return nil
}

// takeShared gets a chunk of c or of a class a little above that can be had without emptying pages.
func (s *Store) takeShared(c *class, d demand) (*header, *class) {
	if h := s.takeAgain(c, d); h != nil {
		return h, c
	}
	return s.borrow(c, wasteMost*c.size, d)
}

// takeFrom is one try to get a chunk of c itself, or a page out of the pool. It says whether to try again, when it freed something
// that was not a chunk of c, or not by itself.
func (s *Store) takeFrom(c *class, d demand) (h *header, again bool) {
	c.lock()
	h, chain := s.takeLocked(c, d.held)
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
	wants := c.wants
	c.wants = false
	c.unlock()
	if wants || s.move.active.Load() {
		s.rebalance(c, d.held)
	}
	return h, false
}

// takeLocked is takeFrom under the class's lock. A chain that was evicted has to be released, without the lock, before its chunks
// are free.
func (s *Store) takeLocked(c *class, held *stripe) (h *header, chain Item) {
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

// lacks counts that c has nothing that could be evicted, and says whether emptying a page of others is due.
func (s *Store) lacks(c *class) bool {
	c.lock()
	c.lacking++
	c.unlock()
	return c.due()
}

// due says that c wanted chunks so often by now that a page is worth the cost of emptying it: in a store of few pages, items of many sizes
// would empty one for each item.
func (c *class) due() bool {
	c.lock()
	defer c.unlock()
	return c.lacking%(c.perPage/8+1) == 0
}

// borrow takes a chunk of a class above c, of at most size bytes.
func (s *Store) borrow(c *class, size uint32, d demand) (*header, *class) {
	for i := int(c.id) + 1; i < len(s.classes) && s.classes[i].size <= size; i++ {
		other := &s.classes[i]
		if h := s.takeAgain(other, d); h != nil {
			return h, other
		}
	}
	return nil, nil
}

// takeAgain is takeFrom until that makes no sense any more.
func (s *Store) takeAgain(c *class, d demand) *header {
	for range takeTries {
		if h, again := s.takeFrom(c, d); !again {
			return h
		}
	}
	return nil
}

// takeWhole gets a chunk for an item of size bytes by so much effort, nil if it is not the turn of that, or the item has to be a chain.
func (s *Store) takeWhole(size int, e effort, held *stripe) (*header, *class) {
	if size > ChunkMax {
		return nil, nil
	}
	c, d := s.classFor(size), demand{size, true, held}
	switch e {
	case share:
		return s.take(c, d)
	case empty:
		return s.takeLast(c, d)
	}
	return nil, nil
}

// scarceRest is how long after an Alloc that failed, for all that could be tried, others of that size and above try only what is cheap: a store
// in which everything is held by clients would do little else than look for memory that is not there.
const scarceRest = 20 * time.Millisecond

// scarcity is when Allocs failed last, by class, in nanoseconds since start. 0: never.
type scarcity struct {
	start  time.Time
	failed [classesMax + 1]atomic.Int64
}

// scarce notes that there was no memory for size bytes.
func (s *Store) scarce(size int) {
	s.scarcity.failed[s.classFor(min(size, ChunkMax)).id].Store(int64(time.Since(s.scarcity.start)))
}

// scarceLately says that there was none a moment ago, for so many bytes or fewer.
func (s *Store) scarceLately(size int) bool {
	if s.config.NoEvict {
		return false // that costs little
	}
	now := int64(time.Since(s.scarcity.start))
	for id := s.classFor(min(size, ChunkMax)).id; id > 0; id-- {
		if at := s.scarcity.failed[id].Load(); at != 0 && now-at < int64(scarceRest) {
			return true
		}
	}
	return false
}

// noMemory counts that there was none for size bytes.
func (s *Store) noMemory(size int) error {
	c := s.classFor(min(size, ChunkMax))
	c.lock()
	c.counters.outOfMemory++
	c.unlock()
	return ErrNoMemory
}
