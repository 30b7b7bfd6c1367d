package admin

import "ringcached/store"

// itemsStat is one line of `stats items`.
type itemsStat struct {
	name  string
	value func(*store.ClassStats, *counters) uint64
}

func nothing(*store.ClassStats, *counters) uint64 { return 0 }

// itemsTable is `stats items` in memcached's order, with ringcached's own at the end. There is one queue where memcached has four: its items are called
// hot.
var itemsTable = []itemsStat{
	{"number", func(c *store.ClassStats, _ *counters) uint64 { return uint64(c.Items) }},
	{"number_hot", func(c *store.ClassStats, _ *counters) uint64 { return uint64(c.Items) }},
	{"number_warm", nothing},
	{"number_cold", nothing},
	{"age_hot", func(c *store.ClassStats, _ *counters) uint64 { return uint64(c.Age) }},
	{"age_warm", nothing},
	{"age", func(c *store.ClassStats, _ *counters) uint64 { return uint64(c.Age) }},
	{"mem_requested", func(c *store.ClassStats, _ *counters) uint64 { return c.MemRequested }},
	{"evicted", func(c *store.ClassStats, _ *counters) uint64 { return c.Evicted }},
	{"evicted_nonzero", nothing},
	{"evicted_time", func(c *store.ClassStats, _ *counters) uint64 { return uint64(c.EvictedTime) }},
	{"outofmemory", func(c *store.ClassStats, _ *counters) uint64 { return c.OutOfMemory }},
	{"tailrepairs", nothing},
	{"reclaimed", func(c *store.ClassStats, _ *counters) uint64 { return c.Reclaimed }},
	{"expired_unfetched", func(c *store.ClassStats, _ *counters) uint64 { return c.ExpiredUnfetched }},
	{"evicted_unfetched", func(c *store.ClassStats, _ *counters) uint64 { return c.EvictedUnfetched }},
	{"evicted_active", func(c *store.ClassStats, _ *counters) uint64 { return c.EvictedActive }},
	{"crawler_reclaimed", func(c *store.ClassStats, _ *counters) uint64 { return c.CrawlerReclaimed }},
	{"crawler_items_checked", func(c *store.ClassStats, _ *counters) uint64 { return c.CrawlerChecked }},
	{"lrutail_reflocked", func(c *store.ClassStats, _ *counters) uint64 { return c.PinnedSkips }},
	{"moves_to_cold", nothing},
	{"moves_to_warm", nothing},
	{"moves_within_lru", nothing},
	{"direct_reclaims", nothing},
	{"hits_to_hot", func(c *store.ClassStats, n *counters) uint64 { return n.class[c.ID][GetHits] }},
	{"hits_to_warm", nothing},
	{"hits_to_cold", nothing},
	{"hits_to_temp", nothing},
	{"probation", func(c *store.ClassStats, _ *counters) uint64 { return uint64(c.Probation) }},
	{"probation_kept", func(c *store.ClassStats, _ *counters) uint64 { return uint64(c.ProbationKept) }},
}

// reportItems tells of every class that has items.
func (s *Server) reportItems(add func(name, value string)) {
	counts := s.counters()
	for _, c := range s.st.Classes() {
		if c.Items == 0 {
			continue
		}
		prefix := "items:" + decimal(c.ID) + ":"
		for _, line := range itemsTable {
			add(prefix+line.name, decimal(line.value(&c, counts)))
		}
	}
}

// slabsTable are the counters of `stats slabs` in memcached's order.
var slabsTable = []struct {
	name string
	c    ClassCounter
}{
	{"get_hits", GetHits},
	{"cmd_set", SetCommands},
	{"delete_hits", DeleteHits},
	{"incr_hits", IncrHits},
	{"decr_hits", DecrHits},
	{"cas_hits", CasHits},
	{"cas_badval", CasBadval},
	{"touch_hits", TouchHits},
}

// reportSlabs tells of every class that has pages: memcached's lines, and mem_wasted, the bytes of its chunks in use that hold nothing.
func (s *Server) reportSlabs(add func(name, value string)) {
	counts, active := s.counters(), 0
	for _, c := range s.st.Classes() {
		if c.Pages == 0 {
			continue
		}
		active++
		prefix := decimal(c.ID) + ":"
		add(prefix+"chunk_size", decimal(c.ChunkSize))
		add(prefix+"chunks_per_page", decimal(c.ChunksPerPage))
		add(prefix+"total_pages", decimal(c.Pages))
		add(prefix+"total_chunks", decimal(c.Pages*c.ChunksPerPage))
		add(prefix+"used_chunks", decimal(c.ChunksUsed))
		add(prefix+"free_chunks", decimal(c.ChunksFree))
		add(prefix+"free_chunks_end", "0")
		for _, line := range slabsTable {
			add(prefix+line.name, decimal(counts.class[c.ID][line.c]))
		}
		add(prefix+"mem_wasted", decimal(uint64(c.ChunksUsed)*uint64(c.ChunkSize)-c.MemRequested))
	}
	add("active_slabs", decimal(active))
	add("total_malloced", decimal(s.st.Stats().SlabBytes))
}

// sizesReply makes the long reply to `stats sizes`, of which the store keeps count: items of all sizes make tens of thousands of lines.
func sizesReply() *longReply {
	shown := 0
	return &longReply{end: func(w *Worker) (done bool) {
		for range stepLines {
			size, items := w.st.NextSize(shown)
			if size == 0 {
				w.out.EndStats()
				return true
			}
			shown = size
			w.stat(decimal(size), decimal(items))
		}
		return false
	}}
}
