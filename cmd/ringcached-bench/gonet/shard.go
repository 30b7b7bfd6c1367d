package gonet

import (
	"sync"
	"sync/atomic"

	"ringcached/internal/contract"
	"ringcached/proto"
)

// shard is a worker and the connections that it serves.
type shard struct {
	server *Server
	id     int
	wakes  chan struct{} // has an element when the worker is to be asked for Pending
	stats  counters

	mu     sync.Mutex // is held while the worker is called; guards what follows
	worker *proto.Worker
	conns  []*conn  // by the worker's number for them; nil: free
	free   []uint32 // numbers
}

// counters are added to by the shard's connections, and read by anybody.
type counters struct {
	accepted, reads, writes, bytesRead, bytesWritten atomic.Uint64
}

// enter begins to serve a connection.
func (sh *shard) enter(c *conn) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if n := len(sh.free); n > 0 {
		c.slot, sh.free = sh.free[n-1], sh.free[:n-1]
		sh.conns[c.slot] = c
	} else {
		c.slot = uint32(len(sh.conns))
		sh.conns = append(sh.conns, c)
	}
	c.active = sh.server.second.Load()
	sh.stats.accepted.Add(1)
	sh.worker.Open(c.slot, 0)
	sh.endBatch()
	if sh.server.stopping() {
		c.expectEnd() // drain may have looked before
	}
}

// leave ends what enter began. The connection still has its descriptor.
func (sh *shard) leave(c *conn, why contract.Reason) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.worker.Closed(c.slot, why)
	sh.conns[c.slot] = nil
	sh.free = append(sh.free, c.slot)
	c.left = true
	sh.endBatch()
}

// endBatch tells the worker that it has been given all that there was, and has connections sent what they did not ask for. mu is held.
func (sh *shard) endBatch() {
	sh.worker.EndBatch()
	for _, slot := range sh.worker.Pending() {
		if c := sh.conns[slot]; !c.pushing {
			c.pushing = true
			sh.server.connections.Go(c.push)
		}
	}
}

// endUnwanted ends connections that do not send the rest of what they began. mu is held.
func (sh *shard) endUnwanted() {
	sh.worker.Unwanted(sh.endOne)
}

// endOne ends one of them, unless it has sent something that is not handled yet: it may be the server that lets it wait.
func (sh *shard) endOne(slot uint32, idle, sure bool) bool {
	c := sh.conns[slot]
	if !sure && (!idle && c.to > c.from || c.hasInput()) {
		return false
	}
	c.abort()
	return true
}

// wake makes the shard ask its worker soon. Any goroutine may call it, with whatever lock.
func (sh *shard) wake() {
	select {
	case sh.wakes <- struct{}{}:
	default:
	}
}

func (sh *shard) followWakes(done <-chan struct{}) {
	for {
		select {
		case <-sh.wakes:
			sh.mu.Lock()
			sh.endUnwanted()
			sh.endBatch()
			sh.mu.Unlock()
		case <-done:
			return
		}
	}
}

// tick is called once a second.
func (sh *shard) tick() {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.endUnwanted()
}
