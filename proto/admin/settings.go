package admin

import "strconv"

// Settings are what `stats settings` shows, as they are in effect at the start; commands change some. settingsTable has the lines of memcached
// that have no meaning here too, with a fixed value, 0 or no, for programs that expect them. It has none of storage on disk (ext_*), which memcached does
// not show either if it is built without.
type Settings struct {
	MaxConns      int     // -c
	TCPPort       int     // -p
	UDPPort       int     // -U
	Interface     string  // -l as given; "" is shown as NULL
	Evictions     bool    // not -M
	DomainSocket  string  // -s; "" is shown as NULL
	AccessMask    string  // -a; "" is shown as 700
	Shutdown      bool    // -A
	Factor        float64 // -f
	ChunkSize     int     // -n
	Threads       int     // -t
	ThreadsFrom   string  // what that number follows from, such as -t or a cpu quota; "": not known
	Prefix        string  // -D; "" is shown as :
	Backlog       int     // -b
	Protocol      string  // -B; "" is shown as auto-negotiate
	AuthText      bool    // -Y
	AuthSASL      bool    // -S
	ItemMax       int     // -I in bytes
	MemoryFile    string  // -e; "" is shown as (null)
	ClientMemory  int64   // --client-memory in bytes; 0: no limit
	MaxConnsFast  bool
	NoCAS         bool // -C, obeyed
	FlushDisabled bool // -F, obeyed
	DumpDisabled  bool // -X, obeyed
	WatchDisabled bool // -W, obeyed
	PrefixDetail  bool // -D was given: uses are counted by prefix from the start

	// These are obeyed, and names of -o.
	SlabReassign   bool // slab_reassign: `slabs reassign` is allowed
	Crawler        bool // lru_crawler: what has expired is swept out, crawls and dumps are allowed
	CrawlerSleep   int  // lru_crawler_sleep: microseconds
	CrawlerToCrawl int  // lru_crawler_tocrawl: items of a class that a crawl looks at; 0: all
	TrackSizes     bool // track_sizes: `stats sizes` is answered

	HotKeys bool // --hot-keys, obeyed

	StderrBuffer  int // bytes of lines that wait to be written to stderr
	WatcherBuffer int // watcher_logbuf_size in bytes, 0: 256 KiB
	WorkerBuffer  int // worker_logbuf_size in bytes, 0: 64 KiB

	TLS TLSSettings

	HashPower   int
	IdleTimeout int // seconds
}

// TLSSettings are what `stats settings` shows of -Z and of -o ssl_*.
type TLSSettings struct {
	Enabled      bool
	Chain, Key   string // paths; "" is shown as (null)
	CA           string // a path; "" is shown as NULL
	Ciphers      string // as given; "" is shown as NULL
	VerifyFlags  int    // OpenSSL's flags for ssl_verify_mode: 0, 1, 3 or 7
	KeyFormat    int    // 1: PEM, 2: DER
	MinVersion   string // such as tlsv1.2
	SessionCache bool
	KernelTLS    bool
}

// settingsTable is `stats settings` in memcached's order.
var settingsTable = []struct {
	name  string
	value func(*Server) string
}{
	{"maxbytes", func(s *Server) string { return decimal(s.st.Limit()) }},
	{"maxconns", func(s *Server) string { return decimal(s.config.Settings.MaxConns) }},
	{"tcpport", func(s *Server) string { return decimal(s.config.Settings.TCPPort) }},
	{"udpport", func(s *Server) string { return decimal(s.config.Settings.UDPPort) }},
	{"inter", func(s *Server) string { return or(s.config.Settings.Interface, "NULL") }},
	{"verbosity", func(s *Server) string { return decimal(int(s.config.Verbosity.Load())) }},
	{"oldest", fixed("0")},
	{"evictions", func(s *Server) string { return choose(s.config.Settings.Evictions, "on", "off") }},
	{"domain_socket", func(s *Server) string { return or(s.config.Settings.DomainSocket, "NULL") }},
	{"umask", func(s *Server) string { return or(s.config.Settings.AccessMask, "700") }},
	{"shutdown_command", func(s *Server) string { return yes(s.config.Settings.Shutdown) }},
	{"growth_factor", func(s *Server) string { return strconv.FormatFloat(s.config.Settings.Factor, 'f', 2, 64) }},
	{"chunk_size", func(s *Server) string { return decimal(s.config.Settings.ChunkSize) }},
	{"num_threads", func(s *Server) string { return decimal(s.config.Settings.Threads) }},
	{"num_threads_per_udp", func(s *Server) string { return decimal(s.config.Settings.Threads) }},
	{"stat_key_prefix", func(s *Server) string { return or(s.config.Settings.Prefix, ":") }},
	{"detail_enabled", func(s *Server) string { return yes(s.detailEnabled()) }},
	{"reqs_per_event", func(s *Server) string { return decimal(s.config.RequestsPerEvent) }},
	{"cas_enabled", func(s *Server) string { return yes(!s.config.Settings.NoCAS) }},
	{"tcp_backlog", func(s *Server) string { return decimal(s.config.Settings.Backlog) }},
	{"binding_protocol", func(s *Server) string { return or(s.config.Settings.Protocol, "auto-negotiate") }},
	{"auth_enabled_sasl", func(s *Server) string { return yes(s.config.Settings.AuthSASL) }},
	{"auth_enabled_ascii", func(s *Server) string { return yes(s.config.Settings.AuthText) }},
	{"item_size_max", func(s *Server) string { return decimal(s.config.Settings.ItemMax) }},
	{"maxconns_fast", func(s *Server) string { return yes(s.config.Settings.MaxConnsFast) }},
	{"hashpower_init", func(s *Server) string { return decimal(s.config.Settings.HashPower) }},
	{"slab_reassign", func(s *Server) string { return yes(s.config.Settings.SlabReassign) }},
	{"slab_automove", func(s *Server) string { return decimal(s.st.Automove()) }},
	{"slab_automove_ratio", fixed("0.00")},
	{"slab_automove_window", fixed("0")},
	{"slab_chunk_max", largestChunk},
	{"lru_crawler", func(s *Server) string { return yes(s.crawler.settings().enabled) }},
	{"lru_crawler_sleep", func(s *Server) string { return decimal(s.crawler.settings().pause.Microseconds()) }},
	{"lru_crawler_tocrawl", func(s *Server) string { return decimal(s.crawler.settings().most) }},
	{"tail_repair_time", fixed("0")},
	{"flush_enabled", func(s *Server) string { return yes(!s.config.Settings.FlushDisabled) }},
	{"dump_enabled", func(s *Server) string { return yes(!s.config.Settings.DumpDisabled) }},
	{"hash_algorithm", fixed("nh")},
	{"lru_maintainer_thread", fixed("no")},
	{"lru_segmented", fixed("no")},
	{"hot_lru_pct", fixed("0")},
	{"warm_lru_pct", fixed("0")},
	{"hot_max_factor", fixed("0.00")},
	{"warm_max_factor", fixed("0.00")},
	{"temp_lru", fixed("no")},
	{"temporary_ttl", fixed("0")},
	{"idle_timeout", func(s *Server) string { return decimal(s.config.Settings.IdleTimeout) }},
	{"watcher_logbuf_size", func(s *Server) string { return decimal(s.watcherBuffer()) }},
	{"worker_logbuf_size", func(s *Server) string { return decimal(s.workerBuffer()) }},
	{"read_buf_mem_limit", fixed("0")},
	{"track_sizes", func(s *Server) string { return yes(s.config.Settings.TrackSizes) }},
	{"inline_ascii_response", fixed("no")},
	{"slab_automove_freeratio", fixed("0.000")},
	{"ssl_enabled", func(s *Server) string { return yes(s.config.Settings.TLS.Enabled) }},
	{"ssl_chain_cert", func(s *Server) string { return or(s.config.Settings.TLS.Chain, "(null)") }},
	{"ssl_key", func(s *Server) string { return or(s.config.Settings.TLS.Key, "(null)") }},
	{"ssl_verify_mode", func(s *Server) string { return decimal(s.config.Settings.TLS.VerifyFlags) }},
	{"ssl_keyformat", func(s *Server) string { return decimal(max(s.config.Settings.TLS.KeyFormat, 1)) }},
	{"ssl_ciphers", func(s *Server) string { return or(s.config.Settings.TLS.Ciphers, "NULL") }},
	{"ssl_ca_cert", func(s *Server) string { return or(s.config.Settings.TLS.CA, "NULL") }},
	{"ssl_wbuf_size", fixed("0")},
	{"ssl_session_cache", func(s *Server) string { return yes(s.config.Settings.TLS.SessionCache) }},
	{"ssl_kernel_tls", func(s *Server) string { return yes(s.config.Settings.TLS.KernelTLS) }},
	{"ssl_min_version", func(s *Server) string { return or(s.config.Settings.TLS.MinVersion, "tlsv1.2") }},
	{"proxy_enabled", fixed("no")},
	{"proxy_uring_enabled", fixed("no")},
	{"num_napi_ids", fixed("0")},
	{"memory_file", func(s *Server) string { return or(s.config.Settings.MemoryFile, "(null)") }},
	{"client_flags_size", fixed("4")},
	{"stderr_logbuf_size", func(s *Server) string { return decimal(s.config.Settings.StderrBuffer) }},
	{"udp_amplification", func(s *Server) string { return decimal(s.config.Amplification) }},
	{"client_memory", func(s *Server) string { return strconv.FormatInt(s.config.Settings.ClientMemory, 10) }},
	{"hot_keys", func(s *Server) string { return yes(s.config.Settings.HotKeys) }},
	{"num_threads_from", func(s *Server) string { return or(s.config.Settings.ThreadsFrom, "NULL") }},
}

func (s *Server) reportSettings(add func(name, value string)) {
	for _, line := range settingsTable {
		add(line.name, line.value(s))
	}
}

// largestChunk is the size of the largest chunk; larger items are chains.
func largestChunk(s *Server) string {
	size := 0
	for _, c := range s.st.Classes() {
		size = max(size, c.ChunkSize)
	}
	return decimal(size)
}

// watcherBuffer and workerBuffer are the sizes of -o watcher_logbuf_size and worker_logbuf_size.
func (s *Server) watcherBuffer() int {
	return choose(s.config.Settings.WatcherBuffer > 0, s.config.Settings.WatcherBuffer, defaultWatcherBuffer)
}

func (s *Server) workerBuffer() int {
	return choose(s.config.Settings.WorkerBuffer > 0, s.config.Settings.WorkerBuffer, defaultWorkerBuffer)
}

func fixed(value string) func(*Server) string { return func(*Server) string { return value } }

func or(value, otherwise string) string { return choose(value != "", value, otherwise) }

func yes(b bool) string { return choose(b, "yes", "no") }

func choose[T any](cond bool, yes, no T) T {
	if cond {
		return yes
	}
	return no
}

func decimal[T int | int64 | uint32 | uint64](v T) string {
	if v < 0 {
		return strconv.FormatInt(int64(v), 10)
	}
	return strconv.FormatUint(uint64(v), 10)
}
