package admin

import (
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"ringcached/store"
)

// maxWatchers is how many connections may watch at a time.
const maxWatchers = 20

// Sizes of buffers where Settings say nothing, in bytes.
const (
	defaultWatcherBuffer = 256 << 10
	defaultWorkerBuffer  = 64 << 10
)

// skippedMax is more than the longest line that says how much a watcher missed.
const skippedMax = 32

// watchers are the connections that watch, whichever channel they are on.
type watchers struct {
	lastID atomic.Uint64 // of an event
	due    atomic.Bool   // some watcher has something to send, and its worker does not know yet

	// A worker locks mu when a batch ends in which it logged something, or its log is full, or it has watchers; an eviction locks it too.
	// Whoever holds it locks nothing else and waits for nothing.
	mu     sync.Mutex
	all    []*watcher
	counts watchCounts
	ev     event // of evicted
	line   []byte
}

// watchCounts are memcached's log_* statistics.
type watchCounts struct {
	written       uint64 // events that somebody watched for
	sent, skipped uint64 // lines for watchers, and those that there was no room for
}

// watcher is a connection that watches. watchers.mu guards what changes.
type watcher struct {
	worker   *Worker
	conn     uint32
	to       Interest
	since    uint64 // id of the last event before it began to watch
	size     int    // most bytes that wait
	waiting  []byte // what is to be sent, from sent on
	sent     int
	skipped  uint64 // lines that it missed since the last one that waits
	notified bool   // its worker knows that something waits, or was woken
}

// queue appends a line to what waits for the watcher, behind how many lines it missed. False: there is no room.
func (x *watcher) queue(line []byte) bool {
	need := len(line)
	if x.skipped > 0 {
		need += skippedMax
	}
	if len(x.waiting)-x.sent+need > x.size {
		x.skipped++
		return false
	}
	if x.sent > 0 && len(x.waiting)+need > cap(x.waiting) {
		x.waiting = append(x.waiting[:0], x.waiting[x.sent:]...)
		x.sent = 0
	}
	if x.skipped > 0 {
		x.waiting = strconv.AppendUint(append(x.waiting, "skipped="...), x.skipped, 10)
		x.waiting = append(x.waiting, '\n')
		x.skipped = 0
	}
	x.waiting = append(x.waiting, line...)
	return true
}

// addWatcher makes a connection a watcher; false: there are too many.
func (s *Server) addWatcher(x *watcher) bool {
	h := &s.watchers
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.all) == maxWatchers {
		return false
	}
	x.since = h.lastID.Load()
	h.all = append(h.all, x)
	s.watchFor(h)
	return true
}

// removeWatcher forgets a watcher and all that waits for it.
func (s *Server) removeWatcher(x *watcher) {
	h := &s.watchers
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = slices.DeleteFunc(h.all, func(other *watcher) bool { return other == x })
	s.watchFor(h)
}

// watchFor makes the workers and the store report what the watchers want to know. h.mu is locked.
func (s *Server) watchFor(h *watchers) {
	var union Interest
	for _, x := range h.all {
		union |= x.to
	}
	s.setInterest(union, watchable)
	if union&evictions == 0 {
		s.st.OnEviction(nil)
		return
	}
	s.st.OnEviction(s.evicted)
}

// evicted gives watchers the line of an eviction. The store calls it with locks held, so it wakes nobody. Evictions do not wait for the end of
// a batch: a watcher may read of them before it reads of what happened earlier, as the ids show.
func (s *Server) evicted(it store.Item) {
	now := s.st.Now()
	h := &s.watchers
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ev = event{
		kind: eventEviction, key: it.Key(), fetched: it.Fetched(), ttl: -1, idle: now - min(now, it.LastAccess()), class: it.Class(), size: it.Len(),
	}
	if at := it.Exptime(); at != 0 {
		h.ev.ttl = int64(at) - int64(now)
	}
	h.counts.written++
	id := h.lastID.Add(1)
	h.line = h.ev.appendLine(h.line[:0], id, time.Now())
	h.ev.key = nil
	h.distribute(evictions, id, h.line)
}

// distribute queues a line for all who watch for it. h.mu is locked.
func (h *watchers) distribute(to Interest, id uint64, line []byte) {
	for _, x := range h.all {
		if x.to&to == 0 || id <= x.since {
			continue
		}
		if !x.queue(line) {
			h.counts.skipped++
			continue
		}
		h.counts.sent++
		if !x.notified {
			h.due.Store(true)
		}
	}
}

// drain empties a worker's log in the middle of a batch.
func (h *watchers) drain(l *eventLog) {
	h.mu.Lock()
	h.drainLocked(l)
	h.mu.Unlock()
}

// drainLocked distributes the lines of a worker's log. h.mu is locked.
func (h *watchers) drainLocked(l *eventLog) {
	h.counts.written += uint64(len(l.lines))
	from := 0
	for _, line := range l.lines {
		h.distribute(line.to, line.id, l.text[from:line.end])
		from = line.end
	}
	l.text, l.lines = l.text[:0], l.lines[:0]
}

// publish distributes the lines of a worker at the end of a batch, and wakes the other workers that do not know yet that their watchers
// have something to send, each once.
func (h *watchers) publish(l *eventLog, own *Worker) {
	var wake [maxWatchers]*Worker
	n := 0
	h.mu.Lock()
	h.drainLocked(l)
	h.due.Store(false)
	for _, x := range h.all {
		if x.notified || len(x.waiting) == 0 {
			continue
		}
		x.notified = true
		if x.worker != own && !slices.Contains(wake[:n], x.worker) {
			wake[n] = x.worker
			n++
		}
	}
	h.mu.Unlock()
	for _, w := range wake[:n] {
		w.wake()
	}
}

// resetWatchCounts makes the counts of watching begin at 0.
func (s *Server) resetWatchCounts() {
	s.watchers.mu.Lock()
	s.watchers.counts = watchCounts{}
	s.watchers.mu.Unlock()
}

// watchCounts are the counts, and how many connections watch.
func (s *Server) watchCounts() (c watchCounts, watching int) {
	h := &s.watchers
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.counts, len(h.all)
}
