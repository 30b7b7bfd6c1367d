package proto

import (
	"sync/atomic"
	"time"

	"ringcached/proto/admin"
	"ringcached/store"
)

// A value that is on its way holds memory of the store that cannot be evicted, for as long as its client likes. So each worker keeps a list of
// its uploads, the one that made progress last in front, and all of them together may hold a part of the store. Above that those at the
// end of the lists go: their connections are closed. A client that sends on is far from the end, however many have stopped.
//
// What comes in one piece is never listed.

const (
	// progressLeast and progressPart are what counts as progress: so many bytes, and such a part of the memory that the value holds.
	progressLeast = 1 << 10
	progressPart  = 16
	// stalled is how long an upload is without progress when it has to make room for others, and quiet when it has to although not all memory
	// for uploads is used. Milliseconds, as all times here.
	stalled = 50
	quiet   = 2000
	// patience is how long one waits for memory before another that makes progress has to make room.
	patience = 500
	// lossEvery is how often that may happen on all workers together, of which each may do it once in its patience.
	lossEvery = 125
	// flowLeast is how many bytes have to come in the time stalled for an upload that makes no progress not to have stalled all the same. The
	// more memory it holds, the longer it takes to what counts as progress.
	flowLeast = 4 << 10
	// suspects is how many are looked at together.
	suspects = 64
	// smallGrowth is the size of an item that does not wait until uploads hold a quarter more than they may.
	smallGrowth = 64 << 10
	// heldStep is how many bytes a worker's uploads hold more or less before the others know.
	heldStep = 64 << 10
)

// uploads is what all workers know of each other's uploads.
type uploads struct {
	begun   time.Time // read only: what the clock counts from
	_       [64]byte
	held    atomic.Int64  // bytes of the store that they hold
	starved atomic.Uint32 // when a value found no memory, 0 for never
	waited  atomic.Uint32 // when a value waited for memory, to the time stalled; 0 for never
	lost    atomic.Uint32 // when one that makes progress had to make room, 0 for never
	_       [64]byte
}

// uploadLimits are how many bytes uploads may hold: at all, and with some that stalled among them. An item of the largest size always fits.
func (s *Server) uploadLimits() (most, calm int64) {
	limit, item := s.st.Limit(), int64(s.st.ItemMax())+store.PageSize
	return max(limit/2, item), max(limit/4, item)
}

// uploadBytes are how many bytes of the store uploads hold, and how many they may hold.
func (s *Server) uploadBytes() (held, most int64) {
	most, _ = s.uploadLimits()
	return max(s.uploads.held.Load(), 0), most
}

// arrival is a request of which the rest is on its way: a value, or what is passed over.
type arrival struct {
	conn           uint32
	next, previous uint32
	since          uint32 // when it made progress
	waits          uint32 // since when it waits for memory; 0: it does not
	came           uint32 // how far it was then
	suspect        uint32 // turn in which it was found to have stalled, 0 for none
	held           uint32 // bytes of the store
}

// Rings of arrivals begin with these elements of the list, which stand for nothing.
const (
	ringUploads = iota
	ringSwallows
	rings
)

// gone is set in the place of a connection that was given up.
const gone = 1 << 31

// arrivals are a worker's.
type arrivals struct {
	list   []arrival
	free   uint32       // the first free element; next leads to the others
	places []uint32     // by connection: its element, 0 for none; with gone it is in no ring
	n      int          // in rings
	held   int64        // by all
	leaves int64        // of it by those that were given up, until they are closed: the kernel may still write to it
	urgent bool         // one waits for too long,
	lost   uint32       // and when that was last
	turn   uint32       // of the worker: in each it sees what came before
	told   atomic.Int64 // what the others know of it; only the worker writes
}

// progress is how far a request is. It grows.
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
func (a *arrivals) of(conn uint32) *arrival {
	if uint(conn) >= uint(len(a.places)) || a.places[conn] == 0 || a.places[conn]&gone != 0 {
		return nil
	}
	return &a.list[a.places[conn]]
}

// add lists a connection's request in front of a ring.
func (a *arrivals) add(conn uint32, ring int, now uint32, s *session, held int) {
	for len(a.list) < rings {
		at := uint32(len(a.list))
		a.list = append(a.list, arrival{next: at, previous: at})
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
		a.list = append(a.list, arrival{})
	} else {
		a.free = a.list[i].next
	}
	a.list[i] = arrival{conn: conn, since: now, came: s.progress(), held: uint32(held)}
	a.places[conn] = i
	a.n++
	a.held += int64(held)
	a.link(i, uint32(ring))
}

// link puts an element behind another, which it is to be in front of all with.
func (a *arrivals) link(i, behind uint32) {
	e, first := &a.list[i], a.list[behind].next
	e.previous, e.next = behind, first
	a.list[first].previous = i
	a.list[behind].next = i
}

func (a *arrivals) unlink(e *arrival) {
	a.list[e.previous].next = e.next
	a.list[e.next].previous = e.previous
}

// drop takes a connection's request off the list, whether it was given up or not.
func (a *arrivals) drop(conn uint32) {
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

// giveUp takes a connection, which it returns, out of its ring for good.
func (a *arrivals) giveUp(e *arrival) (conn uint32) {
	a.unlink(e)
	a.n--
	a.places[e.conn] |= gone
	a.leaves += int64(e.held)
	return e.conn
}

// last is the element of a ring that made no progress for longest, nil if there is none.
func (a *arrivals) last(ring int) *arrival {
	if a.n == 0 || a.list[ring].previous == uint32(ring) {
		return nil
	}
	return &a.list[a.list[ring].previous]
}

// track notes that a request of w.conn is not complete, and how far it is. It says whether uploads hold too much.
func (w *Worker) track(s *session) (crowded bool) {
	a, ring := &w.arrivals, ringSwallows
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
		return w.tellHeld()
	}
	if n := s.progress(); n-e.came >= max(progressLeast, e.held/progressPart) {
		e.came = n
		w.toFront(e, w.srv.clock())
	}
	return w.tellHeld()
}

// weigh notes that the item of a connection's upload holds more memory, which it gets for what came.
func (w *Worker) weigh(conn uint32, s *session, it store.Item) {
	if e := w.arrivals.of(conn); e != nil {
		held := w.st.Footprint(it)
		a := &w.arrivals
		a.held += int64(held) - int64(e.held)
		e.held, e.came, e.waits = uint32(held), s.left, 0
		w.toFront(e, w.srv.clock())
	}
}

// arrived ends what track began.
func (w *Worker) arrived() {
	if w.arrivals.n > 0 {
		w.arrivals.drop(w.conn)
		w.tellHeld()
	}
}

// tellHeld tells the other workers what this one's uploads hold, if that changed by much. It says whether all of them hold too much: then
// this worker, or those whose uploads hold more than their share, are to give some up.
func (w *Worker) tellHeld() (crowded bool) {
	a, u := &w.arrivals, &w.srv.uploads
	told := a.told.Load()
	step := a.held - told
	if step < heldStep && step > -heldStep && (a.held > 0 || told == 0) {
		return false
	}
	a.told.Store(a.held)
	total := u.held.Add(step)
	if most, _ := w.srv.uploadLimits(); step < 0 || total <= most {
		return false
	}
	w.srv.wakeHolders(w)
	return true
}

// heldByAll is what all uploads hold, as far as this worker knows.
func (w *Worker) heldByAll() int64 {
	a := &w.arrivals
	return w.srv.uploads.held.Load() + a.held - a.told.Load()
}

// clock is what time it is, in milliseconds. It is never 0, and begins again every seven weeks.
func (s *Server) clock() uint32 { return uint32(time.Since(s.uploads.begun)/time.Millisecond) | 1 }

// mustWait says that an item of size bytes, of which came are there, should not get more memory now: values that are on their way hold too much
// together. Who waits has not stalled. Small ones do not wait at once, nor do those of which much is there: they are the next to be done.
func (w *Worker) mustWait(size, came int) bool {
	a := &w.arrivals
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
	// Who holds the memory may be another worker's, to whom it does not seem to be too much: each knows the others' to some heldStep.
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

// mayLose says that it is this worker's turn to have an upload that makes progress make room, if it has its share of them.
func (w *Worker) mayLose(now uint32) bool {
	a, u := &w.arrivals, &w.srv.uploads
	most, _ := w.srv.uploadLimits()
	if a.held-a.leaves <= (most-most/4)/int64(len(w.srv.allWorkers())) {
		return false
	}
	last := u.lost.Load()
	return (last == 0 || now-last >= lossEvery) && u.lost.CompareAndSwap(last, now)
}

// toFront makes a request the one that made progress last.
func (w *Worker) toFront(e *arrival, now uint32) {
	a := &w.arrivals
	e.since, e.suspect = now, 0
	ring := ringUploads
	if w.sessions.of(e.conn).mode != modeUpload {
		ring = ringSwallows
	}
	a.unlink(e)
	a.link(a.places[e.conn], uint32(ring))
}

// evidence is how many of the bytes that came of a value of n bytes are to be believed.
func (w *Worker) evidence(n, came int) int {
	if came < n && w.mustWait(n, 0) {
		return 0
	}
	return came
}

// wakeHolders wakes the workers but w whose uploads hold more than their share.
func (s *Server) wakeHolders(w *Worker) {
	e := s.currentEngine()
	if e == nil {
		return
	}
	most, _ := s.uploadLimits()
	all := s.allWorkers()
	for _, other := range all {
		if other != w && other.arrivals.told.Load() > most/int64(len(all)) {
			e.Wake(other.id)
		}
	}
}

// starve notes that a value found no memory: uploads that stalled are given up, however little they hold.
func (w *Worker) starve() {
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

// Unwanted calls end for the connections that are to be closed because they do not send the rest of a request: those that are idle, see
// Settings.IdleTimeout, and those whose values hold too much of the store. Without sure they are only if nothing that they sent waits to be
// received. False says that the connection stays. To be called about once a second, soon after Engine.Wake, and when Data or Filled
// answered Crowded or Wait.
func (w *Worker) Unwanted(end func(conn uint32, idle, sure bool) bool) {
	a := &w.arrivals
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

// excess says whether the upload that made no progress for longest is to be given up, and whether in any case. A worker whose uploads hold less than
// its share leaves that to the others.
func (w *Worker) excess(e *arrival, workers int64) (excess, sure bool) {
	a, u := &w.arrivals, &w.srv.uploads
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

// flows says that an upload has come on steadily since it made progress, see flowLeast. That is progress, too.
func (w *Worker) flows(e *arrival) bool {
	n, age := w.sessions.of(e.conn).progress(), w.srv.clock()-e.since
	if uint64(n-e.came)*stalled < uint64(age)*flowLeast {
		return false
	}
	e.came = n
	return true
}

// suspected says that an upload was found to have stalled before, and that its worker has looked at all that came since: what it sent may have been
// received and not handled yet. The ones before it are found with it.
func (w *Worker) suspected(e *arrival, now uint32) bool {
	a := &w.arrivals
	if e.suspect != 0 {
		return a.turn-e.suspect >= 2
	}
	for range suspects {
		if now-e.since < stalled || e == &a.list[ringUploads] {
			break
		}
		if e.suspect == 0 {
			e.suspect = max(a.turn, 1)
		}
		e = &a.list[e.previous]
	}
	return false
}

// endIdle ends the connections of a ring that made no progress for more than limit seconds.
func (w *Worker) endIdle(ring int, limit uint32, end func(conn uint32, idle, sure bool) bool) {
	a, now := &w.arrivals, w.srv.clock()
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
