package proto

import (
	"bytes"
	"container/heap"
	"math"
	"strconv"

	"ringcached/store"
)

const (
	replyNoCachedump = "CLIENT_ERROR stats cachedump not allowed\r\n"
	replyBadLine     = "CLIENT_ERROR bad command line\r\n"
	replyIllegalSlab = "CLIENT_ERROR Illegal slab id\r\n"
)

// cachedumpMost is how much `stats cachedump` shows, in bytes, as in memcached: what does not fit are the oldest items.
const cachedumpMost = 2<<20 - len(replyEnd) - 1

// cachedump answers `stats cachedump <class> <limit>`: so many items of a class, for a limit of 0 as many as fit, those that were stored last
// before others.
func (w *Worker) cachedump(s *session, r *request) (int, step) {
	if w.srv.config.Settings.DumpDisabled {
		return w.reply(r, replyNoCachedump)
	}
	if r.n < 4 {
		return w.reply(r, replyBadLine)
	}
	class, ok := parseUint(r.arg(2), math.MaxUint32)
	limit, ok2 := parseUint(r.arg(3), math.MaxUint32)
	switch {
	case !ok || !ok2:
		return w.reply(r, replyBadFormat)
	case class >= maxClasses:
		return w.reply(r, replyIllegalSlab)
	}
	found := &newest{most: int(limit)}
	return w.startWalk(s, &walk{
		place: store.Walk{Classes: 1 << class},
		see:   func(w *Worker, _ *walk, it store.Item) { found.see(w, it) },
		end:   func(w *Worker, _ *walk) bool { return found.show(w) },
	}, r.size)
}

// newest are the lines of the items that were stored last. While they are gathered the oldest is on top of the heap, the next to go; when they
// are shown, the newest is.
type newest struct {
	most    int // lines, 0: as many as fit
	bytes   int // of all lines
	lines   []numberedLine
	showing bool
}

type numberedLine struct {
	number uint64 // store.Item.Number
	text   []byte
}

// see takes an item, or not. Encoded keys are left out, and those that would be read as lines of their own, which only binary clients can have.
func (n *newest) see(w *Worker, it store.Item) {
	if isBinary(it) || bytes.IndexByte(it.Key(), '\n') >= 0 {
		return
	}
	w.lines = appendCacheItem(w, w.lines[:0], it)
	line := numberedLine{it.Number(), w.lines}
	w.lines = w.lines[:0] // nothing is to be written
	if n.tooMany(1, len(line.text)) && line.number < n.lines[0].number {
		return
	}
	line.text = bytes.Clone(line.text)
	n.bytes += len(line.text)
	heap.Push(n, line)
	for n.tooMany(0, 0) {
		n.bytes -= len(heap.Pop(n).(numberedLine).text)
	}
}

// tooMany says that so many lines, and bytes of them, are too many beside those there are.
func (n *newest) tooMany(lines, bytes int) bool {
	return n.most > 0 && len(n.lines)+lines > n.most || n.bytes+bytes > cachedumpMost
}

// show writes the lines, as many of them as there is room for, and says whether it is done.
func (n *newest) show(w *Worker) (done bool) {
	if !n.showing {
		n.showing = true
		heap.Init(n)
	}
	for len(n.lines) > 0 {
		if w.full {
			return false
		}
		w.lines = append(w.lines, heap.Pop(n).(numberedLine).text...)
		w.writeLines()
	}
	w.write(replyEnd)
	return true
}

// Len, Less, Swap, Push and Pop implement heap.Interface.
func (n *newest) Len() int      { return len(n.lines) }
func (n *newest) Swap(i, j int) { n.lines[i], n.lines[j] = n.lines[j], n.lines[i] }
func (n *newest) Push(line any) { n.lines = append(n.lines, line.(numberedLine)) }

func (n *newest) Less(i, j int) bool {
	return (n.lines[i].number < n.lines[j].number) != n.showing
}

func (n *newest) Pop() any {
	last := len(n.lines) - 1
	line := n.lines[last]
	n.lines[last].text, n.lines = nil, n.lines[:last]
	return line
}

// appendCacheItem shows an item as `stats cachedump` does.
func appendCacheItem(w *Worker, b []byte, it store.Item) []byte {
	b = append(append(b, "ITEM "...), it.Key()...)
	b = strconv.AppendInt(append(b, " ["...), int64(it.Len()), 10)
	b = append(b, " b; "...)
	if it.Exptime() == 0 {
		b = append(b, '0')
	} else {
		b = w.appendUnix(b, it.Exptime())
	}
	return append(b, " s]\r\n"...)
}
