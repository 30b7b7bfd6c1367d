package proto

import (
	"sync/atomic"
	"time"

	"ringcached/proto/admin"
	"ringcached/store"
)

// The item of an unfinished upload cannot be evicted, and its client may take as long as it likes. So each worker lists its uploads, the one
// that made progress last in front, and all uploads together may hold a part of the store. Above that, workers close the connections at the
// end of their lists. A client that goes on sending is far from the end, however many have stopped.
//
// A value that arrives in one piece is never listed.

const (
	// An upload makes progress when progressLeast bytes arrive, and as many as the progressPart-th part of the memory that it holds.
	progressLeast = 1 << 10
	progressPart  = 16
	// An upload without progress for stalled milliseconds makes room for others when all memory for uploads is used; one without progress for
	// quiet milliseconds does so earlier. All times here are in milliseconds.
	stalled = 50
	quiet   = 2000
	// An upload that has waited for memory for patience milliseconds makes a worker give up another, although that makes progress.
	patience = 500
	// Each worker gives up one that makes progress at most once in patience milliseconds, all workers together one in lossEvery.
	lossEvery = 125
	// An upload that receives flowLeast bytes in stalled milliseconds has not stalled, even if that is too little to be progress: the more
	// memory it holds, the longer progress takes.
	flowLeast = 4 << 10
	// suspects is how many uploads are checked together.
	suspects = 64
	// Items up to smallGrowth bytes wait for memory only when uploads hold a quarter more than they may.
	smallGrowth = 64 << 10
	// A worker publishes what its uploads hold when that has changed by heldStep bytes.
	heldStep = 64 << 10
)

// uploads is what all workers know of each other's uploads.
type uploads struct {
	begun   time.Time // read only: what the clock counts from
	_       [64]byte
	held    atomic.Int64  // bytes of the store that they hold
	starved atomic.Uint32 // when a value found no memory while uploads held some, 0 for never
	waited  atomic.Uint32 // when a value waited for memory, exact to stalled; 0 for never
	lost    atomic.Uint32 // when an upload that made progress was given up, 0 for never
	_       [64]byte
}

// uploadLimits are how many bytes uploads may hold: most at all, calm while some of them are quiet. An item of the largest size always fits.
func (s *Server) uploadLimits() (most, calm int64) {
	limit, item := s.st.Limit(), int64(s.st.ItemMax())+store.PageSize
	return max(limit/2, item), max(limit/4, item)
}

// uploadBytes are how many bytes of the store uploads hold, and how many they may hold.
func (s *Server) uploadBytes() (held, most int64) {
	most, _ = s.uploadLimits()
	return max(s.uploads.held.Load(), 0), most
}

// unfinishedRequest is a request whose rest has not arrived: a value, or bytes that are skipped.
type unfinishedRequest struct {
	conn           uint32
	next, previous uint32
	since          uint32 // when it last made progress
	waits          uint32 // since when it has waited for memory; 0: it does not wait
	came           uint32 // its session.progress when it last made progress
	suspect        uint32 // the worker's batch in which it was found to have stalled, 0 for none
	held           uint32 // bytes of the store
}

// The first elements of the list are the heads of the rings and stand for no request.
const (
	ringUploads = iota
	ringSwallows
	rings
)

// gone marks the place of a connection that was given up.
const gone = 1 << 31

// unfinished are the unfinished requests of a worker.
type unfinished struct {
	list      []unfinishedRequest
	free      uint32       // the first free element; next leads to the others
	places    []uint32     // by connection: its element, 0 for none; one marked gone is in no ring
	n         int          // elements in rings
	held      int64        // bytes of the store that all of them hold
	leaves    int64        // the part of held that belongs to those given up and not closed yet: the kernel may still write to it
	urgent    bool         // one has waited for too long: the next is given up even if it makes progress
	lost      uint32       // when urgent was last set
	batch     uint32       // the worker's batches are counted: in each it handles all that arrived before
	published atomic.Int64 // held, as the other workers know it; only this worker writes it
}

// progress is how far a request has come. It only grows.
func (s *session) progress() uint32 {
	switch s.mode {
	case modeUpload:
		return s.left
	case modeSwallow:
		return ^s.left
	}
	return 0 // a line without an end makes none
}

// of is the element of a connection, nil if it has none.
func (a *unfinished) of(conn uint32) *unfinishedRequest {
	if uint(conn) >= uint(len(a.places)) || a.places[conn] == 0 || a.places[conn]&gone != 0 {
		return nil
	}
	return &a.list[a.places[conn]]
}

// add puts a connection's request in front of a ring.
func (a *unfinished) add(conn uint32, ring int, now uint32, s *session, held int) {
	for len(a.list) < rings {
		at := uint32(len(a.list))
		a.list = append(a.list, unfinishedRequest{next: at, previous: at})
	}
	for len(a.places) <= int(conn) {
		a.places = append(a.places, 0)
	}
	if a.places[conn] != 0 {
		return // it was given up
	}
	i := a.free
	if i == 0 {
		i = uint32(len(a.list))
		a.list = append(a.list, unfinishedRequest{})
	} else {
		a.free = a.list[i].next
	}
	a.list[i] = unfinishedRequest{conn: conn, since: now, came: s.progress(), held: uint32(held)}
	a.places[conn] = i
	a.n++
	a.held += int64(held)
	a.link(i, uint32(ring))
}

// link puts an element behind another, which is the head of a ring.
func (a *unfinished) link(i, behind uint32) {
	e, first := &a.list[i], a.list[behind].next
	e.previous, e.next = behind, first
	a.list[first].previous = i
	a.list[behind].next = i
}

func (a *unfinished) unlink(e *unfinishedRequest) {
	a.list[e.previous].next = e.next
	a.list[e.next].previous = e.previous
}

// drop forgets a connection's request, given up or not.
func (a *unfinished) drop(conn uint32) {
	if uint(conn) >= uint(len(a.places)) || a.places[conn] == 0 {
		return
	}
	i := a.places[conn] &^ gone
	e := &a.list[i]
	if a.places[conn]&gone != 0 {
		a.leaves -= int64(e.held)
	} else {
		a.unlink(e)
		a.n--
	}
	a.places[conn] = 0
	a.held -= int64(e.held)
	e.next, a.free = a.free, i
}

// giveUp takes a connection out of its ring for good, and returns its number.
func (a *unfinished) giveUp(e *unfinishedRequest) (conn uint32) {
	a.unlink(e)
	a.n--
	a.places[e.conn] |= gone
	a.leaves += int64(e.held)
	return e.conn
}

// last is the element of a ring that made no progress for longest, nil if there is none.
func (a *unfinished) last(ring int) *unfinishedRequest {
	if a.n == 0 || a.list[ring].previous == uint32(ring) {
		return nil
	}
	return &a.list[a.list[ring].previous]
}

// track notes that a request of w.conn is unfinished, and how far it has come. It returns whether uploads hold too much.
func (w *Worker) track(s *session) (crowded bool) {
	a, ring := &w.unfinished, ringSwallows
	if s.mode == modeUpload {
		ring = ringUploads
	}
	e := a.of(w.conn)
	if e == nil {
		held := 0
		if s.mode == modeUpload {
			held = w.st.Footprint(w.st.ItemOf(s.item))
		}
		a.add(w.conn, ring, w.srv.clock(), s, held)
		return w.publishHeld()
	}
	if n := s.progress(); n-e.came >= max(progressLeast, e.held/progressPart) {
		e.came = n
		w.toFront(e, w.srv.clock())
	}
	return w.publishHeld()
}

// weigh notes that the item of a connection's upload has grown.
func (w *Worker) weigh(conn uint32, s *session, it store.Item) {
	if e := w.unfinished.of(conn); e != nil {
		held := w.st.Footprint(it)
		a := &w.unfinished
		a.held += int64(held) - int64(e.held)
		e.held, e.came, e.waits = uint32(held), s.left, 0
		w.toFront(e, w.srv.clock())
	}
}

// completed ends what track began: the request is complete.
func (w *Worker) completed() {
	if w.unfinished.n > 0 {
		w.unfinished.drop(w.conn)
		w.publishHeld()
	}
}

// publishHeld publishes what this worker's uploads hold, if that has changed by much. It returns whether all uploads hold too much: then this
// worker, or those whose uploads hold more than their share, give some up.
func (w *Worker) publishHeld() (crowded bool) {
	a, u := &w.unfinished, &w.srv.uploads
	published := a.published.Load()
	step := a.held - published
	if step < heldStep && step > -heldStep && (a.held > 0 || published == 0) {
		return false
	}
	a.published.Store(a.held)
	total := u.held.Add(step)
	if most, _ := w.srv.uploadLimits(); step < 0 || total <= most {
		return false
	}
	w.srv.wakeHolders(w)
	return true
}

// heldByAll is what the uploads of all workers hold, as far as this worker knows.
func (w *Worker) heldByAll() int64 {
	a := &w.unfinished
	return w.srv.uploads.held.Load() + a.held - a.published.Load()
}

// clock is the time in milliseconds. It is never 0, and starts again every seven weeks.
func (s *Server) clock() uint32 { return uint32(s.monotonic()/time.Millisecond) | 1 }

// monotonic is the time since the server was made.
func (s *Server) monotonic() time.Duration { return time.Since(s.uploads.begun) }

// mustWait reports that an item of size bytes, of which came have arrived, gets no more memory now, because uploads hold too much. An upload that
// waits has not stalled. Small items wait later, and so do those of which much has arrived, because they are the next to complete.
func (w *Worker) mustWait(size, came int) bool {
	a := &w.unfinished
	if a.held == 0 {
		return false
	}
	most, _ := w.srv.uploadLimits()
	switch {
	case came >= size/4:
		most += most / 2
	case size <= smallGrowth:
		most += most / 4
	}
	if w.heldByAll() <= most {
		return false
	}
	now, u := w.srv.clock(), &w.srv.uploads
	// The memory may be held by another worker, which may not know that it is too much: workers know what others hold only to some heldStep.
	if last := u.waited.Load(); (last == 0 || now-last >= stalled) && u.waited.CompareAndSwap(last, now) {
		w.srv.wakeHolders(w)
	}
	e := a.of(w.conn)
	if e == nil {
		return true
	}
	if e.waits == 0 {
		e.waits = now
	}
	if now-e.waits >= patience && now-a.lost >= patience && w.mayLose(now) {
		a.urgent, a.lost = true, now
	}
	w.toFront(e, now)
	return true
}

// waitsForOthers reports that the upload of w.conn, for whose rest the store has no memory, waits for it: other uploads hold some, and those that
// stall give it up. It waits for patience milliseconds at most.
func (w *Worker) waitsForOthers() bool {
	e, held, now := w.unfinished.of(w.conn), w.heldByAll(), w.srv.clock()
	if e == nil { // it is listed when it waits
		if held > 0 && w.conn != noConnection {
			w.starve()
			return true
		}
		return false
	}
	if e.waits == 0 {
		e.waits = now
	}
	if held <= int64(e.held) || now-e.waits >= patience {
		return false
	}
	w.starve()
	w.toFront(e, now)
	return true
}

// mayLose reports whether this worker may give up an upload that makes progress: its uploads hold their share, and no worker did so lately.
func (w *Worker) mayLose(now uint32) bool {
	a, u := &w.unfinished, &w.srv.uploads
	most, _ := w.srv.uploadLimits()
	if a.held-a.leaves <= (most-most/4)/int64(len(w.srv.allWorkers())) {
		return false
	}
	last := u.lost.Load()
	return (last == 0 || now-last >= lossEvery) && u.lost.CompareAndSwap(last, now)
}

// toFront moves a request to the front of its ring: it has just made progress.
func (w *Worker) toFront(e *unfinishedRequest, now uint32) {
	a := &w.unfinished
	e.since, e.suspect = now, 0
	ring := ringUploads
	if w.sessions.of(e.conn).mode != modeUpload {
		ring = ringSwallows
	}
	a.unlink(e)
	a.link(a.places[e.conn], uint32(ring))
}

// evidence is for how many of the bytes that arrived of a value of n bytes the store gets memory at once: all, or none if the value must wait.
func (w *Worker) evidence(n, came int) int {
	if came < n && w.mustWait(n, 0) {
		return 0
	}
	return came
}

// wakeHolders wakes the workers other than w whose uploads hold more than their share.
func (s *Server) wakeHolders(w *Worker) {
	e := s.currentEngine()
	if e == nil {
		return
	}
	most, _ := s.uploadLimits()
	all := s.allWorkers()
	for _, other := range all {
		if other != w && other.unfinished.published.Load() > most/int64(len(all)) {
			e.Wake(other.id)
		}
	}
}

// starve notes that the store had no memory for a value while uploads held some: then workers give up those that stalled, however little they hold.
func (w *Worker) starve() {
	if w.heldByAll() <= 0 {
		return // to give up uploads that come later would not have helped
	}
	now, u := w.srv.clock(), &w.srv.uploads
	if last := u.starved.Load(); last != 0 && now-last < stalled || !u.starved.CompareAndSwap(last, now) {
		return
	}
	if e := w.srv.currentEngine(); e != nil {
		for id := range w.srv.allWorkers() {
			e.Wake(id)
		}
	}
}

// Unwanted calls end for each connection that the caller closes because it does not send the rest of a request: it is idle, see
// Settings.IdleTimeout, or its value holds too much of the store. Without sure the caller closes it only if nothing that it sent waits to be
// received; end returns false if the connection stays. The caller calls Unwanted about once a second, soon after Engine.Wake, and when Data
// or UploadAdvance answered Crowded or Wait.
func (w *Worker) Unwanted(end func(conn uint32, idle, sure bool) bool) {
	a := &w.unfinished
	if a.n == 0 {
		return
	}
	workers := int64(len(w.srv.allWorkers()))
	for e := a.last(ringUploads); e != nil; e = a.last(ringUploads) {
		excess, sure := w.excess(e, workers)
		if !excess {
			break
		}
		conn := e.conn
		if !sure && w.flows(e) || !end(conn, false, sure) {
			w.toFront(e, w.srv.clock())
			continue
		}
		w.tally.Add(admin.UploadKicks)
		if e = a.of(conn); e != nil {
			a.giveUp(e)
		}
	}
	if limit := uint32(w.srv.config.Settings.IdleTimeout); limit > 0 {
		for ring := range rings {
			w.endIdle(ring, limit, end)
		}
	}
}

// excess decides whether e, the upload that has made no progress for longest, is given up, and whether for sure. A worker whose uploads hold less
// than its share leaves that to the others.
func (w *Worker) excess(e *unfinishedRequest, workers int64) (excess, sure bool) {
	a, u := &w.unfinished, &w.srv.uploads
	now := w.srv.clock()
	most, calm := w.srv.uploadLimits()
	held, total := a.held-a.leaves, w.heldByAll()-a.leaves
	age, starved := now-e.since, u.starved.Load()
	if age >= stalled && !a.urgent && !w.suspected(e, now) {
		return false, false
	}
	if waited := u.waited.Load(); waited != 0 && int32(now-waited) < quiet {
		most -= most / 4 // room for some at once
	}
	switch {
	case total > most && held > most/workers && a.list[ringUploads].next != a.list[ringUploads].previous && (age >= stalled || a.urgent):
		sure = a.urgent
		a.urgent = false
		return true, sure
	case total > calm && held > calm/workers && age >= quiet:
		return true, true
	}
	return starved != 0 && now-starved <= quiet && age >= stalled, false
}

// flows reports whether an upload has received bytes steadily since it made progress, see flowLeast. Then that is progress, too.
func (w *Worker) flows(e *unfinishedRequest) bool {
	n, age := w.sessions.of(e.conn).progress(), w.srv.clock()-e.since
	if uint64(n-e.came)*stalled < uint64(age)*flowLeast {
		return false
	}
	e.came = n
	return true
}

// suspected reports whether an upload was found to have stalled two batches ago, so that its worker has handled all that had arrived by then. If
// not, it marks e and those before it in the ring as found to have stalled now.
func (w *Worker) suspected(e *unfinishedRequest, now uint32) bool {
	a := &w.unfinished
	if e.suspect != 0 {
		return a.batch-e.suspect >= 2
	}
	for range suspects {
		if now-e.since < stalled || e == &a.list[ringUploads] {
			break
		}
		if e.suspect == 0 {
			e.suspect = max(a.batch, 1)
		}
		e = &a.list[e.previous]
	}
	return false
}

// endIdle calls end for the connections of a ring that made no progress for more than limit seconds.
func (w *Worker) endIdle(ring int, limit uint32, end func(conn uint32, idle, sure bool) bool) {
	a, now := &w.unfinished, w.srv.clock()
	for e := a.last(ring); e != nil && now-e.since > limit*1000; e = a.last(ring) {
		conn := e.conn
		if end(conn, true, true) {
			if e = a.of(conn); e != nil { // it ends when its replies are sent
				a.giveUp(e)
			}
			continue
		}
		w.toFront(e, now)
	}
}
