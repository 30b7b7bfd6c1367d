package store

import "unsafe"

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
	first, after uint32 // place in head of the first link, place in tail behind the last
}

// push adds a link. It says no if there is no block for it.
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

// book is the queue in a snapshot.
func (q *linkQueue) book() queueBook { return queueBook{q.length, q.head, q.tail, q.first, q.after} }
