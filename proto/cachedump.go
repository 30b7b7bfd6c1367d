package proto

import (
	"bytes"
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

// cachedumpBeyond is how many more items than it shows `stats cachedump` looks at: its cost goes with its limit, not with the class.
const cachedumpBeyond = 1024

// cachedump answers `stats cachedump <class> <limit>`: so many items of a class, for a limit of 0 as many as fit, those that were stored last
// before others as far as it looks.
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
	found.lines.less = func(a, b numberedLine) bool { return a.number < b.number }
	return w.startWalk(s, &walk{
		place: store.Walk{Classes: 1 << class},
		see:   found.see,
		end:   func(w *Worker, _ *walk) bool { return found.show(w) },
	}, r.size)
}

// newest are the lines of the items that were stored last, of those that were looked at.
type newest struct {
	most   int // lines, 0: as many as fit
	bytes  int // of all lines
	beyond int // items that were looked at and were too many
	lines  pile[numberedLine]
	sorted []numberedLine // the oldest first
}

type numberedLine struct {
	number uint64 // store.Item.Number
	text   []byte
}

// see takes an item, or not. Encoded keys are left out, and those that would be read as lines of their own, which only binary clients can have.
func (n *newest) see(w *Worker, k *walk, it store.Item) {
	if isBinary(it) || bytes.IndexByte(it.Key(), '\n') >= 0 {
		return
	}
	w.lines = appendCacheItem(w, w.lines[:0], it)
	line := numberedLine{it.Number(), w.lines}
	w.lines = w.lines[:0] // nothing is to be written
	if n.tooMany(1, len(line.text)) {
		n.beyond++
		k.over = k.over || n.beyond >= cachedumpBeyond
		if line.number < n.lines.all[0].number {
			return
		}
	}
	line.text = bytes.Clone(line.text)
	n.bytes += len(line.text)
	n.lines.put(line)
	for n.tooMany(0, 0) {
		n.bytes -= len(n.lines.take().text)
	}
}

// tooMany says that so many lines, and bytes of them, are too many beside those there are.
func (n *newest) tooMany(lines, bytes int) bool {
	return n.most > 0 && len(n.lines.all)+lines > n.most || n.bytes+bytes > cachedumpMost
}

// show puts some lines in order, or writes some, the newest first, and says whether it is done.
func (n *newest) show(w *Worker) (done bool) {
	for range walkLines {
		last := len(n.sorted) - 1
		switch {
		case len(n.lines.all) > 0:
			n.sorted = append(n.sorted, n.lines.take())
		case last >= 0:
			w.lines = append(w.lines, n.sorted[last].text...)
			n.sorted[last].text, n.sorted = nil, n.sorted[:last]
		default:
			w.lines = append(w.lines, replyEnd...)
			return true
		}
	}
	return false
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
