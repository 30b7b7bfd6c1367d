package config

import (
	"errors"
	"strconv"

	"ringcached/store"
)

// extendedOption is one of memcached's -o options: either it does something, or why
// says why it has nothing to do.
type extendedOption struct {
	name  string
	takes argument
	set   func(o *Extended, value string) error
	does  string // what set is for, in the manual page
	why   string
	lacks bool // what memcached does then is missed: why says what
}

// Reasons that several options share.
const (
	whyIndex    = "the index grows by itself, bucket by bucket"
	whySlabs    = "how readily memory moves between slab classes is a matter of slab_automove alone"
	whySegments = "eviction is CLOCK, without segments to tune"
	whyBuffers  = "buffers are shared by all connections of a thread, and bounded (--ring-buffers)"
	whyReplies  = "replies are always rendered when an item is stored"
	whyNow      = "it is how this server works anyway"
	whySeccomp  = "the server sets up no system call filter"
	whyStorage  = "there is no storage on disk here"
	whyProxy    = "there is no proxy here; this server answers from its own cache, and passes nothing on"
)

// extendedTable has every option that memcached 1.6 knows, in any of its builds.
var extendedTable = []extendedOption{
	{name: "idle_timeout", takes: integer, set: setNumber(func(o *Extended) *int { return &o.IdleTimeout }), does: "close connections that send nothing for so many seconds; 0: never"},
	{name: "maxconns_fast", set: setRefuse(true), does: "refuse connections above -c: the default"},
	{name: "no_maxconns_fast", set: setRefuse(false), does: "let connections above -c wait"},
	{name: "no_modern", set: setOld, does: "the defaults of memcached 1.4: no_maxconns_fast, no_lru_crawler, no_slab_reassign, no_slab_automove"},
	{name: "modern", why: whyNow},
	{name: "watcher_logbuf_size", takes: strict, set: setNumber(func(o *Extended) *int { return &o.WatcherBuffer }), does: "buffer of a watcher, in KiB; 256"},
	{name: "worker_logbuf_size", takes: strict, set: setNumber(func(o *Extended) *int { return &o.WorkerBuffer }), does: "buffer of each thread for the events of a batch, in KiB; 64"},

	{name: "hashpower", takes: integer, why: whyIndex},
	{name: "no_hashexpand", why: whyIndex},
	{name: "hash_algorithm", takes: word, why: "keys are hashed with secrets of the server's own"},

	{name: "slab_reassign", set: setReassign(true), does: "allow the command slabs reassign: the default"},
	{name: "no_slab_reassign", set: setReassign(false), does: "refuse the command slabs reassign"},
	{name: "slab_automove", takes: level, set: setAutomove, does: "how readily memory moves to a slab class that evicts, 0 to 2; 1"},
	{name: "no_slab_automove", set: setNoAutomove, does: "slab_automove=0"},
	{name: "slab_automove_ratio", takes: fraction, why: whySlabs},
	{name: "slab_automove_window", takes: integer, why: whySlabs},
	{name: "slab_automove_freeratio", takes: strictFraction, why: whySlabs},
	{name: "slab_chunk_max", takes: strict, why: "the largest chunk is half a page"},
	{name: "slab_sizes", takes: word, why: "slab classes follow from -n and -f"},
	{name: "no_chunked_items", why: "items larger than the largest chunk are chains of chunks"},
	{name: "track_sizes", set: setTrackSizes, does: "count items by their size, for stats sizes"},
	{name: "tail_repair_time", takes: integer, why: "an item's memory is free with its last reference, and nobody keeps one"},

	{name: "lru_crawler", set: setCrawler(true), does: "sweep out what has expired, and allow crawls and dumps: the default"},
	{name: "no_lru_crawler", set: setCrawler(false), does: "do not, until lru_crawler enable"},
	{name: "lru_crawler_sleep", takes: integer, set: setCrawlerSleep, does: "pause of a crawl after about a thousand items, in microseconds; 100"},
	{name: "lru_crawler_tocrawl", takes: strict, set: setCrawlerToCrawl, does: "items of each slab class that a crawl looks at; 0, the default, is all"},
	{name: "lru_maintainer", why: whySegments},
	{name: "no_lru_maintainer", why: whySegments},
	{name: "hot_lru_pct", takes: integer, why: whySegments},
	{name: "warm_lru_pct", takes: integer, why: whySegments},
	{name: "hot_max_factor", takes: fraction, why: whySegments},
	{name: "warm_max_factor", takes: fraction, why: whySegments},
	{name: "temporary_ttl", takes: something, why: whySegments},

	{name: "read_buf_mem_limit", takes: strict, why: whyBuffers},
	{name: "resp_obj_mem_limit", why: whyBuffers},
	{name: "inline_ascii_resp", why: whyReplies},
	{name: "no_inline_ascii_resp", why: whyReplies},
	{name: "meta_response_old", why: "meta commands answer HD, and not OK", lacks: true},
	{name: "sock_cookie_id", takes: something, why: "sockets are not marked for firewalls", lacks: true},
	{name: "drop_privileges", why: whySeccomp, lacks: true},
	{name: "no_drop_privileges", why: whySeccomp},
	{name: "relaxed_privileges", why: whySeccomp},

	{name: "ssl_chain_cert", takes: word, set: setTLSText(func(o *TLSOptions) *string { return &o.Chain }), does: "the server's certificate and those that lead to its CA, in PEM format"},
	{name: "ssl_key", takes: word, set: setTLSText(func(o *TLSOptions) *string { return &o.Key }), does: "its private key, unless that is in the file of ssl_chain_cert"},
	{name: "ssl_keyformat", takes: something, set: setKeyFormat, does: "format of the file of ssl_key: 1, the default, is PEM, 2 is DER"},
	{name: "ssl_verify_mode", takes: strict, set: setVerifyMode, does: "certificates of clients: 0, the default, none, 1 may be missing, 2 and 3 must be there"},
	{name: "ssl_ca_cert", takes: word, set: setTLSText(func(o *TLSOptions) *string { return &o.CA }), does: "who signs the certificates of clients, in PEM format"},
	{name: "ssl_ciphers", takes: word, set: setTLSText(func(o *TLSOptions) *string { return &o.Ciphers }), does: "cipher suites of TLS 1.2, as OpenSSL lists them"},
	{name: "ssl_min_version", takes: strict, set: setMinVersion, does: "oldest version of TLS: 2, the default, is 1.2, 3 is 1.3"},
	{name: "ssl_session_cache", set: setTLSSwitch(func(o *TLSOptions) *bool { return &o.SessionCache }), does: "show ssl_new_sessions in stats; clients resume their sessions with and without it"},
	{name: "ssl_kernel_tls", set: setTLSSwitch(func(o *TLSOptions) *bool { return &o.KernelTLS }), does: "let the kernel encrypt what is sent, where it can"},
	{name: "ssl_wbuf_size", takes: strict, why: "replies are encrypted where they are, without a buffer of each connection"},

	{name: "ext_path", takes: storage, why: whyStorage, lacks: true},
	{name: "ext_page_size", takes: strict, why: whyStorage, lacks: true},
	{name: "ext_wbuf_size", takes: strict, why: whyStorage, lacks: true},
	{name: "ext_threads", takes: strict, why: whyStorage, lacks: true},
	{name: "ext_io_depth", takes: strict, why: whyStorage, lacks: true},
	{name: "ext_item_size", takes: strict, why: whyStorage, lacks: true},
	{name: "ext_item_age", takes: strict, why: whyStorage, lacks: true},
	{name: "ext_low_ttl", takes: strict, why: whyStorage, lacks: true},
	{name: "ext_recache_rate", takes: strict, why: whyStorage, lacks: true},
	{name: "ext_compact_under", takes: strict, why: whyStorage, lacks: true},
	{name: "ext_drop_under", takes: strict, why: whyStorage, lacks: true},
	{name: "ext_max_sleep", takes: strict, why: whyStorage, lacks: true},
	{name: "ext_max_frag", takes: strictFraction, why: whyStorage, lacks: true},
	{name: "ext_drop_unread", why: whyStorage, lacks: true},
	{name: "no_ext_drop_unread", why: whyStorage, lacks: true},

	{name: "proxy_config", takes: word, why: whyProxy, lacks: true},
	{name: "proxy_arg", takes: something, why: whyProxy, lacks: true},
	{name: "proxy_uring", why: whyProxy, lacks: true},
	{name: "proxy_memprofile", why: whyProxy, lacks: true},
}

// findExtended returns the row for an option, nil if memcached knows none either.
func findExtended(name string) *extendedOption {
	for i := range extendedTable {
		if row := &extendedTable[i]; row.name == name {
			return row
		}
	}
	return nil
}

// setNumber makes what sets a number.
func setNumber(to func(*Extended) *int) func(*Extended, string) error {
	return func(o *Extended, value string) (err error) {
		*to(o), err = strconv.Atoi(value)
		return err
	}
}

// setOld sets what memcached 1.4 did otherwise.
func setOld(o *Extended, _ string) error {
	o.RefuseAtLimit, o.SlabReassign, o.SlabAutomove, o.Crawler = false, false, store.AutomoveOff, false
	return nil
}

func setReassign(allow bool) func(*Extended, string) error {
	return func(o *Extended, _ string) error {
		o.SlabReassign = allow
		return nil
	}
}

// setAutomove takes a level, or nothing for the usual one.
func setAutomove(o *Extended, value string) error {
	if value == "" {
		o.SlabAutomove = store.AutomoveCareful
		return nil
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < store.AutomoveOff || n > store.AutomoveEager {
		return errors.New("slab_automove needs a level from 0 to 2")
	}
	o.SlabAutomove = n
	return nil
}

func setNoAutomove(o *Extended, _ string) error {
	o.SlabAutomove = store.AutomoveOff
	return nil
}

func setTrackSizes(o *Extended, _ string) error {
	o.TrackSizes = true
	return nil
}

func setCrawler(enable bool) func(*Extended, string) error {
	return func(o *Extended, _ string) error {
		o.Crawler = enable
		return nil
	}
}

func setCrawlerSleep(o *Extended, value string) (err error) {
	if o.CrawlerSleep, err = strconv.Atoi(value); err == nil && o.CrawlerSleep > 1_000_000 {
		return errors.New("lru_crawler_sleep needs at most 1000000 microseconds, a second")
	}
	return err
}

func setCrawlerToCrawl(o *Extended, value string) (err error) {
	o.CrawlerToCrawl, err = strconv.Atoi(value)
	return err
}

// setRefuse says whether connections above the limit are refused or wait.
func setRefuse(refuse bool) func(*Extended, string) error {
	return func(o *Extended, _ string) error {
		o.RefuseAtLimit = refuse
		return nil
	}
}
