package metrics

import (
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"ringcached/batch"
	"ringcached/cmd/ringcached/statlines"
	"ringcached/proto/latency"
)

// Source is the server whose metrics are collected. Its methods are called from any goroutine.
type Source interface {
	// Report calls add for the lines of `stats group`; false: there is no such group.
	Report(group string, add func(name, value string)) bool
	// Channels are the counts of each channel since the start.
	Channels() []batch.Stats
	// Latency is how long commands of a class were handled since the start.
	Latency(class latency.Class) latency.Histogram
}

// Collector is the prometheus.Collector of a server.
type Collector struct {
	source Source
	descs  map[string]*prometheus.Desc // of memcached's families, by name
	own    []ownLine
	up     *prometheus.Desc
	ours   channelDescs
}

var _ prometheus.Collector = (*Collector)(nil)

// New makes a Collector.
func New(s Source) *Collector {
	c := &Collector{source: s, descs: map[string]*prometheus.Desc{}, up: describe("memcached_up", "1 while the server runs, and its lines of stats make sense.")}
	for _, r := range allRules() {
		if c.descs[r.metric] == nil {
			c.descs[r.metric] = describe("memcached_"+r.metric, statlines.FamilyHelp("memcached_"+r.metric), r.labelNames()...)
		}
	}
	c.own = ownLines()
	c.ours = describeChannels()
	return c
}

// describe makes the description of a family.
func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

// Describe sends the descriptions of all families.
func (c *Collector) Describe(to chan<- *prometheus.Desc) {
	to <- c.up
	for _, d := range c.descs {
		to <- d
	}
	for _, l := range c.own {
		to <- l.desc
	}
	c.ours.describe(to)
}

// Collect sends what the server reports now.
func (c *Collector) Collect(to chan<- prometheus.Metric) {
	general, settings, batches := c.lines(""), c.lines("settings"), c.lines("batch")
	slabs := c.lines("slabs")
	if total, there := slabs["total_malloced"]; there {
		general["total_malloced"] = total // the exporter reads both into one table
	}
	good := c.apply(to, generalRules, general)
	good = c.apply(to, settingsRules, settings) && good
	if settings["lru_crawler"] == "yes" {
		good = c.apply(to, crawlerRules, settings) && good
	}
	classes := map[string]map[string]map[string]string{"items": byClass(c.lines("items")), "slabs": byClass(slabs)}
	for class, lines := range classes["items"] {
		good = c.apply(to, itemRules, lines, class) && good
	}
	for class, lines := range classes["slabs"] {
		good = c.apply(to, slabRules, lines, class) && good
	}
	up := 0.0
	if good {
		up = 1
	}
	to <- prometheus.MustNewConstMetric(c.up, prometheus.GaugeValue, up)
	if version := general["version"]; version != "" {
		to <- prometheus.MustNewConstMetric(c.descs["version"], prometheus.GaugeValue, 1, version)
	}
	groups := map[string]map[string]string{"": general, "settings": settings, "slabs": slabs, "batch": batches}
	for _, l := range c.own {
		if !l.perClass {
			l.collect(to, groups[l.group])
		}
		for class, lines := range classes[l.group] {
			if l.perClass {
				l.collect(to, lines, class)
			}
		}
	}
	c.ours.collect(to, c.source, batches, general["ringcached_version"])
}

// lines are a group's lines by name.
func (c *Collector) lines(group string) map[string]string {
	lines := map[string]string{}
	c.source.Report(group, func(name, value string) { lines[name] = value })
	return lines
}

// apply sends what the rules make of lines, with labels in front of their own. A line that is missing makes none. False: some line has no number.
func (c *Collector) apply(to chan<- prometheus.Metric, rules []rule, lines map[string]string, labels ...string) (good bool) {
	good = true
	for _, r := range rules {
		value, there, err := r.value(lines)
		if err != nil {
			good = false
			continue
		}
		if there {
			to <- prometheus.MustNewConstMetric(c.descs[r.metric], r.kind, value, append(labels[:len(labels):len(labels)], r.labelValues()...)...)
		}
	}
	return good
}

// ownLine is a line that statlines gives a metric whose name begins with ringcached_.
type ownLine struct {
	group, name string // of a line that each slab class has, what stands behind its number
	perClass    bool
	desc        *prometheus.Desc
	kind        prometheus.ValueType
}

// ownLines are those of the table.
func ownLines() (own []ownLine) {
	for _, row := range statlines.Table {
		if isOwn(row) {
			kind := prometheus.GaugeValue
			if row.Type == statlines.Counter {
				kind = prometheus.CounterValue
			}
			_, name, perClass := strings.Cut(row.Name, "N:")
			if !perClass {
				own = append(own, ownLine{row.Group, row.Name, false, describe(row.Metric, statlines.FamilyHelp(row.Metric)), kind})
				continue
			}
			own = append(own, ownLine{row.Group, name, true, describe(row.Metric, statlines.FamilyHelp(row.Metric), "slab"), kind})
		}
	}
	return own
}

func (l ownLine) collect(to chan<- prometheus.Metric, lines map[string]string, labels ...string) {
	if value, err := strconv.ParseFloat(lines[l.name], 64); err == nil {
		to <- prometheus.MustNewConstMetric(l.desc, l.kind, value, labels...)
	}
}
