package top

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// page is one of the views.
type page int

const (
	overviewPage page = iota
	slabPage
	hotPage
	batchPage
	pageEnd // how many there are
)

var pageNames = [pageEnd]string{"Overview", "Slabs", "Hot keys", "Batching"}

// view is all that is drawn.
type view struct {
	look   look
	addr   string
	change Change // its to is nil as long as there is no reading
	// history are requests per second, the newest last.
	history  []float64
	interval time.Duration
	paused   bool
	waiting  time.Duration // since the server was asked, if it has not answered
	problem  string        // why there is no answer, clean; "": there was one
	page     page
	help     bool
	sortBy   int // a column of the table of slab classes
	scroll   int // lines of the page that are above the screen
}

// pages are those that the server has something for.
func (v *view) pages() []page {
	all := []page{overviewPage, slabPage}
	if v.change.to.offers(hotKeys) {
		all = append(all, hotPage)
	}
	if v.change.to.offers(batch) {
		all = append(all, batchPage)
	}
	return all
}

// The smallest terminal that there is a layout for, and the lines that are not the page's.
const (
	widthMin, heightMin = 30, 8
	frame               = 4 // title, pages, problem and keys
)

// screen draws everything, in lines that are no wider than the terminal.
func (v *view) screen(width, height int) []string {
	if width < widthMin || height < heightMin {
		return []string{cut("larger terminal, please", width)}
	}
	inner := width - 2
	head, body := v.body(inner, height-frame)
	lines := []string{v.title(inner), v.tabs(inner), v.notice(inner)}
	lines = append(lines, head...)
	room := height - frame - len(head)
	from := min(v.scroll, max(len(body)-room, 0))
	body = body[from:]
	below := max(len(body)-room, 0)
	lines = append(lines, body[:len(body)-below]...)
	for len(lines) < height-1 {
		lines = append(lines, "")
	}
	lines = append(lines, v.keys(inner, from, below))
	for i := range lines {
		lines[i] = " " + lines[i]
	}
	return lines
}

// scrollMost is how far a page can be scrolled.
func (v *view) scrollMost(width, height int) int {
	if width < widthMin || height < heightMin {
		return 0
	}
	head, body := v.body(width-2, height-frame)
	return max(len(body)-(height-frame-len(head)), 0)
}

// title says which server it is.
func (v *view) title(width int) string {
	up := ""
	if seconds := v.change.to.number(general, "uptime"); !math.IsNaN(seconds) {
		up = "up " + span(seconds)
	}
	return paired(v.look, heading, strings.Join(v.facts(), v.look.separator()), aside, up, width)
}

// facts are the server's name, version, engine and address.
func (v *view) facts() []string {
	to := v.change.to
	short := func(text string) string { return cut(clean(text), 24) }
	facts := []string{"memcached"}
	switch {
	case to.ringcached():
		facts = []string{"ringcached " + short(to.text(general, "ringcached_version")), short(to.text(batch, "engine"))}
	case to != nil:
		facts[0] += " " + short(to.Version)
		if library := to.text(general, "libevent"); library != "" {
			facts = append(facts, "libevent "+short(library))
		}
	default:
		facts = nil
	}
	facts = append(facts, clean(v.addr))
	return slices.DeleteFunc(facts, func(f string) bool { return f == "" })
}

// tabs names the pages, and says how the server answers.
func (v *view) tabs(width int) string {
	left, drawn := "", 0
	for i, p := range v.pages() {
		t, name := aside, fmt.Sprintf(" %d %s ", i+1, pageNames[p])
		if p == v.page && !v.help {
			t = chosen
			if !v.look.styles {
				name = fmt.Sprintf("[%d %s]", i+1, pageNames[p])
			}
		}
		if drawn+len(name) > width {
			break
		}
		left, drawn = left+v.look.paint(t, name), drawn+len(name)
	}
	t, states := v.state()
	for len(states) > 1 && utf8.RuneCountInString(states[0])+1 > width-drawn {
		states = states[1:]
	}
	return left + paired(v.look, ordinary, "", t, states[0], width-drawn)
}

// state says whether the server is asked, and how it answers, in the most words that there is room for.
func (v *view) state() (tone, []string) {
	every := "every " + v.interval.String()
	switch {
	case v.paused:
		return attention, []string{"paused"}
	case v.waiting >= time.Second:
		return attention, []string{"no answer for " + span(v.waiting.Seconds()), "no answer"}
	case v.problem != "":
		return attention, []string{"trying again " + every, "trying again"}
	case v.change.to != nil:
		return aside, []string{every + v.look.separator() + "answers in " + brief(v.change.to.Took), every}
	}
	return aside, []string{every}
}

// notice says what is wrong.
func (v *view) notice(width int) string {
	if v.problem == "" {
		return ""
	}
	return v.look.paint(trouble, cut(v.problem, width))
}

// keys says what can be pressed, and whether there is more to see.
func (v *view) keys(width, above, below int) string {
	all := []string{"q quit", "? help", "p pause", "+ - interval", "left right page"}
	if v.page == slabPage {
		all = slices.Insert(all, 3, "s sort")
	}
	right := ""
	if above > 0 || below > 0 {
		right = fmt.Sprintf("up down: %d above, %d below", above, below)
	}
	for len(all) > 1 && utf8.RuneCountInString(strings.Join(all, "  "))+len(right)+2 > width {
		all = all[:len(all)-1]
	}
	return paired(v.look, aside, strings.Join(all, "  "), attention, right, width)
}

var helpLines = []string{
	"left, right, tab, 1 to 4   another page",
	"up, down, page up, down    scroll",
	"s, S                       slab classes: sort by the next or previous column",
	"p, space                   stop asking, and go on",
	"+, -                       ask more rarely, or more often",
	"q, ctrl-C                  quit; ctrl-Z suspends",
	"?                          this help, and back",
	"",
	"Figures per second are of the time between the last two answers. Totals, and",
	"\"of all time\", count from the server's start or the last stats reset.",
	"CPU is in percent of one core. \"expired\" counts items whose memory was taken",
	"back after their time. \"slab pages\" is the memory that slab classes have.",
}

// body is the page: its head, which stays where it is, and lines that may be scrolled.
func (v *view) body(width, height int) (head, lines []string) {
	c := v.change
	switch {
	case v.help:
		for _, line := range helpLines {
			lines = append(lines, cut(line, width))
		}
		return nil, lines
	case c.to == nil:
		return nil, nil
	case v.page == slabPage:
		title, rows := c.classTable(v.sortBy, width)
		return []string{v.look.paint(aside, title)}, rows
	case v.page == hotPage:
		title, rows := c.to.hotTable(width)
		if title == "" {
			return nil, []string{cut(rows[0], width)}
		}
		return []string{v.look.paint(aside, title)}, rows
	case v.page == batchPage:
		columns, each := layout(width, 36)
		return nil, flow(v.look, c.batchBlocks(), columns, each)
	}
	return nil, v.overview(width, height)
}

// layout is how many columns of at least a width there are, and how wide they are.
func layout(width, least int) (columns, each int) {
	columns = min(max((width+len(gutter))/(least+len(gutter)), 1), 4)
	return columns, min((width-(columns-1)*len(gutter))/columns, 48)
}

// overview are the blocks of every server, and below what there is room for: more blocks, requests over time, slab classes.
func (v *view) overview(width, height int) []string {
	c := v.change
	columns, each := layout(width, 36)
	if columns < 3 { // two narrow ones tell as much
		columns, each = layout(min(width, 86), 27)
	}
	blocks := c.overview()
	if columns > 2 {
		if c.to.offers(batch) {
			blocks = append(blocks, c.batching())
		}
		if keys, _ := c.to.hotKeysOf(); len(keys) > 0 {
			blocks = append(blocks, c.to.hottest(each))
		}
	}
	lines := flow(v.look, blocks, columns, each)
	width = columns*each + (columns-1)*len(gutter)
	if room := height - len(lines); room >= 3 {
		lines = append(lines, "")
		lines = append(lines, v.graph(width, min(max(room/4, 1), room-2, 6))...)
	}
	if room := height - len(lines); room >= 5 && len(c.to.classes()) > 0 {
		lines = append(lines, "")
		lines = append(lines, v.classesBelow(width, room-1)...)
	}
	return lines
}

// graph are the requests over time.
func (v *view) graph(width, height int) []string {
	most := fmt.Sprintf("at most %s per s", perSecond(highest(v.history[max(len(v.history)-width, 0):])))
	return append([]string{paired(v.look, heading, "Requests over time", aside, most, width)}, v.look.graph(v.history, width, height)...)
}

// classesBelow is the table of slab classes in so many lines.
func (v *view) classesBelow(width, room int) []string {
	head, rows := v.change.classTable(v.sortBy, width)
	rest := ""
	if room -= 2; len(rows) > room {
		rest = more(len(rows)-room, "classes: page 2")
		rows = rows[:room]
	}
	lines := []string{paired(v.look, heading, "Slab classes by "+sortTitle(v.sortBy), aside, rest, width), v.look.paint(aside, head)}
	return append(lines, rows...)
}
