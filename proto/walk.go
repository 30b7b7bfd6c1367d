package proto

import (
	"slices"

	"ringcached/store"
)

// walkBuckets is how many buckets of the store a walk visits in a turn: some dozen items. A channel gives many turns in a batch.
const walkBuckets = 8

// walk is a command that goes over all items, turn by turn: a dump, or a histogram of sizes. Between two turns it holds nothing of the
// store's. The last byte of its request is left to the caller of Data until the walk has ended, so that there are further turns.
type walk struct {
	place store.Walk
	// see takes an item, under the lock of its stripe. What it has to say goes to w.lines.
	see func(w *Worker, k *walk, it store.Item)
	// end is called when all items were seen, and again in later turns until it says that it is done.
	end func(w *Worker, k *walk) (done bool)

	over  bool // all items were seen
	crawl bool // shows in the statistics as a run of the crawler
	sizes sizes

	framed bool // the reply is a binary one, to the request that to repeats
	to     echo
}

// startWalk begins a walk for a request of size bytes.
func (w *Worker) startWalk(s *session, k *walk, size int) (int, step) {
	if k.crawl {
		w.tally.add(crawlerStarts)
		w.srv.dumps.Add(1)
	}
	s.enter(session{mode: modeWalk, slot: w.walks.keep(k)})
	return size - 1, stepGo
}

// walk goes on with the walk of a session.
func (w *Worker) walk(s *session) (int, step) {
	k := w.walks[s.slot]
	w.framed = k.framed
	if k.framed {
		w.frame.echo = k.to
	}
	done := false
	for n := 0; n < walkBuckets && !w.full && !done; n++ {
		if k.over {
			done = k.end(w, k)
			continue
		}
		more := w.st.Visit(&k.place, func(it store.Item) { k.see(w, k, it) })
		k.over = !more
		w.writeLines()
	}
	w.framed = false
	if !done {
		return 0, stepYield
	}
	w.dropWalk(s)
	s.rest()
	return 1, stepDone
}

// dropWalk ends the walk of a session, finished or not.
func (w *Worker) dropWalk(s *session) {
	if w.walks[s.slot].crawl {
		w.srv.dumps.Add(-1)
	}
	w.walks[s.slot] = nil
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
		n := min(len(b), MaxReserve/4)
		w.room(n)
		w.buf = append(w.buf, b[:n]...)
		b = b[n:]
	}
	w.lines = w.lines[:0]
	if cap(w.lines) > linesKept {
		w.lines = nil
	}
}
