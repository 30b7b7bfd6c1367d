package metrics

import (
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"ringcached/cmd/ringcached/statlines"
)

// Short names of the kinds, for the tables.
const (
	gauge   = prometheus.GaugeValue
	counter = prometheus.CounterValue
)

// rule makes a sample of lines of `stats`.
type rule struct {
	metric string // without memcached_
	kind   prometheus.ValueType
	line   string
	labels string   // pairs name=value with commas between them; a class comes first, by itself
	less   []string // lines whose numbers are taken off
	yesNo  bool     // the line says yes or no
}

// generalRules are about `stats`, with total_malloced of `stats slabs`.
var generalRules = slices.Concat(commandRules("commands_total", "_misses"), []rule{
	{metric: "commands_total", kind: counter, line: "cas_badval", labels: "command=cas,status=badval"},
	{metric: "commands_total", kind: counter, line: "cmd_flush", labels: "command=flush,status=hit"},
	{metric: "commands_total", kind: counter, line: "cmd_set", labels: "command=set,status=hit", less: []string{"cas_misses", "cas_hits", "cas_badval"}},
	{metric: "uptime_seconds", kind: counter, line: "uptime"},
	{metric: "time_seconds", kind: gauge, line: "time"},
	{metric: "process_user_cpu_seconds_total", kind: counter, line: "rusage_user"},
	{metric: "process_system_cpu_seconds_total", kind: counter, line: "rusage_system"},
	{metric: "current_bytes", kind: gauge, line: "bytes"},
	{metric: "limit_bytes", kind: gauge, line: "limit_maxbytes"},
	{metric: "current_items", kind: gauge, line: "curr_items"},
	{metric: "items_total", kind: counter, line: "total_items"},
	{metric: "read_bytes_total", kind: counter, line: "bytes_read"},
	{metric: "written_bytes_total", kind: counter, line: "bytes_written"},
	{metric: "current_connections", kind: gauge, line: "curr_connections"},
	{metric: "connections_total", kind: counter, line: "total_connections"},
	{metric: "connections_rejected_total", kind: counter, line: "rejected_connections"},
	{metric: "connections_yielded_total", kind: counter, line: "conn_yields"},
	{metric: "connections_listener_disabled_total", kind: counter, line: "listen_disabled_num"},
	{metric: "accepting_connections", kind: gauge, line: "accepting_conns"},
	{metric: "items_evicted_total", kind: counter, line: "evictions"},
	{metric: "items_reclaimed_total", kind: counter, line: "reclaimed"},
	{metric: "item_too_large_total", kind: counter, line: "store_too_large"},
	{metric: "item_no_memory_total", kind: counter, line: "store_no_memory"},
	{metric: "direct_reclaims_total", kind: counter, line: "direct_reclaims"},
	{metric: "lru_crawler_starts_total", kind: counter, line: "lru_crawler_starts"},
	{metric: "lru_crawler_reclaimed_total", kind: counter, line: "crawler_reclaimed"},
	{metric: "lru_crawler_items_checked_total", kind: counter, line: "crawler_items_checked"},
	{metric: "lru_crawler_moves_to_cold_total", kind: counter, line: "moves_to_cold"},
	{metric: "lru_crawler_moves_to_warm_total", kind: counter, line: "moves_to_warm"},
	{metric: "lru_crawler_moves_within_lru_total", kind: counter, line: "moves_within_lru"},
	{metric: "malloced_bytes", kind: gauge, line: "total_malloced"},
})

// settingsRules are about `stats settings`, and crawlerRules too where the crawler is on.
var (
	settingsRules = []rule{{metric: "max_connections", kind: gauge, line: "maxconns"}}
	crawlerRules  = []rule{
		{metric: "lru_crawler_enabled", kind: gauge, line: "lru_crawler", yesNo: true},
		{metric: "lru_crawler_sleep", kind: gauge, line: "lru_crawler_sleep"},
		{metric: "lru_crawler_to_crawl", kind: gauge, line: "lru_crawler_tocrawl"},
		{metric: "lru_crawler_maintainer_thread", kind: gauge, line: "lru_maintainer_thread", yesNo: true},
		{metric: "lru_crawler_hot_percent", kind: gauge, line: "hot_lru_pct"},
		{metric: "lru_crawler_warm_percent", kind: gauge, line: "warm_lru_pct"},
		{metric: "lru_crawler_hot_max_factor", kind: gauge, line: "hot_max_factor"},
		{metric: "lru_crawler_warm_max_factor", kind: gauge, line: "warm_max_factor"},
	}
)

// itemRules are about a class in `stats items`. The exporter calls a size and a time counters, and so does this.
var itemRules = []rule{
	itemRule("current_items", gauge, "number"),
	itemRule("items_age_seconds", gauge, "age"),
	itemRule("hot_items", gauge, "number_hot"),
	itemRule("warm_items", gauge, "number_warm"),
	itemRule("cold_items", gauge, "number_cold"),
	itemRule("hot_age_seconds", gauge, "age_hot"),
	itemRule("warm_age_seconds", gauge, "age_warm"),
	itemRule("items_crawler_reclaimed_total", counter, "crawler_reclaimed"),
	itemRule("items_evicted_total", counter, "evicted"),
	itemRule("items_evicted_nonzero_total", counter, "evicted_nonzero"),
	itemRule("items_evicted_time_seconds", counter, "evicted_time"),
	itemRule("items_evicted_unfetched_total", counter, "evicted_unfetched"),
	itemRule("items_expired_unfetched_total", counter, "expired_unfetched"),
	itemRule("items_outofmemory_total", counter, "outofmemory"),
	itemRule("items_reclaimed_total", counter, "reclaimed"),
	itemRule("items_tailrepairs_total", counter, "tailrepairs"),
	itemRule("items_moves_to_cold", counter, "moves_to_cold"),
	itemRule("items_moves_to_warm", counter, "moves_to_warm"),
	itemRule("items_moves_within_lru", counter, "moves_within_lru"),
	itemRule("mem_requested_bytes", counter, "mem_requested"),
	hitsRule("hot", "hits_to_hot"),
	hitsRule("warm", "hits_to_warm"),
	hitsRule("cold", "hits_to_cold"),
	hitsRule("temporary", "hits_to_temp"),
}

// slabRules are about a class in `stats slabs`.
var slabRules = slices.Concat(commandRules("slab_commands_total"), []rule{
	{metric: "slab_commands_total", kind: counter, line: "cas_badval", labels: "command=cas,status=badval"},
	{metric: "slab_commands_total", kind: counter, line: "cmd_set", labels: "command=set,status=hit", less: []string{"cas_hits", "cas_badval"}},
	slabRule("chunk_size_bytes", "chunk_size"),
	slabRule("chunks_per_page", "chunks_per_page"),
	slabRule("current_pages", "total_pages"),
	slabRule("current_chunks", "total_chunks"),
	slabRule("chunks_used", "used_chunks"),
	slabRule("chunks_free", "free_chunks"),
	slabRule("chunks_free_end", "free_chunks_end"),
})

// versionRule has no number: the collector makes its sample.
var versionRule = rule{metric: "version", kind: gauge, line: "version", labels: "version="}

// allRules are the rules of all families, those without classes first.
func allRules() []rule {
	return slices.Concat(generalRules, settingsRules, crawlerRules, []rule{versionRule}, itemRules, slabRules)
}

// commandRules are about the lines that count hits, and others, of each command that can miss.
func commandRules(metric string, more ...string) (rules []rule) {
	for _, command := range []string{"get", "delete", "incr", "decr", "cas", "touch"} {
		for _, ending := range append([]string{"_hits"}, more...) {
			status := map[string]string{"_hits": "hit", "_misses": "miss"}[ending]
			rules = append(rules, rule{metric: metric, kind: counter, line: command + ending, labels: "command=" + command + ",status=" + status})
		}
	}
	return rules
}

func itemRule(metric string, kind prometheus.ValueType, line string) rule {
	return rule{metric: "slab_" + metric, kind: kind, line: line}
}

func hitsRule(lru, line string) rule {
	return rule{metric: "slab_lru_hits_total", kind: counter, line: line, labels: "lru=" + lru}
}

func slabRule(metric, line string) rule {
	return rule{metric: "slab_" + metric, kind: gauge, line: line}
}

// perClass reports whether there is a sample for each slab class.
func (r rule) perClass() bool { return strings.HasPrefix(r.metric, "slab_") }

func (r rule) labelNames() (names []string) {
	if r.perClass() {
		names = append(names, "slab")
	}
	for pair := range strings.SplitSeq(r.labels, ",") {
		if name, _, found := strings.Cut(pair, "="); found {
			names = append(names, name)
		}
	}
	return names
}

func (r rule) labelValues() (values []string) {
	for pair := range strings.SplitSeq(r.labels, ",") {
		if _, value, found := strings.Cut(pair, "="); found {
			values = append(values, value)
		}
	}
	return values
}

// value computes the rule's number. A line that is missing is no error.
func (r rule) value(lines map[string]string) (v float64, there bool, err error) {
	text, there := lines[r.line]
	if !there {
		return 0, false, nil
	}
	switch {
	case r.yesNo && text == "yes":
		return 1, true, nil
	case r.yesNo && text == "no":
		return 0, true, nil
	}
	if v, err = strconv.ParseFloat(text, 64); err != nil {
		return 0, true, err
	}
	for _, name := range r.less {
		part, err := strconv.ParseFloat(lines[name], 64)
		if err != nil {
			return 0, true, err
		}
		v -= part
	}
	return v, true, nil
}

// isOwn reports whether the row is of a line that becomes a metric as it is.
func isOwn(row statlines.Row) bool {
	return strings.HasPrefix(row.Metric, "ringcached_") && row.Type != statlines.Histogram
}

// byClass sorts lines by the number of a slab class that their names have: items:N:name or N:name. Others are left out.
func byClass(lines map[string]string) map[string]map[string]string {
	classes := map[string]map[string]string{}
	for name, value := range lines {
		class, rest, found := strings.Cut(strings.TrimPrefix(name, "items:"), ":")
		if !found {
			continue
		}
		if classes[class] == nil {
			classes[class] = map[string]string{}
		}
		classes[class][rest] = value
	}
	return classes
}
