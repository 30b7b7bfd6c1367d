package proto

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"sync/atomic"
)

// Socket is what the Engine tells of a connection or of a socket that is listened on.
type Socket struct {
	Conn      uint32         // the connection's number, if it is one
	FD        int            // -1: it is no descriptor of the process
	Transport string         // "tcp", "udp" or "unix"
	Peer      netip.AddrPort // not valid: there is none, or it is not known
	Local     netip.AddrPort // likewise
	Path      string         // of the unix socket
	Phase     string         // a key of socketStates
	Idle      int            // seconds since the last input, or the start
}

// socketStates are memcached's names for what the engine says of a socket.
var socketStates = map[string]string{
	"listening": "conn_listening",
	"datagram":  "conn_read",
	"new":       "conn_new_cmd",
	"ready":     "conn_parse_cmd",
	"partial":   "conn_waiting",
	"idle":      "conn_read",
	"sending":   "conn_mwrite",
	"closing":   "conn_closing",
}

// sessionStates are the names that say more, for a connection that is "partial" or "idle".
var sessionStates = map[mode]string{
	modeUpload:  "conn_nread",
	modeSwallow: "conn_swallow",
	modeSkip:    "conn_swallow",
	modeWatch:   "conn_watch",
	modeConns:   "conn_parse_cmd",
}

// host is the peer's address as watchers read it.
func (k *Socket) host() string {
	switch {
	case k.Transport == "unix":
		return "unix"
	case !k.Peer.IsValid():
		return "unknown"
	}
	return k.Peer.Addr().String()
}

// address renders one of the socket's addresses.
func (k *Socket) address(a netip.AddrPort, path string) string {
	switch {
	case k.Transport == "unix":
		return "unix:" + path
	case !a.IsValid():
		return "unknown"
	case a.Addr().Is6():
		return k.Transport + "6:" + a.String()
	}
	return k.Transport + ":" + a.String()
}

// census asks all workers for their sockets. A worker's connections are its own, so each adds them by itself at the end of a batch, and
// who asked looks for the result when it gets its next turns. One is taken at a time, for all who asked before it began, so that nobody
// waits for more than the one under way and the next, however many ask, or ask and leave.
type census struct {
	parts []atomic.Pointer[[]socketLine] // by worker; nil: not there yet
}

// censusWait is a connection that waits for a census.
type censusWait struct {
	conn  uint32
	after *census // was under way, or the last one, when the connection asked: too early to show what was then
	on    *census // began later; nil: none has yet
}

// socketLine is a socket with its state.
type socketLine struct {
	Socket
	name  string // its descriptor, or what stands for it
	state string
}

// knowsConns says that somebody knows of all connections.
func (w *Worker) knowsConns() bool { return w.srv.currentEngine() != nil }

// conns begins the answer to `stats conns`, for a text client or a binary one, in n bytes of input. The last of them is left, so that
// this worker gets further turns until the answer is there.
func (w *Worker) conns(s *session, n int, next session) (int, step) {
	next.mode = modeConns
	s.enter(next)
	return n - 1, stepGo
}

// awaitConns goes on with it.
func (w *Worker) awaitConns(s *session) (int, step) {
	c := w.censusFor(w.conn)
	if c == nil || !w.srv.taken(c) {
		return 0, stepYield
	}
	w.forgetCensus(w.conn)
	w.srv.census.CompareAndSwap(c, nil)
	done := *s
	s.rest()
	if done.flags&flagBinary != 0 {
		w.frame.echo = done.echo()
		w.framed = true
		w.showSockets(c)
		w.framed = false
		w.frameReply(w.frame.echo, statusOK, "", 0)
		return 1, stepDone
	}
	w.showSockets(c)
	w.write(replyEnd)
	return 1, stepDone
}

// censusFor is the census that a connection of this worker waits for, nil as long as an earlier one is under way.
func (w *Worker) censusFor(conn uint32) *census {
	last := w.srv.census.Load()
	i := slices.IndexFunc(w.asked, func(x censusWait) bool { return x.conn == conn })
	if i < 0 {
		i = len(w.asked)
		w.asked = append(w.asked, censusWait{conn: conn, after: last})
	}
	x := &w.asked[i]
	switch {
	case x.on != nil:
	case last != nil && last != x.after:
		x.on = last
	case last == nil || w.srv.taken(last):
		x.on = w.beginCensus(last)
	}
	return x.on
}

// beginCensus asks all workers, unless another one has done so since last.
func (w *Worker) beginCensus(last *census) *census {
	c := &census{parts: make([]atomic.Pointer[[]socketLine], len(w.srv.allWorkers()))}
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
func (s *Server) taken(c *census) bool { return c.complete() || s.currentEngine().Stopping() }

// forgetCensus ends the waiting of a connection.
func (w *Worker) forgetCensus(conn uint32) {
	w.asked = slices.DeleteFunc(w.asked, func(x censusWait) bool { return x.conn == conn })
}

// complete says that all workers have answered.
func (c *census) complete() bool {
	for i := range c.parts {
		if c.parts[i].Load() == nil {
			return false
		}
	}
	return true
}

// answerCensus adds the worker's sockets, unless it has done so.
func (w *Worker) answerCensus(c *census) {
	e := w.srv.currentEngine()
	if c.parts[w.id].Load() != nil || e == nil {
		return
	}
	lines := []socketLine{}
	e.Sockets(w.id, func(k Socket) {
		line := socketLine{Socket: k, name: strconv.Itoa(k.FD), state: w.socketState(&k)}
		if k.FD < 0 {
			line.name = "direct" + decimal(w.id) + "." + decimal(k.Conn)
		}
		lines = append(lines, line)
	})
	c.parts[w.id].Store(&lines)
}

// socketState is memcached's name for what a socket is doing.
func (w *Worker) socketState(k *Socket) string {
	if k.Phase == "partial" || k.Phase == "idle" {
		if state := sessionStates[w.sessions.of(k.Conn).mode]; state != "" {
			return state
		}
	}
	return socketStates[k.Phase]
}

// showSockets writes what the workers told.
func (w *Worker) showSockets(c *census) {
	var all []socketLine
	for i := range c.parts {
		if part := c.parts[i].Load(); part != nil {
			all = append(all, *part...)
		}
	}
	slices.SortFunc(all, func(a, b socketLine) int { return cmp.Or(cmp.Compare(a.FD, b.FD), cmp.Compare(a.name, b.name)) })
	for i := range all {
		k := &all[i]
		listening := k.Phase == "listening" || k.Phase == "datagram"
		if k.Transport == "udp" {
			w.stat(k.name+":UDP", "UDP")
		}
		if listening {
			w.stat(k.name+":addr", k.address(k.Local, k.Path))
		} else {
			w.stat(k.name+":addr", k.address(k.Peer, ""))
			w.stat(k.name+":listen_addr", k.address(k.Local, k.Path))
		}
		w.stat(k.name+":state", k.state)
		w.stat(k.name+":secs_since_last_cmd", decimal(k.Idle))
	}
}
