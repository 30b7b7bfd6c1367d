package admin

import "ringcached/store"

// Interest is a set of what somebody wants to know about requests. Package proto calls the methods below only while it is not empty, so that
// observing costs a request one branch.
type Interest uint32

const (
	fetchers Interest = 1 << iota
	mutations
	evictions
	connEvents
	deletions
	prefixes // counts for `stats detail`
	silence  // what never happens here

	watchable = fetchers | mutations | evictions | connEvents | deletions
)

// Interest is what somebody wants to know now.
func (s *Server) Interest() Interest { return Interest(s.interest.Load()) }

// setInterest makes the bits of mask be those of which.
func (s *Server) setInterest(which, mask Interest) {
	for {
		old := s.interest.Load()
		if s.interest.CompareAndSwap(old, old&^uint32(mask)|uint32(which)) {
			return
		}
	}
}

// Use is what a command looks a key up for.
type Use uint8

const (
	UseGet    Use = iota
	UseSet        // to store something under it
	UseDelete     // to remove it
	UseChange     // for anything else: a number, the expiry
	numUses
)

// ObserveLookup counts and logs what a command found that has locked an entry. conn is the connection that is being answered, here and below.
func (w *Worker) ObserveLookup(conn uint32, key []byte, e *store.Entry, u Use) {
	if w.srv.Interest()&prefixes != 0 {
		w.prefixes.count(key, u, e.Item().Valid())
	}
	w.ObserveAgain(conn, key, e)
}

// ObserveAgain logs a lookup a second time. memcached uses an ordinary storage command, which looks the key up by itself, for the number that an
// increment makes and for the empty value of `md x`.
func (w *Worker) ObserveAgain(conn uint32, key []byte, e *store.Entry) {
	if w.srv.Interest()&fetchers == 0 {
		return
	}
	it := e.Item()
	ev := w.event(eventGet, conn, key)
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

// ObserveStore logs that a command has stored it, or has not. A change of a number in place is not logged, as in memcached.
func (w *Worker) ObserveStore(conn uint32, it store.Item, cmd, status string) {
	if w.srv.Interest()&mutations == 0 {
		return
	}
	ev := w.event(eventStore, conn, it.Key())
	ev.cmd, ev.status, ev.class, ev.size = cmd, status, it.Class(), it.Len()
	if at := it.Exptime(); at != 0 {
		ev.ttl = max(int64(at)-int64(w.st.Now()), -1)
	}
	w.events.add(&w.srv.watchers, ev)
}

// ObserveRefusal counts and logs that a value of n bytes got no memory.
func (w *Worker) ObserveRefusal(conn uint32, key []byte, cmd, status string, n int) {
	if w.srv.Interest()&prefixes != 0 {
		w.prefixes.count(key, UseSet, false)
	}
	if w.srv.Interest()&mutations == 0 {
		return
	}
	ev := w.event(eventStore, conn, key)
	ev.cmd, ev.status, ev.size = cmd, status, n
	w.events.add(&w.srv.watchers, ev)
}

// ObserveDelete logs that a command is about to remove it.
func (w *Worker) ObserveDelete(conn uint32, it store.Item, cmd string) {
	if w.srv.Interest()&deletions == 0 {
		return
	}
	ev := w.event(eventDelete, conn, it.Key())
	ev.cmd, ev.class, ev.size = cmd, it.Class(), it.Len()
	w.events.add(&w.srv.watchers, ev)
}

// ObserveOpen logs that a connection begins.
func (w *Worker) ObserveOpen(conn uint32) {
	if w.srv.Interest()&connEvents != 0 {
		w.connEvent(eventConnNew, conn, "")
	}
}

// ObserveClose logs that a connection ends, and why, in memcached's words. The engine still knows it.
func (w *Worker) ObserveClose(conn uint32, reason string) {
	if w.srv.Interest()&connEvents != 0 {
		w.connEvent(eventConnClose, conn, reason)
	}
}

func (w *Worker) connEvent(kind eventKind, conn uint32, reason string) {
	ev := w.event(kind, conn, nil)
	ev.reason, ev.socket = reason, w.socket(conn)
	w.events.add(&w.srv.watchers, ev)
}

// event is the worker's event, ready to become another one of that kind.
func (w *Worker) event(kind eventKind, conn uint32, key []byte) *event {
	w.last = event{kind: kind, key: key, fd: w.Descriptor(conn)}
	return &w.last
}
