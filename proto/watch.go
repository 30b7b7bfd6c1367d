package proto

import (
	"slices"

	"ringcached/internal/contract"
)

// watchKinds are what a client can watch for. Of the last ones there is never anything to tell: memcached's threads in the background and its
// proxy are not here, and it does not tell of command lines any more.
var watchKinds = map[string]interest{
	"fetchers": fetchers, "mutations": mutations, "evictions": evictions, "connevents": connEvents, "deletions": deletions,
	"sysevents": silence, "rawcmds": silence, "proxyreqs": silence, "proxyevents": silence, "proxyuser": silence,
}

const (
	replyNoWatch      = "CLIENT_ERROR watch commands not allowed\r\n"
	replyManyWatchers = "WATCHER_TOO_MANY log watcher limit reached\r\n"
)

// watch answers `watch [<kind>...]`, none of them meaning fetchers. From then on the connection is told what happens, and nothing that it
// says is listened to, until it closes.
func watch(w *Worker, s *session, r *request) (int, step) {
	if w.srv.config.Settings.WatchDisabled {
		return w.reply(r, replyNoWatch)
	}
	var to interest
	for from, p := nextToken(r.line, int(r.args[0].to)); from < p; from, p = nextToken(r.line, p) {
		kind := watchKinds[string(r.line[from:p])]
		if kind == 0 {
			return w.reply(r, replyError)
		}
		to |= kind
	}
	x := &watcher{worker: w, conn: w.conn, to: choose(to == 0, fetchers, to), size: w.srv.watcherBuffer()}
	if !w.srv.addWatcher(x) {
		return w.reply(r, replyManyWatchers)
	}
	w.watching = append(w.watching, x)
	s.enter(session{mode: modeWatch})
	return w.reply(r, replyOK)
}

// ignore passes over what a watcher says.
func ignore(in []byte) (int, step) { return len(in), stepGo }

// watcherOf is the watcher that a connection is, nil if it is none.
func (w *Worker) watcherOf(conn uint32) *watcher {
	i := slices.IndexFunc(w.watching, func(x *watcher) bool { return x.conn == conn })
	if i < 0 {
		return nil
	}
	return w.watching[i]
}

// unwatch ends the watching of a connection that closes.
func (w *Worker) unwatch(conn uint32) {
	x := w.watcherOf(conn)
	w.srv.removeWatcher(x)
	w.watching = slices.DeleteFunc(w.watching, func(other *watcher) bool { return other == x })
}

// Idle says whether a connection that has sent nothing for long may be closed: one that watches is silent by nature.
func (w *Worker) Idle(conn uint32) bool { return w.sessions.of(conn).mode != modeWatch }

// Pending lists the connections that Push has something for. To be asked after EndBatch, and soon after Engine.Wake. It is valid until the
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
			x.told = true
			w.pending = append(w.pending, x.conn)
		}
	}
	h.mu.Unlock()
	return w.pending
}

// Push writes what waits for a connection that watches, until the replies are Full. It says whether there is more.
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
	x.waiting, x.sent, x.told = x.waiting[:0], 0, false
	return false
}

// wake makes the worker look for what its watchers are to be sent.
func (w *Worker) wake() {
	if e := w.srv.currentEngine(); e != nil {
		e.Wake(w.id)
	}
}

// watcherBuffer and workerBuffer are the sizes of -o watcher_logbuf_size and worker_logbuf_size.
func (s *Server) watcherBuffer() int {
	return choose(s.config.Settings.WatcherBuffer > 0, s.config.Settings.WatcherBuffer, defaultWatcherBuffer)
}

func (s *Server) workerBuffer() int {
	return choose(s.config.Settings.WorkerBuffer > 0, s.config.Settings.WorkerBuffer, defaultWorkerBuffer)
}
