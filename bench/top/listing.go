package top

import (
	"bytes"
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"

	"ringcached/bench/tables"
)

// usedColumn is the column that the table is sorted by at first.
const usedColumn = 4

// class is a row of the table of slab classes.
type class [len(classColumns)]float64

// column is one of the table's.
type column struct {
	title string
	write func(float64) string
	of    func(c Change, class int) float64
}

// line is a column that is a line of a group.
func line(g group, name string) func(Change, int) float64 {
	return func(c Change, class int) float64 { return c.to.number(g, ofClass(g, class, name)) }
}

// growing is a column that is a line's rate.
func growing(g group, name string) func(Change, int) float64 {
	return func(c Change, class int) float64 { return c.rate(g, ofClass(g, class, name)) }
}

// classColumns are the table's. Narrow terminals show the first ones.
var classColumns = [...]column{
	{"class", count, func(_ Change, class int) float64 { return float64(class) }},
	{"chunk", size, line(slabs, "chunk_size")},
	{"pages", count, line(slabs, "total_pages")},
	{"items", count, line(items, "number")},
	{"used", size, func(c Change, class int) float64 {
		return c.to.number(slabs, ofClass(slabs, class, "used_chunks")) * c.to.number(slabs, ofClass(slabs, class, "chunk_size"))
	}},
	{"hits/s", perSecond, growing(slabs, "get_hits")},
	{"evicted/s", perSecond, growing(items, "evicted")},
	{"full", percent, func(c Change, class int) float64 {
		return ratio(c.to.number(slabs, ofClass(slabs, class, "used_chunks")), c.to.number(slabs, ofClass(slabs, class, "total_chunks")))
	}},
	{"sets/s", perSecond, growing(slabs, "cmd_set")},
	{"oldest", span, line(items, "age")},
}

// classesOf are the rows, in the order of a column: the largest first, but for the class and its chunk, which ascend.
func (c Change) classesOf(sortBy int) (all []class) {
	for _, n := range c.to.classes() {
		var one class
		for i := range classColumns {
			one[i] = classColumns[i].of(c, n)
		}
		all = append(all, one)
	}
	key := func(one class) float64 {
		if v := one[sortBy]; !math.IsNaN(v) {
			return v
		}
		return -1
	}
	slices.SortStableFunc(all, func(a, b class) int {
		if sortBy < 2 {
			return cmp.Compare(key(a), key(b))
		}
		return cmp.Compare(key(b), key(a))
	})
	return all
}

// classTable is the table of slab classes: its head, in which the column that it is sorted by stands in brackets, and a line for each class.
func (c Change) classTable(sortBy, width int) (head string, lines []string) {
	rows := [][]string{{}}
	for i := range classColumns {
		title := classColumns[i].title
		if i == sortBy {
			title = "[" + title + "]"
		}
		rows[0] = append(rows[0], title)
	}
	for _, one := range c.classesOf(sortBy) {
		var cells []string
		for i, v := range one {
			cells = append(cells, classColumns[i].write(v))
		}
		rows = append(rows, cells)
	}
	all := aligned(rows, 0, width)
	return all[0], all[1:]
}

// hotTable is the table of hot keys: its head and a line for each. An empty head: why there is none is in lines.
func (r *Reading) hotTable(width int) (head string, lines []string) {
	keys, enabled := r.hotKeysOf()
	switch {
	case !enabled:
		return "", []string{"The server does not look for hot keys: start it with --hot-keys."}
	case len(keys) == 0:
		return "", []string{"No key is used more than others."}
	}
	const others = 26 // what the columns but that of the key take
	rows := [][]string{{"key", "share", "+/-", "per s"}}
	for _, k := range keys {
		rows = append(rows, []string{cut(k.name, max(width-others, 8)), percent(k.share), percent(k.slack), perSecond(k.perSecond)})
	}
	all := aligned(rows, 1, width)
	return all[0], all[1:]
}

// hottest is the block of the first few hot keys.
func (r *Reading) hottest(width int) block {
	b := block{title: "Hot keys", heads: []string{"share"}}
	keys, _ := r.hotKeysOf()
	for _, k := range keys[:min(len(keys), 5)] {
		b.rows = append(b.rows, plainRow(cut(k.name, width-figureWidth-1), percent(k.share)))
	}
	return b
}

// aligned makes lines of rows, the first left columns to the left. Columns that a width has no room for are left out.
func aligned(rows [][]string, left, width int) []string {
	total, fit := 0, 0
	for i := range rows[0] {
		widest := 0
		for _, r := range rows {
			widest = max(widest, len(r[i]))
		}
		if total += widest; total > width {
			break
		}
		total, fit = total+len("  "), fit+1
	}
	for i := range rows {
		rows[i] = rows[i][:fit]
	}
	var b bytes.Buffer
	tables.Print(&b, "", left, rows)
	return strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
}

// sortTitle is how a column is called that a table may be sorted by.
func sortTitle(sortBy int) string { return strings.TrimSuffix(classColumns[sortBy].title, "/s") }

// more tells how many lines are not shown.
func more(n int, what string) string { return strconv.Itoa(n) + " more " + what }
