package admin

import (
	"fmt"
	"runtime/metrics"
	"syscall"

	"ringcached/store"
)

// generalInput is what `stats` is computed from.
type generalInput struct {
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
	value func(*generalInput) string
}

// generalTable is `stats` in memcached's order. A count that has no meaning here is 0. A line without a value is left out.
var generalTable = []generalStat{
	{"pid", func(s *generalInput) string { return decimal(s.srv.config.PID) }},
	{"uptime", func(s *generalInput) string { return decimal(s.now - s.srv.config.Started) }},
	{"time", func(s *generalInput) string { return decimal(s.srv.config.Epoch + int64(s.now)) }},
	{"version", func(s *generalInput) string { return s.srv.config.Version }},
	reported("libevent"), // memcached's event library; here the I/O engine's name
	{"pointer_size", func(*generalInput) string { return decimal(32 << (^uint(0) >> 63)) }},
	{"rusage_user", func(s *generalInput) string { return seconds(s.usage.Utime) }},
	{"rusage_system", func(s *generalInput) string { return seconds(s.usage.Stime) }},
	{"max_connections", func(s *generalInput) string { return decimal(s.srv.config.Settings.MaxConns) }},
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
	{"cmd_get", func(s *generalInput) string {
		return decimal(s.counts.total(GetHits) + s.counts.server[GetMisses])
	}},
	overClasses("cmd_set", SetCommands),
	counted("cmd_flush", FlushCommands),
	{"cmd_touch", func(s *generalInput) string {
		return decimal(s.counts.total(TouchHits) + s.counts.server[TouchMisses])
	}},
	counted("cmd_meta", MetaCommands),
	overClasses("get_hits", GetHits),
	counted("get_misses", GetMisses),
	counted("get_expired", GetExpired),
	counted("get_flushed", GetFlushed),
	counted("delete_misses", DeleteMisses),
	overClasses("delete_hits", DeleteHits),
	counted("incr_misses", IncrMisses),
	overClasses("incr_hits", IncrHits),
	counted("decr_misses", DecrMisses),
	overClasses("decr_hits", DecrHits),
	counted("cas_misses", CasMisses),
	overClasses("cas_hits", CasHits),
	overClasses("cas_badval", CasBadval),
	overClasses("touch_hits", TouchHits),
	counted("touch_misses", TouchMisses),
	counted("store_too_large", StoreTooLarge),
	counted("store_no_memory", StoreNoMemory),
	counted("auth_cmds", AuthCommands),
	counted("auth_errors", AuthErrors),
	onlyReported("idle_kicks"), // with an idle_timeout
	reported("bytes_read"),
	reported("bytes_written"),
	{"limit_maxbytes", func(s *generalInput) string { return decimal(s.store.LimitBytes) }},
	{"accepting_conns", func(s *generalInput) string { return s.fromEngine("accepting_conns", "1") }},
	reported("listen_disabled_num"),
	reported("time_in_listen_disabled_us"),
	{"threads", func(s *generalInput) string { return decimal(s.srv.config.Settings.Threads) }},
	counted("conn_yields", ConnYields),
	{"hash_power_level", func(s *generalInput) string { return decimal(s.store.HashPowerLevel) }},
	{"hash_bytes", func(s *generalInput) string { return decimal(s.store.HashBytes) }},
	zero("hash_is_expanding"),
	{"hash_bucket_evictions", func(s *generalInput) string { return decimal(s.store.HashEvictions) }},
	zero("slab_reassign_rescues"),
	zero("slab_reassign_chunk_rescues"),
	{"slab_reassign_evictions_nomem", func(s *generalInput) string { return decimal(s.store.MoveEvicted) }},
	{"slab_reassign_inline_reclaim", func(s *generalInput) string { return decimal(s.store.MoveReclaimed) }},
	{"slab_reassign_busy_items", func(s *generalInput) string { return decimal(s.store.MoveBusy) }},
	zero("slab_reassign_busy_deletes"),
	zero("slab_reassign_busy_nomem"), // items are evicted, not copied, so that no memory is needed
	{"slab_reassign_last_busy_status", func(*generalInput) string { return "none" }},
	{"slab_reassign_running", func(s *generalInput) string { return choose(s.store.MoveRunning, "1", "0") }},
	{"slabs_moved", func(s *generalInput) string { return decimal(s.store.PagesMoved) }},
	{"lru_crawler_running", func(s *generalInput) string { return choose(s.srv.crawling(), "1", "0") }},
	counted("lru_crawler_starts", crawlerStarts),
	zero("lru_maintainer_juggles"),
	zero("malloc_fails"),
	zero("log_worker_dropped"), // a worker whose log is full hands it on
	{"log_worker_written", func(s *generalInput) string { return decimal(s.watch.written) }},
	{"log_watcher_skipped", func(s *generalInput) string { return decimal(s.watch.skipped) }},
	{"log_watcher_sent", func(s *generalInput) string { return decimal(s.watch.sent) }},
	{"log_watchers", func(s *generalInput) string { return decimal(s.watching) }},
	onlyReported("ssl_new_sessions"),
	onlyReported("ssl_handshake_errors"),
	onlyReported("ssl_proto_errors"),
	onlyReported("time_since_server_cert_refresh"),
	zero("unexpected_napi_ids"),
	zero("round_robin_fallback"),
	{"bytes", func(s *generalInput) string { return decimal(s.store.Bytes - s.store.FlushedBytes) }},
	{"curr_items", func(s *generalInput) string { return decimal(s.store.CurrItems - s.store.FlushedItems) }},
	{"total_items", func(s *generalInput) string { return decimal(s.store.TotalItems) }},
	{"slab_global_page_pool", func(s *generalInput) string { return decimal(s.store.GlobalPagePool) }},
	{"expired_unfetched", func(s *generalInput) string { return decimal(s.store.ExpiredUnfetched) }},
	{"evicted_unfetched", func(s *generalInput) string { return decimal(s.store.EvictedUnfetched) }},
	{"evicted_active", func(s *generalInput) string { return decimal(s.store.EvictedActive) }},
	{"evictions", func(s *generalInput) string { return decimal(s.store.Evictions) }},
	{"reclaimed", func(s *generalInput) string { return decimal(s.store.Reclaimed) }},
	{"crawler_reclaimed", func(s *generalInput) string { return decimal(s.store.CrawlerReclaimed) }},
	{"crawler_items_checked", func(s *generalInput) string { return decimal(s.store.CrawlerChecked) }},
	{"lrutail_reflocked", func(s *generalInput) string { return decimal(s.store.PinnedSkips) }},
	zero("moves_to_cold"),
	zero("moves_to_warm"),
	zero("moves_within_lru"),
	zero("direct_reclaims"),
	zero("lru_bumps_dropped"),
}

// reported is a line whose value the engine knows.
func reported(name string) generalStat {
	return generalStat{name, func(s *generalInput) string { return s.fromEngine(name, "0") }}
}

// onlyReported is the same, for one that is left out where the engine does not report it.
func onlyReported(name string) generalStat {
	return generalStat{name, func(s *generalInput) string { return s.fromEngine(name, "") }}
}

// counted is a line that shows a counter.
func counted(name string, c Counter) generalStat {
	return generalStat{name, func(s *generalInput) string { return decimal(s.counts.server[c]) }}
}

// overClasses is a line that shows the sum of a counter over all classes.
func overClasses(name string, c ClassCounter) generalStat {
	return generalStat{name, func(s *generalInput) string { return decimal(s.counts.total(c)) }}
}

// zero is a line for what does not happen here.
func zero(name string) generalStat {
	return generalStat{name, func(*generalInput) string { return "0" }}
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
func (s *generalInput) fromEngine(name, otherwise string) string {
	if v, ok := s.engine[name]; ok {
		return v
	}
	return otherwise
}

// generalInput asks everybody for their numbers.
func (s *Server) generalInput() *generalInput {
	in := &generalInput{srv: s, now: s.st.Now(), counts: s.counters(), store: s.st.Stats(), engine: map[string]string{}}
	in.watch, in.watching = s.watchCounts()
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &in.usage) // fails for a bad argument only
	if e := s.Engine(); e != nil {
		e.Stats(func(name, value string) {
			in.engine[name] = value
			if !generalNames[name] {
				in.extra = append(in.extra, name)
			}
		})
	}
	return in
}

// reportGeneral tells memcached's lines, then the engine's own and what the memory is used for.
func (s *Server) reportGeneral(add func(name, value string)) {
	in := s.generalInput()
	for _, g := range generalTable {
		if value := g.value(in); value != "" {
			add(g.name, value)
		}
	}
	for _, name := range in.extra {
		add(name, in.engine[name])
	}
	add("mapped_items_bytes", decimal(in.store.MappedItems))
	add("mapped_index_bytes", decimal(in.store.MappedIndex))
	add("memlimit_pending_bytes", decimal(in.store.LimitPending))
	add("memlimit_cut_short", decimal(in.store.LimitCuts))
	add("huge_page_bytes", decimal(in.store.HugeBytes))
	add("huge_page_failures", decimal(in.store.HugeFailures))
	add("heap_bytes", decimal(heapBytes()))
	s.reportLongReplies(in.counts, add)
	held, most := s.config.Uploads()
	add("upload_bytes", decimal(held))
	add("upload_maxbytes", decimal(most))
	add("upload_kicks", decimal(in.counts.server[UploadKicks]))
}

// heapBytes is the memory of the objects on Go's heap. Reading it does not stop the world.
func heapBytes() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// seconds renders a time as memcached does.
func seconds(t syscall.Timeval) string { return fmt.Sprintf("%d.%06d", t.Sec, t.Usec) }
