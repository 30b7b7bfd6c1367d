package batch

import "slices"

const (
	stashSize = 4 << 10 // capacity of a new stash; it grows as it must
	keepStash = 1 << 20 // capacity of all stashes kept for reuse
)

// stash is input that was not handled yet: the beginning of a request, or requests
// whose turn has not come. The kernel never sees it, so it lies in the Go heap.
type stash struct {
	buf []byte
	off int // handled
}

func (s *stash) rest() []byte { return s.buf[s.off:] }

// stashPool keeps stashes that nobody needs for those who will.
type stashPool struct {
	kept []*stash
	room int  // capacity of all that are kept, in bytes
	used bool // one was taken since the last trim
}

func (p *stashPool) get() *stash {
	p.used = true
	n := len(p.kept)
	if n == 0 {
		return &stash{buf: make([]byte, 0, stashSize)}
	}
	s := p.kept[n-1]
	p.kept[n-1] = nil
	p.kept = p.kept[:n-1]
	p.room -= cap(s.buf)
	return s
}

// put keeps s if there is room. Larger ones make room: few large stashes in the place of many would leave everybody else without.
func (p *stashPool) put(s *stash) {
	for p.room+cap(s.buf) > keepStash {
		i := p.largest()
		if i < 0 || cap(p.kept[i].buf) <= cap(s.buf) {
			return
		}
		p.room -= cap(p.kept[i].buf)
		p.kept = slices.Delete(p.kept, i, i+1)
	}
	s.buf, s.off = s.buf[:0], 0
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

// trim leaves all to the garbage collector if none was taken since the last trim.
func (p *stashPool) trim() {
	if !p.used {
		*p = stashPool{}
	}
	p.used = false
}
