package proto

import (
	"context"
	"math"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"ringcached/internal/contract"
	"ringcached/proto/admin"
	"ringcached/proto/hotkeys"
	"ringcached/proto/latency"
	"ringcached/store"
)

// Server is what the workers of all channels share.
type Server struct {
	st        *store.Store
	config    Config
	perEvent  int           // requests per call of Data
	epoch     int64         // Unix time of the store's second 0
	verbosity *atomic.Int32 // may be Config.Verbosity
	version   string        // the whole reply to `version`

	admin admin.Server
	hot   *hotkeys.Set // nil: nobody looks for hot keys

	mu      sync.Mutex
	workers []*Worker

	_       [64]byte // what follows changes often
	uploads uploads
}

// NewServer makes a server over st. The store stays the caller's, who closes it after the last use of a worker and the end of Maintain.
func NewServer(st *store.Store, c Config) *Server {
	if c.RequestsPerEvent <= 0 {
		c.RequestsPerEvent = defaultRequestsPerEvent
	}
	if c.PID == 0 {
		c.PID = os.Getpid()
	}
	if c.Version == "" {
		c.Version = "unknown"
	}
	if c.Verbosity == nil {
		c.Verbosity = new(atomic.Int32)
	}
	s := &Server{
		st:        st,
		config:    c,
		perEvent:  c.RequestsPerEvent,
		epoch:     c.Start.Unix() - firstSecond,
		verbosity: c.Verbosity,
		version:   "VERSION " + c.Version + "\r\n",
	}
	s.uploads.begun = time.Now()
	if c.Settings.HotKeys {
		s.hot = hotkeys.NewSet(latency.Period, st.Now)
	}
	s.admin.Init(st, admin.Config{
		Settings: c.Settings, Version: c.Version, Amplification: c.Amplification, RequestsPerEvent: c.RequestsPerEvent,
		Epoch: s.epoch, Started: max(c.Started, firstSecond), PID: c.PID, Verbosity: c.Verbosity, Uploads: s.uploadBytes,
		HotKeys: s.hot,
	})
	if c.Engine != nil {
		s.SetEngine(c.Engine)
	}
	return s
}

// SetEngine names the engine that `stats` reports, for a caller whose engine is made after the server.
func (s *Server) SetEngine(e Engine) { s.admin.SetEngine(e) }

// Report calls add for the lines of `stats group`, see admin.Server.Report.
func (s *Server) Report(group string, add func(name, value string)) bool {
	return s.admin.Report(group, add)
}

// currentEngine is the engine to ask, nil if there is none.
func (s *Server) currentEngine() Engine { return s.admin.Engine() }

// Maintain does, slice by slice, what no channel should have to wait for: see admin.Server.Maintain. It returns when ctx ends, and must have
// returned before the store is closed.
func (s *Server) Maintain(ctx context.Context) { s.admin.Maintain(ctx) }

// NewWorker makes the worker of one channel, which the Engine knows by its number: the first is 0.
func (s *Server) NewWorker() *Worker {
	w := &Worker{srv: s, st: s.st, sessions: sessions{memory: s.config.Memory}, published: new(latency.Published)}
	if !s.config.Settings.NoCAS {
		w.casMask = math.MaxUint64
	}
	period := latency.Period
	if s.hot != nil {
		w.hot = s.hot.NewSketch()
		period /= 2 // every other sample is for the sketch
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	w.admin.Init(&s.admin, &w.tally, adminReplies{w}, w.stateName)
	w.id = w.admin.ID()
	w.times.Init(uint64(w.id), period)
	s.workers = append(s.workers, w)
	return w
}

// allWorkers are the workers that were made until now.
func (s *Server) allWorkers() []*Worker {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.workers[:len(s.workers):len(s.workers)]
}

// Config configures a Server. The zero value of each field has a meaning.
type Config struct {
	Settings Settings // shown by `stats settings`; some are obeyed, see there
	Version  string   // answered to `version`; "" is "unknown"
	// Protocol is what clients speak (-B).
	Protocol Protocol
	// Auth decides which clients are let in (-Y). nil: all of them, and none has to say who it is.
	Auth Authenticator
	// Amplification is how many bytes a reply to a datagram may have for each byte of the request, in both cases with the heads of datagrams.
	// 0: any number.
	Amplification int
	// RequestsPerEvent is how many requests of one connection are served before those of others (-R), the quantum. 0: 20.
	RequestsPerEvent int
	// Start is the wall clock at the moment when the store's clock showed 2, its first second. Unix expiry times are measured against it.
	Start time.Time
	// Started is the store's second when the process started, which uptime counts from; later than the first where the store took up the
	// items of an earlier process. 0: the first.
	Started uint32
	// PID is shown by `stats`. 0: this process.
	PID int
	// Shutdown ends the whole server, for the command `shutdown`, gracefully or not; it returns before it has done so. nil: the command
	// is not enabled (-A).
	Shutdown func(graceful bool)
	// RefreshCertificates reads the files of TLS again, for the command `refresh_certs`; on an error, one line, the old ones stay. Any worker calls it. nil: there
	// is no TLS.
	RefreshCertificates func() error
	// Engine is asked for what the I/O engine counts. It may be nil, or set later by Server.SetEngine.
	Engine Engine
	// Verbosity is the level that `verbosity` changes, shared with whoever logs. nil: one of the Server's own.
	Verbosity *atomic.Int32
	// Memory gives zeroed memory for sessions, outside the Go heap, and for as long as the process lives. nil: they lie in the heap.
	Memory func(bytes int) ([]byte, error)
	// Log takes lines for connections, requests and replies at verbosity 2 and above. nil: none.
	Log func(format string, args ...any)
}

// Protocol says how the protocol of a connection is known.
type Protocol uint8

const (
	ProtocolAuto   Protocol = iota // by its first byte: 0x80 is the beginning of a binary request
	ProtocolText                   // all connections speak the text protocol, meta commands included
	ProtocolBinary                 // all connections speak the binary protocol
)

// Label is what Worker.Open reads the protocol of a connection from; a label of 0 stands for Config.Protocol.
func (p Protocol) Label() uint8 { return uint8(p) + 1 }

// Authenticator knows who may use the server. It is asked by any worker, at any time.
type Authenticator interface {
	// Authenticate says whether user may come in with password. It keeps neither, and does not wait for anything.
	Authenticate(user, password []byte) bool
}

// Settings are what `stats settings` shows.
type Settings = admin.Settings

// TLSSettings are those of TLS among them.
type TLSSettings = admin.TLSSettings

// Engine is what the protocol reports of the I/O engine.
type Engine = admin.Engine

// defaultRequestsPerEvent is -R when nothing is said.
const defaultRequestsPerEvent = 20

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
	quantum  int            // requests that may be answered before others come first (-R)
	trace    bool           // requests are logged
	sampled  bool           // exec calls note
	timed    bool           // it is a sample of how long a request is handled
	between  bool           // trace or timed: something is done between two steps
	handled  latency.Class  // of what was timed
	came     time.Duration  // on the clock of Server.monotonic, when what is timed began
	interest admin.Interest // what watchers and statistics want to know of requests
	conn     uint32
	req      request
	meta     meta
	frame    frame
	framed   bool        // statistics are asked for by w.frame
	view     store.View  // what a lookup has found, see found
	entry    store.Entry // what it has locked
	facts    facts
	parsed   parsedKeys
	single   session // of a datagram
	tracer   tracer

	sessions   sessions
	opaques    opaques
	unfinished unfinished
	tally      admin.Tally
	casMask    uint64 // 0 if there are no CAS numbers

	hot       *hotkeys.Sketch    // nil: nobody looks for hot keys
	offers    bool               // this sample is for hot, or the last one was
	published *latency.Published // an allocation of its own: others read it
	times     latency.Sampler

	admin   admin.Worker
	limited limitedReplies // of a datagram
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
	w.unfinished.drop(conn)
	w.publishHeld()
	if s.mode == modeWatch {
		w.admin.Unwatch(conn)
	}
	*s = session{}
}

// reasonNames are why a connection ended as watchers read it, in memcached's words.
var reasonNames = [...]string{
	contract.ReasonNormal: "normal", contract.ReasonError: "error", contract.ReasonIdle: "idle_timeout", contract.ReasonShutdown: "shutdown",
}

// abort gives back what a session holds. The session must not be used afterwards.
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

// EndBatch publishes the counters that changed, and logs for watchers what happened. The caller calls it before it sends the replies of a
// batch, so that a client that saw a reply also sees it counted.
func (w *Worker) EndBatch() {
	w.unfinished.batch++
	w.times.Publish(w.published)
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
	w.between, w.sampled, w.timed = w.trace, false, false
	if w.times.Due() {
		w.sample()
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

// serve takes steps until the input, the connection's quantum (-R) or the room for replies is used up.
func (w *Worker) serve(s *session, in []byte) (n int, next contract.Next) {
	for w.quantum = w.srv.perEvent; n < len(in); {
		if s.mode <= lastPause {
			if w.quantum <= 0 {
				w.tally.Add(admin.ConnYields)
				return n, contract.Yield
			}
			if w.full {
				return n, contract.Yield
			}
		}
		used, st := w.step(s, in[n:])
		n += used
		if w.between {
			w.afterStep(st, w.srv.perEvent-w.quantum+1)
		}
		switch st {
		case stepDone:
			w.quantum--
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

// sample makes this call one that is looked at. Either the first request that it answers is timed, or its keys are offered to the sketch of hot keys.
// Not both: that takes time.
func (w *Worker) sample() {
	w.sampled = true
	if w.hot != nil {
		if w.offers = !w.offers; w.offers {
			return
		}
	}
	w.timed, w.between, w.handled = true, true, latency.Other
	w.came = w.srv.monotonic()
}

// afterStep does what is to be done between two steps. If the last one answered a request, this call has answered that many: a step may answer
// several, and the time of each is taken to be their mean.
func (w *Worker) afterStep(st step, answered int) {
	if w.timed && (st == stepDone || st == stepFlush) {
		w.times.Count(w.handled, int64(w.srv.monotonic()-w.came)/int64(answered))
		w.timed, w.sampled = false, false
	}
	if w.trace {
		w.commit() // so that replies are logged between the requests
	}
	w.between = w.trace || w.timed
}

// step hands the input to what the session's mode says, which makes one step.
func (w *Worker) step(s *session, in []byte) (int, step) {
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
