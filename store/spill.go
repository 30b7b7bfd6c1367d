package store

import "unsafe"

// spillPool has the buckets that hold what does not fit into a bucket of its own stripe. Its lock has rankPool; a bucket
// in use is guarded by the stripe that uses it.
type spillPool struct {
	base unsafe.Pointer
	_    [64]byte

	mu   rankedMutex
	size uint32 // buckets that there are
	next uint32 // the first that was never used
	free uint32 // number of the first free one among those used; its spill field leads to the next
	used uint32
}

func (p *spillPool) at(number uint32) *bucket {
	return (*bucket)(unsafe.Add(p.base, uintptr(number)*bucketSize))
}

// after is the bucket behind b in its chain, nil if b is the last.
func (p *spillPool) after(b *bucket) *bucket {
	if b.spill == 0 {
		return nil
	}
	return p.at(b.spill)
}

// get takes an empty bucket out of the pool. There is always one: makeIndex counts the most that can be in use.
func (p *spillPool) get() uint32 {
	p.mu.lock(rankPool)
	number := p.free
	if number != 0 {
		p.free = p.at(number).spill
		p.at(number).spill = 0
	} else {
		number = p.next
		if number >= p.size {
			panic("store: more overflow buckets in use than there can be")
		}
		p.next++
	}
	p.used++
	p.mu.unlock()
	return number
}

// enlarge makes it size buckets, if it has fewer.
func (p *spillPool) enlarge(size uint32) {
	p.mu.lock(rankPool)
	p.size = max(p.size, size)
	p.mu.unlock()
}

// put gives an empty bucket back.
func (p *spillPool) put(number uint32) {
	p.mu.lock(rankPool)
	b := p.at(number)
	check(b.tags[0] == 0 && b.spill == 0, "overflow bucket freed with something in it")
	b.spill = p.free
	p.free = number
	p.used--
	p.mu.unlock()
}

// cut gives back all buckets behind b, which are empty.
func (p *spillPool) cut(b *bucket) {
	for number := b.spill; number != 0; {
		next := p.at(number).spill
		p.at(number).spill = 0
		p.put(number)
		number = next
	}
	b.spill = 0
}

// touched is how many buckets have been in use at some time.
func (p *spillPool) touched() uint32 {
	p.mu.lock(rankPool)
	n := p.next
	p.mu.unlock()
	return n
}
