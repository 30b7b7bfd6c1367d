package admin

import (
	"bytes"
	"cmp"
	"math"
	"slices"
	"strconv"
	"sync"

	"ringcached/store"
)

const (
	replyNoCachedump = "CLIENT_ERROR stats cachedump not allowed\r\n"
	replyBadLine     = "CLIENT_ERROR bad command line\r\n"
	replyIllegalSlab = "CLIENT_ERROR Illegal slab id\r\n"
)

// cachedumpMost is how many bytes `stats cachedump` shows, as in memcached: the oldest items do not fit.
const cachedumpMost = 2<<20 - len(replyEnd) - 1

// cachedumpPast is how many more items than it shows `stats cachedump` looks at: its cost goes with its limit, not with the class.
const cachedumpPast = 16

// Cachedump answers `stats cachedump <class> <limit>`: limit items of a class, for 0 as many as fit. It shows those that were stored last
// first, as far as it looks.
func (w *Worker) Cachedump(r Request) Answer {
	if w.srv.config.Settings.DumpDisabled {
		return refuse(replyNoCachedump)
	}
	if r.Arg(3) == nil {
		return refuse(replyBadLine)
	}
	class, ok := r.Uint(2, math.MaxUint32)
	limit, ok2 := r.Uint(3, math.MaxUint32)
	switch {
	case !ok || !ok2:
		return refuse(replyBadFormat)
	case class >= maxClasses:
		return refuse(replyIllegalSlab)
	}
	found := &newest{most: int(limit)}
	if limit == 0 || limit > cachedumpFew {
		if room, ok := cachedumpRooms.Get().(*newestRoom); ok {
			found.newestRoom = *room
		}
	}
	found.heads.less = func(a, b lineRun) bool { return a[0].number > b[0].number }
	return w.begin(&longReply{cursor: store.Walk{Classes: 1 << class, Quick: true}, room: found.room, see: found.see, end: found.step})
}

// newest gathers lines of items and shows those of the items that were stored last.
type newest struct {
	newestRoom
	most  int              // lines, 0: as many as fit
	past  int              // lines that came when there was enough already
	put   int              // lines that are in heads
	heads minHeap[lineRun] // sorted runs of lines, the one with the newest first
	shown int              // lines, and
	bytes int              // what they take
}

// newestRoom is the memory for the lines.
type newestRoom struct {
	text  []byte // of all lines
	lines []numberedLine
}

// cachedumpRooms are those of earlier dumps of more than cachedumpFew lines: some MiB, which the garbage collector need not find.
var cachedumpRooms sync.Pool

const cachedumpFew = 1000

// numberedLine is the place of a line in the text.
type numberedLine struct {
	number   uint64 // store.Item.Number
	at, size uint32
}

type lineRun []numberedLine

// runLines is how many lines are sorted at once.
const runLines = 256

// room makes room for the lines of a step, before the store is locked.
func (n *newest) room() {
	n.text = slices.Grow(n.text, 5<<10)
	n.lines = slices.Grow(n.lines, 16)
}

// see takes an item. It leaves out encoded keys, and those that would read as lines of their own, which only binary clients can send.
func (n *newest) see(w *Worker, k *longReply, it store.Item) {
	if KeyEncoded(it.Marks()) || bytes.IndexByte(it.Key(), '\n') >= 0 {
		return
	}
	if n.most > 0 && len(n.lines) >= n.most || len(n.text) > cachedumpMost {
		n.past++
		k.over = k.over || n.past >= cachedumpPast
	}
	at := len(n.text)
	n.text = appendCacheItem(w, n.text, it)
	n.lines = append(n.lines, numberedLine{it.Number(), uint32(at), uint32(len(n.text) - at)})
}

// step sorts some lines, or writes some, the newest first.
func (n *newest) step(w *Worker) (done bool) {
	if n.put < len(n.lines) {
		run := lineRun(n.lines[n.put:min(n.put+runLines, len(n.lines))])
		slices.SortFunc(run, func(a, b numberedLine) int { return cmp.Compare(b.number, a.number) })
		n.put += len(run)
		n.heads.push(run)
		return false
	}
	for range stepLines {
		if len(n.heads.all) == 0 || n.most > 0 && n.shown == n.most {
			w.lines = append(w.lines, replyEnd...)
			if len(n.lines) > cachedumpFew {
				cachedumpRooms.Put(&newestRoom{n.text[:0], n.lines[:0]})
			}
			return true
		}
		run := n.heads.pop()
		line := run[0]
		if n.bytes += int(line.size); n.bytes > cachedumpMost {
			n.heads.all = nil
			continue
		}
		w.lines = append(w.lines, n.text[line.at:line.at+line.size]...)
		n.shown++
		if len(run) > 1 {
			n.heads.push(run[1:])
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
