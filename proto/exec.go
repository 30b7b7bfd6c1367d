package proto

import "ringcached/store"

// This layer is what commands do, whatever protocol they came in. A codec (text, meta, binary) parses a request into arguments, calls one
// of get, lookup, store, remove and arithmetic, and renders the result. Looking up, counting for statistics and telling watchers happen here
// and nowhere else. Where the protocols differ in what a command does, the difference is a field of the arguments; where they differ in how
// it is asked or answered, the codec has it.

// result is how a command ended.
type result uint8

const (
	done result = iota // it did what it says
	notStored
	exists // the item has another CAS than the client knows
	notFound
	nonNumeric     // the item's value is no number
	tooLarge       // the value is larger than any item may be
	noMemory       // for a value
	noMemoryToGrow // for a changed item
	noMemoryToMake // for a number that was not there
	numResults
)

// found is what a lookup found, and what keeps it as it is. Whoever gets a found whose item is valid reads it, and then calls one of
// endLookup, writeValue and keep, before another lookup.
type found struct {
	item store.Item // the zero Item: there is none
	hold hold
}

// hold says what keeps an item as it is.
type hold uint8

const (
	holdCopy      hold = iota // it is w.copied, the worker's own copy
	holdLock                  // w.entry, through which it was found, is locked
	holdReference             // the worker has a reference
)

// lookup is how an item is looked up.
type lookup struct {
	use     use     // for statistics by prefix
	missed  counter // counts when nothing is found
	touch   bool    // give the item the expiry time exptime
	unused  bool    // the client's reading does not count as a use of the item
	create  bool    // make an empty item where there is none, which expires at fresh
	lease   bool    // note in w.facts what the item was, and choose one client to bring a new value: see facts.won
	win     bool    // it is this one, unless another was chosen
	own     bool    // the item that is made has the CAS cas
	encoded bool    // and its key came encoded
	exptime uint32
	fresh   uint32
	recache uint32 // it is this one as well if the item expires before that second; 0: it is not
	cas     uint64
}

// facts are what was known of an item before lookup changed it.
type facts struct {
	exptime    uint32
	lastAccess uint32
	marks      store.Marks
	fetched    bool
	created    bool // the lookup made it
	won        bool // this client is to bring a new value
}

// plainGet is a lookup that only reads.
var plainGet = lookup{use: useGet, missed: getMisses}

// get looks key up for a client that reads it. Most of all traffic takes this way, which locks nothing unless the use of the item has to be
// noted or somebody watches.
func (w *Worker) get(key []byte, hash uint64) found {
	if w.interest == 0 {
		switch w.st.TryGet(key, hash, &w.copied) {
		case store.Hit:
			it := w.copied.Item()
			w.tally.addClass(it.Class(), getHits)
			return found{it, holdCopy}
		case store.Miss:
			w.tally.add(getMisses)
			return found{}
		}
	}
	return w.lookupLocked(key, hash, &plainGet)
}

// getAndTouch is get for a client that also gives the item a new expiry time (gat). It counts as a touch.
func (w *Worker) getAndTouch(key []byte, hash uint64, exptime uint32) found {
	return w.lookupLocked(key, hash, &lookup{use: useGet, missed: touchMisses, touch: true, exptime: exptime})
}

// touch gives an item a new expiry time. False: there is none. The binary protocol's Touch replies with the item's flags and CAS: see touchShown.
func (w *Worker) touch(key []byte, hash uint64, exptime uint32) bool {
	f := w.touchShown(key, hash, exptime)
	if f.item.Valid() {
		w.endLookup(f)
	}
	return f.item.Valid()
}

// touchShown is getAndTouch for a client that does not want the value.
func (w *Worker) touchShown(key []byte, hash uint64, exptime uint32) found {
	return w.lookupLocked(key, hash, &lookup{use: useChange, missed: touchMisses, touch: true, exptime: exptime})
}

// lookup looks key up as how says (mg), without a lock where nothing changes.
func (w *Worker) lookup(key []byte, hash uint64, how *lookup) found {
	if w.interest == 0 && !how.touch && !how.win && how.recache == 0 {
		switch w.st.TryGet(key, hash, &w.copied) {
		case store.Hit:
			it := w.copied.Item()
			if how.lease && it.Marks()&(store.MarkStale|store.MarkWon) != 0 {
				break
			}
			w.tally.addClass(it.Class(), getHits)
			w.facts = factsOf(it)
			return found{it, holdCopy}
		case store.Miss:
			if how.create {
				break
			}
			w.tally.add(how.missed)
			return found{}
		}
	}
	return w.lookupLocked(key, hash, how)
}

// lookupLocked looks key up and leaves it locked if there is an item.
func (w *Worker) lookupLocked(key []byte, hash uint64, how *lookup) found {
	w.entry = w.st.Lock(key, hash)
	e := &w.entry
	w.observeLookup(key, e, how.use)
	created := false
	if !e.Item().Valid() {
		w.countGone(e)
		if created = how.create && w.vivify(e, key, how); !created {
			w.tally.add(how.missed)
			e.Unlock()
			return found{}
		}
	}
	it := e.Item()
	if how.lease {
		w.facts = factsOf(it)
		w.facts.created = created
	}
	if created {
		e.SetExptime(how.fresh)
	} else if how.touch {
		e.SetExptime(how.exptime)
	}
	if how.lease {
		w.facts.chooseClient(it, how)
	}
	if !how.unused {
		e.MarkUsed()
	}
	w.tally.addClass(it.Class(), choose(how.touch, touchHits, getHits))
	return found{it, holdLock}
}

func factsOf(it store.Item) facts {
	return facts{exptime: it.Exptime(), lastAccess: it.LastAccess(), marks: it.Marks(), fetched: it.Fetched()}
}

// chooseClient says whether this client is to bring a new value: the first that has a reason is, until the value is there or made stale
// again. A stale value is a reason for everybody.
func (f *facts) chooseClient(it store.Item, how *lookup) {
	reason := f.created || how.win || f.marks&store.MarkStale != 0 || f.exptime != 0 && f.exptime < how.recache
	if f.won = reason && f.marks&store.MarkWon == 0; f.won {
		it.SetMarks(f.marks | store.MarkWon)
	}
}

// vivify makes an empty item for the entry, which has none. False: no memory, and the miss is a miss.
func (w *Worker) vivify(e *store.Entry, key []byte, how *lookup) bool {
	it, err := allocNew(e, key, 0, 0, 0, how.cas, how.own)
	if err != nil {
		return false
	}
	if how.encoded {
		it.SetMarks(store.MarkBinary)
	}
	writeInto(w, it, 0, "\r\n")
	e.Link(it)
	return true
}

// countGone counts why nothing was found.
func (w *Worker) countGone(e *store.Entry) {
	if e.Expired() {
		w.tally.add(getExpired)
	} else if e.Flushed() {
		w.tally.add(getFlushed)
	}
}

// endLookup ends what a lookup began. It is inlined, and of a copy nothing has to be ended.
func (w *Worker) endLookup(f found) {
	if f.hold != holdCopy {
		w.unhold(f)
	}
}

// unhold unlocks or releases an item that was found.
func (w *Worker) unhold(f found) {
	if f.hold == holdLock {
		w.entry.Unlock()
	} else {
		w.st.Release(f.item)
	}
}

// keep ends a lookup that found an item in the store and leaves the caller a reference to it.
func (w *Worker) keep(f found) found {
	if f.hold == holdLock {
		w.st.Retain(f.item)
		w.entry.Unlock()
	}
	return found{f.item, holdReference}
}

// removal is what a command that deletes asks for.
type removal struct {
	key         []byte
	told        string // the command's name, for watchers; "": they are not told, as memcached does not tell them of binary clients
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
	e := w.st.Lock(r.key, w.st.Hash(r.key))
	w.observeLookup(r.key, &e, useDelete)
	res := w.removeLocked(&e, r)
	e.Unlock()
	return res
}

func (w *Worker) removeLocked(e *store.Entry, r *removal) result {
	it := e.Item()
	if !it.Valid() {
		w.tally.add(deleteMisses)
		return notFound
	}
	if r.compares && w.casOf(it) != r.compare {
		if r.countsOther {
			w.tally.add(deleteMisses)
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
	w.tally.addClass(class, deleteHits)
	if w.interest != 0 && r.told != "" {
		w.observeDelete(e.Item(), r.told)
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

// Without CAS numbers (-C) the store has them all the same, because they order stores and flushes. Clients see 0 and cannot choose them.

// casOf is the item's CAS as clients see it.
func (w *Worker) casOf(it store.Item) uint64 { return it.CAS() & w.casMask }

// comparable is the CAS that an item has to have for a request that says so, of a kind for which 0 means that any will do.
func (w *Worker) comparable(cas uint64) uint64 { return cas & w.casMask }

// choose is yes if cond holds, else no.
func choose[T any](cond bool, yes, no T) T {
	if cond {
		return yes
	}
	return no
}
