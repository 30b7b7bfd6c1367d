package batch

import "slices"

const (
	stashSize = blockSize // room of a new stash; it grows as it must
	keepStash = 1 << 20   // room of all stashes kept for reuse
)

// stash is input that was not handled yet: the beginning of a request, or requests
// whose turn has not come.
type stash struct {
	buf  []byte // of lent
	off  int    // handled
	lent run
	conn token // whose it is
}

func (s *stash) rest() []byte { return s.buf[s.off:] }

// stashPool keeps stashes that nobody needs for those who will.
type stashPool struct {
	blocks *blockPool
	kept   []*stash
	room   int  // of all that are kept, in bytes
	used   bool // one was taken since the last trim
}

func (p *stashPool) get() (*stash, error) {
	p.used = true
	if n := len(p.kept); n > 0 {
		s := p.kept[n-1]
		p.kept[n-1] = nil
		p.kept = p.kept[:n-1]
		p.room -= cap(s.buf)
		return s, nil
	}
	lent, err := p.blocks.lend(stashSize)
	if err != nil {
		return nil, err
	}
	return &stash{buf: lent.mem[:0], lent: lent}, nil
}

// grow makes room for n more bytes.
func (p *stashPool) grow(s *stash, n int) error {
	rest := s.rest()
	if len(rest)+n <= cap(s.buf) {
		s.buf, s.off = append(s.buf[:0], rest...), 0
		return nil
	}
	lent, err := p.blocks.lend(max(len(rest)+n, 2*cap(s.buf)))
	if err != nil {
		return err
	}
	s.buf, s.off = append(lent.mem[:0], rest...), 0
	p.blocks.give(s.lent)
	s.lent = lent
	return nil
}

// put keeps s if there is room. Larger ones make room: few large stashes in the place of many would leave everybody else without.
func (p *stashPool) put(s *stash) {
	for p.room+cap(s.buf) > keepStash {
		i := p.largest()
		if i < 0 || cap(p.kept[i].buf) <= cap(s.buf) {
			p.blocks.give(s.lent)
			return
		}
		p.room -= cap(p.kept[i].buf)
		p.blocks.give(p.kept[i].lent)
		p.kept = slices.Delete(p.kept, i, i+1)
	}
	s.buf, s.off, s.conn = s.buf[:0], 0, 0
	p.kept = append(p.kept, s)
	p.room += cap(s.buf)
}

// largest returns the place of the largest stash that is kept, -1 if none is.
func (p *stashPool) largest() int {
	at := -1
	for i, s := range p.kept {
		if at < 0 || cap(s.buf) > cap(p.kept[at].buf) {
			at = i
		}
	}
	return at
}

// trim gives all back if none was taken since the last trim.
func (p *stashPool) trim() {
	if !p.used {
		p.drop()
	}
	p.used = false
}

// drop gives all back.
func (p *stashPool) drop() {
	for _, s := range p.kept {
		p.blocks.give(s.lent)
	}
	p.kept, p.room = nil, 0
}
