// Package statlines describes every line of `stats` and its groups: what it means, and which metric it becomes.
package statlines

// Row describes a line, or all lines of a kind.
type Row struct {
	Group  string // "", settings, items, slabs, batch or hotkeys
	Name   string // N stands for a number
	Help   string // a sentence without its end
	Type   string // gauge, counter, text
	Metric string // its name behind the prefix; empty: none
}

// Table has the rows in the order of the groups, and of the lines in them.
var Table []Row
