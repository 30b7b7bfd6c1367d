package batch

const (
	stashSize = 4 << 10   // capacity of a new stash; it grows as it must
	keepStash = 256 << 10 // capacity of all stashes kept for reuse
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

func (p *stashPool) put(s *stash) {
	if p.room+cap(s.buf) > keepStash {
		return
	}
	s.buf, s.off = s.buf[:0], 0
	p.kept = append(p.kept, s)
	p.room += cap(s.buf)
}

// trim leaves all to the garbage collector if none was taken since the last trim.
func (p *stashPool) trim() {
	if !p.used {
		*p = stashPool{}
	}
	p.used = false
}
