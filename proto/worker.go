package proto

import (
	"ringcached/internal/contract"
	"ringcached/proto/admin"
	"ringcached/store"
)

// step is how one step of a session ended.
type step uint8

const (
	stepDone  step = iota // a request was answered
	stepGo                // the session went on to another mode
	stepMore              // the rest of the input is not enough to go on
	stepWait              // the rest of the input has to wait for memory
	stepQueue             // a long reply has to wait until it is admitted
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
	out      contract.Replies
	buf      []byte         // reserved room: its length is what was written and not committed yet
	full     bool           // the replies said so
	trace    bool           // requests are logged
	interest admin.Interest // what somebody wants to know about requests
	conn     uint32
	req      request
	meta     meta
	frame    frame
	framed   bool        // statistics are asked for by w.frame
	copied   store.Copy  // what get found without a lock
	entry    store.Entry // what a lookup has locked, see hold
	facts    facts
	parsed   parsedKeys
	single   session // of a datagram
	tracer   tracer

	sessions sessions
	opaques  opaques
	arrivals arrivals
	tally    tally
	casMask  uint64 // 0 if there are no CAS numbers

	admin admin.Worker
	guest guestReplies // to a datagram
}

// Open begins connection conn: a small dense number, free for use again after Closed. label says what it speaks, see Protocol.Label.
func (w *Worker) Open(conn uint32, label uint8) {
	protocol := w.srv.config.Protocol
	if label > 0 {
		protocol = Protocol(label - 1)
	}
	w.sessions.open(conn, w.srv.firstMode(protocol))
	if w.srv.traces() { // asked here too: the text is made only where it is logged
		w.traceConn(conn, "new "+clientKinds[protocol]+" client connection")
	}
	w.admin.ObserveOpen(conn)
}

// Closed ends connection conn, which the Engine still knows, and gives back what it holds: the item of an upload in progress, the place
// of a watcher. A client that broke the protocol did not end normally, though the Worker asked for the end.
func (w *Worker) Closed(conn uint32, why contract.Reason) {
	s := w.sessions.of(conn)
	if why == contract.ReasonNormal && s.mode == modeBroken {
		why = contract.ReasonError
	}
	w.admin.ObserveClose(conn, reasonNames[why])
	w.traceConn(conn, "connection closed.")
	w.abort(s)
	w.arrivals.drop(conn)
	w.tellHeld()
	if s.mode == modeWatch {
		w.admin.Unwatch(conn)
	}
	*s = session{}
}

// reasonNames are why a connection ended as watchers read it, in memcached's words.
var reasonNames = [...]string{
	contract.ReasonNormal: "normal", contract.ReasonError: "error", contract.ReasonIdle: "idle_timeout", contract.ReasonShutdown: "shutdown",
}

// abort gives back what a session holds, which is not used any more.
func (w *Worker) abort(s *session) {
	if s.mode == modeLongReply {
		w.admin.Drop(s.slot)
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
	w.admin.EndBatch()
}

// Data handles what conn received and says how much of in was used. It keeps no reference to in or out.
func (w *Worker) Data(conn uint32, in []byte, out contract.Replies) (n int, next contract.Next) {
	s := w.sessions.of(conn)
	w.begin(conn, out)
	n, next = w.serve(s, in)
	w.end()
	return n, next
}

// begin prepares a call on behalf of conn.
func (w *Worker) begin(conn uint32, out contract.Replies) {
	w.conn, w.out, w.buf = conn, out, nil
	w.full = out.Full()
	w.parsed.clear()
	w.interest = w.srv.admin.Interest()
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
func (w *Worker) serve(s *session, in []byte) (n int, next contract.Next) {
	for served := 0; n < len(in); {
		if s.mode <= lastPause {
			if served >= w.srv.perEvent {
				w.tally.add(connYields)
				return n, contract.Yield
			}
			if w.full {
				return n, contract.Yield
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
				return n, contract.Yield
			}
		case stepYield:
			return n, contract.Yield
		case stepWait:
			w.more(s)
			return n, contract.Wait
		case stepQueue:
			return n, contract.Wait
		case stepClose:
			return n, contract.Close
		case stepBreak:
			s.enter(session{mode: modeBroken})
			return n, contract.Close
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
	case modeLongReply:
		return w.longReply(s)
	case modeSkip:
		return w.skipLine(s, in)
	case modeWatch:
		return ignore(in)
	default:
		return w.text(s, in)
	}
}
