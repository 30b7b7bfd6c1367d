package main

import (
	"errors"
	"strconv"
	"strings"

	"ringcached/store"
)

// extendedOption is one of memcached's -o options: either it does something, or why
// says why it has nothing to do.
type extendedOption struct {
	name  string // with a final * any name that begins like it
	takes argument
	set   func(o *extendedOptions, value string) error
	why   string
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
	whyTLS      = "there is no TLS"
	whyStorage  = "there is no storage on disk"
)

// extendedTable has every option that memcached 1.6 knows, in any of its builds.
var extendedTable = []extendedOption{
	{name: "idle_timeout", takes: number, set: setNumber(func(o *extendedOptions) *int { return &o.idleTimeout })},
	{name: "maxconns_fast", set: setRefuse(true)},
	{name: "no_maxconns_fast", set: setRefuse(false)},
	{name: "no_modern", set: setOld},
	{name: "modern", why: whyNow},
	{name: "watcher_logbuf_size", takes: number, set: setNumber(func(o *extendedOptions) *int { return &o.watcherBuffer })},
	{name: "worker_logbuf_size", takes: number, set: setNumber(func(o *extendedOptions) *int { return &o.workerBuffer })},

	{name: "hashpower", takes: number, why: whyIndex},
	{name: "no_hashexpand", why: whyIndex},
	{name: "hash_algorithm", takes: word, why: "keys are hashed with xxh3"},

	{name: "slab_reassign", set: setReassign(true)},
	{name: "no_slab_reassign", set: setReassign(false)},
	{name: "slab_automove", set: setAutomove},
	{name: "no_slab_automove", set: setNoAutomove},
	{name: "slab_automove_ratio", takes: fraction, why: whySlabs},
	{name: "slab_automove_window", takes: number, why: whySlabs},
	{name: "slab_automove_freeratio", takes: fraction, why: whySlabs},
	{name: "slab_chunk_max", takes: number, why: "the largest chunk is half a page"},
	{name: "slab_sizes", takes: word, why: "slab classes follow from -n and -f"},
	{name: "no_chunked_items", why: "items larger than the largest chunk are chains of chunks"},
	{name: "track_sizes", set: setTrackSizes},
	{name: "tail_repair_time", takes: number, why: "an item's memory is free with its last reference, and nobody keeps one"},

	{name: "lru_crawler", set: setCrawler(true)},
	{name: "no_lru_crawler", set: setCrawler(false)},
	{name: "lru_crawler_sleep", takes: number, set: setCrawlerSleep},
	{name: "lru_crawler_tocrawl", takes: number, set: setCrawlerToCrawl},
	{name: "lru_maintainer", why: whySegments},
	{name: "no_lru_maintainer", why: whySegments},
	{name: "hot_lru_pct", takes: number, why: whySegments},
	{name: "warm_lru_pct", takes: number, why: whySegments},
	{name: "hot_max_factor", takes: fraction, why: whySegments},
	{name: "warm_max_factor", takes: fraction, why: whySegments},
	{name: "temporary_ttl", takes: number, why: whySegments},

	{name: "read_buf_mem_limit", takes: number, why: whyBuffers},
	{name: "resp_obj_mem_limit", takes: number, why: whyBuffers},
	{name: "inline_ascii_resp", why: whyReplies},
	{name: "no_inline_ascii_resp", why: whyReplies},
	{name: "meta_response_old", why: "meta commands answer as memcached 1.6 does"},
	{name: "sock_cookie_id", takes: number, why: "sockets are not marked"},
	{name: "drop_privileges", why: whySeccomp},
	{name: "no_drop_privileges", why: whySeccomp},
	{name: "relaxed_privileges", why: whySeccomp},

	{name: "ssl_*", why: whyTLS},
	{name: "ext_*", why: whyStorage},
	{name: "no_ext_*", why: whyStorage},
}

// findExtended returns the row for an option, nil if memcached knows none either.
func findExtended(name string) *extendedOption {
	for i := range extendedTable {
		row := &extendedTable[i]
		if prefix, family := strings.CutSuffix(row.name, "*"); row.name == name || family && strings.HasPrefix(name, prefix) {
			return row
		}
	}
	return nil
}

// setNumber makes what sets a number.
func setNumber(to func(*extendedOptions) *int) func(*extendedOptions, string) error {
	return func(o *extendedOptions, value string) (err error) {
		*to(o), err = strconv.Atoi(value)
		return err
	}
}

// setOld sets what memcached 1.4 did otherwise.
func setOld(o *extendedOptions, _ string) error {
	o.refuse, o.reassign, o.automove, o.crawler = false, false, store.AutomoveOff, false
	return nil
}

func setReassign(allow bool) func(*extendedOptions, string) error {
	return func(o *extendedOptions, _ string) error {
		o.reassign = allow
		return nil
	}
}

// setAutomove takes a level, or nothing for the usual one.
func setAutomove(o *extendedOptions, value string) error {
	if value == "" {
		o.automove = store.AutomoveCareful
		return nil
	}
	level, err := strconv.Atoi(value)
	if err != nil || level < store.AutomoveOff || level > store.AutomoveEager {
		return errors.New("slab_automove needs a level from 0 to 2")
	}
	o.automove = level
	return nil
}

func setNoAutomove(o *extendedOptions, _ string) error {
	o.automove = store.AutomoveOff
	return nil
}

func setTrackSizes(o *extendedOptions, _ string) error {
	o.trackSizes = true
	return nil
}

func setCrawler(enable bool) func(*extendedOptions, string) error {
	return func(o *extendedOptions, _ string) error {
		o.crawler = enable
		return nil
	}
}

func setCrawlerSleep(o *extendedOptions, value string) (err error) {
	if o.crawlerSleep, err = strconv.Atoi(value); err == nil && o.crawlerSleep > 1_000_000 {
		return errors.New("lru_crawler_sleep needs at most 1000000 microseconds, a second")
	}
	return err
}

func setCrawlerToCrawl(o *extendedOptions, value string) (err error) {
	o.crawlerToCrawl, err = strconv.Atoi(value)
	return err
}

// setRefuse says whether connections above the limit are refused or wait.
func setRefuse(refuse bool) func(*extendedOptions, string) error {
	return func(o *extendedOptions, _ string) error {
		o.refuse = refuse
		return nil
	}
}
