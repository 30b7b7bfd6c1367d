package admin

import (
	"slices"

	"ringcached/internal/contract"
)

// watchKinds are what a client can watch for. The last ones never happen here: they are about memcached's background threads and its proxy, and
// memcached does not log command lines any more.
var watchKinds = map[string]Interest{
	"fetchers": fetchers, "mutations": mutations, "evictions": evictions, "connevents": connEvents, "deletions": deletions,
	"sysevents": silence, "rawcmds": silence, "proxyreqs": silence, "proxyevents": silence, "proxyuser": silence,
}

const (
	replyNoWatch      = "CLIENT_ERROR watch commands not allowed\r\n"
	replyManyWatchers = "WATCHER_TOO_MANY log watcher limit reached\r\n"
)

// Watch answers `watch [<kind>...]`, none of them meaning fetchers. From then on, if ok, Pending and Push give the connection lines, until
// Unwatch.
func (w *Worker) Watch(conn uint32, kinds [][]byte) (reply string, ok bool) {
	if w.srv.config.Settings.WatchDisabled {
		return replyNoWatch, false
	}
	var to Interest
	for _, name := range kinds {
		kind := watchKinds[string(name)]
		if kind == 0 {
			return replyError, false
		}
		to |= kind
	}
	x := &watcher{worker: w, conn: conn, to: choose(to == 0, fetchers, to), size: w.srv.watcherBuffer()}
	if !w.srv.addWatcher(x) {
		return replyManyWatchers, false
	}
	w.watching = append(w.watching, x)
	return replyOK, true
}

// watcherOf is the watcher that a connection is, nil if it is none.
func (w *Worker) watcherOf(conn uint32) *watcher {
	i := slices.IndexFunc(w.watching, func(x *watcher) bool { return x.conn == conn })
	if i < 0 {
		return nil
	}
	return w.watching[i]
}

// Unwatch ends the watching of a connection that closes.
func (w *Worker) Unwatch(conn uint32) {
	x := w.watcherOf(conn)
	w.srv.removeWatcher(x)
	w.watching = slices.DeleteFunc(w.watching, func(other *watcher) bool { return other == x })
}

// Pending lists the connections that Push has something for. Call it after EndBatch, and soon after Engine.Wake. The list is valid until the
// next call.
func (w *Worker) Pending() []uint32 {
	if len(w.watching) == 0 {
		return nil
	}
	w.pending = w.pending[:0]
	h := &w.srv.watchers
	h.mu.Lock()
	for _, x := range w.watching {
		if len(x.waiting) > 0 {
			x.notified = true
			w.pending = append(w.pending, x.conn)
		}
	}
	h.mu.Unlock()
	return w.pending
}

// Push writes what waits for a connection that watches, until out is Full. It returns whether there is more.
func (w *Worker) Push(conn uint32, out contract.Replies) (more bool) {
	x := w.watcherOf(conn)
	h := &w.srv.watchers
	h.mu.Lock()
	defer h.mu.Unlock()
	for x.sent < len(x.waiting) && !out.Full() {
		room := out.Reserve(1)
		n := copy(room[:cap(room)], x.waiting[x.sent:])
		out.Commit(n)
		x.sent += n
	}
	if x.sent < len(x.waiting) {
		return true
	}
	x.waiting, x.sent, x.notified = x.waiting[:0], 0, false
	return false
}
