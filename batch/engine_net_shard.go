package batch

import (
	"sync"
	"time"

	"ringcached/internal/contract"
)

// netShard is a Handler and the connections that it serves.
type netShard struct {
	engine *netEngine
	id     int
	wakes  chan struct{} // has an element when the Handler is to be asked for Pending

	mu      sync.Mutex // is held while the Handler is called; guards what follows
	handler contract.Handler
	conns   loans[netConn] // the number of a connection is one more than its slot
	stats   counters
}

// enter begins to serve a connection.
func (sh *netShard) enter(c *netConn) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	c.slot = sh.conns.lend(c) - 1
	c.active = sh.engine.second.Load()
	sh.stats.accepted.Add(1)
	sh.handler.Open(c.slot, c.label)
	sh.endBatch()
}

// leave ends what enter began. The connection still has its descriptor.
func (sh *netShard) leave(c *netConn) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.handler.Closed(c.slot, c.reason)
	sh.conns.end(c.slot + 1)
	c.left = true
	sh.endBatch()
	sh.stats.publish()
}

// at returns the connection in slot.
func (sh *netShard) at(slot uint32) *netConn { return sh.conns.of(slot + 1) }

func (sh *netShard) each(f func(*netConn)) {
	for _, c := range sh.conns.lent {
		if c != nil {
			f(c)
		}
	}
}

// endBatch tells the Handler that it has been given all that there was, and sees to it that connections are sent what they did not ask for.
func (sh *netShard) endBatch() {
	sh.handler.EndBatch()
	for _, slot := range sh.handler.Pending() {
		if c := sh.at(slot); !c.pushing {
			c.pushing = true
			sh.engine.work.Go(c.push)
		}
	}
}

// wake makes the shard call endBatch soon. Any goroutine may call it, with whatever lock.
func (sh *netShard) wake() {
	select {
	case sh.wakes <- struct{}{}:
	default:
	}
}

func (sh *netShard) followWakes() {
	for {
		select {
		case <-sh.wakes:
			sh.mu.Lock()
			sh.endUnwanted()
			sh.endBatch()
			sh.mu.Unlock()
		case <-sh.engine.done:
			return
		}
	}
}

// tick is called about once a second.
func (sh *netShard) tick(now time.Time) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.handler.Tick(now)
	sh.endUnwanted()
	var unsent, unread uint64
	sh.each(func(c *netConn) {
		unsent += uint64(c.unsent.Load())
		unread += uint64(c.to - c.from)
	})
	sh.stats.backlogBytes.Store(unsent)
	sh.stats.stashBytes.Store(unread)
}
