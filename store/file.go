package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"runtime"
	"time"

	"ringcached/store/keyhash"
	"ringcached/store/snapshot"
)

// MetaSuffix is what the name of the snapshot has behind that of Config.File.
const MetaSuffix = snapshot.MetaSuffix

// FilePair is Config.File and the file beside it, opened and locked.
type FilePair = snapshot.Pair

// Files returns new descriptors of the two files of Config.File, -1 where there are none, which are the caller's to close: what is locked
// stays locked until they are closed, too.
func (s *Store) Files() (items, meta int, err error) {
	if s.file == nil {
		return -1, -1, nil
	}
	return s.file.Duplicate()
}

// ErrInUse is Save's answer while somebody still has an item that is not in the index, or has not given one back that was.
var ErrInUse = errors.New("store: an item is still being written")

// Save writes what the next New with the same Config restores, and returns how many items that are. Nobody may use the store or its items any more;
// only Close may follow. wall is the time on the wall clock, and age how long ago the store's first second began. Until Save has returned without an
// error there is nothing to restore.
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

// saveSteps are what Save does, one after the other.
func (s *Store) saveSteps(wall time.Time, age time.Duration) []func() error {
	return append([]func() error{s.quiesce}, s.file.SaveSteps(func() snapshot.Content {
		t := s.tables(wall, age)
		return snapshot.Content{Settings: s.settings(), Tables: t, PageSize: PageSize, Used: s.carvedBytes(t.Pages), Index: s.indexParts(&t.Scalars)}
	})...)
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
			if !s.dropReferences(c, number) {
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

// dropReferences leaves no reference to the items of a page but the index's. It returns false if there is one that is not in the index.
func (s *Store) dropReferences(c *class, number uint32) bool {
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

// tables are what a snapshot has of the store.
func (s *Store) tables(wall time.Time, age time.Duration) *snapshot.Tables {
	t := &snapshot.Tables{Scalars: snapshot.Scalars{
		Wall: wall.UnixNano(), Age: int64(age),
		Now: s.now.Load(), FlushAt: s.flushAt.Load(),
		CASBlocks: s.numbers.last, Watermark: s.watermark.Load(), Secrets: s.secrets,
		SpillNext: s.spill.next, SpillFree: s.spill.free, SpillUsed: s.spill.used,
		BlocksNext: s.linkBlocks.next, BlocksFree: s.linkBlocks.free,
		PoolTaken: s.pool.taken, PoolFresh: s.pool.fresh,
		Returned: uint32(len(s.pool.returned)), Surplus: uint32(len(s.pool.surplus)), Retired: uint32(len(s.pool.retired)),
	}}
	for i := range s.stripes {
		st := &s.stripes[i]
		t.Stripes = append(t.Stripes, snapshot.Stripe{Mask: st.mask.Load(), Split: st.split.Load(), CAS: st.cas, CASEnd: st.casEnd, Items: st.items,
			Bytes: st.bytes})
		t.Scalars.Home = max(t.Scalars.Home, st.buckets())
	}
	for i := range s.classes {
		c := &s.classes[i]
		t.Classes = append(t.Classes, snapshot.Class{PageCount: uint32(len(c.pages)), Partial: c.partial, HandPage: c.hand.page, HandChunk: c.hand.chunk,
			Since: c.since, VictimAges: c.victimAges, Unmet: c.unmet, Used: c.used, Items: c.items, Requested: c.requested,
			Probation: c.probation.saved()})
		t.Numbers = append(t.Numbers, c.pages...)
	}
	for i := range s.pages {
		p := &s.pages[i]
		t.Pages = append(t.Pages, snapshot.Page{Class: p.owner(), Listed: p.listed, Position: p.position, Used: p.used, Carved: p.carved, Free: p.free,
			Next: p.next, Previous: p.previous})
	}
	for _, list := range [][]uint32{s.pool.returned, s.pool.surplus, s.pool.retired} {
		t.Numbers = append(t.Numbers, list...)
	}
	return t
}

// carvedBytes is how many bytes from its beginning each of the pages has given to chunks.
func (s *Store) carvedBytes(pages []snapshot.Page) []int {
	used := make([]int, len(pages))
	for i, p := range pages {
		used[i] = int(p.Carved * s.classes[p.Class].size)
	}
	return used
}

// indexParts is the used part of the index, and of the probation queues.
func (s *Store) indexParts(n *snapshot.Scalars) [][]byte {
	return [][]byte{
		s.indexMemory.Bytes()[:int64(n.Home)<<s.stripeBits*bucketSize],
		s.spillMemory.Bytes()[:int64(n.SpillNext)*bucketSize],
		s.queueMemory.Bytes()[:int64(n.BlocksNext)*blockSize],
	}
}

// settings are what a store must have in common with one whose items it restores.
func (s *Store) settings() snapshot.Settings {
	var sizes []byte
	for i := range s.classes {
		sizes = binary.LittleEndian.AppendUint32(sizes, s.classes[i].size)
	}
	known := keyhash.New(1)
	return snapshot.Settings{
		{Name: "memory limit", Value: s.config.Limit},
		{Name: "item size limit", Value: s.config.ItemMax},
		{Name: "growth factor", Value: s.config.Factor},
		{Name: "minimum space for key and value", Value: s.config.ChunkMin},
		{Name: "slab classes", Value: snapshot.Fingerprint(sizes)},
		{Name: "page size", Value: PageSize},
		{Name: "unit of links", Value: 1 << s.shift},
		{Name: "stripes of the index", Value: len(s.stripes)},
		{Name: "hash", Value: fmt.Sprintf("%x", known.Hash([]byte("a text that is hashed in several steps")))},
		{Name: "processor", Value: runtime.GOARCH},
		{Name: "internal checks", Value: invariants},
	}
}

// Restored is what New found in Config.File.
type Restored struct {
	Items uint64        // that were restored
	Why   error         // why the store is empty: the file could not be restored, or there is none; nil if it was
	Wall  time.Time     // the time at which Save was called, of a file that was restored
	Age   time.Duration // the age that Save was given
}

// Restored is what New found in Config.File. After a restore Now is the second of the Save; SetNow tells the store how much time has passed.
func (s *Store) Restored() Restored { return s.restored }

// errNoFile is Restored.Why of a store without Config.File.
var errNoFile = errors.New("there is no file to keep items in")

// restore restores the items that a Save has kept, if there are any that fit, and makes the file that of this store. Its error is for a
// file that can't be used at all.
func (s *Store) restore() error {
	why := s.load()
	s.restored.Why = why
	if why == nil {
		s.restored.Items = s.countItems()
		s.countSizes()
	}
	return s.file.Begin(why == nil)
}

// load fills the new store from the snapshot, or says why it can't, and has changed nothing then.
func (s *Store) load() error {
	t, err := s.file.Read(s.settings(), snapshot.Shape{Stripes: len(s.stripes), Classes: len(s.classes), Pages: len(s.pages)})
	if err != nil {
		return err
	}
	if err := s.checkTables(t); err != nil {
		return err
	}
	if err := s.file.CheckPages(t.Pages, PageSize, s.carvedBytes(t.Pages)); err != nil {
		return err
	}
	n := &t.Scalars
	if err := s.file.ReadIndex(t, s.indexParts(n)); err != nil {
		return err
	}
	s.install(t)
	s.restored.Wall, s.restored.Age = time.Unix(0, n.Wall), time.Duration(n.Age)
	return nil
}

// checkTables refuses numbers that lead out of the store's memory.
func (s *Store) checkTables(t *snapshot.Tables) error {
	n := t.Scalars
	pages := uint32(len(s.pages))
	listed := uint64(n.Returned) + uint64(n.Surplus) + uint64(n.Retired)
	for _, c := range t.Classes {
		listed += uint64(c.PageCount)
	}
	ok := listed == uint64(len(t.Numbers)) && n.PoolTaken <= n.PoolFresh && n.PoolFresh <= pages &&
		n.Home <= s.maxBuckets.Load() && n.SpillNext <= s.spill.size && n.SpillNext > 0 && n.SpillFree < n.SpillNext &&
		n.BlocksNext <= s.linkBlocks.size && n.BlocksNext > 0 && n.BlocksFree < n.BlocksNext
	for _, number := range t.Numbers {
		ok = ok && number < pages
	}
	for _, st := range t.Stripes {
		ok = ok && bits.OnesCount64(uint64(st.Mask)+1) == 1 && st.Split <= st.Mask && uint64(st.Mask)+uint64(st.Split) < uint64(n.Home)
	}
	for _, p := range t.Pages {
		ok = ok && int(p.Class) < len(s.classes) && p.Carved <= s.classes[p.Class].perPage && p.Used <= p.Carved && p.Next <= pages && p.Previous <= pages
	}
	for _, c := range t.Classes {
		q := c.Probation
		ok = ok && (q.Length == 0 || q.Head < n.BlocksNext && q.Tail < n.BlocksNext && q.First < blockLinks && q.After <= blockLinks)
	}
	if !ok {
		return snapshot.ErrDamaged
	}
	return nil
}

// install makes the tables the store's.
func (s *Store) install(t *snapshot.Tables) {
	n := t.Scalars
	s.now.Store(n.Now)
	s.flushAt.Store(n.FlushAt)
	s.numbers.last = n.CASBlocks
	s.watermark.Store(n.Watermark)
	s.secrets = n.Secrets
	s.spill.next, s.spill.free, s.spill.used = n.SpillNext, n.SpillFree, n.SpillUsed
	s.linkBlocks.next, s.linkBlocks.free = n.BlocksNext, n.BlocksFree
	for i, from := range t.Stripes {
		st := &s.stripes[i]
		st.mask.Store(from.Mask)
		st.split.Store(from.Split)
		st.cas, st.casEnd, st.items, st.bytes = from.CAS, from.CASEnd, from.Items, from.Bytes
		st.flushed.upTo = n.Watermark
	}
	numbers := t.Numbers
	next := func(count uint32) (list []uint32) {
		list, numbers = append(list, numbers[:count]...), numbers[count:]
		return list
	}
	for i, from := range t.Classes {
		c := &s.classes[i]
		c.pages, c.partial, c.hand = next(from.PageCount), from.Partial, hand{from.HandPage, from.HandChunk}
		c.since, c.victimAges, c.unmet = from.Since, from.VictimAges, from.Unmet
		c.used, c.items, c.requested = from.Used, from.Items, from.Requested
		c.probation = linkQueue{from.Probation.Length, from.Probation.Head, from.Probation.Tail, from.Probation.First, from.Probation.After}
	}
	for i, from := range t.Pages {
		p := &s.pages[i]
		p.begin(from.Class, from.Position)
		p.listed, p.used, p.carved, p.free, p.next, p.previous = from.Listed, from.Used, from.Carved, from.Free, from.Next, from.Previous
	}
	s.pool.taken, s.pool.fresh = n.PoolTaken, n.PoolFresh
	s.pool.returned, s.pool.surplus = next(n.Returned), next(n.Surplus+n.Retired) // Begin reserves the memory of those without
	s.pool.resize(uint32(s.config.pages()))                                       // the limit may have been lower at the end
}
