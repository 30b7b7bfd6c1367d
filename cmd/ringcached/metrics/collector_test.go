package metrics

import (
	"maps"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"ringcached/batch"
	"ringcached/proto/latency"
)

// fake is a source with these lines, by group.
type fake struct {
	lines    map[string]map[string]string
	channels []batch.Stats
	times    latency.Histogram
}

func (f *fake) Report(group string, add func(name, value string)) bool {
	for name, value := range f.lines[group] {
		add(name, value)
	}
	return f.lines[group] != nil
}
func (f *fake) Channels() []batch.Stats                       { return f.channels }
func (f *fake) Latency(class latency.Class) latency.Histogram { return f.times }

// gather collects from the source, as a registry that checks everything does.
func gather(t *testing.T, f *fake) map[string]*dto.MetricFamily {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(New(f))
	all, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	families := map[string]*dto.MetricFamily{}
	for _, family := range all {
		families[family.GetName()] = family
	}
	return families
}

// sample is the value of the sample with these labels, as in "slab=1,status=hit".
func sample(t *testing.T, families map[string]*dto.MetricFamily, name, labels string) float64 {
	t.Helper()
	for _, m := range families[name].GetMetric() {
		var pairs []string
		for _, l := range m.Label {
			pairs = append(pairs, l.GetName()+"="+l.GetValue())
		}
		if strings.Join(pairs, ",") == labels {
			return m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	t.Errorf("there is no %s{%s}", name, labels)
	return 0
}

// some are lines of a server.
func some() map[string]map[string]string {
	return map[string]map[string]string{
		"": {
			"version": "1.6.45", "cmd_set": "10", "cas_misses": "1", "cas_hits": "2", "cas_badval": "3", "get_hits": "7", "rusage_user": "2.000500",
			"curr_items": "5", "heap_bytes": "99", "get_expired": "4", "ringcached_version": "0.1.0",
		},
		"settings": {"maxconns": "1024", "lru_crawler": "yes", "lru_maintainer_thread": "no", "lru_crawler_sleep": "100"},
		"items":    {"items:3:number": "5", "items:3:hits_to_hot": "6", "items:3:evicted_time": "8", "items:3:probation": "4", "items:12:evicted_active": "13"},
		"slabs":    {"3:cmd_set": "10", "3:cas_hits": "2", "3:cas_badval": "3", "3:total_pages": "1", "3:mem_wasted": "17", "total_malloced": "1048576", "active_slabs": "1"},
		"batch":    {"engine": "uring", "features": "a,b", "datagrams_ignored": "11"},
	}
}

// TestRules: the samples are what memcached_exporter makes of the same lines.
func TestRules(t *testing.T) {
	families := gather(t, &fake{lines: some()})
	for _, c := range []struct {
		name, labels string
		want         float64
		kind         dto.MetricType
	}{
		{"memcached_up", "", 1, dto.MetricType_GAUGE},
		{"memcached_version", "version=1.6.45", 1, dto.MetricType_GAUGE},
		{"memcached_commands_total", "command=set,status=hit", 4, dto.MetricType_COUNTER},
		{"memcached_commands_total", "command=get,status=hit", 7, dto.MetricType_COUNTER},
		{"memcached_commands_total", "command=cas,status=badval", 3, dto.MetricType_COUNTER},
		{"memcached_process_user_cpu_seconds_total", "", 2.0005, dto.MetricType_COUNTER},
		{"memcached_current_items", "", 5, dto.MetricType_GAUGE},
		{"memcached_malloced_bytes", "", 1048576, dto.MetricType_GAUGE},
		{"memcached_max_connections", "", 1024, dto.MetricType_GAUGE},
		{"memcached_lru_crawler_enabled", "", 1, dto.MetricType_GAUGE},
		{"memcached_lru_crawler_maintainer_thread", "", 0, dto.MetricType_GAUGE},
		{"memcached_slab_current_items", "slab=3", 5, dto.MetricType_GAUGE},
		{"memcached_slab_lru_hits_total", "lru=hot,slab=3", 6, dto.MetricType_COUNTER},
		{"memcached_slab_items_evicted_time_seconds", "slab=3", 8, dto.MetricType_COUNTER},
		{"memcached_slab_commands_total", "command=set,slab=3,status=hit", 5, dto.MetricType_COUNTER},
		{"memcached_slab_current_pages", "slab=3", 1, dto.MetricType_GAUGE},
		{"ringcached_slab_probation", "slab=3", 4, dto.MetricType_GAUGE},
		{"ringcached_slab_evicted_active_total", "slab=12", 13, dto.MetricType_COUNTER},
		{"ringcached_slab_mem_wasted", "slab=3", 17, dto.MetricType_GAUGE},
		{"ringcached_active_slabs", "", 1, dto.MetricType_GAUGE},
		{"ringcached_heap_bytes", "", 99, dto.MetricType_GAUGE},
		{"ringcached_get_expired_total", "", 4, dto.MetricType_COUNTER},
		{"ringcached_datagrams_ignored_total", "", 11, dto.MetricType_COUNTER},
		{"ringcached_info", "engine=uring,features=a,b,version=0.1.0", 1, dto.MetricType_GAUGE},
	} {
		if got := sample(t, families, c.name, c.labels); got != c.want || families[c.name].GetType() != c.kind {
			t.Errorf("%s{%s} is the %v %v, want the %v %v", c.name, c.labels, families[c.name].GetType(), got, c.kind, c.want)
		}
	}
	if families["memcached_uptime_seconds"] != nil {
		t.Error("a line that is missing makes a sample")
	}
}

// TestCrawlerIsOff: then the exporter tells nothing of it.
func TestCrawlerIsOff(t *testing.T) {
	lines := some()
	lines["settings"]["lru_crawler"] = "no"
	for name := range gather(t, &fake{lines: lines}) {
		if name == "memcached_lru_crawler_enabled" || name == "memcached_lru_crawler_sleep" {
			t.Errorf("%s is there", name)
		}
	}
}

// TestLineWithoutNumber: then the server is not up, and all else is there.
func TestLineWithoutNumber(t *testing.T) {
	for group, line := range map[string]string{"": "get_hits", "settings": "maxconns", "items": "items:3:number", "slabs": "3:cas_hits"} {
		lines := some()
		lines[group] = maps.Clone(lines[group])
		lines[group][line] = "many"
		families := gather(t, &fake{lines: lines})
		if up := sample(t, families, "memcached_up", ""); up != 0 {
			t.Errorf("%s: up is %v", line, up)
		}
		if got := sample(t, families, "memcached_current_items", ""); got != 5 {
			t.Errorf("%s: another sample is %v", line, got)
		}
	}
}

// sentence is the help of a description.
var sentence = regexp.MustCompile(`help: "[A-Z0-9][^"]+\."`)

// TestEveryFamilyHasHelp: the texts come from the table of lines.
func TestEveryFamilyHasHelp(t *testing.T) {
	descriptions := make(chan *prometheus.Desc)
	go func() {
		defer close(descriptions)
		New(&fake{}).Describe(descriptions)
	}()
	n := 0
	for d := range descriptions {
		n++
		if text := d.String(); !sentence.MatchString(text) {
			t.Errorf("no sentence: %s", text)
		}
	}
	if n < 150 {
		t.Errorf("only %d families", n)
	}
}
