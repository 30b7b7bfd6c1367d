package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"time"
)

// Restored is what New found in Config.File.
type Restored struct {
	Items uint64        // that were taken up
	Why   error         // none were, or there is no file, and the store is empty: why; nil if the file was taken up
	Wall  time.Time     // what Save was told, where the file was taken up
	Age   time.Duration // the same
}

// Restored says what New took up from Config.File. The store's second is then that of the Save: by SetNow it learns how much time has passed.
func (s *Store) Restored() Restored { return s.restored }

// What is not there to be taken up is no damage.
var (
	errNoFile  = errors.New("there is no file to keep items in")
	errNew     = errors.New("it is new")
	errUnclean = errors.New("the server that used it was not stopped, but ended otherwise")
	errApart   = errors.New("it and its " + MetaSuffix + " do not belong together")
)

// restore takes the items up that a Save has kept, if there are any that fit, and makes the file that of this store. Its error is for a
// file that can't be used at all.
func (s *Store) restore() error {
	why := s.takeUp()
	s.restored.Why = why
	if why == nil {
		s.restored.Items = s.countItems()
		s.countSizes()
	}
	return s.file.begin(why == nil)
}

// takeUp fills the new store from the snapshot, or says why it can't, and has changed nothing then.
func (s *Store) takeUp() error {
	h, text, err := s.file.readBooks()
	if err != nil {
		return err
	}
	settings, text, err := decodeSettings(text)
	if err != nil {
		return err
	}
	if err := compareSettings(settings, s.settings()); err != nil {
		return err
	}
	if info, err := s.file.items.Stat(); err != nil || info.Size() != s.file.size {
		return errors.Join(err, errDamaged)
	}
	b, err := decodeBooks(text, len(s.stripes), len(s.classes), len(s.pages))
	if err != nil {
		return err
	}
	n := b.Scalars
	if err := s.checkBooks(b); err != nil {
		return err
	}
	if err := s.checkSums(b.Pages); err != nil {
		return err
	}
	if err := s.readIndex(h, s.indexParts(&n)); err != nil {
		return err
	}
	s.install(b)
	s.restored.Wall, s.restored.Age = time.Unix(0, n.Wall), time.Duration(n.Age)
	return nil
}

// readBooks reads a snapshot up to its index, and checks that it is whole and that it belongs to the items.
func (f *itemFile) readBooks() (h metaHeader, text []byte, err error) {
	info, err := f.meta.Stat()
	if err != nil {
		return h, nil, err
	}
	id, found, err := f.trailer()
	if err != nil {
		return h, nil, err
	}
	if info.Size() == 0 && !found {
		return h, nil, errNew
	}
	head := make([]byte, metaHeaderSize)
	if info.Size() < metaHeaderSize {
		return h, nil, errUnclean
	}
	if _, err := f.meta.ReadAt(head, 0); err != nil {
		return h, nil, err
	}
	if bytes.Equal(head, make([]byte, len(head))) {
		return h, nil, errUnclean
	}
	if _, err := binary.Decode(head, binary.LittleEndian, &h); err != nil {
		return h, nil, err
	}
	switch body := uint64(info.Size() - metaHeaderSize); {
	case string(h.Magic[:]) != metaMagic:
		return h, nil, errDamaged
	case h.Version != metaVersion:
		return h, nil, fmt.Errorf("its format is %d, this server's is %d", h.Version, metaVersion)
	case h.Books > body || h.Index != body-h.Books:
		return h, nil, errDamaged
	}
	text = make([]byte, h.Books)
	if _, err := f.meta.ReadAt(text, metaHeaderSize); err != nil {
		return h, nil, err
	}
	if sum, err := h.sum(text); err != nil || sum != h.Sum {
		return h, nil, errors.Join(err, errDamaged)
	}
	if !found || id != h.ID {
		return h, nil, errApart
	}
	return h, text, nil
}

// checkBooks refuses numbers that lead out of the store's memory.
func (s *Store) checkBooks(b *books) error {
	n := b.Scalars
	pages := uint32(len(s.pages))
	listed := uint64(n.Returned) + uint64(n.Surplus) + uint64(n.Retired)
	for _, c := range b.Classes {
		listed += uint64(c.PageCount)
	}
	ok := listed == uint64(len(b.Numbers)) && n.PoolTaken <= n.PoolFresh && n.PoolFresh <= pages &&
		n.Home <= s.maxBuckets.Load() && n.SpillNext <= s.spill.size && n.SpillNext > 0 && n.SpillFree < n.SpillNext &&
		n.BlocksNext <= s.linkBlocks.size && n.BlocksNext > 0 && n.BlocksFree < n.BlocksNext
	for _, number := range b.Numbers {
		ok = ok && number < pages
	}
	for _, st := range b.Stripes {
		ok = ok && bits.OnesCount64(uint64(st.Mask)+1) == 1 && st.Split <= st.Mask && uint64(st.Mask)+uint64(st.Split) < uint64(n.Home)
	}
	for _, p := range b.Pages {
		ok = ok && int(p.Class) < len(s.classes) && p.Carved <= s.classes[p.Class].perPage && p.Used <= p.Carved && p.Next <= pages && p.Previous <= pages
	}
	for _, c := range b.Classes {
		q := c.Probation
		ok = ok && (q.Length == 0 || q.Head < n.BlocksNext && q.Tail < n.BlocksNext && q.First < blockLinks && q.After <= blockLinks)
	}
	if !ok {
		return errDamaged
	}
	return nil
}

// readIndex fills the index, and leaves it empty if the file does not have what was written.
func (s *Store) readIndex(h metaHeader, parts [][]byte) error {
	size := 0
	for _, part := range parts {
		size += len(part)
	}
	if h.Index != uint64(size) {
		return errDamaged
	}
	sum, err := transfer(parts, metaHeaderSize+int64(h.Books), s.file.meta.ReadAt)
	if err == nil && sum != h.IndexSum {
		err = errDamaged
	}
	if err != nil {
		for _, part := range parts {
			clear(part)
		}
	}
	return err
}

// install makes the books the store's.
func (s *Store) install(b *books) {
	n := b.Scalars
	s.now.Store(n.Now)
	s.flushAt.Store(n.FlushAt)
	s.numbers.last = n.CASBlocks
	s.watermark.Store(n.Watermark)
	s.secrets = n.HashKey
	s.spill.next, s.spill.free, s.spill.used = n.SpillNext, n.SpillFree, n.SpillUsed
	s.linkBlocks.next, s.linkBlocks.free = n.BlocksNext, n.BlocksFree
	for i, from := range b.Stripes {
		st := &s.stripes[i]
		st.mask.Store(from.Mask)
		st.split.Store(from.Split)
		st.cas, st.casEnd, st.items, st.bytes = from.CAS, from.CASEnd, from.Items, from.Bytes
		st.flushed.mark = n.Watermark
	}
	numbers := b.Numbers
	next := func(count uint32) (list []uint32) {
		list, numbers = append(list, numbers[:count]...), numbers[count:]
		return list
	}
	for i, from := range b.Classes {
		c := &s.classes[i]
		c.pages, c.partial, c.hand = next(from.PageCount), from.Partial, hand{from.HandPage, from.HandChunk}
		c.since, c.victimAges, c.lacking = from.Since, from.VictimAges, from.Lacking
		c.used, c.items, c.requested = from.Used, from.Items, from.Requested
		c.probation = linkQueue{from.Probation.Length, from.Probation.Head, from.Probation.Tail, from.Probation.First, from.Probation.After}
	}
	for i, from := range b.Pages {
		p := &s.pages[i]
		p.begin(from.Class, from.Place)
		p.listed, p.used, p.carved, p.free, p.next, p.previous = from.Listed, from.Used, from.Carved, from.Free, from.Next, from.Previous
	}
	s.pool.taken, s.pool.fresh = n.PoolTaken, n.PoolFresh
	s.pool.returned, s.pool.surplus = next(n.Returned), next(n.Surplus+n.Retired) // begin reserves the memory of those without
	s.pool.resize(uint32(s.config.pages()))                                       // the limit may have been lower at the end
}
