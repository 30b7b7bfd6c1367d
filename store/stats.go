package store

import (
	"math/bits"
	"sync/atomic"
)

// Stats are the counters of the whole store. Where memcached has the same, it stands beside with its name there.
type Stats struct {
	CurrItems        uint64 // curr_items: items in the index
	TotalItems       uint64 // total_items: items ever linked, or since ResetStats
	Bytes            uint64 // bytes: what the items in the index take, with their headers
	FlushedItems     uint64 // of CurrItems: those that were flushed and are still in the index
	FlushedBytes     uint64 // of Bytes: what they take
	Evictions        uint64 // evictions
	EvictedUnfetched uint64 // evicted_unfetched
	EvictedActive    uint64 // evicted_active: evicted although their recency count was not 0
	ExpiredUnfetched uint64 // expired_unfetched: reclaimed without ever having been used
	Reclaimed        uint64 // reclaimed: expired or flushed items whose memory the hand took, or in whose place others were stored
	OutOfMemory      uint64 // outofmemory: Allocs that failed
	PinnedSkips      uint64 // lrutail_reflocked: items that the hand passed by because they were referenced
	PagesMoved       uint64 // slabs_moved: pages that were emptied to be taken from a class
	MoveRunning      bool   // slab_reassign_running: a page is being emptied
	MoveEvicted      uint64 // slab_reassign_evictions_nomem: items evicted because their page was emptied
	MoveReclaimed    uint64 // slab_reassign_inline_reclaim: expired or flushed items in pages that were emptied
	MoveBusy         uint64 // slab_reassign_busy_items: times that something in a page that is being emptied was in use
	CrawlerChecked   uint64 // crawler_items_checked: items that crawls looked at
	CrawlerReclaimed uint64 // crawler_reclaimed: of them, expired or flushed ones that were removed
	HashPowerLevel   int    // hash_power_level: binary logarithm of the number of slots, rounded down
	HashBytes        uint64 // hash_bytes: index memory in use
	HashEvictions    uint64 // hash_bucket_evictions: of Evictions and Reclaimed, items that were removed because their bucket was full
	GlobalPagePool   int    // slab_global_page_pool: pages that were used and belong to no class
	LimitBytes       uint64 // limit_maxbytes: what SetLimit said last, or Config.Limit
	LimitPending     uint64 // of LimitBytes, what is not usable yet, since its memory has to be reserved
	LimitCuts        uint64 // times that a limit that was raised could not be reached, for lack of memory in the file
	Pages            int    // pages that there are: LimitBytes, rounded up; more while a lower limit takes effect, less by LimitPending
	PagesUsed        int    // pages that belong to a class
	SlabBytes        uint64 // total_malloced: PagesUsed in bytes
	MappedItems      uint64 // address space mapped for items, in bytes
	MappedIndex      uint64 // address space mapped for the index, its overflow, and what eviction remembers, in bytes
	HugeBytes        uint64 // of items and index, what MakeHugePages made huge pages of
	HugeFailures     uint64 // times that it could not
	RefsSaturated    uint64 // items that stay for ever because their references could not be counted
}

// ClassStats are the counters of one slab class.
type ClassStats struct {
	ID               int    // from 1
	ChunkSize        int    // chunk_size, in bytes
	ChunksPerPage    int    // chunks_per_page
	Pages            int    // total_pages
	ChunksUsed       int    // used_chunks
	ChunksFree       int    // free_chunks of the class's pages, whether they have been in use or not
	Items            int    // number: items with their first chunk here, in the index or referenced
	MemRequested     uint64 // mem_requested: bytes used of ChunksUsed*ChunkSize
	Evicted          uint64 // evicted
	EvictedUnfetched uint64 // evicted_unfetched
	EvictedActive    uint64 // evicted_active
	EvictedTime      uint32 // evicted_time: seconds between last access and eviction of the item evicted last
	OutOfMemory      uint64 // outofmemory
	Reclaimed        uint64 // reclaimed
	ExpiredUnfetched uint64 // expired_unfetched
	PinnedSkips      uint64 // lrutail_reflocked
	CrawlerChecked   uint64 // crawler_items_checked
	CrawlerReclaimed uint64 // crawler_reclaimed
	Probation        int    // items on probation, those included whose memory went to others meanwhile
	ProbationKept    int    // percent of the items that nobody used on probation that are settled nevertheless
	Age              uint32 // age: seconds since the last access of the item that the hand meets next
}

// Stats adds the counters up. It locks one stripe, and one class, after the other: each number is right at some moment of the call.
func (s *Store) Stats() Stats {
	pool := s.pool.counts()
	out := Stats{
		LimitBytes:     uint64(s.Limit()),
		LimitPending:   uint64(pool.lacking) * PageSize,
		LimitCuts:      s.limitCuts.Load(),
		Pages:          pool.used + pool.returned + pool.untouched,
		PagesUsed:      pool.used,
		SlabBytes:      uint64(pool.used) * PageSize,
		GlobalPagePool: pool.returned,
		PagesMoved:     s.moves.pages.Load(),
		MoveRunning:    s.move.active.Load(),
		MoveEvicted:    s.moves.evicted.Load(),
		MoveReclaimed:  s.moves.reclaimed.Load(),
		MoveBusy:       s.moves.busy.Load(),
		MappedItems:    s.itemMemory.Size(),
		MappedIndex:    s.indexMemory.Size() + s.spillMemory.Size() + s.ghostMemory.Size() + s.queueMemory.Size(),
		HugeBytes:      s.huge.Bytes(),
		HugeFailures:   s.huge.Failures(),
		RefsSaturated:  s.saturated.Load(),
	}
	var buckets uint64
	for i := range s.stripes {
		st := &s.stripes[i]
		st.lock()
		st.noteFlush(s.watermark.Load())
		out.CurrItems += st.items
		out.FlushedItems += st.flushed.items
		out.TotalItems += st.total
		out.Bytes += st.bytes
		out.FlushedBytes += st.flushed.bytes
		buckets += uint64(st.buckets())
		st.unlock()
	}
	out.HashPowerLevel = bits.Len64(buckets*bucketSlots) - 1
	out.HashBytes = (buckets + uint64(s.spill.touched())) * bucketSize
	for i := range s.classes[1:] {
		c := &s.classes[i+1]
		c.lock()
		n := c.counters
		c.unlock()
		out.Evictions += n.evicted
		out.EvictedUnfetched += n.evictedUnfetched
		out.EvictedActive += n.evictedActive
		out.ExpiredUnfetched += n.expiredUnfetched
		out.Reclaimed += n.reclaimed
		out.OutOfMemory += n.outOfMemory
		out.PinnedSkips += n.pinnedSkips
		out.CrawlerChecked += n.crawlerChecked
		out.CrawlerReclaimed += n.crawlerReclaimed
		out.HashEvictions += n.crowded
	}
	return out
}

// Classes are the counters of all classes, those without a page too.
func (s *Store) Classes() []ClassStats {
	all := make([]ClassStats, 0, len(s.classes)-1)
	for i := range s.classes[1:] {
		all = append(all, s.classStats(&s.classes[i+1]))
	}
	return all
}

func (s *Store) classStats(c *class) ClassStats {
	c.lock()
	defer c.unlock()
	n := c.counters
	age, _ := s.ageAtHand(c)
	return ClassStats{
		ID:               int(c.id),
		ChunkSize:        int(c.size),
		ChunksPerPage:    int(c.perPage),
		Pages:            len(c.pages),
		ChunksUsed:       int(c.used),
		ChunksFree:       len(c.pages)*int(c.perPage) - int(c.used),
		Items:            int(c.items),
		MemRequested:     c.requested,
		Evicted:          n.evicted,
		EvictedUnfetched: n.evictedUnfetched,
		EvictedActive:    n.evictedActive,
		EvictedTime:      n.evictedTime,
		OutOfMemory:      n.outOfMemory,
		Reclaimed:        n.reclaimed,
		ExpiredUnfetched: n.expiredUnfetched,
		PinnedSkips:      n.pinnedSkips,
		CrawlerChecked:   n.crawlerChecked,
		CrawlerReclaimed: n.crawlerReclaimed,
		Probation:        int(c.probation.length),
		ProbationKept:    int(c.adapted.kept) * 100 / keptAll,
		Age:              age,
	}
}

// ResetStats sets what counts events back to 0; what counts things that are there stays.
func (s *Store) ResetStats() {
	for i := range s.stripes {
		st := &s.stripes[i]
		st.lock()
		st.total = 0
		st.unlock()
	}
	for i := range s.classes[1:] {
		c := &s.classes[i+1]
		c.lock()
		c.counters = classCounters{}
		c.unlock()
	}
	for _, n := range []*atomic.Uint64{&s.moves.pages, &s.moves.evicted, &s.moves.reclaimed, &s.moves.busy} {
		n.Store(0)
	}
}

// SizeStep is the width of the steps in which Config.TrackSizes counts items, in bytes, as memcached's.
const SizeStep = 32

// sizesPart is how many steps are counted in one piece of memory.
const sizesPart = 1024

// sizes counts the items in the index by their size, rounded up to steps. Parts are made when an item of their sizes is met.
type sizes struct {
	parts []atomic.Pointer[[sizesPart]atomic.Int64]
}

func newSizes(itemMax int) *sizes {
	return &sizes{make([]atomic.Pointer[[sizesPart]atomic.Int64], (itemMax+SizeStep-1)/SizeStep/sizesPart+1)}
}

// add counts n items more of a size.
func (z *sizes) add(size int, n int64) {
	step := (size + SizeStep - 1) / SizeStep
	at := &z.parts[min(step/sizesPart, len(z.parts)-1)]
	part := at.Load()
	if part == nil {
		at.CompareAndSwap(nil, new([sizesPart]atomic.Int64))
		part = at.Load()
	}
	part[step%sizesPart].Add(n)
}

// NextSize is the first step above the one that ends with size bytes in which there are items, and how many; 0 if there is none, or
// if Config.TrackSizes does not say that they are counted.
func (s *Store) NextSize(size int) (next int, items uint64) {
	if s.sizes == nil {
		return 0, 0
	}
	for step := size/SizeStep + 1; step < len(s.sizes.parts)*sizesPart; step++ {
		part := s.sizes.parts[step/sizesPart].Load()
		if part == nil {
			step |= sizesPart - 1
			continue
		}
		if n := part[step%sizesPart].Load(); n > 0 {
			return step * SizeStep, uint64(n)
		}
	}
	return 0, 0
}

// SizeOf is the size of an item in bytes as memcached counts it: a header, a CAS unless there is none, key, flags if there are any, and the
// value, each with what ends it. Config.ItemMax is in the same terms.
func (s *Store) SizeOf(it Item) int { return s.sizeOf(it.h.keyLen(), it.Flags(), it.Len()) }

func (s *Store) sizeOf(key int, flags uint32, n int) int {
	size := memcachedHeader + key + 1 + n + 2
	if !s.config.NoCAS {
		size += casSize
	}
	if flags != 0 {
		size += 4
	}
	return size
}

// countSize counts that h came into the index, or for -1 left it, if that is wanted.
func (s *Store) countSize(h *header, n int64) {
	if s.sizes != nil {
		s.addSize(h, n)
	}
}

func (s *Store) addSize(h *header, n int64) { s.sizes.add(s.SizeOf(Item{h}), n) }

// countSizes counts the items that were restored from a file.
func (s *Store) countSizes() {
	if s.sizes == nil {
		return
	}
	for w := (&Walk{Classes: AllClasses}); ; {
		st, first := s.lockNext(w)
		if st == nil {
			return
		}
		for b := first; b != nil; b = s.spill.after(b) {
			for i := range b.count() {
				s.countSize(s.at(b.links[i]), 1)
			}
		}
		st.unlock()
	}
}
