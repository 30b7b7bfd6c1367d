package batch

import "ringcached/ring"

const (
	blockSize   = 16 << 10
	regionSize  = 1 << 20
	regionParts = regionSize / blockSize
)

// blockPool lends blocks of mapped memory for what outlives a batch. It grows by regions,
// and gives a region back to the system when none of its blocks is lent.
type blockPool struct {
	regions []*region
	lent    int
}

type region struct {
	mem  []byte
	free []uint8 // parts that are not lent
}

// block is a part of a region, lent until put.
type block struct {
	region *region
	part   uint8
}

func (b block) bytes() []byte {
	off := int(b.part) * blockSize
	return b.region.mem[off : off+blockSize : off+blockSize]
}

// get lends a block, of the oldest region that has one, so that younger ones run empty.
func (p *blockPool) get() (block, error) {
	for _, r := range p.regions {
		if n := len(r.free); n > 0 {
			b := block{r, r.free[n-1]}
			r.free = r.free[:n-1]
			p.lent++
			return b, nil
		}
	}
	mem, err := ring.Map(regionSize)
	if err != nil {
		return block{}, err
	}
	r := &region{mem: mem}
	for i := range uint8(regionParts) {
		r.free = append(r.free, i)
	}
	p.regions = append(p.regions, r)
	return p.get()
}

func (p *blockPool) put(b block) {
	b.region.free = append(b.region.free, b.part)
	p.lent--
}

// trim frees the regions of which nothing is lent.
func (p *blockPool) trim() {
	kept := p.regions[:0]
	for _, r := range p.regions {
		if len(r.free) == regionParts {
			_ = ring.Unmap(r.mem)
		} else {
			kept = append(kept, r)
		}
	}
	clear(p.regions[len(kept):])
	p.regions = kept
}
