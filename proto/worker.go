package proto

import (
	"sync/atomic"

	"ringcached/store"
)

// Next is what the caller of Data does next.
type Next uint8

const (
	// More: everything that could be handled was. What was not consumed is the beginning of a request; present it again with more
	// behind it.
	More Next = iota
	// Yield: more could be handled, but others come first, or the replies are Full, or the client waits for them (mn, Noop). Call again
	// with the rest.
	Yield
	// Close: send what was replied, then close.
	Close
	// Fill: More, and so much of a value is to come that a caller who can receive straight into memory should: see Room.
	Fill
	// Crowded: More, and Unwanted is to be called: values that are on their way hold too much memory.
	Crowded
	// Wait: Unwanted is to be called, and then, after a moment, Data again with the rest, for which there is no memory now, or no place at a
	// gate.
	Wait
)

// step is how one step of a session ended.
type step uint8

const (
	stepDone  step = iota // a request was answered
	stepGo                // the session went on to another mode
	stepMore              // the rest of the input is not enough to go on
	stepWait              // the rest of the input has to wait for memory
	stepQueue             // a walk has to wait for a place at its gate
	stepYield             // replies are full in the middle of a request
	stepFlush             // a request was answered that wants all replies to leave
	stepClose             // the connection ends as the client wants it
	stepBreak             // the connection ends, for the client broke the protocol
)

// Worker serves the connections of one channel. It is used by one goroutine at a time and owns its sessions and counters.
type Worker struct {
	srv *Server
	st  *store.Store
	id  int // workers are numbered in the order in which they were made

	// During a call of Data only.
	out      Replies
	buf      []byte   // reserved room: its length is what was written and not committed yet
	full     bool     // the replies said so
	trace    bool     // requests are logged
	interest interest // what is to be observed
	conn     uint32
	req      request
	meta     meta
	frame    frame
	framed   bool // statistics are asked for by w.frame
	copied   store.Copy
	ahead    ahead
	single   session // of a datagram
	tracer   tracer

	sessions sessions
	opaques  opaques
	arrivals arrivals
	walks    walks
	lines    []byte // written under a lock, where there is no asking for room
	tally    tally
	shared   *sharedCounters
	casMask  uint64 // 0 if there are no CAS numbers

	events   eventLog
	seen     event // the last one
	watching []*watcher
	pending  []uint32    // what Pending gave
	walked   int         // steps of walks in this batch
	expelled atomic.Bool // some walk has lost its place
	prefixes prefixCounts
	guest    guestReplies // to a datagram
}

// Open begins connection conn: a small dense number, free for use again after Closed.
func (w *Worker) Open(conn uint32) { w.OpenAs(conn, w.srv.config.Protocol) }

// OpenAs is Open for a connection that speaks a protocol of its own, whatever Config.Protocol says.
func (w *Worker) OpenAs(conn uint32, protocol Protocol) {
	w.sessions.open(conn, w.srv.firstMode(protocol))
	if w.srv.traces() { // asked here too: the text is made only where it is logged
		w.traceConn(conn, "new "+clientKinds[protocol]+" client connection")
	}
	w.observeConn(conn, eventConnNew, "")
}

// Ending says why connection conn, which the Engine still knows, is about to be Closed. A client that broke the protocol is no normal
// reason, though the Worker asked for the end.
func (w *Worker) Ending(conn uint32, reason string) {
	if reason == reasonNormal && w.sessions.of(conn).mode == modeBroken {
		reason = reasonError
	}
	w.observeConn(conn, eventConnClose, reason)
}

// Reasons for the end of a connection, in memcached's words, that the Worker tells apart.
const (
	reasonNormal = "normal"
	reasonError  = "error"
)

// Closed ends connection conn and gives back what it holds: the item of an upload in progress, the place of a watcher.
func (w *Worker) Closed(conn uint32) {
	s := w.sessions.of(conn)
	w.traceConn(conn, "connection closed.")
	w.abort(s)
	w.arrivals.drop(conn)
	w.tellHeld()
	if s.mode == modeWatch {
		w.unwatch(conn)
	}
	*s = session{}
}

// abort gives back what a session holds, which is not used any more.
func (w *Worker) abort(s *session) {
	if s.mode == modeWalk {
		w.dropWalk(s)
	}
	if s.mode != modeUpload {
		return
	}
	w.st.Release(w.st.ItemOf(s.item))
	if s.flags&flagMeta != 0 {
		w.opaques.drop(s.slot)
	}
}

// Release gives back what Replies.Reference was given.
func (w *Worker) Release(ref uint64) { w.st.Release(w.st.ItemOf(ref)) }

// EndBatch publishes the counters that changed, and tells watchers what happened. Called before the replies of a batch are sent, so that a
// client that saw a reply also sees it counted.
func (w *Worker) EndBatch() {
	w.arrivals.turn++
	w.tally.publish(w.shared)
	w.walked = 0
	if len(w.events.lines) > 0 || w.srv.watchers.due.Load() {
		w.srv.watchers.publish(&w.events, w)
	}
	if c := w.srv.census.Load(); c != nil {
		w.answerCensus(c)
	}
	if w.expelled.Load() {
		w.dropExpelled()
	}
}

// Data handles what conn received and says how much of in was used. It keeps no reference to in or out.
func (w *Worker) Data(conn uint32, in []byte, out Replies) (n int, next Next) {
	s := w.sessions.of(conn)
	w.begin(conn, out)
	n, next = w.serve(s, in)
	w.end()
	return n, next
}

// begin prepares a call on behalf of conn.
func (w *Worker) begin(conn uint32, out Replies) {
	w.conn, w.out, w.buf = conn, out, nil
	w.full = out.Full()
	w.ahead.clear()
	w.interest = interest(w.srv.interest.Load())
	if w.trace = w.srv.traces(); w.trace {
		w.out = w.tracer.begin(w, out)
	}
}

// end hands in the replies and forgets what belongs to the caller.
func (w *Worker) end() {
	w.commit()
	w.out, w.tracer.Replies, w.tracer.room = nil, nil, nil
	w.req.in, w.req.line = nil, nil
	w.meta.forget()
	w.frame.forget()
}

// serve takes steps until the input, the turn or the room for replies is used up.
func (w *Worker) serve(s *session, in []byte) (n int, next Next) {
	for served := 0; n < len(in); {
		if s.mode <= lastPause {
			if served >= w.srv.perEvent {
				w.tally.add(connYields)
				return n, Yield
			}
			if w.full {
				return n, Yield
			}
		}
		used, st := w.take(s, in[n:])
		n += used
		if w.trace {
			w.commit() // so that replies are logged between the requests
		}
		switch st {
		case stepDone:
			served++
		case stepMore:
			return n, w.more(s)
		case stepFlush:
			if n < len(in) {
				return n, Yield
			}
		case stepYield:
			return n, Yield
		case stepWait:
			w.more(s)
			return n, Wait
		case stepQueue:
			return n, Wait
		case stepClose:
			return n, Close
		case stepBreak:
			s.enter(session{mode: modeBroken})
			return n, Close
		}
	}
	return n, w.more(s)
}

// take makes one step of the session's mode.
func (w *Worker) take(s *session, in []byte) (int, step) {
	switch s.mode {
	case modeFrame, modeFrameLogin:
		return w.binary(s, in)
	case modeLogin:
		return w.login(s, in)
	case modeFirst:
		return w.first(s, in)
	case modeUpload:
		return w.upload(s, in)
	case modeSwallow:
		return w.swallow(s, in)
	case modeKeys:
		return w.keys(s, in)
	case modeExptime:
		return w.exptime(s, in)
	case modeWalk:
		return w.walk(s)
	case modeSkip:
		return w.skipLine(s, in)
	case modeWatch:
		return ignore(in)
	default:
		return w.text(s, in)
	}
}
