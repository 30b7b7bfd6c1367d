package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// ErrInUse is Save's answer while somebody still has an item that is not in the index, or has not given one back that was.
var ErrInUse = errors.New("store: an item is still being written")

// Save writes what the next New with the same Config takes up again. Nobody may use the store any more, or an item of it, but for Close. wall
// is the time on the wall clock, and age how long ago the store's first second began. It says how many items were kept. Until it has
// returned without an error there is nothing to take up.
func (s *Store) Save(wall time.Time, age time.Duration) (items uint64, err error) {
	if s.file == nil {
		return 0, fmt.Errorf("store: %w", errNoFile)
	}
	for _, step := range s.saveSteps(wall, age) {
		if err := step(); err != nil {
			return 0, err
		}
	}
	return s.countItems(), nil
}

// saveSteps are what Save does, in an order in which a snapshot that is accepted is complete, wherever it is cut off.
func (s *Store) saveSteps(wall time.Time, age time.Duration) []func() error {
	var h metaHeader
	return []func() error{
		s.quiesce,
		func() error { return s.file.meta.Truncate(0) },
		func() (err error) { h, err = s.writeBody(wall, age); return err },
		s.file.meta.Sync,
		s.file.items.Sync, // what was written through the mapping, too
		func() error { return s.file.writeHeader(h) },
		s.file.meta.Sync,
	}
}

// quiesce ends what is under way, and gives back the references of connections that are gone. It fails if an item is in the making.
func (s *Store) quiesce() error {
	s.move.mu.lock(rankMove)
	s.finishMove(nil)
	s.move.mu.unlock()
	var items uint64
	for i := range s.classes[1:] {
		c := &s.classes[i+1]
		for _, number := range c.pages {
			if !s.settlePage(c, number) {
				return ErrInUse
			}
		}
		items += c.items
	}
	if linked := s.countItems(); items != linked {
		return fmt.Errorf("store: %d items, of which %d are in the index", items, linked)
	}
	return nil
}

// settlePage leaves no reference to the items of a page but the index's. It says no if there is one that is not in the index.
func (s *Store) settlePage(c *class, number uint32) bool {
	for i := range s.pages[number].carved {
		h := c.chunkAt(s, number, i)
		switch state := h.state.Load(); {
		case state == 0, state&statePart != 0:
		case state&stateLinked == 0:
			return false
		case referenced(state):
			h.setState(state&(referenceOne-1) | referenceOne)
		}
	}
	return true
}

// countItems is how many are in the index. Nobody may use the store.
func (s *Store) countItems() (n uint64) {
	for i := range s.stripes {
		n += s.stripes[i].items
	}
	return n
}

// writeBody writes all of the snapshot but its header, which it returns.
func (s *Store) writeBody(wall time.Time, age time.Duration) (metaHeader, error) {
	b := s.books(wall, age)
	sums, err := s.sumPages(b.Pages)
	if err != nil {
		return metaHeader{}, err
	}
	for i := range sums {
		b.Pages[i].Sum = sums[i]
	}
	text, err := b.encode(s.settings())
	if err != nil {
		return metaHeader{}, err
	}
	meta := s.file.meta
	h := metaHeader{Magic: [len(metaMagic)]byte([]byte(metaMagic)), Version: metaVersion, ID: s.file.id, Books: uint64(len(text))}
	parts := s.indexParts(&b.Scalars)
	for _, part := range parts {
		h.Index += uint64(len(part))
	}
	if _, err := meta.WriteAt(text, metaHeaderSize); err != nil {
		return h, err
	}
	if h.IndexSum, err = transfer(parts, metaHeaderSize+int64(h.Books), meta.WriteAt); err != nil {
		return h, err
	}
	h.Sum, err = h.sum(text)
	return h, err
}

func (f *itemFile) writeHeader(h metaHeader) error {
	head, err := binary.Append(nil, binary.LittleEndian, h)
	if err == nil {
		_, err = f.meta.WriteAt(head, 0)
	}
	return err
}

// books are the store's.
func (s *Store) books(wall time.Time, age time.Duration) *books {
	b := &books{Scalars: scalars{
		Wall: wall.UnixNano(), Age: int64(age),
		Now: s.now.Load(), FlushAt: s.flushAt.Load(),
		CASBlocks: s.numbers.last, Watermark: s.watermark.Load(), HashKey: s.secrets,
		SpillNext: s.spill.next, SpillFree: s.spill.free, SpillUsed: s.spill.used,
		BlocksNext: s.linkBlocks.next, BlocksFree: s.linkBlocks.free,
		PoolTaken: s.pool.taken, PoolFresh: s.pool.fresh,
		Returned: uint32(len(s.pool.returned)), Surplus: uint32(len(s.pool.surplus)), Retired: uint32(len(s.pool.retired)),
	}}
	for i := range s.stripes {
		st := &s.stripes[i]
		b.Stripes = append(b.Stripes, stripeBook{st.mask.Load(), st.split.Load(), st.cas, st.casEnd, st.items, st.bytes})
		b.Scalars.Home = max(b.Scalars.Home, st.buckets())
	}
	for i := range s.classes {
		c := &s.classes[i]
		b.Classes = append(b.Classes, classBook{uint32(len(c.pages)), c.partial, c.hand.page, c.hand.chunk,
			c.since, c.victimAges, c.lacking, c.used, c.items, c.requested, c.probation.book()})
		b.Numbers = append(b.Numbers, c.pages...)
	}
	for i := range s.pages {
		p := &s.pages[i]
		b.Pages = append(b.Pages, pageBook{Class: p.owner(), Listed: p.listed, Place: p.place, Used: p.used, Carved: p.carved, Free: p.free,
			Next: p.next, Previous: p.previous})
	}
	for _, list := range [][]uint32{s.pool.returned, s.pool.surplus, s.pool.retired} {
		b.Numbers = append(b.Numbers, list...)
	}
	return b
}
