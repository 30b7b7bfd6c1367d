package admin

import (
	"slices"

	"ringcached/internal/contract"
	"ringcached/store"
)

const (
	// quantumSteps is how many steps a long reply makes in one quantum: some dozen items each, or lines.
	quantumSteps = 4
	// batchSteps is how many steps all long replies of a worker make in a batch, however many quanta they get: so long other connections
	// wait.
	batchSteps = 32
	// stepLines is how many lines a step writes, or sorts.
	stepLines = 32
)

// longReply is a reply that takes long to make and is made in quanta, between which others are served: a dump, or a long list. Between two
// quanta it holds no lock of the store. Package proto keeps the last byte of its request back until it has ended, so that it is called again.
type longReply struct {
	owner  *Worker
	place  place
	cursor store.Walk
	// see takes an item, while its stripe is locked. What it shows goes to w.lines. nil: the reply goes over no items.
	see func(w *Worker, k *longReply, it store.Item)
	// room is called before each step over items, while nothing is locked; it may be nil.
	room func()
	// end is a step of what follows when all items were seen. It is called until it says that it is done.
	end func(w *Worker) (done bool)

	over bool // all items were seen, or enough of them
}

// Answer is how a command was answered.
type Answer struct {
	Text    string // the reply in the text protocol, "" for none
	Refused bool   // Text is an error
	Long    bool   // a long reply has begun, behind Text
	Slot    uint32 // of the long reply, for Continue and Drop
}

// begin begins a long reply, which may have to wait until it is admitted.
func (w *Worker) begin(k *longReply) Answer {
	k.owner, k.over = w, k.see == nil
	w.srv.reports.enter(k, true, w.st.Now())
	return Answer{Long: true, Slot: w.long.keep(k)}
}

// beginDump begins a dump, or refuses it if there are too many.
func (w *Worker) beginDump(k *longReply) Answer {
	k.owner = w
	if !w.srv.dumps.enter(k, false, w.st.Now()) {
		return refuse(replyCrawlerBusy)
	}
	w.tally.Add(crawlerStarts)
	return Answer{Text: replyOK, Long: true, Slot: w.long.keep(k)}
}

// Progress is what became of a long reply in a quantum.
type Progress uint8

const (
	Running  Progress = iota
	Waiting           // it is not admitted yet
	Finished          // it is whole
	Expelled          // it ended before it was whole: the connection has to be closed, or the client would take it for a whole one
)

// Continue goes on with a long reply. After Finished and Expelled the slot is free.
func (w *Worker) Continue(slot uint32) Progress {
	k := w.long[slot]
	switch k.place.state.Load() {
	case placeWaits:
		k.place.admission.look(k, w.st.Now())
		return Waiting
	case placeExpelled:
		w.Drop(slot)
		return Expelled
	}
	done := false
	for n := 0; n < quantumSteps && w.steps < batchSteps && !w.out.Full() && !done; n++ {
		w.steps++
		done = w.step(k)
	}
	if !done {
		return Running
	}
	w.Drop(slot)
	return Finished
}

// step makes one step of a long reply.
func (w *Worker) step(k *longReply) (done bool) {
	if now := w.st.Now(); k.place.moved.Load() != now {
		k.place.moved.Store(now)
	}
	if k.over {
		done = k.end(w)
	} else {
		if k.room != nil {
			k.room()
		}
		before := k.cursor.Looked
		more := w.st.Visit(&k.cursor, func(it store.Item) { k.see(w, k, it) })
		k.over = k.over || !more
		w.tally.addMany(looked, k.cursor.Looked-before)
	}
	w.flushLines()
	return done
}

// Drop gives a long reply up, finished or not.
func (w *Worker) Drop(slot uint32) {
	k := w.long[slot]
	k.place.admission.leave(k, w.st.Now())
	w.long[slot] = nil
}

// emptyExpelled frees what expelled long replies keep. Their connections end in their next quantum, if not before.
func (w *Worker) emptyExpelled() {
	if !w.expelled.Swap(false) {
		return
	}
	for _, k := range w.long {
		if k != nil && k.place.state.Load() == placeExpelled {
			k.cursor, k.see, k.end = store.Walk{}, nil, nil
		}
	}
}

// longReplies are those of a worker's connections, by slot, nil where a slot is free. There are few at a time.
type longReplies []*longReply

// keep gives the slot that k is kept in.
func (t *longReplies) keep(k *longReply) (slot uint32) {
	i := slices.Index(*t, nil)
	if i < 0 {
		i = len(*t)
		*t = append(*t, nil)
	}
	(*t)[i] = k
	return uint32(i)
}

// LongReplies is how many long replies of this worker have not ended.
func (w *Worker) LongReplies() (n int) {
	for _, k := range w.long {
		if k != nil {
			n++
		}
	}
	return n
}

// pieceMax is how many bytes are written at once.
const pieceMax = contract.ReserveMax / 4

// linesKept is how much memory for lines a worker keeps, in bytes.
const linesKept = 64 << 10

// flushLines writes w.lines.
func (w *Worker) flushLines() {
	for b := w.lines; len(b) > 0; {
		n := min(len(b), pieceMax)
		w.out.Text(b[:n])
		b = b[n:]
	}
	w.lines = w.lines[:0]
	if cap(w.lines) > linesKept {
		w.lines = nil
	}
}

// reportLongReplies tells what long replies there are.
func (s *Server) reportLongReplies(counts *counters, add func(name, value string)) {
	add("walks_running", decimal(s.dumps.running()+s.reports.running()))
	add("walks_waiting", decimal(s.reports.waiting()))
	add("walks_refused", decimal(s.dumps.refused.Load()))
	add("walks_expelled", decimal(s.dumps.expelled.Load()+s.reports.expelled.Load()))
	add("walks_looked", decimal(counts.server[looked]))
}
