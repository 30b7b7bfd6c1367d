package batch

import (
	"math/bits"

	"ringcached/ring"
)

const (
	blockSize    = 4 << 10 // a page
	regionSize   = 1 << 20
	regionBlocks = regionSize / blockSize
)

// blockPool lends mapped memory for what outlives a batch: replies that are not taken, and input that waits. It grows by
// regions, and lends runs of their blocks. What is not needed any more goes back to the system in slices, see trim.
type blockPool struct {
	memory   *account
	regions  []*region
	resident int // bytes of blocks that were lent at some time and not given back to the system since
	lent     int // bytes
	most     int // of lent, since the last tick
	keep     int // as much stays resident: what was lent at a time within the last second
}

// region is a part of the pool's memory. Bit i of a set is its block i.
type region struct {
	mem     []byte
	lent    blockSet
	touched blockSet // resident
	free    int      // blocks that are not lent
}

// run is lent memory: a number of blocks that is a power of two, or, if region is nil, a mapping of its own.
type run struct {
	mem    []byte
	region *region
	first  int
}

type blockSet [regionBlocks / 64]uint64

// span calls f with each word of the set that has some of the n blocks from first on, and their bits in it. n is a power of
// two, and first a multiple of it.
func (s *blockSet) span(first, n int, f func(word *uint64, mask uint64)) {
	mask := ^uint64(0) >> (64 - min(n, 64)) << (first & 63)
	for i := first / 64; i <= (first+n-1)/64; i++ {
		f(&s[i], mask)
	}
}

func (s *blockSet) any(first, n int) (found bool) {
	s.span(first, n, func(w *uint64, mask uint64) { found = found || *w&mask != 0 })
	return found
}

func (s *blockSet) add(first, n int) (added int) {
	s.span(first, n, func(w *uint64, mask uint64) {
		added += bits.OnesCount64(mask &^ *w)
		*w |= mask
	})
	return added
}

func (s *blockSet) remove(first, n int) {
	s.span(first, n, func(w *uint64, mask uint64) { *w &^= mask })
}

// lend lends at least n bytes, of the oldest region that has them, so that younger ones run empty.
func (p *blockPool) lend(n int) (run, error) {
	if n > regionSize {
		return p.lendLarge(n)
	}
	blocks := 1 << bits.Len(uint((n-1)/blockSize))
	for _, r := range p.regions {
		if first := r.find(blocks); first >= 0 {
			return p.take(r, first, blocks), nil
		}
	}
	mem, err := p.memory.mapping(regionSize)
	if err != nil {
		return run{}, err
	}
	r := &region{mem: mem, free: regionBlocks}
	p.regions = append(p.regions, r)
	return p.take(r, 0, blocks), nil
}

// find returns the first of so many free blocks, -1 if there are none.
func (r *region) find(blocks int) int {
	if r.free < blocks {
		return -1
	}
	for first := 0; first < regionBlocks; first += blocks {
		if !r.lent.any(first, blocks) {
			return first
		}
	}
	return -1
}

func (p *blockPool) take(r *region, first, blocks int) run {
	r.lent.add(first, blocks)
	r.free -= blocks
	p.resident += r.touched.add(first, blocks) * blockSize
	p.count(blocks * blockSize)
	from, n := first*blockSize, blocks*blockSize
	return run{r.mem[from : from+n : from+n], r, first}
}

// lendLarge maps what is larger than a region: one client's input may fill all receive buffers.
func (p *blockPool) lendLarge(n int) (run, error) {
	mem, err := p.memory.mapping(n)
	if err == nil {
		p.count(len(mem))
	}
	return run{mem: mem}, err
}

// give takes back what was lent.
func (p *blockPool) give(lent run) {
	p.count(-len(lent.mem))
	if lent.region == nil {
		_ = ring.Unmap(lent.mem)
		return
	}
	blocks := len(lent.mem) / blockSize
	lent.region.lent.remove(lent.first, blocks)
	lent.region.free += blocks
}

func (p *blockPool) count(n int) {
	p.lent += n
	p.most = max(p.most, p.lent)
	p.memory.add(n)
}

// tick decides, once a second, how much stays resident.
func (p *blockPool) tick() { p.keep, p.most = p.most, p.lent }

// trim gives memory that is not lent, the youngest first, back to the system, a region at most, and reports that there is more
// to give.
func (p *blockPool) trim() (more bool) {
	for i := len(p.regions) - 1; i >= 0; i-- {
		r := p.regions[i]
		excess := p.resident > max(p.keep, p.lent)
		switch {
		case r.free == regionBlocks && (excess || r.touched == blockSet{}):
			p.resident -= r.touched.count() * blockSize
			_ = ring.Unmap(r.mem)
			copy(p.regions[i:], p.regions[i+1:])
			p.regions[len(p.regions)-1] = nil
			p.regions = p.regions[:len(p.regions)-1]
			return true
		case excess && r.idle() > 0:
			p.discard(r)
			return true
		}
	}
	return false
}

// idle is how many blocks are resident and not lent.
func (r *region) idle() (n int) {
	for i := range r.touched {
		n += bits.OnesCount64(r.touched[i] &^ r.lent[i])
	}
	return n
}

func (s *blockSet) count() (n int) {
	for _, w := range s {
		n += bits.OnesCount64(w)
	}
	return n
}

// discard gives the idle blocks of r back to the system, those that are side by side at a time.
func (p *blockPool) discard(r *region) {
	idle := func(i int) bool { return (r.touched[i/64]&^r.lent[i/64])>>(i%64)&1 != 0 }
	for from := 0; from < regionBlocks; from++ {
		to := from
		for to < regionBlocks && idle(to) {
			to++
		}
		if to > from {
			_ = ring.Discard(r.mem[from*blockSize : to*blockSize]) // locked memory (-k) stays
			from = to
		}
	}
	p.resident -= r.idle() * blockSize
	for i := range r.touched {
		r.touched[i] &= r.lent[i]
	}
}

// close frees everything. Nothing may be lent.
func (p *blockPool) close() {
	for _, r := range p.regions {
		_ = ring.Unmap(r.mem)
	}
	p.regions, p.resident = nil, 0
}
