package admin

import (
	"net/netip"
	"strconv"

	"ringcached/internal/contract"
)

// connsReport is the answer to `stats conns` that a connection waits for. Clients that ask before a snapshot begins share it.
type connsReport struct {
	asked bool
	after *connSnapshot // under way, or the last one, when the client asked: too old to answer it
	on    *connSnapshot // began later; nil: none has yet
	part  int           // of the snapshot: those before it are in lines
	slice int           // of the part
	line  int           // of the slice
	lines minHeap[sortedSocket]
}

// sortedSocket is a line with its key: by descriptor, and direct ones, which come first, by worker and connection.
type sortedSocket struct {
	key uint64
	*socketLine
}

func (k *socketLine) sorted() sortedSocket {
	if k.FD < 0 {
		return sortedSocket{uint64(k.worker)<<32 | uint64(k.Conn), k}
	}
	return sortedSocket{1<<63 | uint64(k.FD), k}
}

// connsReply makes the long reply to `stats conns`.
func connsReply() *longReply {
	r := &connsReport{lines: minHeap[sortedSocket]{less: func(a, b sortedSocket) bool { return a.key < b.key }}}
	return &longReply{end: r.step}
}

// step waits for the snapshot, sorts some of its sockets, or shows some.
func (r *connsReport) step(w *Worker) (done bool) {
	if r.on == nil {
		r.on = r.snapshot(w)
	}
	if r.on == nil || !w.srv.complete(r.on) {
		return false
	}
	w.srv.snapshot.CompareAndSwap(r.on, nil)
	for range stepLines {
		switch {
		case r.part < len(r.on.parts):
			r.gather(&r.on.parts[r.part])
		case len(r.lines.all) > 0:
			w.showSocket(r.lines.pop().socketLine)
		default:
			w.out.EndStats()
			return true
		}
	}
	return false
}

// snapshot is the snapshot that the report shows, nil as long as an earlier one is under way.
func (r *connsReport) snapshot(w *Worker) *connSnapshot {
	last := w.srv.snapshot.Load()
	if !r.asked {
		r.asked, r.after = true, last
	}
	switch {
	case last != nil && last != r.after:
		return last
	case last == nil || w.srv.complete(last):
		return w.beginSnapshot(last)
	}
	return nil
}

// gather takes the next socket of a part.
func (r *connsReport) gather(p *snapshotPart) {
	switch {
	case !p.whole.Load() || r.slice == len(p.lines):
		r.part, r.slice = r.part+1, 0
	case r.line == len(p.lines[r.slice]):
		r.slice, r.line = r.slice+1, 0
	default:
		r.lines.push(p.lines[r.slice][r.line].sorted())
		r.line++
	}
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

// socketStat writes one of them. A direct descriptor, which has no number, is named by its worker and its connection. Nothing here allocates:
// there may be many thousands.
func (w *Worker) socketStat(k *socketLine, what string, value []byte) {
	var room [64]byte
	name := strconv.AppendInt(room[:0], int64(k.FD), 10)
	if k.FD < 0 {
		name = strconv.AppendInt(append(room[:0], "direct"...), int64(k.worker), 10)
		name = strconv.AppendUint(append(name, '.'), uint64(k.Conn), 10)
	}
	name = append(name, what...)
	w.out.Stat(name, value)
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
