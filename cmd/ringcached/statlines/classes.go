package statlines

// Names of the lines that a slab class has, and of the metrics that the exporter makes of them.
const (
	item    = "items:N:"
	class   = "N:"
	ofItems = "memcached_slab_items_"
	ofClass = `memcached_slab_commands_total{command="`
	lruHits = `memcached_slab_lru_hits_total{lru="`
)

// items are the lines of `stats items`, which each slab class with items has.
var items = []Row{
	gauge(item+"number", "", "items of slab class N", "memcached_slab_current_items"),
	gauge(item+"number_hot", "", "the same: there is one queue, which is called hot", "memcached_slab_hot_items"),
	zero(item+"number_warm", "there is one queue", "memcached_slab_warm_items"),
	zero(item+"number_cold", "there is one queue", "memcached_slab_cold_items"),
	gauge(item+"age_hot", "seconds", "age of the item that would be evicted next", "memcached_slab_hot_age_seconds"),
	zero(item+"age_warm", "there is one queue", "memcached_slab_warm_age_seconds"),
	gauge(item+"age", "seconds", "age of the item that would be evicted next", ofItems+"age_seconds"),
	gauge(item+"mem_requested", "bytes", "what the items take of their chunks", "memcached_slab_mem_requested_bytes"),
	counter(item+"evicted", "", "items evicted that were alive", ofItems+"evicted_total"),
	zero(item+"evicted_nonzero", "evictions are not counted by expiry", ofItems+"evicted_nonzero_total"),
	gauge(item+"evicted_time", "seconds", "how long the item evicted last had not been used", ofItems+"evicted_time_seconds"),
	counter(item+"outofmemory", "", "items for which there was no memory", ofItems+"outofmemory_total"),
	zero(item+"tailrepairs", "no item's memory is leaked", ofItems+"tailrepairs_total"),
	counter(item+"reclaimed", "", "dead items whose memory a new one took", ofItems+"reclaimed_total"),
	counter(item+"expired_unfetched", "", "items that expired without having been read", ofItems+"expired_unfetched_total"),
	counter(item+"evicted_unfetched", "", "items evicted without having been read", ofItems+"evicted_unfetched_total"),
	counter(item+"evicted_active", "", "items evicted that had been read lately", "-"),
	counter(item+"crawler_reclaimed", "", "dead items that were swept out", ofItems+"crawler_reclaimed_total"),
	counter(item+"crawler_items_checked", "", "items that sweeps and crawls looked at", "-"),
	counter(item+"lrutail_reflocked", "", "items passed over by eviction because a reply refers to them", "-"),
	zero(item+"moves_to_cold", "there is one queue", ofItems+"moves_to_cold"),
	zero(item+"moves_to_warm", "there is one queue", ofItems+"moves_to_warm"),
	zero(item+"moves_within_lru", "there is one queue", ofItems+"moves_within_lru"),
	zero(item+"direct_reclaims", "a set evicts by itself", ""),
	counter(item+"hits_to_hot", "", "gets that found an item", lruHits+`hot"}`),
	zero(item+"hits_to_warm", "there is one queue", lruHits+`warm"}`),
	zero(item+"hits_to_cold", "there is one queue", lruHits+`cold"}`),
	zero(item+"hits_to_temp", "there is one queue", lruHits+`temporary"}`),
	gauge(item+"probation", "", "items [on probation](eviction.md#probation-that-adapts)", "-"),
	gauge(item+"probation_kept", "percent", "how many of those on probation that nobody used are kept: 0 as long as popularity stays where it is", "-"),
}

// slabs are the lines of `stats slabs`: those of each slab class with pages, and two of all.
var slabs = []Row{
	gauge(class+"chunk_size", "bytes", "size of a chunk of slab class N", "memcached_slab_chunk_size_bytes"),
	gauge(class+"chunks_per_page", "", "chunks in a page", "memcached_slab_chunks_per_page"),
	gauge(class+"total_pages", "pages", "memory of the class", "memcached_slab_current_pages"),
	gauge(class+"total_chunks", "", "chunks of the class", "memcached_slab_current_chunks"),
	gauge(class+"used_chunks", "", "chunks in use", "memcached_slab_chunks_used"),
	gauge(class+"free_chunks", "", "chunks that are free", "memcached_slab_chunks_free"),
	zero(class+"free_chunks_end", "all free chunks are in free_chunks", "memcached_slab_chunks_free_end"),
	counter(class+"get_hits", "", "keys that were read and found", ofClass+"get"+hit),
	counter(class+"cmd_set", "", "commands that sent a value", ofClass+"set"+hit),
	counter(class+"delete_hits", "", "keys that were deleted", ofClass+"delete"+hit),
	counter(class+"incr_hits", "", "numbers that were increased", ofClass+"incr"+hit),
	counter(class+"decr_hits", "", "numbers that were decreased", ofClass+"decr"+hit),
	counter(class+"cas_hits", "", "cas that stored", ofClass+"cas"+hit),
	counter(class+"cas_badval", "", "cas that found the item changed", ofClass+"cas"+badval),
	counter(class+"touch_hits", "", "keys whose time was changed", ofClass+"touch"+hit),
	gauge(class+"mem_wasted", "bytes", "the part of the chunks in use that [holds nothing](commandline.md#what-a-slab-class-wastes)", "-"),
	gauge("active_slabs", "", "slab classes with pages", "-"),
	gauge("total_malloced", "bytes", "memory in pages", "memcached_malloced_bytes"),
}
