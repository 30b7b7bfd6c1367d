package gonet

import (
	"net"
	"net/netip"
	"strconv"
	"syscall"

	"ringcached/internal/contract"
	"ringcached/proto"
)

// engine tells the protocol what the server counts and has open.
type engine struct{ s *Server }

var _ proto.Engine = engine{}

// Stats implements proto.Engine, under memcached's names.
func (e engine) Stats(add func(name, value string)) {
	s := e.s
	sum := s.total()
	show := func(name string, n uint64) { add(name, strconv.FormatUint(n, 10)) }
	show("curr_connections", uint64(s.conns.Load()))
	show("total_connections", sum.accepted)
	show("rejected_connections", s.rejected.Load())
	show("connection_structures", uint64(s.conns.Load()))
	show("bytes_read", sum.bytesRead)
	show("bytes_written", sum.bytesWritten)
	show("accepting_conns", 1)
	show("listen_disabled_num", 0)
	show("time_in_listen_disabled_us", 0)
	add("libevent", "net") // where memcached names its event library
}

// BatchStats implements proto.Engine.
func (e engine) BatchStats(add func(name, value string)) {
	sum := e.s.total()
	add("engine", "net")
	add("sends", strconv.FormatUint(sum.writes, 10))
	add("receives", strconv.FormatUint(sum.reads, 10))
}

// totals are the sums of the shards' counters.
type totals struct{ accepted, reads, writes, bytesRead, bytesWritten uint64 }

func (s *Server) total() (sum totals) {
	for _, sh := range s.shards {
		sum.accepted += sh.stats.accepted.Load()
		sum.reads += sh.stats.reads.Load()
		sum.writes += sh.stats.writes.Load()
		sum.bytesRead += sh.stats.bytesRead.Load()
		sum.bytesWritten += sh.stats.bytesWritten.Load()
	}
	return sum
}

// ResetStats implements proto.Engine.
func (e engine) ResetStats() {
	e.s.rejected.Store(0)
	for _, sh := range e.s.shards {
		k := &sh.stats
		for _, n := range []interface{ Store(uint64) }{&k.accepted, &k.reads, &k.writes, &k.bytesRead, &k.bytesWritten} {
			n.Store(0)
		}
	}
}

// Wake implements proto.Engine.
func (e engine) Wake(worker int) { e.s.shards[worker].wake() }

// Stopping implements proto.Engine.
func (e engine) Stopping() bool { return e.s.stopping() }

// Sockets implements proto.Engine. The listeners are the first worker's.
func (e engine) Sockets(worker int, from uint32, most int, tell func(contract.Socket)) (next uint32, more bool) {
	if worker == 0 && from == 0 {
		for _, l := range e.s.listeners {
			k := contract.Socket{FD: descriptor(l), Phase: contract.PhaseListening, Idle: int(e.s.second.Load())}
			k.Transport, k.Local, k.Path = address(l.Addr())
			tell(k)
		}
	}
	conns := e.s.shards[worker].conns
	at := from
	for ; int(at) < len(conns) && most > 0; at++ {
		if conns[at] != nil {
			most--
			tell(conns[at].describe())
		}
	}
	return at, int(at) < len(conns)
}

// Socket implements proto.Engine.
func (e engine) Socket(worker int, conn uint32) contract.Socket {
	return e.s.shards[worker].conns[conn].describe()
}

// Descriptor implements proto.Engine.
func (e engine) Descriptor(worker int, conn uint32) int {
	return descriptor(e.s.shards[worker].conns[conn].nc)
}

// descriptor is that of a connection or listener of package net's, -1 if it is closed.
func descriptor(socket any) (fd int) {
	fd = -1
	if raw, err := socket.(syscall.Conn).SyscallConn(); err == nil {
		_ = raw.Control(func(n uintptr) { fd = int(n) })
	}
	return fd
}

// describe is what the protocol shows of a connection. The shard's lock is held.
func (c *conn) describe() contract.Socket {
	s := c.shard.server
	k := contract.Socket{Conn: c.slot, FD: descriptor(c.nc), Phase: contract.PhaseIdle, Idle: int(s.second.Load() - c.active)}
	k.Transport, k.Local, k.Path = address(c.nc.LocalAddr())
	_, k.Peer, _ = address(c.nc.RemoteAddr())
	if c.to > c.from {
		k.Phase = contract.PhasePartial
	}
	return k
}

// address takes one of package net's apart.
func address(a net.Addr) (transport string, addr netip.AddrPort, path string) {
	switch a := a.(type) {
	case *net.TCPAddr:
		return "tcp", a.AddrPort(), ""
	case *net.UnixAddr:
		return "unix", netip.AddrPort{}, a.Name
	}
	return "", netip.AddrPort{}, ""
}
