package proto

import (
	"math"
	"strconv"

	"ringcached/store"
)

// sum is a change of a number, for all protocols.
type sum struct {
	up      bool
	delta   uint64
	compare uint64 // the CAS that the item must have, 0 for any
	cas     uint64 // the CAS that the item gets, if own
	own     bool
}

// arithmetic makes incr or decr: `<verb> <key> <delta> [noreply]`.
func arithmetic(up bool) func(*Worker, *session, *request) (int, step) {
	return func(w *Worker, _ *session, r *request) (int, step) {
		key := r.arg(1)
		if len(key) > maxKey {
			return w.reply(r, replyBadFormat)
		}
		delta, ok := parseUint(r.arg(2), math.MaxUint64)
		if !ok {
			return w.reply(r, replyBadDelta)
		}
		e := w.st.Lock(key, w.st.Hash(key))
		w.observeLookup(key, &e, useChange)
		value, end := w.count(&e, &sum{up: up, delta: delta})
		e.Unlock()
		if end == countMissing {
			w.countMissed(up)
		}
		if end != countDone {
			return w.reply(r, countTexts[end])
		}
		if !r.quiet {
			w.room(maxDigits + 2)
			w.buf = append(strconv.AppendUint(w.buf, value, 10), "\r\n"...)
		}
		return r.size, stepDone
	}
}

// countEnd is how a change of a number ended.
type countEnd uint8

const (
	countDone countEnd = iota
	countMissing
	countExists
	countNonNumeric
	countNoMemory
	countNoNew // no memory for a number that was not there
	numCountEnds
)

// countTexts are the replies of incr and decr, and where it is an error those of ma.
var countTexts = [numCountEnds]string{
	countMissing:    replyNotFound,
	countNonNumeric: replyNonNumeric,
	countNoMemory:   replyOutOfArith,
	countNoNew:      replyOutOfNew,
}

// count changes the number that the entry has, and gives the new one. If there is none, the caller makes one or counts a miss.
func (w *Worker) count(e *store.Entry, c *sum) (value uint64, end countEnd) {
	it := e.Item()
	if !it.Valid() {
		return 0, countMissing
	}
	if it.Len() == 0 || w.sizeOf(it) > longestNumber {
		return 0, countNonNumeric
	}
	if c.compare != 0 && w.casOf(it) != c.compare {
		return 0, countExists
	}
	value, ok := w.number(it)
	if !ok {
		return 0, countNonNumeric
	}
	w.tally.addClass(it.Class(), choose(c.up, incrHits, decrHits))
	switch {
	case c.up:
		value += c.delta
	case c.delta > value:
		value = 0
	default:
		value -= c.delta
	}
	if !w.putNumber(e, it, value, c) {
		return 0, countNoMemory
	}
	return value, countDone
}

// countMissed counts a miss.
func (w *Worker) countMissed(up bool) { w.tally.add(choose(up, incrMisses, decrMisses)) }

// choose is yes if cond holds, else no.
func choose[T any](cond bool, yes, no T) T {
	if cond {
		return yes
	}
	return no
}

// longestNumber is the size of the largest item, in bytes as memcached counts them, that is looked at for a number: memcached has what is
// larger in pieces.
const longestNumber = 512 << 10

// number reads a value as a number, which is what C makes of it: the value ends in blanks, "\r\n", if in nothing before.
func (w *Worker) number(it store.Item) (uint64, bool) {
	var c cNumber
	for off, more := 0, true; more && off < it.Len(); {
		piece := w.st.Segment(it, off)
		piece = piece[:min(len(piece), it.Len()-off)]
		more = c.take(piece)
		off += len(piece)
	}
	return c.unsigned()
}

// putNumber makes value the entry's, whose item is it, and which stays the same item if that fits, padded with spaces: in place if nobody
// else reads it. A longer one is a new item with the same flags and expiry. False: no memory.
func (w *Worker) putNumber(e *store.Entry, it store.Item, value uint64, c *sum) bool {
	var digits [maxDigits]byte
	text := strconv.AppendUint(digits[:0], value, 10)
	fits := len(text) <= it.Len()
	if fits && e.Exclusive() && recount(e, c) {
		w.pad(it, text)
		e.MarkAccessed()
		return true
	}
	w.st.Retain(it) // Alloc may evict
	defer w.st.Release(it)
	grown, err := allocAs(e, it, max(len(text), it.Len()), c.cas, c.own)
	if err != nil {
		return false
	}
	w.pad(grown, text)
	fill(w, grown, grown.Len(), "\r\n")
	if !fits {
		grown.SetMarks(it.Marks() & store.MarkBinary)
		e.Link(grown)
		return true
	}
	grown.SetMarks(it.Marks())
	e.Renew(grown)
	e.MarkAccessed()
	return true
}

// pad makes text the item's value, with spaces behind it.
func (w *Worker) pad(it store.Item, text []byte) {
	fill(w, it, 0, text)
	for off := len(text); off < it.Len(); {
		room := w.st.Room(it, off)
		room = room[:min(len(room), it.Len()-off)]
		for i := range room {
			room[i] = ' '
		}
		off += len(room)
	}
}

// recount gives the entry's item its new CAS. False: the item has no room for the one that is wanted.
func recount(e *store.Entry, c *sum) bool {
	if c.own {
		return e.SetCAS(c.cas)
	}
	e.NewCAS()
	return true
}

// newNumber makes an item with a number for the entry, which has none; false: no memory.
func (w *Worker) newNumber(e *store.Entry, key []byte, exptime uint32, value uint64, c *sum) bool {
	var digits [maxDigits + 2]byte
	text := strconv.AppendUint(digits[:0], value, 10)
	it, err := allocNew(e, key, 0, exptime, len(text), c.cas, c.own)
	if err != nil {
		return false
	}
	fill(w, it, 0, append(text, "\r\n"...))
	w.observeAgain(key, e)
	e.Link(it)
	if w.interest != 0 {
		w.observeStore(it, "add", "stored")
	}
	return true
}
