package proto

import "ringcached/store"

// interest is a set of what somebody wants to know about requests. While it is empty, observing costs a branch for each request.
type interest uint32

const (
	fetchers interest = 1 << iota
	mutations
	evictions
	connEvents
	deletions
	prefixes // counts for `stats detail`
	silence  // what never happens here
)

// use is what a command wants its key for.
type use uint8

const (
	useGet    use = iota
	useSet        // to store something under it
	useDelete     // to remove it
	useChange     // for anything else: a number, the expiry
	numUses
)

// observeLookup is called by every command when it has locked an entry. It is small enough to be inlined; a function that locked the
// entry as well and returned it would copy it once more, by which sets become slower.
func (w *Worker) observeLookup(key []byte, e *store.Entry, u use) {
	if w.interest != 0 {
		w.noteLookup(key, e, u)
	}
}

// noteLookup tells those who want to know what became of a lookup.
func (w *Worker) noteLookup(key []byte, e *store.Entry, u use) {
	if w.interest&prefixes != 0 {
		w.prefixes.count(key, u, e.Item().Valid())
	}
	if w.interest&fetchers != 0 {
		w.tellLookup(key, e)
	}
}

// tellLookup tells watchers what became of a lookup.
func (w *Worker) tellLookup(key []byte, e *store.Entry) {
	it := e.Item()
	ev := w.event(eventGet, key)
	switch {
	case it.Valid():
		ev.status, ev.class, ev.size = "found", it.Class(), it.Len()
	case e.Expired():
		ev.status = "expired"
	case e.Flushed():
		ev.status = "flushed"
	default:
		ev.status = "not_found"
	}
	w.events.add(&w.srv.watchers, ev)
}

// observeAgain is a second line for a lookup: memcached stores what was not asked for, a number that an increment makes or the empty value of
// `md x`, like any command that stores, which looks up by itself.
func (w *Worker) observeAgain(key []byte, e *store.Entry) {
	if w.interest&fetchers != 0 {
		w.tellLookup(key, e)
	}
}

// verbNames are the commands that store, as watchers read them.
var verbNames = [...]string{verbSet: "set", verbAdd: "add", verbReplace: "replace", verbAppend: "append", verbPrepend: "prepend", verbCAS: "cas"}

// resultNames are the results of storing, as watchers read them.
var resultNames = [numResults]string{done: "stored", notStored: "not_stored", exists: "exists", notFound: "not_found"}

// observeStore is called when a command has stored it, or has not, if w.interest is not empty. A change of a number in place is not told, as in
// memcached.
func (w *Worker) observeStore(it store.Item, cmd, status string) {
	if w.interest&mutations == 0 {
		return
	}
	ev := w.event(eventStore, it.Key())
	ev.cmd, ev.status, ev.class, ev.size = cmd, status, it.Class(), it.Len()
	if at := it.Exptime(); at != 0 {
		ev.ttl = max(int64(at)-int64(w.st.Now()), -1)
	}
	w.events.add(&w.srv.watchers, ev)
}

// observeRefusal is called when a value of n bytes got no memory, if w.interest is not empty.
func (w *Worker) observeRefusal(key []byte, v verb, status string, n int) {
	if w.interest&prefixes != 0 {
		w.prefixes.count(key, useSet, false)
	}
	if w.interest&mutations == 0 {
		return
	}
	ev := w.event(eventStore, key)
	ev.cmd, ev.status, ev.size = verbNames[v], status, n
	w.events.add(&w.srv.watchers, ev)
}

// observeDelete is called before a text client's command removes it, if w.interest is not empty. memcached does not tell of a binary client's.
func (w *Worker) observeDelete(it store.Item, cmd string) {
	if w.interest&deletions == 0 {
		return
	}
	ev := w.event(eventDelete, it.Key())
	ev.cmd, ev.class, ev.size = cmd, it.Class(), it.Len()
	w.events.add(&w.srv.watchers, ev)
}

// observeConn is called when a connection begins or ends.
func (w *Worker) observeConn(conn uint32, kind eventKind, reason string) {
	if interest(w.srv.interest.Load())&connEvents == 0 {
		return
	}
	w.conn = conn
	ev := w.event(kind, nil)
	ev.reason = reason
	if e := w.srv.currentEngine(); e != nil {
		ev.socket = e.Socket(w.id, conn)
	}
	w.events.add(&w.srv.watchers, ev)
}

// event is the worker's event, made ready for another of that kind.
func (w *Worker) event(kind eventKind, key []byte) *event {
	w.seen = event{kind: kind, key: key, fd: w.descriptor()}
	return &w.seen
}

// descriptor is that of the connection that is being answered; -1 if it has none or it is not known.
func (w *Worker) descriptor() int {
	e := w.srv.currentEngine()
	if e == nil || w.conn == guest {
		return -1
	}
	return e.Descriptor(w.id, w.conn)
}
