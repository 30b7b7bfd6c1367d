package store

import (
	"unsafe"

	"ringcached/store/snapshot"
)

// Probation: "quick demotion" in front of the hand's CLOCK, after Yang, Qiu, Zhang, Yue, Rashmi, "FIFO can be better than LRU: the power of
// lazy promotion and quick demotion", HotOS 2023; docs/eviction.md has what it gains. An item with a new key, stored while the store
// is full, is on probation until a tenth as many as its class has are stored after it. If nobody used it by then it is the next to be
// evicted; otherwise it is settled, and the hand decides about it from then on. A key that was evicted from probation and comes back while it is
// still among the ghosts of its bucket is settled at once. How strict it is follows from what comes back: see adaptation.
//
// The order is in a queue of links beside the items (linkQueue): an item cannot move, and a hit writes nothing for it.

const (
	probationShare = 10   // one in this many items of a class is on probation
	probationMost  = 5    // one in this many, while nothing has to be evicted
	probationLeast = 512  // items of a class below which there is none: too few for a tenth of them to be a trial
	handAnyway     = 2    // the hand takes items on probation too after 1/handAnyway of the chunks that it passes at most
	probationScan  = 1024 // ends of probations that are decided for one victim
)

// startProbation puts h, just linked under a new key, on probation, unless the store has free pages, or the key or the class is exempt. Its stripe
// must be locked.
func (s *Store) startProbation(st *stripe, hash uint64, h *header) {
	if s.pool.available() || s.config.NoEvict || h.chained() || s.takeGhost(st, hash) {
		return
	}
	c := &s.classes[h.class()]
	c.lock()
	defer c.unlock()
	if c.items < probationLeast {
		return
	}
	if uint64(c.probation.length) >= c.items/probationMost {
		if old := s.endProbation(c); old != nil {
			old.state.And(^uint32(stateProbation))
		}
	}
	if c.probation.push(&s.linkBlocks, s.link(h)) {
		h.state.Or(stateProbation)
	}
}

// evictAfterProbation takes the first item out of the index whose probation ends without a use, and that is not among those that are kept
// nevertheless; nil if there is none. The class must be locked, here and below.
func (s *Store) evictAfterProbation(c *class, held *stripe) *header {
	for range probationScan {
		if n := uint64(c.probation.length); n == 0 || n < c.items/probationShare {
			break
		}
		h := s.endProbation(c)
		if h == nil {
			continue
		}
		state, dead := h.state.Load(), s.dead(h)
		unused := state&recencyMax == 0 || dead
		if unused && !referenced(state) && (dead || !c.adapted.keeps()) && s.tryEvict(c, h, held) {
			return h
		}
		h.state.And(^c.adapted.settles(state))
	}
	return nil
}

// endProbation takes the oldest link out of the queue. It returns the item there, whose flag its caller is to clear, or nil if it is not
// on probation any more. Where it went before its time and the chunk has another on probation, it is that one: its own link comes to
// nothing then.
func (s *Store) endProbation(c *class) *header {
	link, ok := c.probation.pop(&s.linkBlocks)
	if !ok {
		return nil
	}
	h := s.at(link)
	offset := s.offset(h)
	p := &s.pages[offset/PageSize]
	if p.owner() != c.id || uint32(offset%PageSize)/c.size >= p.carved {
		return nil
	}
	if h.state.Load()&(stateLinked|statePart|stateProbation) != stateLinked|stateProbation {
		return nil
	}
	if p.draining { // it goes with its page, or stays if that cannot be emptied
		h.state.And(^uint32(stateProbation))
		return nil
	}
	return h
}

const (
	blockLinks = 1024 // of a block; the first leads to the next block
	blockSize  = blockLinks * 4
)

// linkBlock is a part of a linkQueue.
type linkBlock [blockLinks]uint32

// linkBlocks has the blocks of all linkQueues. Its lock has rankPool; a block in use is guarded by the class that uses it.
type linkBlocks struct {
	base unsafe.Pointer
	_    [64]byte

	mu   rankedMutex
	size uint32 // blocks that there are
	next uint32 // the first that was never used; 0 stands for none
	free uint32 // number of the first free one among those used
}

func (p *linkBlocks) at(number uint32) *linkBlock {
	return (*linkBlock)(unsafe.Add(p.base, uintptr(number)*blockSize))
}

// get takes a block out of the pool, if there is one.
func (p *linkBlocks) get() (number uint32, ok bool) {
	p.mu.lock(rankPool)
	defer p.mu.unlock()
	if number = p.free; number != 0 {
		p.free = p.at(number)[0]
		return number, true
	}
	if p.next >= p.size {
		return 0, false
	}
	p.next++
	return p.next - 1, true
}

func (p *linkBlocks) put(number uint32) {
	p.mu.lock(rankPool)
	p.at(number)[0] = p.free
	p.free = number
	p.mu.unlock()
}

// enlarge makes it size blocks, if it has fewer.
func (p *linkBlocks) enlarge(size uint32) {
	p.mu.lock(rankPool)
	p.size = max(p.size, size)
	p.mu.unlock()
}

// linkQueue is a queue of links to a class's chunks, guarded by the class's lock. It has a block only while it has links.
type linkQueue struct {
	length       uint32
	head, tail   uint32 // blocks
	first, after uint32 // index in head of the first link, index in tail behind the last
}

// push adds a link. It returns false if there is no block for it.
func (q *linkQueue) push(p *linkBlocks, link uint32) bool {
	if q.length == 0 || q.after == blockLinks {
		number, ok := p.get()
		if !ok {
			return false
		}
		if q.length == 0 {
			q.head, q.first = number, 1
		} else {
			p.at(q.tail)[0] = number
		}
		q.tail, q.after = number, 1
	}
	p.at(q.tail)[q.after] = link
	q.after++
	q.length++
	return true
}

// pop takes the oldest link.
func (q *linkQueue) pop(p *linkBlocks) (link uint32, ok bool) {
	if q.length == 0 {
		return 0, false
	}
	head := p.at(q.head)
	link = head[q.first]
	q.first++
	if q.length--; q.length == 0 || q.first == blockLinks {
		number := q.head
		q.head, q.first = head[0], 1
		p.put(number)
	}
	return link, true
}

// saved is the queue in a snapshot.
func (q *linkQueue) saved() snapshot.Queue {
	return snapshot.Queue{Length: q.length, Head: q.head, Tail: q.tail, First: q.first, After: q.after}
}

// Of the keys that were evicted last from each bucket of the index, ghostSlots are remembered, by 16 bits of their hashes in one word beside the bucket.
const (
	ghostBits  = 16
	ghostSlots = 64 / ghostBits
	ghostSize  = 8 // bytes for a bucket
)

// ghostOf is what is remembered of a hash: bits that choose neither the bucket nor the tag, and never 0.
func ghostOf(hash uint64) uint64 { return max(hash>>40&(1<<ghostBits-1), 1) }

// ghosts are those of the bucket of a hash, the last in the lowest bits. The stripe must be locked, here and below.
func (s *Store) ghosts(st *stripe, hash uint64) *uint64 {
	j := st.bucketNumber(uint32(hash >> s.stripeBits))
	return (*uint64)(unsafe.Add(s.ghostMemory.Base(), (uintptr(j)<<s.stripeBits+uintptr(st.number))*ghostSize))
}

// addGhost notes that the key with the hash was evicted.
func (s *Store) addGhost(st *stripe, hash uint64) {
	g := s.ghosts(st, hash)
	*g = *g<<ghostBits | ghostOf(hash)
}

// takeGhost reports whether the key with the hash is remembered, and forgets it.
func (s *Store) takeGhost(st *stripe, hash uint64) bool {
	g := s.ghosts(st, hash)
	for i, all := uint(0), *g; all != 0; i, all = i+ghostBits, all>>ghostBits {
		if all&(1<<ghostBits-1) == ghostOf(hash) {
			below := uint64(1)<<i - 1
			*g = *g&below | *g>>ghostBits&^below
			return true
		}
	}
	return false
}
