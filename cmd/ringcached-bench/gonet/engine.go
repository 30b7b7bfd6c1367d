package gonet

import (
	"strconv"

	"ringcached/internal/contract"
	"ringcached/proto"
)

// engine tells the protocol what the server counts. It lists no sockets.
type engine struct{ *Server }

var _ proto.Engine = engine{}

// Stats implements proto.Engine, under memcached's names.
func (e engine) Stats(add func(name, value string)) {
	var accepted, received, sent uint64
	for _, sh := range e.shards {
		accepted, received, sent = accepted+sh.accepted.Load(), received+sh.received.Load(), sent+sh.sent.Load()
	}
	add("curr_connections", strconv.FormatInt(e.conns.Load(), 10))
	add("total_connections", strconv.FormatUint(accepted, 10))
	add("bytes_read", strconv.FormatUint(received, 10))
	add("bytes_written", strconv.FormatUint(sent, 10))
}

// BatchStats implements proto.Engine.
func (e engine) BatchStats(add func(name, value string)) { add("engine", "net") }

// ResetStats implements proto.Engine.
func (e engine) ResetStats() {
	for _, sh := range e.shards {
		sh.accepted.Store(0)
		sh.received.Store(0)
		sh.sent.Store(0)
	}
}

// Wake implements proto.Engine. Any goroutine may call it, with whatever lock, while others of the background run.
func (e engine) Wake(worker int) {
	if sh := e.shards[worker]; sh.waking.CompareAndSwap(false, true) {
		e.background.Go(sh.look)
	}
}

// Stopping implements proto.Engine.
func (e engine) Stopping() bool { return e.ctx.Err() != nil }

// Sockets implements proto.Engine.
func (e engine) Sockets(int, uint32, int, func(contract.Socket)) (next uint32, more bool) {
	return 0, false
}

// Socket implements proto.Engine.
func (e engine) Socket(_ int, conn uint32) contract.Socket {
	return contract.Socket{Conn: conn, FD: -1, Transport: "tcp", Phase: contract.PhaseReady}
}

// Descriptor implements proto.Engine.
func (e engine) Descriptor(int, uint32) int { return -1 }
