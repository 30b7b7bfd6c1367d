package proto

import (
	"ringcached/proto/admin"
	"ringcached/proto/latency"
	"ringcached/store"
)

// The exec layer does what commands say, whatever protocol they came in. A codec (text, meta, binary) parses a request into arguments, calls
// one of get, getAndTouch, touch, lookup, store, remove and arithmetic, and renders the result. This layer looks up, counts for statistics and
// reports to watchers; codecs do none of that. Where the protocols differ in what a command does, the difference is a field of the arguments;
// where they differ in how it is asked or answered, the codec has it.

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

// found is what a lookup found, and what keeps it as it is. If it is an item, w.view shows it, and the caller reads it there, and then calls one
// of endLookup, writeValue and keep, before another lookup. Of an item that nothing keeps these may say that it changed meanwhile. Then what was
// read does not count, and the caller looks the key up again, locked.
type found struct {
	item store.Item // the zero Item unless it is kept
	hold hold
}

// hold says what keeps an item as it is.
type hold uint8

const (
	holdNothing   hold = iota // there is no item
	holdView                  // nothing keeps it: it was found without a lock
	holdLock                  // w.entry, through which it was found, is locked
	holdReference             // the worker has a reference
)

func (f found) ok() bool { return f.hold != holdNothing }

// lookup is how an item is looked up.
type lookup struct {
	use     admin.Use     // for statistics by prefix
	missed  admin.Counter // counts when nothing is found
	touch   bool          // give the item the expiry time exptime
	unused  bool          // the client's reading does not count as a use of the item
	create  bool          // make an empty item where there is none, which expires at fresh
	lease   bool          // note in w.facts what the item was, and choose one client to bring a new value: see facts.won
	win     bool          // it is this one, unless another was chosen
	own     bool          // the item that is made has the CAS cas
	encoded bool          // and its key came encoded
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
var plainGet = lookup{use: admin.UseGet, missed: admin.GetMisses}

// get looks key up for a client that reads it. Most of all traffic takes this way. It locks the key only if somebody watches, or if the store
// has to note that the item is in use, see store.Store.TryGet.
func (w *Worker) get(key []byte, hash uint64, near *store.Approach) found {
	if w.sampled {
		w.note(latency.Get, key)
	}
	if w.interest == 0 {
		switch w.st.TryGet(key, hash, near, &w.view) {
		case store.Hit:
			return found{hold: holdView}
		case store.Miss:
			w.tally.Add(admin.GetMisses)
			return found{}
		}
	}
	return w.getLocked(key, hash)
}

// getLocked is get for an item that changed while it was read.
func (w *Worker) getLocked(key []byte, hash uint64) found {
	return w.lookupLocked(key, hash, &plainGet)
}

// getAndTouch is get for a client that also gives the item a new expiry time (gat). It counts as a touch.
func (w *Worker) getAndTouch(key []byte, hash uint64, exptime uint32) found {
	if w.sampled {
		w.note(latency.Get, key)
	}
	return w.lookupLocked(key, hash, &lookup{use: admin.UseGet, missed: admin.TouchMisses, touch: true, exptime: exptime})
}

// touch gives an item a new expiry time. False: there is none. The binary protocol's Touch replies with the item's flags and CAS: see touchShown.
func (w *Worker) touch(key []byte, hash uint64, exptime uint32) bool {
	f := w.touchShown(key, hash, exptime)
	if f.ok() {
		w.unhold(f)
	}
	return f.ok()
}

// touchShown is getAndTouch for a client that does not want the value.
func (w *Worker) touchShown(key []byte, hash uint64, exptime uint32) found {
	if w.sampled {
		w.note(latency.Touch, key)
	}
	return w.lookupLocked(key, hash, &lookup{use: admin.UseChange, missed: admin.TouchMisses, touch: true, exptime: exptime})
}

// lookup looks key up as how says (mg), without a lock where nothing changes.
func (w *Worker) lookup(key []byte, hash uint64, near *store.Approach, how *lookup) found {
	if w.sampled {
		w.note(latency.Get, key)
	}
	if w.interest == 0 && !how.touch && !how.win && how.recache == 0 {
		switch w.st.TryGet(key, hash, near, &w.view) {
		case store.Hit:
			v := &w.view
			if how.lease && v.Marks()&(store.MarkStale|store.MarkWon) != 0 {
				break
			}
			w.facts = facts{exptime: v.Exptime(), lastAccess: v.LastAccess(), marks: v.Marks(), fetched: v.Fetched()}
			return found{hold: holdView}
		case store.Miss:
			if how.create {
				break
			}
			w.tally.Add(how.missed)
			return found{}
		}
	}
	return w.lookupLocked(key, hash, how)
}

// peek looks key up for a client that debugs (me): that is no use of the item, and counts nowhere.
func (w *Worker) peek(key []byte) found {
	w.entry = w.st.Lock(key, w.st.Hash(key))
	w.observeLookup(key, &w.entry, admin.UseChange)
	it := w.entry.Item()
	if !it.Valid() {
		w.entry.Unlock()
		return found{}
	}
	return found{it, holdLock}
}

// lookupLocked looks key up and leaves it locked if there is an item.
func (w *Worker) lookupLocked(key []byte, hash uint64, how *lookup) found {
	e := w.st.Lock(key, hash)
	w.observeLookup(key, &e, how.use)
	created := false
	if !e.Item().Valid() {
		w.countGone(&e)
		if created = how.create && w.vivify(&e, key, how); !created {
			w.tally.Add(how.missed)
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
	w.tally.AddClass(it.Class(), choose(how.touch, admin.TouchHits, admin.GetHits))
	it.Look(&w.view)
	w.entry = e // copied last: right after Lock, the processor would still be writing e
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

// countGone counts why there is no item.
func (w *Worker) countGone(e *store.Entry) {
	if e.Expired() {
		w.tally.Add(admin.GetExpired)
	} else if e.Flushed() {
		w.tally.Add(admin.GetFlushed)
	}
}

// endLookup ends what a lookup began, and reports whether what was read counts.
func (w *Worker) endLookup(f found) bool {
	if f.hold == holdView {
		return w.confirm()
	}
	w.unhold(f)
	return true
}

// confirm reports whether what was read of an item that nothing kept counts, and counts the hit.
func (w *Worker) confirm() bool {
	if !w.view.Unchanged() {
		return false
	}
	w.tally.AddClass(w.view.Class(), admin.GetHits)
	return true
}

// unhold unlocks or releases an item that was kept.
func (w *Worker) unhold(f found) {
	if f.hold == holdLock {
		w.entry.Unlock()
	} else {
		w.st.Release(f.item)
	}
}

// keep ends a lookup that locked an item and leaves the caller a reference to it.
func (w *Worker) keep(f found) found {
	if f.hold == holdLock {
		w.st.Retain(f.item)
		w.entry.Unlock()
	}
	return found{f.item, holdReference}
}

// note is called by every command that uses a key, in a call of Data that was sampled: what class the command is of, for its time, or which key it uses,
// for the hot ones. In all other calls this costs a branch.
//
//go:noinline
func (w *Worker) note(c latency.Class, key []byte) {
	if w.timed {
		w.handled = c
	} else if w.hot != nil {
		w.hot.Offer(key)
	}
}

// Without CAS numbers (-C) the store has them all the same, because they order stores and flushes. Clients see 0 and cannot choose them.

// casOf is the item's CAS as clients see it.
func (w *Worker) casOf(it store.Item) uint64 { return it.CAS() & w.casMask }

// shownCAS is that of the item that was found.
func (w *Worker) shownCAS() uint64 { return w.view.CAS() & w.casMask }

// comparable is the CAS that an item has to have for a request that says so, of a kind for which 0 means that any will do.
func (w *Worker) comparable(cas uint64) uint64 { return cas & w.casMask }

// choose is yes if cond holds, else no.
func choose[T any](cond bool, yes, no T) T {
	if cond {
		return yes
	}
	return no
}

// What follows passes on to package admin what becomes of requests, for watchers and for the statistics by prefix. While nobody is interested,
// w.interest is empty, and observing costs a branch for each request.

// observeLookup is called by every command when it has locked an entry. It is small enough to be inlined.
func (w *Worker) observeLookup(key []byte, e *store.Entry, u admin.Use) {
	if w.interest != 0 {
		w.admin.ObserveLookup(w.conn, key, e, u)
	}
}

// observeAgain is a second line for a lookup: memcached stores what was not asked for, a number that an increment makes or the empty value of
// `md x`, like any command that stores, which looks up by itself.
func (w *Worker) observeAgain(key []byte, e *store.Entry) {
	if w.interest != 0 {
		w.admin.ObserveAgain(w.conn, key, e)
	}
}

// verbNames are the commands that store, as watchers read them.
var verbNames = [...]string{verbSet: "set", verbAdd: "add", verbReplace: "replace", verbAppend: "append", verbPrepend: "prepend", verbCAS: "cas"}

// resultNames are the results of storing, as watchers read them.
var resultNames = [numResults]string{done: "stored", notStored: "not_stored", exists: "exists", notFound: "not_found"}

// observeStore is called when a command has stored it, or has not, if w.interest is not empty. It is not called for a change of a number in
// place, as in memcached.
func (w *Worker) observeStore(it store.Item, cmd, status string) {
	w.admin.ObserveStore(w.conn, it, cmd, status)
}

// observeRefusal is called when a value of n bytes got no memory, if w.interest is not empty.
func (w *Worker) observeRefusal(key []byte, v verb, status string, n int) {
	w.admin.ObserveRefusal(w.conn, key, verbNames[v], status, n)
}

// observeDelete is called before a text client's command removes it, if w.interest is not empty. memcached does not log a binary client's.
func (w *Worker) observeDelete(it store.Item, cmd string) { w.admin.ObserveDelete(w.conn, it, cmd) }

// descriptor is that of the connection that is being answered; -1 if it has none or it is not known.
func (w *Worker) descriptor() int { return w.admin.Descriptor(w.conn) }
