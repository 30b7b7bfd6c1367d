package statlines

import (
	"regexp"
	"slices"
	"strings"
)

// Row describes a line, or all lines of a kind.
type Row struct {
	Group string // "", settings, items, slabs, batch or hotkeys
	Name  string // N stands for a number, or for what says that a histogram's bucket has no end
	Help  string // what it means: begins with a small letter and has no full stop
	Unit  string // bytes, seconds, ...; empty: a plain number, or Text
	Type  string // Gauge, Counter, Histogram or Text
	When  string // when it is shown, for lines that are not always there; empty: always

	// Metric is the whole name of what the line becomes in /metrics, with labels where lines share a family, such as
	// memcached_commands_total{command="get",status="hit"}; empty: nothing. Names that begin with memcached_ are those of memcached_exporter; package metrics
	// knows how it computes them. A name that begins with ringcached_ needs no more than this row: the line's number becomes the value, as a gauge or a
	// counter, whose name then ends in _total. Where each slab class has such a line the label slab is its number.
	Metric string

	NoMetric string // why there is no metric, for numbers that one would expect to have one; empty: there is one, or the document's preface says why not

	markdown string // Help with links
}

// Types of lines.
const (
	Gauge     = "gauge"     // a value of now
	Counter   = "counter"   // a count since the start, or since `stats reset`
	Histogram = "histogram" // a line for each bucket that is not empty
	Text      = "text"      // a word, or yes or no
)

// Reasons for a line to be there, in Row.When.
const (
	WhenURing       = "with the uring engine"
	WhenIdleTimeout = "with -o idle_timeout"
	WhenHotKeys     = "with --hot-keys"
	WhenTLS         = "with -Z"
	WhenSessions    = "with -Z and -o ssl_session_cache"
)

// Groups are the groups in the order of Table.
var Groups = []string{"", "settings", "items", "slabs", "batch", "hotkeys"}

// Table has the rows in the order of the groups, and of the lines in them.
var Table = slices.Concat(inGroup("", general), inGroup("settings", settings), inGroup("items", items), inGroup("slabs", slabs), inGroup("batch", batch),
	inGroup("hotkeys", hotKeys))

func inGroup(group string, rows []Row) []Row {
	for i := range rows {
		row := &rows[i]
		row.Group, row.markdown, row.Help = group, row.Help, plain(row.Help)
	}
	return rows
}

// prefix begins the names of metrics that the exporter of memcached does not have.
const prefix = "ringcached_"

// gauge, counter and text make rows. A metric that is - has the line's name behind prefix, for slab classes behind ringcached_slab_, and a counter's ends in
// _total.
func gauge(name, unit, help, metric string) Row {
	if metric == "-" {
		metric = ownName(name)
	}
	return Row{Name: name, Unit: unit, Type: Gauge, Help: help, Metric: metric}
}

func counter(name, unit, help, metric string) Row {
	if metric == "-" {
		metric = ownName(name) + "_total"
	}
	return Row{Name: name, Unit: unit, Type: Counter, Help: help, Metric: metric}
}

// ownName is the name of a metric that the exporter of memcached does not have.
func ownName(line string) string {
	for _, perClass := range []string{item, class} {
		if name, found := strings.CutPrefix(line, perClass); found {
			return prefix + "slab_" + name
		}
	}
	return prefix + line
}

// without is a row of a number of which no metric is made, and why.
func without(why string, r Row) Row {
	r.NoMetric = why
	return r
}

func histogram(name, unit, help, metric, when string) Row {
	return Row{Name: name + "_N", Unit: unit, Type: Histogram, Help: help, Metric: metric, When: when}
}

func text(name, help, metric string) Row {
	return Row{Name: name, Type: Text, Help: help, Metric: metric}
}

// zero makes the row of a line that memcached's clients expect and that is always 0 here, or no, or none. The exporter of memcached makes metrics of some.
func zero(name, help, metric string) Row {
	return Row{Name: name, Type: Gauge, Help: "always 0: " + help, Metric: metric}
}

// digits are what N stands for.
var digits = regexp.MustCompile(`[0-9]+`)

// Find returns the row of a line of a group, nil if there is none.
func Find(group, line string) *Row {
	for i := range Table {
		if row := &Table[i]; row.Group == group && row.matches(line) {
			return row
		}
	}
	return nil
}

// matches reports whether the row describes a line of this name.
func (r *Row) matches(line string) bool {
	if r.Name == line {
		return true
	}
	if r.Type == Histogram {
		line = strings.Replace(line, "_more", "_N", 1)
	}
	return strings.Contains(r.Name, "N") && r.Name == digits.ReplaceAllString(line, "N")
}

// Family is the name of the metric without its labels, empty if there is none.
func (r *Row) Family() string {
	family, _, _ := strings.Cut(r.Metric, "{")
	return family
}

// shared are the help texts of families that several lines make.
var shared = map[string]string{
	"memcached_commands_total":      "requests by command and by what became of them",
	"memcached_slab_commands_total": "requests by slab class, command and what became of them",
	"memcached_slab_lru_hits_total": "gets that found an item, by slab class; there is one queue here, which is called hot",
}

// FamilyHelp is the help text of a metric's family, a sentence. It is empty for a family that no line makes.
func FamilyHelp(family string) string {
	help := shared[family]
	for i := range Table {
		if row := &Table[i]; help == "" && row.Family() == family {
			help = row.Help
			if row.Unit != "" && !strings.Contains(help, row.Unit) {
				help += ", in " + row.Unit
			}
		}
	}
	if help == "" {
		return ""
	}
	return strings.ToUpper(help[:1]) + help[1:] + "."
}

// link is a link of Markdown.
var link = regexp.MustCompile(`\[([^]]+)\]\([^)]+\)`)

// plain is a help text without links and backquotes.
func plain(help string) string {
	return strings.ReplaceAll(link.ReplaceAllString(help, "$1"), "`", "")
}
