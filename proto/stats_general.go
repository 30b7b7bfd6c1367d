package proto

import (
	"fmt"
	"runtime/metrics"
	"syscall"

	"ringcached/store"
)

// snapshot is what `stats` was computed from.
type snapshot struct {
	srv      *Server
	now      uint32 // the store's clock
	counts   *counters
	store    store.Stats
	usage    syscall.Rusage
	watch    watchCounts
	watching int               // connections that watch
	engine   map[string]string // what the engine reported, by name
	extra    []string          // names of it that memcached does not have, in the engine's order
}

// generalStat is one line of `stats`.
type generalStat struct {
	name  string
	value func(*snapshot) string
}

// generalTable is `stats` in memcached's order. A count that has no meaning here is 0. A line without a value is left out.
var generalTable = []generalStat{
	{"pid", func(s *snapshot) string { return decimal(s.srv.config.PID) }},
	{"uptime", func(s *snapshot) string { return decimal(s.now - max(s.srv.config.Started, firstSecond)) }},
	{"time", func(s *snapshot) string { return decimal(s.srv.epoch + int64(s.now)) }},
	{"version", func(s *snapshot) string { return s.srv.config.Version }},
	reported("libevent"), // memcached's event library; here the I/O engine's name
	{"pointer_size", func(*snapshot) string { return decimal(32 << (^uint(0) >> 63)) }},
	{"rusage_user", func(s *snapshot) string { return seconds(s.usage.Utime) }},
	{"rusage_system", func(s *snapshot) string { return seconds(s.usage.Stime) }},
	{"max_connections", func(s *snapshot) string { return decimal(s.srv.config.Settings.MaxConns) }},
	reported("curr_connections"),
	reported("total_connections"),
	reported("rejected_connections"),
	reported("connection_structures"),
	reported("response_obj_oom"),
	reported("response_obj_count"),
	reported("response_obj_bytes"),
	reported("read_buf_count"),
	reported("read_buf_bytes"),
	reported("read_buf_bytes_free"),
	reported("read_buf_oom"),
	reported("reserved_fds"),
	{"cmd_get", func(s *snapshot) string {
		return decimal(s.counts.total(getHits) + s.counts.server[getMisses])
	}},
	overClasses("cmd_set", setCommands),
	counted("cmd_flush", flushCommands),
	{"cmd_touch", func(s *snapshot) string {
		return decimal(s.counts.total(touchHits) + s.counts.server[touchMisses])
	}},
	counted("cmd_meta", metaCommands),
	overClasses("get_hits", getHits),
	counted("get_misses", getMisses),
	counted("get_expired", getExpired),
	counted("get_flushed", getFlushed),
	counted("delete_misses", deleteMisses),
	overClasses("delete_hits", deleteHits),
	counted("incr_misses", incrMisses),
	overClasses("incr_hits", incrHits),
	counted("decr_misses", decrMisses),
	overClasses("decr_hits", decrHits),
	counted("cas_misses", casMisses),
	overClasses("cas_hits", casHits),
	overClasses("cas_badval", casBadval),
	overClasses("touch_hits", touchHits),
	counted("touch_misses", touchMisses),
	counted("store_too_large", storeTooLarge),
	counted("store_no_memory", storeNoMemory),
	counted("auth_cmds", authCommands),
	counted("auth_errors", authErrors),
	{"idle_kicks", func(s *snapshot) string { return s.fromEngine("idle_kicks", "") }}, // only with an idle_timeout
	reported("bytes_read"),
	reported("bytes_written"),
	{"limit_maxbytes", func(s *snapshot) string { return decimal(s.store.LimitBytes) }},
	{"accepting_conns", func(s *snapshot) string { return s.fromEngine("accepting_conns", "1") }},
	reported("listen_disabled_num"),
	reported("time_in_listen_disabled_us"),
	{"threads", func(s *snapshot) string { return decimal(s.srv.config.Settings.Threads) }},
	counted("conn_yields", connYields),
	{"hash_power_level", func(s *snapshot) string { return decimal(s.store.HashPowerLevel) }},
	{"hash_bytes", func(s *snapshot) string { return decimal(s.store.HashBytes) }},
	zero("hash_is_expanding"),
	{"hash_bucket_evictions", func(s *snapshot) string { return decimal(s.store.HashEvictions) }},
	zero("slab_reassign_rescues"),
	zero("slab_reassign_chunk_rescues"),
	{"slab_reassign_evictions_nomem", func(s *snapshot) string { return decimal(s.store.MoveEvicted) }},
	{"slab_reassign_inline_reclaim", func(s *snapshot) string { return decimal(s.store.MoveReclaimed) }},
	{"slab_reassign_busy_items", func(s *snapshot) string { return decimal(s.store.MoveBusy) }},
	zero("slab_reassign_busy_deletes"),
	zero("slab_reassign_busy_nomem"), // items are evicted, not copied, so that no memory is needed
	{"slab_reassign_last_busy_status", func(*snapshot) string { return "none" }},
	{"slab_reassign_running", func(s *snapshot) string { return choose(s.store.MoveRunning, "1", "0") }},
	{"slabs_moved", func(s *snapshot) string { return decimal(s.store.PagesMoved) }},
	{"lru_crawler_running", func(s *snapshot) string { return choose(s.srv.crawling(), "1", "0") }},
	counted("lru_crawler_starts", crawlerStarts),
	zero("lru_maintainer_juggles"),
	zero("malloc_fails"),
	zero("log_worker_dropped"), // a worker's log that is full is handed on
	{"log_worker_written", func(s *snapshot) string { return decimal(s.watch.written) }},
	{"log_watcher_skipped", func(s *snapshot) string { return decimal(s.watch.skipped) }},
	{"log_watcher_sent", func(s *snapshot) string { return decimal(s.watch.sent) }},
	{"log_watchers", func(s *snapshot) string { return decimal(s.watching) }},
	zero("unexpected_napi_ids"),
	zero("round_robin_fallback"),
	{"bytes", func(s *snapshot) string { return decimal(s.store.Bytes - s.store.FlushedBytes) }},
	{"curr_items", func(s *snapshot) string { return decimal(s.store.CurrItems - s.store.FlushedItems) }},
	{"total_items", func(s *snapshot) string { return decimal(s.store.TotalItems) }},
	{"slab_global_page_pool", func(s *snapshot) string { return decimal(s.store.GlobalPagePool) }},
	{"expired_unfetched", func(s *snapshot) string { return decimal(s.store.ExpiredUnfetched) }},
	{"evicted_unfetched", func(s *snapshot) string { return decimal(s.store.EvictedUnfetched) }},
	{"evicted_active", func(s *snapshot) string { return decimal(s.store.EvictedActive) }},
	{"evictions", func(s *snapshot) string { return decimal(s.store.Evictions) }},
	{"reclaimed", func(s *snapshot) string { return decimal(s.store.Reclaimed) }},
	{"crawler_reclaimed", func(s *snapshot) string { return decimal(s.store.CrawlerReclaimed) }},
	{"crawler_items_checked", func(s *snapshot) string { return decimal(s.store.CrawlerChecked) }},
	{"lrutail_reflocked", func(s *snapshot) string { return decimal(s.store.PinnedSkips) }},
	zero("moves_to_cold"),
	zero("moves_to_warm"),
	zero("moves_within_lru"),
	zero("direct_reclaims"),
	zero("lru_bumps_dropped"),
}

// reported is a line whose value the engine knows.
func reported(name string) generalStat {
	return generalStat{name, func(s *snapshot) string { return s.fromEngine(name, "0") }}
}

// counted is a line that shows a counter.
func counted(name string, c counter) generalStat {
	return generalStat{name, func(s *snapshot) string { return decimal(s.counts.server[c]) }}
}

// overClasses is a line that shows the sum of a counter over all classes.
func overClasses(name string, c classCounter) generalStat {
	return generalStat{name, func(s *snapshot) string { return decimal(s.counts.total(c)) }}
}

// zero is a line for what does not happen here.
func zero(name string) generalStat {
	return generalStat{name, func(*snapshot) string { return "0" }}
}

// generalNames are the names of generalTable.
var generalNames = func() map[string]bool {
	names := make(map[string]bool, len(generalTable))
	for _, g := range generalTable {
		names[g.name] = true
	}
	return names
}()

// fromEngine is what the engine reported under name.
func (s *snapshot) fromEngine(name, otherwise string) string {
	if v, ok := s.engine[name]; ok {
		return v
	}
	return otherwise
}

// snapshot asks everybody for their numbers.
func (w *Worker) snapshot() *snapshot {
	s := &snapshot{srv: w.srv, now: w.st.Now(), counts: w.srv.counters(), store: w.st.Stats(), engine: map[string]string{}}
	s.watch, s.watching = w.srv.watchCounts()
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &s.usage) // fails for a bad argument only
	if e := w.srv.currentEngine(); e != nil {
		e.Stats(func(name, value string) {
			s.engine[name] = value
			if !generalNames[name] {
				s.extra = append(s.extra, name)
			}
		})
	}
	return s
}

// generalStats shows memcached's lines, then the engine's own and what the memory is used for.
func generalStats(w *Worker) {
	s := w.snapshot()
	for _, g := range generalTable {
		if value := g.value(s); value != "" {
			w.stat(g.name, value)
		}
	}
	for _, name := range s.extra {
		w.stat(name, s.engine[name])
	}
	w.stat("mapped_items_bytes", decimal(s.store.MappedItems))
	w.stat("mapped_index_bytes", decimal(s.store.MappedIndex))
	w.stat("memlimit_pending_bytes", decimal(s.store.LimitPending))
	w.stat("memlimit_cut_short", decimal(s.store.LimitCuts))
	w.stat("heap_bytes", decimal(heapBytes()))
	w.srv.walkStats(w, s.counts)
	most, _ := w.srv.uploadLimits()
	w.stat("upload_bytes", decimal(max(w.srv.uploads.held.Load(), 0)))
	w.stat("upload_maxbytes", decimal(most))
	w.stat("upload_kicks", decimal(s.counts.server[uploadKicks]))
}

// heapBytes is the memory of the objects on Go's heap, asked for in a way that does not stop the world.
func heapBytes() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// seconds renders a time as memcached does.
func seconds(t syscall.Timeval) string { return fmt.Sprintf("%d.%06d", t.Sec, t.Usec) }
