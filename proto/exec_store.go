package proto

import (
	"errors"

	"ringcached/proto/admin"
	"ringcached/proto/latency"
	"ringcached/store"
)

// verb is what a storage command does with its value.
type verb uint8

const (
	verbSet verb = iota
	verbAdd
	verbReplace
	verbAppend
	verbPrepend
	verbCAS
)

// announced is a value that a storage command says it brings.
type announced struct {
	key     []byte
	flags   uint32
	exptime uint32
	size    int  // of the value, in bytes
	came    int  // bytes of it, and of what follows, that are at hand
	verb    verb // as watchers see it
	drop    bool // without memory for the value, remove what is under the key
	own     bool // the item gets the CAS cas
	cas     uint64
}

// beginStore makes the item that an announced value goes into. The reference is the caller's.
func (w *Worker) beginStore(a *announced) (store.Item, result) {
	var it store.Item
	var err error
	if a.own {
		it, err = w.st.BeginCAS(a.key, a.flags, a.exptime, a.size, w.evidence(a.size, a.came), a.cas)
	} else {
		it, err = w.st.Begin(a.key, a.flags, a.exptime, a.size, w.evidence(a.size, a.came))
	}
	if err != nil {
		return it, w.refused(err, a)
	}
	return it, done
}

// beginWhole is beginStore for a set whose value has arrived.
func (w *Worker) beginWhole(key []byte, flags, exptime uint32, size int) (store.Item, result) {
	it, err := w.st.Alloc(key, flags, exptime, size)
	if err != nil {
		return it, w.refused(err, &announced{key: key, size: size, verb: verbSet, drop: true})
	}
	return it, done
}

// refused says why a value got no memory.
func (w *Worker) refused(err error, a *announced) result {
	if w.sampled {
		w.note(latency.Store, a.key)
	}
	res, status := noMemory, "no_memory"
	if errors.Is(err, store.ErrTooLarge) {
		res, status = tooLarge, "too_large"
		w.tally.Add(admin.StoreTooLarge)
	} else {
		w.tally.Add(admin.StoreNoMemory)
		w.starve()
	}
	if w.interest != 0 {
		w.observeRefusal(a.key, a.verb, status, a.size)
	}
	if a.drop {
		w.drop(a.key)
	}
	return res
}

// drop removes what is under key: a set that fails must not leave the old value behind as if it were the new one.
func (w *Worker) drop(key []byte) {
	e := w.st.Lock(key, w.st.Hash(key))
	w.observeLookup(key, &e, admin.UseChange)
	if e.Item().Valid() {
		e.Unlink()
	}
	e.Unlock()
}

// storing is what a storage command does with an item whose value is there.
type storing struct {
	verb    verb
	stale   bool   // verbCAS: a value older than the stored one is taken, as stale (ms I)
	vivify  bool   // append and prepend make an item where there is none (ms N)
	compare uint64 // the CAS that the item there must have; 0: any, and for verbCAS none
}

// storeResult is what a storage command did.
type storeResult struct {
	result result
	cas    uint64 // of the item that is stored now; 0 if nothing was
	size   int    // length of its value; of the one that was sent if nothing was stored
}

// store does what op says with it, an item whose key, value and "\r\n" are complete. The caller's reference is used up.
func (w *Worker) store(it store.Item, op storing) storeResult {
	key := it.Key()
	if w.sampled {
		w.note(latency.Store, key)
	}
	e := w.st.Lock(key, w.st.Hash(key))
	w.observeLookup(key, &e, admin.UseSet)
	r := storeResult{size: it.Len()}
	var linked bool
	if r.result, linked = w.storeLocked(&e, it, op); r.result == done {
		r.cas, r.size = w.casOf(e.Item()), e.Item().Len()
	}
	if w.interest != 0 {
		w.observeStore(choose(r.result == done, e.Item(), it), verbNames[op.verb], resultNames[r.result])
	}
	e.Unlock()
	if !linked {
		w.st.Release(it)
	}
	return r
}

// storeSet is store for a set, which always succeeds: most of all traffic that stores.
func (w *Worker) storeSet(key []byte, it store.Item) {
	if w.sampled {
		w.note(latency.Store, key)
	}
	e := w.st.Lock(key, w.st.Hash(key))
	w.observeLookup(key, &e, admin.UseSet)
	if w.interest != 0 {
		w.observeStore(it, verbNames[verbSet], resultNames[done])
	}
	e.Link(it)
	e.Unlock()
}

// storeLocked is store under the entry's lock; it says whether it became the entry's item.
func (w *Worker) storeLocked(e *store.Entry, it store.Item, op storing) (res result, linked bool) {
	old := e.Item()
	switch op.verb {
	case verbAdd:
		if old.Valid() {
			e.MarkAccessed()
			return notStored, false
		}
	case verbReplace:
		if !old.Valid() {
			return notStored, false
		}
	case verbAppend, verbPrepend:
		if old.Valid() {
			return w.extend(e, old, it, op), false
		}
		if !op.vivify {
			return notStored, false
		}
	case verbCAS:
		if res := w.compare(old, op); res != done {
			return res, false
		}
		if w.casOf(old) != op.compare {
			w.linkStale(e, old, it)
			return done, true
		}
	}
	e.Link(it)
	return done, true
}

// compare says whether an item may take the place of old: if old has the CAS that the client knows, or a later one and the client allows
// that.
func (w *Worker) compare(old store.Item, op storing) result {
	if !old.Valid() {
		w.tally.Add(admin.CasMisses)
		return notFound
	}
	if cas := w.casOf(old); op.compare == 0 || cas != op.compare && (!op.stale || op.compare > cas) {
		w.tally.AddClass(old.Class(), admin.CasBadval)
		return exists
	}
	w.tally.AddClass(old.Class(), admin.CasHits)
	return done
}

// linkStale puts it into the place of old, which is newer: it is worth keeping until somebody brings a value, but no longer than old was.
func (w *Worker) linkStale(e *store.Entry, old, it store.Item) {
	exptime := old.Exptime()
	it.SetMarks(it.Marks() | store.MarkStale | old.Marks()&store.MarkWon)
	e.Link(it)
	e.SetExptime(exptime)
}

// extend replaces old by a new item: old's flags and expiry, and old's value with piece's behind or before it. Without memory nothing is
// stored.
func (w *Worker) extend(e *store.Entry, old, piece store.Item, op storing) result {
	if op.compare != 0 && w.casOf(old) != op.compare {
		return exists
	}
	w.st.Retain(old) // Alloc may evict
	defer w.st.Release(old)
	cas, own := piece.OwnCAS()
	it, err := allocAs(e, old, old.Len()+piece.Len(), cas, own)
	if err != nil {
		return notStored
	}
	it.SetMarks((old.Marks() | piece.Marks()) & store.MarkBinary)
	first, second := old, piece
	if op.verb == verbPrepend {
		first, second = piece, old
	}
	w.copyBytes(it, 0, first, first.Len())
	w.copyBytes(it, first.Len(), second, second.Len())
	writeInto(w, it, it.Len(), "\r\n")
	e.Link(it)
	return done
}

// allocAs makes an item for a value of n bytes that takes the place of old, with its flags and expiry; with the CAS cas if own.
func allocAs(e *store.Entry, old store.Item, n int, cas uint64, own bool) (store.Item, error) {
	return allocNew(e, old.Key(), old.Flags(), old.Exptime(), n, cas, own)
}

// allocNew makes an item; with the CAS cas if own.
func allocNew(e *store.Entry, key []byte, flags, exptime uint32, n int, cas uint64, own bool) (store.Item, error) {
	if own {
		return e.AllocCAS(key, flags, exptime, n, cas)
	}
	return e.Alloc(key, flags, exptime, n)
}

// copyBytes copies the first n bytes of src's value into dst from at on.
func (w *Worker) copyBytes(dst store.Item, at int, src store.Item, n int) {
	for off := 0; off < n; {
		from := w.st.Segment(src, off)
		off += copy(w.st.Writable(dst, at+off), from[:min(len(from), n-off)])
	}
}

// writeInto writes text into dst from at on.
func writeInto[T string | []byte](w *Worker, dst store.Item, at int, text T) {
	for len(text) > 0 {
		n := copy(w.st.Writable(dst, at), text)
		at, text = at+n, text[n:]
	}
}

// removal is what a command that deletes asks for.
type removal struct {
	key         []byte
	logged      string // the command's name, for watchers; "": they do not see it, as with memcached's binary clients
	compares    bool   // only the item with the CAS compare
	countsOther bool   // another CAS counts as a miss (md)
	empty       bool   // keep the item without its value, with these flags and exptime (md x)
	stale       bool   // keep the item, marked as stale (md I)
	touch       bool   // the stale item gets exptime
	own         bool   // what is kept gets the CAS cas
	flags       uint32
	exptime     uint32
	compare     uint64
	cas         uint64
}

// remove deletes an item, or keeps it without its value, or as stale, or both. What is kept as stale does not count as deleted.
func (w *Worker) remove(r *removal) result {
	if w.sampled {
		w.note(latency.Delete, r.key)
	}
	e := w.st.Lock(r.key, w.st.Hash(r.key))
	w.observeLookup(r.key, &e, admin.UseDelete)
	res := w.removeLocked(&e, r)
	e.Unlock()
	return res
}

func (w *Worker) removeLocked(e *store.Entry, r *removal) result {
	it := e.Item()
	if !it.Valid() {
		w.tally.Add(admin.DeleteMisses)
		return notFound
	}
	if r.compares && w.casOf(it) != r.compare {
		if r.countsOther {
			w.tally.Add(admin.DeleteMisses)
		}
		return exists
	}
	class := it.Class()
	if r.empty && !w.replaceByEmpty(e, it, r) {
		return noMemoryToGrow
	}
	if r.stale {
		return w.makeStale(e, r)
	}
	w.tally.AddClass(class, admin.DeleteHits)
	if w.interest != 0 && r.logged != "" {
		w.observeDelete(e.Item(), r.logged)
	}
	if !r.empty {
		e.Unlink()
	}
	return done
}

// replaceByEmpty replaces the entry's item by one without a value. That is no new value: the CAS stays, unless the client chose one. False: no
// memory.
func (w *Worker) replaceByEmpty(e *store.Entry, old store.Item, r *removal) bool {
	marks := old.Marks() & store.MarkBinary
	it, err := e.AllocCAS(r.key, r.flags, r.exptime, 0, choose(r.own, r.cas, old.CAS()))
	if err != nil {
		return false
	}
	it.SetMarks(marks)
	writeInto(w, it, 0, "\r\n")
	w.observeAgain(old.Key(), e)
	e.Link(it)
	if w.interest != 0 {
		w.observeStore(it, "set", "stored")
	}
	return true
}

// makeStale marks the entry's item as stale, with a new CAS, so that whoever reads it next is asked to bring a new value.
func (w *Worker) makeStale(e *store.Entry, r *removal) result {
	if !r.own {
		e.NewCAS()
	} else if !e.SetCAS(r.cas) && !w.withRoomForCAS(e, e.Item(), r.cas) {
		return noMemoryToGrow
	}
	if r.touch {
		e.SetExptime(r.exptime)
	}
	it := e.Item()
	it.SetMarks(it.Marks()&^store.MarkWon | store.MarkStale)
	return done
}

// withRoomForCAS replaces the entry's item by a copy that has room for a CAS of the client's choice. False: no memory.
func (w *Worker) withRoomForCAS(e *store.Entry, old store.Item, cas uint64) bool {
	it, err := allocAs(e, old, old.Len(), cas, true)
	if err != nil {
		return false
	}
	it.SetMarks(old.Marks())
	w.copyBytes(it, 0, old, old.Len()+2)
	e.Renew(it)
	return true
}
