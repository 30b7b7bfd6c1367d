package top

import (
	"math"
	"strings"
	"unicode/utf8"

	"ringcached/bench/tables"
)

// block is a heading and rows of figures below.
type block struct {
	title string
	heads []string // of the figures, from the right
	rows  []row
}

// row is a label and its figures, in columns that end on the right.
type row struct {
	label   string
	figures []string
	bar     float64 // a part of 1 to be drawn between; NaN: none
	tone    tone
}

// figureWidth is that of a column of figures.
const figureWidth = 8

// plainRow is a row without a bar.
func plainRow(label string, figures ...string) row {
	return row{label: label, figures: figures, bar: math.NaN()}
}

// barRow is a row whose figure is a part of 1, too.
func barRow(label string, part float64, figure string) row {
	return row{label: label, figures: []string{figure}, bar: part}
}

// counterRow is a counter's rate and what it has come to.
func (c Change) counterRow(label string, names ...string) row {
	return plainRow(label, perSecond(c.rate(general, names...)), count(c.to.sum(general, names...)))
}

// lines draws a block as wide as it is said.
func (b *block) lines(l look, width int) []string {
	all := []string{paired(l, heading, b.title, aside, columns(b.heads), width)}
	for i := range b.rows {
		all = append(all, b.rows[i].line(l, width))
	}
	return all
}

// columns puts figures into columns, aligned to the right. A figure that is alone may be wider.
func columns(figures []string) string {
	var b strings.Builder
	for _, f := range figures {
		b.WriteString(strings.Repeat(" ", max(figureWidth-len(f), 1)) + f)
	}
	return b.String()
}

func (r *row) line(l look, width int) string {
	right := columns(r.figures)
	room := width - len(r.label) - len(right) - 2
	if math.IsNaN(r.bar) || room < 4 {
		return paired(l, ordinary, r.label, r.tone, right, width)
	}
	drawn := min(room, 16)
	return r.label + strings.Repeat(" ", width-len(r.label)-len(right)-drawn) + l.bar(r.bar, drawn) + l.paint(r.tone, right)
}

// paired is a line with something on the left, which is cut if it has to be, and on the right.
func paired(l look, leftTone tone, left string, rightTone tone, right string, width int) string {
	if utf8.RuneCountInString(right) > width {
		right = ""
	}
	room := width - utf8.RuneCountInString(right)
	if utf8.RuneCountInString(left) > room {
		left = cut(left, room)
	}
	pad := strings.Repeat(" ", room-utf8.RuneCountInString(left))
	return l.paint(leftTone, left) + pad + l.paint(rightTone, right)
}

// flow puts blocks beside each other in columns of a width, each below the shortest column so far.
func flow(l look, blocks []block, columns, width int) (lines []string) {
	parts := make([][]string, columns)
	for i := range blocks {
		shortest := 0
		for c := range parts {
			if len(parts[c]) < len(parts[shortest]) {
				shortest = c
			}
		}
		if len(parts[shortest]) > 0 {
			parts[shortest] = append(parts[shortest], strings.Repeat(" ", width))
		}
		parts[shortest] = append(parts[shortest], blocks[i].lines(l, width)...)
	}
	for i := 0; ; i++ {
		line, more := "", false
		for c := range parts {
			cell := strings.Repeat(" ", width)
			if i < len(parts[c]) {
				cell, more = parts[c][i], true
			}
			if c > 0 {
				line += gutter
			}
			line += cell
		}
		if !more {
			return lines
		}
		lines = append(lines, line)
	}
}

// gutter stands between columns.
const gutter = "   "

// heads of counters.
var rates = []string{"per s", "total"}

// overview are the blocks that every server has.
func (c Change) overview() []block {
	to := c.to
	requests := block{"Requests", rates, []row{
		c.counterRow("get", "cmd_get"), c.counterRow("set", "cmd_set"), c.counterRow("delete", "delete_hits", "delete_misses"),
		c.counterRow("incr, decr", "incr_hits", "incr_misses", "decr_hits", "decr_misses"), c.counterRow("touch", "cmd_touch"),
		c.counterRow("cas", "cas_hits", "cas_misses", "cas_badval"), c.counterRow("meta", "cmd_meta"), c.counterRow("all", requestCounters...),
	}}
	now, always := c.hitRatio()
	hits := block{"Hits", rates, []row{
		c.counterRow("hits", "get_hits"), c.counterRow("misses", "get_misses"),
		barRow("ratio", now, percent(now)), barRow("of all time", always, percent(always)),
	}}
	open, most := to.number(general, "curr_connections"), to.number(general, "max_connections")
	rejected := c.counterRow("rejected", "rejected_connections")
	if c.growth(general, "rejected_connections") > 0 {
		rejected.tone = attention
	}
	clients := block{"Connections", rates, []row{
		barRow("open", ratio(open, most), outOf(count(open), count(most))), c.counterRow("accepted", "total_connections"), rejected,
		c.trafficRow("received", "bytes_read"), c.trafficRow("sent", "bytes_written"),
	}}
	used, limit := to.number(general, "bytes"), to.number(general, "limit_maxbytes")
	stored := block{"Items", rates, []row{
		plainRow("items", "", count(to.number(general, "curr_items"))), c.counterRow("stored", "total_items"),
		c.counterRow("evicted", "evictions"), c.counterRow("expired", "reclaimed", "crawler_reclaimed"),
		barRow("bytes", ratio(used, limit), outOf(size(used), size(limit))),
	}}
	cores, threads, pages := c.cores(), to.number(general, "threads"), to.number(slabs, "total_malloced")
	cpu := "CPU"
	if threads >= 1 {
		cpu = tables.Plural(int(threads), "thread") + ", CPU"
	}
	server := block{"Server", nil, []row{barRow(cpu, ratio(cores, threads), percent(cores)), barRow("slab pages", ratio(pages, limit), size(pages))}}
	return []block{requests, hits, clients, stored, server}
}

// trafficRow is a counter of bytes.
func (c Change) trafficRow(label, name string) row {
	return plainRow(label, size(c.rate(general, name)), size(c.to.number(general, name)))
}
