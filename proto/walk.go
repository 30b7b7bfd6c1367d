package proto

import (
	"slices"

	"ringcached/internal/contract"
	"ringcached/store"
)

const (
	// walkSteps is how many steps a walk goes in a turn: some dozen items each, or lines.
	walkSteps = 4
	// walkBatch is how many steps all walks of a worker go in a batch, however many turns they get in it: so long the others wait.
	walkBatch = 32
	// walkLines is how many lines a step writes, or puts in order.
	walkLines = 32
)

// walk is a command whose reply takes long, and goes on turn by turn: a dump, or a long list. Between two turns it holds nothing of the
// store's. The last byte of its request is left to the caller of Data until the walk has ended, so that there are further turns.
type walk struct {
	owner *Worker
	pass  pass
	place store.Walk
	// see takes an item, under the lock of its stripe. What it has to say goes to w.lines. nil: the walk goes over no items.
	see func(w *Worker, k *walk, it store.Item)
	// room is called before each step over items, without the lock; it may be nil.
	room func()
	// end is a step of what follows when all items were seen. It is called in further turns until it says that it is done.
	end func(w *Worker, k *walk) (done bool)

	over  bool // all items were seen, or enough of them
	crawl bool // a dump: shows in the statistics as a run of the crawler

	framed bool // the reply is a binary one, to the request that to repeats
	to     echo
}

// startWalk begins a walk, of which there may be so many at a time, for a request of size bytes.
func (w *Worker) startWalk(s *session, k *walk, size int) (int, step) {
	k.owner, k.over = w, k.see == nil
	w.srv.reports.enter(k, true, w.st.Now())
	s.enter(session{mode: modeWalk, slot: w.walks.keep(k)})
	return size - 1, stepGo
}

// startDump begins a dump, or says that there are too many.
func (w *Worker) startDump(s *session, r *request, k *walk) (int, step) {
	k.owner, k.crawl = w, true
	if !w.srv.dumps.enter(k, false, w.st.Now()) {
		return w.reply(r, replyCrawlerBusy)
	}
	w.tally.add(crawlerStarts)
	w.write(replyOK)
	s.enter(session{mode: modeWalk, slot: w.walks.keep(k)})
	return r.size - 1, stepGo
}

// walk goes on with the walk of a session.
func (w *Worker) walk(s *session) (int, step) {
	k := w.walks[s.slot]
	switch k.pass.state.Load() {
	case passWaits:
		k.pass.gate.look(k, w.st.Now())
		return 0, stepQueue
	case passExpelled:
		w.dropWalk(s)
		return 0, stepBreak // a reply with a hole in it would be taken for a whole one
	}
	w.framed = k.framed
	if k.framed {
		w.frame.echo = k.to
	}
	done := false
	for n := 0; n < walkSteps && w.walked < walkBatch && !w.full && !done; n++ {
		w.walked++
		done = w.walkStep(k)
	}
	w.framed = false
	if !done {
		return 0, stepYield
	}
	w.dropWalk(s)
	s.rest()
	return 1, stepDone
}

// walkStep is a step of a walk.
func (w *Worker) walkStep(k *walk) (done bool) {
	if now := w.st.Now(); k.pass.moved.Load() != now {
		k.pass.moved.Store(now)
	}
	if k.over {
		done = k.end(w, k)
	} else {
		if k.room != nil {
			k.room()
		}
		before := k.place.Looked
		more := w.st.Visit(&k.place, func(it store.Item) { k.see(w, k, it) })
		k.over = k.over || !more
		w.tally.addMany(walkLooked, k.place.Looked-before)
	}
	w.writeLines()
	return done
}

// dropWalk ends the walk of a session, finished or not.
func (w *Worker) dropWalk(s *session) {
	k := w.walks[s.slot]
	k.pass.gate.leave(k, w.st.Now())
	w.walks[s.slot] = nil
}

// dropExpelled gives up what is kept by walks that have lost their place. Their connections end at their next turn, if not before.
func (w *Worker) dropExpelled() {
	if !w.expelled.Swap(false) {
		return
	}
	for _, k := range w.walks {
		if k != nil && k.pass.state.Load() == passExpelled {
			k.place, k.see, k.end = store.Walk{}, nil, nil
		}
	}
}

// walks are those of a worker's sessions, by slots of which a session keeps the number. There are few at a time.
type walks []*walk

// keep gives the slot that k is kept in.
func (t *walks) keep(k *walk) (slot uint32) {
	i := slices.Index(*t, nil)
	if i < 0 {
		i = len(*t)
		*t = append(*t, nil)
	}
	(*t)[i] = k
	return uint32(i)
}

// linesKept is how much memory for lines a worker keeps, in bytes.
const linesKept = 64 << 10

// writeLines writes what was put into w.lines while there was no asking for room.
func (w *Worker) writeLines() {
	for b := w.lines; len(b) > 0; {
		n := min(len(b), contract.ReserveMax/4)
		w.room(n)
		w.buf = append(w.buf, b[:n]...)
		b = b[n:]
	}
	w.lines = w.lines[:0]
	if cap(w.lines) > linesKept {
		w.lines = nil
	}
}

// walkStats shows what long replies there are.
func (s *Server) walkStats(w *Worker, counts *counters) {
	w.stat("walks_running", decimal(s.dumps.running()+s.reports.running()))
	w.stat("walks_waiting", decimal(s.reports.waiting()))
	w.stat("walks_refused", decimal(s.dumps.refused.Load()))
	w.stat("walks_expelled", decimal(s.dumps.expelled.Load()+s.reports.expelled.Load()))
	w.stat("walks_looked", decimal(counts.server[walkLooked]))
}
