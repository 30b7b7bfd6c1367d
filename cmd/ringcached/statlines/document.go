package statlines

import (
	"fmt"
	"regexp"
	"strings"
)

// title is a group's heading, and what is to be said of the whole group.
type title struct{ heading, about string }

var titles = map[string]title{
	"":         {"stats", "The lines have memcached's names in memcached's order; ringcached's own are at the end. `stats reset` sets the counters to 0, but not what is a value of now."},
	"settings": {"stats settings", "What is in force. `ext_*` are left out: memcached has them only where it is built with storage on disk."},
	"items":    {"stats items", "Each slab class that has items has these lines; N is its number, in the metrics the label `slab`."},
	"slabs":    {"stats slabs", "Each slab class that has pages has the lines with N, its number; in the metrics it is the label `slab`."},
	"batch": {"stats batch", "What batching achieved, summed over all threads. Lines that end in N are histograms: how many values were at most N, and above the N before; `more` is all above. " +
		"The metrics whose names begin with `ringcached_channel_` are those of each thread; the label `channel` is its number."},
	"hotkeys": {"stats hotkeys", "The keys that are used most, the hottest first, at most twenty: [hot keys](commandline.md#hot-keys). No metrics are made of them, and `stats reset` does not touch them."},
}

const preface = `# Statistics

Every line of ` + "`stats`" + ` and its groups, with the metric that [/metrics](operations.md#what-to-watch) makes of it. This page is made by
` + "`make statistics`" + ` from the table in cmd/ringcached/statlines; the manual page and the metrics' help texts are too.

A gauge is a value of now, a counter counts since the start, or since ` + "`stats reset`" + `. Metrics that begin with ` + "`memcached_`" + ` have the names and labels of
prometheus/memcached_exporter. What memcached has and ringcached does not need is always 0, no or none, for programs that expect it. Words, settings, hot keys
and what is always 0 have no metric, but for those that memcached_exporter makes; of other numbers without one the table says why.

` + "`stats sizes`, `stats conns`, `stats detail dump` and `stats cachedump`" + ` have a line for each thing that they list:
[administration](commandline.md#administration-while-it-runs). ` + "`stats extstore` and `stats proxy`" + ` show nothing, as in a memcached that uses neither.
`

// Markdown is docs/statistics.md.
func Markdown() string {
	var page strings.Builder
	page.WriteString(preface)
	for _, group := range Groups {
		t := titles[group]
		fmt.Fprintf(&page, "\n## %s\n\n%s\n\n| line | meaning | unit | type | metric |\n|---|---|---|---|---|\n", t.heading, t.about)
		for i := range Table {
			if row := &Table[i]; row.Group == group {
				fmt.Fprintf(&page, "| `%s` | %s%s | %s | %s | %s |\n", row.Name, row.markdown, when(row), row.Unit, row.Type, metric(row))
			}
		}
	}
	return page.String()
}

// Troff is the section of the manual page: a subsection for each group.
func Troff() string {
	var page strings.Builder
	page.WriteString(".SH STATISTICS\n")
	for _, group := range Groups {
		fmt.Fprintf(&page, ".SS %s\n%s\n", titles[group].heading, troff(titles[group].about))
		for i := range Table {
			row := &Table[i]
			if row.Group != group {
				continue
			}
			unit := ""
			if row.Unit != "" && !strings.Contains(row.Help, row.Unit) {
				unit = ", in " + row.Unit
			}
			fmt.Fprintf(&page, ".TP\n\\fB%s\\fP\n%s\n", troff(row.Name), troff(row.Help+unit+when(row)+"."))
		}
	}
	return page.String()
}

func when(r *Row) string {
	if r.When == "" {
		return ""
	}
	return " (" + r.When + ")"
}

// ownMetric is the name of a metric in a text.
var ownMetric = regexp.MustCompile(`\b(memcached|ringcached)_[a-z_]+`)

// metric is what the document says of the row's metric, or of why there is none.
func metric(r *Row) string {
	if r.Metric == "" {
		return ownMetric.ReplaceAllString(r.NoMetric, "`$0`")
	}
	return "`" + r.Metric + "`"
}

// troff escapes a text for the manual page. A line of it begins with no dot.
func troff(s string) string { return strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(plain(s)) }
