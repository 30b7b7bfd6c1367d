package proto

import (
	"ringcached/proto/admin"
	"ringcached/store"
)

// What becomes of requests is told to package admin, for those who watch and for the statistics by prefix, if anybody wants to know:
// w.interest.

// What a command looks a key up for.
const (
	useGet    = admin.UseGet
	useSet    = admin.UseSet
	useDelete = admin.UseDelete
	useChange = admin.UseChange
)

// observeLookup is called by every command when it has locked an entry. It is small enough to be inlined; a function that locked the
// entry as well and returned it would copy it once more, by which sets become slower.
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
