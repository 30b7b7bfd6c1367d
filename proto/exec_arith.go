package proto

import (
	"strconv"

	"ringcached/proto/admin"
	"ringcached/proto/latency"
	"ringcached/store"
)

// arithmetic is a change of a number.
type arithmetic struct {
	key     []byte
	up      bool
	own     bool // the number gets the CAS cas
	touch   bool // a number that is there gets the expiry time exptime
	create  bool // make a number where there is none: initial, which expires at fresh
	late    bool // watchers see it before it has its expiry time, as with memcached's ma
	encoded bool // and its key came encoded
	delta   uint64
	compare uint64 // the CAS that the number must have, 0 for any
	cas     uint64
	initial uint64
	exptime uint32
	fresh   uint32
}

// arithmeticResult is how it ended.
type arithmeticResult struct {
	result  result
	created bool   // the number was made
	before  uint32 // its expiry time before it was changed, 0 for never
	value   uint64
	cas     uint64
}

// arithmetic changes a number.
func (w *Worker) arithmetic(op *arithmetic) (r arithmeticResult) {
	if w.sampled {
		w.note(latency.Arith, op.key)
	}
	e := w.st.Lock(op.key, w.st.Hash(op.key))
	w.observeLookup(op.key, &e, admin.UseChange)
	r.value, r.result = w.change(&e, op)
	switch {
	case r.result == notFound && op.create:
		r.result = w.makeNumber(&e, op)
		r.created, r.value = r.result == done, op.initial
	case r.result == notFound:
		w.tally.Add(choose(op.up, admin.IncrMisses, admin.DecrMisses))
	case r.result == done:
		r.before = e.Item().Exptime()
		if op.touch {
			e.SetExptime(op.exptime)
		}
	}
	if r.result == done {
		r.cas = w.casOf(e.Item())
	}
	e.Unlock()
	return r
}

// longestNumber is the size of the largest item, in bytes as memcached counts them, that is looked at for a number: memcached has what is
// larger in pieces.
const longestNumber = 512 << 10

// change changes the number that the entry has, and gives the new one.
func (w *Worker) change(e *store.Entry, op *arithmetic) (uint64, result) {
	it := e.Item()
	if !it.Valid() {
		return 0, notFound
	}
	if it.Len() == 0 || w.st.SizeOf(it) > longestNumber {
		return 0, nonNumeric
	}
	if op.compare != 0 && w.casOf(it) != op.compare {
		return 0, exists
	}
	value, ok := w.number(it)
	if !ok {
		return 0, nonNumeric
	}
	w.tally.AddClass(it.Class(), choose(op.up, admin.IncrHits, admin.DecrHits))
	switch {
	case op.up:
		value += op.delta
	case op.delta > value:
		value = 0
	default:
		value -= op.delta
	}
	if !w.putNumber(e, it, value, op) {
		return 0, noMemoryToGrow
	}
	return value, done
}

// number reads a value as a number as C does. The "\r\n" behind it ends it, if nothing else does.
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

// putNumber gives the entry, whose item is it, the new value. If the value fits, it is padded with spaces and the item counts as the same: it
// is changed in place if nobody else reads it. A longer value makes a new item with the same flags and expiry. False: no memory.
func (w *Worker) putNumber(e *store.Entry, it store.Item, value uint64, op *arithmetic) bool {
	var digits [maxDigits]byte
	text := strconv.AppendUint(digits[:0], value, 10)
	fits := len(text) <= it.Len()
	if fits && e.Exclusive() && newCAS(e, op) {
		w.pad(it, text)
		e.MarkAccessed()
		return true
	}
	w.st.Retain(it) // Alloc may evict
	defer w.st.Release(it)
	grown, err := allocAs(e, it, max(len(text), it.Len()), op.cas, op.own)
	if err != nil {
		return false
	}
	w.pad(grown, text)
	writeInto(w, grown, grown.Len(), "\r\n")
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
	writeInto(w, it, 0, text)
	for off := len(text); off < it.Len(); {
		room := w.st.Writable(it, off)
		room = room[:min(len(room), it.Len()-off)]
		for i := range room {
			room[i] = ' '
		}
		off += len(room)
	}
}

// newCAS gives the entry's item its new CAS. False: the item has no room for the one that the client chose.
func newCAS(e *store.Entry, op *arithmetic) bool {
	if op.own {
		return e.SetCAS(op.cas)
	}
	e.NewCAS()
	return true
}

// makeNumber makes an item with the initial number for the entry, which has none.
func (w *Worker) makeNumber(e *store.Entry, op *arithmetic) result {
	var digits [maxDigits + 2]byte
	text := strconv.AppendUint(digits[:0], op.initial, 10)
	it, err := allocNew(e, op.key, 0, choose(op.late, 0, op.fresh), len(text), op.cas, op.own)
	if err != nil {
		return noMemoryToMake
	}
	if op.encoded {
		it.SetMarks(store.MarkBinary)
	}
	writeInto(w, it, 0, append(text, "\r\n"...))
	w.observeAgain(op.key, e)
	e.Link(it)
	if w.interest != 0 {
		w.observeStore(it, "add", "stored")
	}
	if op.late {
		e.SetExptime(op.fresh)
	}
	return done
}
