package proto

import (
	"net/netip"
	"strconv"
	"sync/atomic"

	"ringcached/internal/contract"
)

// phaseStates are memcached's names for what a socket is doing.
var phaseStates = [contract.NumPhases]string{
	contract.PhaseListening: "conn_listening",
	contract.PhaseDatagram:  "conn_read",
	contract.PhaseNew:       "conn_new_cmd",
	contract.PhaseReady:     "conn_parse_cmd",
	contract.PhasePartial:   "conn_waiting",
	contract.PhaseIdle:      "conn_read",
	contract.PhaseSending:   "conn_mwrite",
	contract.PhaseClosing:   "conn_closing",
}

// sessionStates are the names that say more, in PhasePartial and PhaseIdle.
var sessionStates = map[mode]string{
	modeUpload:  "conn_nread",
	modeSwallow: "conn_swallow",
	modeSkip:    "conn_swallow",
	modeWatch:   "conn_watch",
	modeWalk:    "conn_parse_cmd",
}

// hostOf is the peer's address as watchers read it.
func hostOf(k *contract.Socket) string {
	switch {
	case k.Transport == "unix":
		return "unix"
	case !k.Peer.IsValid():
		return "unknown"
	}
	return k.Peer.Addr().String()
}

// appendAddress renders one of the socket's addresses.
func appendAddress(k *contract.Socket, b []byte, a netip.AddrPort, path string) []byte {
	switch {
	case k.Transport == "unix":
		return append(append(b, "unix:"...), path...)
	case !a.IsValid():
		return append(b, "unknown"...)
	}
	b = append(b, k.Transport...)
	if a.Addr().Is6() {
		b = append(b, '6')
	}
	return a.AppendTo(append(b, ':'))
}

// censusSlice is how many sockets a worker tells of in a batch: each costs two system calls.
const censusSlice = 64

// census asks all workers for their sockets. A worker's connections are its own, so each adds them by itself at the end of batches, some at a
// time, and who asked looks for the result when it gets its next turns. One is taken at a time, for all who wait for one before it begins.
type census struct {
	parts []censusPart // by worker
}

// censusPart is what a worker tells. It is the worker's until it is whole.
type censusPart struct {
	whole atomic.Bool
	next  uint32 // the Engine's place
	lines [][]socketLine
}

// socketLine is a socket with its state.
type socketLine struct {
	contract.Socket
	worker int
	state  string
}

// connsReport is the answer to `stats conns` that a connection waits for.
type connsReport struct {
	asked bool
	after *census // was under way, or the last one, when the connection asked: too early to show what was then
	on    *census // began later; nil: none has yet
	part  int     // of the census: those before it are in lines
	slice int     // of the part
	line  int     // of the slice
	lines pile[socketPlace]
}

// socketPlace is a line's place in the answer: by descriptor, and of direct ones, which come first, by worker and connection.
type socketPlace struct {
	key uint64
	*socketLine
}

func (k *socketLine) place() socketPlace {
	if k.FD < 0 {
		return socketPlace{uint64(k.worker)<<32 | uint64(k.Conn), k}
	}
	return socketPlace{1<<63 | uint64(k.FD), k}
}

// connsWalk makes the walk that answers `stats conns`.
func connsWalk() *walk {
	r := &connsReport{lines: pile[socketPlace]{less: func(a, b socketPlace) bool { return a.key < b.key }}}
	return &walk{end: r.step}
}

// knowsConns says that somebody knows of all connections.
func (w *Worker) knowsConns() bool { return w.srv.currentEngine() != nil }

// step waits for the census, puts some of its sockets in order, or shows some.
func (r *connsReport) step(w *Worker, k *walk) (done bool) {
	if r.on == nil {
		r.on = r.censusFor(w)
	}
	if r.on == nil || !w.srv.taken(r.on) {
		return false
	}
	w.srv.census.CompareAndSwap(r.on, nil)
	for range walkLines {
		switch {
		case r.part < len(r.on.parts):
			r.gather(&r.on.parts[r.part])
		case len(r.lines.all) > 0:
			w.showSocket(r.lines.take().socketLine)
		default:
			w.endStats(k)
			return true
		}
	}
	return false
}

// gather takes the next socket of a part.
func (r *connsReport) gather(p *censusPart) {
	switch {
	case !p.whole.Load() || r.slice == len(p.lines):
		r.part, r.slice = r.part+1, 0
	case r.line == len(p.lines[r.slice]):
		r.slice, r.line = r.slice+1, 0
	default:
		r.lines.put(p.lines[r.slice][r.line].place())
		r.line++
	}
}

// censusFor is the census that is the report's, nil as long as an earlier one is under way.
func (r *connsReport) censusFor(w *Worker) *census {
	last := w.srv.census.Load()
	if !r.asked {
		r.asked, r.after = true, last
	}
	switch {
	case last != nil && last != r.after:
		return last
	case last == nil || w.srv.taken(last):
		return w.beginCensus(last)
	}
	return nil
}

// beginCensus asks all workers, unless another one has done so since last.
func (w *Worker) beginCensus(last *census) *census {
	c := &census{parts: make([]censusPart, len(w.srv.allWorkers()))}
	if !w.srv.census.CompareAndSwap(last, c) {
		return nil
	}
	w.answerCensus(c)
	e := w.srv.currentEngine()
	for id := range c.parts {
		if id != w.id {
			e.Wake(id)
		}
	}
	return c
}

// taken says that a census has all the answers that it will get.
func (s *Server) taken(c *census) bool { return c.whole() || s.currentEngine().Stopping() }

// whole says that all workers have answered.
func (c *census) whole() bool {
	for i := range c.parts {
		if !c.parts[i].whole.Load() {
			return false
		}
	}
	return true
}

// answerCensus adds some of the worker's sockets, unless all are there.
func (w *Worker) answerCensus(c *census) {
	e, p := w.srv.currentEngine(), &c.parts[w.id]
	if p.whole.Load() || e == nil {
		return
	}
	lines := make([]socketLine, 0, censusSlice)
	next, more := e.Sockets(w.id, p.next, censusSlice, func(k contract.Socket) {
		lines = append(lines, socketLine{k, w.id, w.socketState(&k)})
	})
	p.lines = append(p.lines, lines)
	if p.next = next; more {
		e.Wake(w.id)
		return
	}
	p.whole.Store(true)
}

// socketState is memcached's name for what a socket is doing.
func (w *Worker) socketState(k *contract.Socket) string {
	if k.Phase == contract.PhasePartial || k.Phase == contract.PhaseIdle {
		if state := sessionStates[w.sessions.of(k.Conn).mode]; state != "" {
			return state
		}
	}
	return phaseStates[k.Phase]
}

// showSocket writes the lines of a socket.
func (w *Worker) showSocket(k *socketLine) {
	var room [192]byte // more than the longest address or path
	if k.Transport == "udp" {
		w.socketStat(k, ":UDP", append(room[:0], "UDP"...))
	}
	if k.Phase == contract.PhaseListening || k.Phase == contract.PhaseDatagram {
		w.socketStat(k, ":addr", appendAddress(&k.Socket, room[:0], k.Local, k.Path))
	} else {
		w.socketStat(k, ":addr", appendAddress(&k.Socket, room[:0], k.Peer, ""))
		w.socketStat(k, ":listen_addr", appendAddress(&k.Socket, room[:0], k.Local, k.Path))
	}
	w.socketStat(k, ":state", append(room[:0], k.state...))
	w.socketStat(k, ":secs_since_last_cmd", strconv.AppendInt(room[:0], int64(k.Idle), 10))
}

// socketStat writes one of them. A direct descriptor, which has no number, is named by its worker and its connection. Nothing here takes memory:
// there may be many thousands.
func (w *Worker) socketStat(k *socketLine, what string, value []byte) {
	var room [64]byte
	name := strconv.AppendInt(room[:0], int64(k.FD), 10)
	if k.FD < 0 {
		name = strconv.AppendInt(append(room[:0], "direct"...), int64(k.worker), 10)
		name = strconv.AppendUint(append(name, '.'), uint64(k.Conn), 10)
	}
	name = append(name, what...)
	w.room(headerLen + len(name) + len(value))
	if w.framed {
		w.buf = appendHeader(w.buf, w.frame.echo, statusOK, shape{key: len(name), value: len(value)}, 0)
		w.buf = append(append(w.buf, name...), value...)
		return
	}
	w.buf = append(append(append(w.buf, "STAT "...), name...), ' ')
	w.buf = append(append(w.buf, value...), "\r\n"...)
}
