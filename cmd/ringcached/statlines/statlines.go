// Package statlines describes every line of `stats` and its groups: what it means, and which metric it becomes.
package statlines

// Row describes a line, or all lines of a kind.
type Row struct {
	Group  string // "", settings, items, slabs, batch or hotkeys
	Name   string // N stands for a number
	Help   string // a sentence without its end
	Type   string // gauge, counter, text
	// Metric is the whole name of what the line becomes in /metrics; empty: nothing. Names that begin with memcached_ are those of memcached_exporter;
	// package metrics knows how it computes them. A name that begins with ringcached_ needs no more than this row: the line's number becomes the
	// value, as a gauge or a counter, whose name then ends in _total.
	Metric string
}

// Table has the rows in the order of the groups, and of the lines in them.
var Table []Row
