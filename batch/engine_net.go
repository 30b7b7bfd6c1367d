package batch

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"ringcached/internal/contract"
)

// netShards is how many shards there are for each thread, so that goroutines that run at a time seldom want the same one.
const netShards = 16

// netEngine serves in the way in which most servers in Go are written: a goroutine for each connection reads, handles and writes over
// package net as if nobody else were there, and Go's netpoller and scheduler do the rest. It is here to be compared with, and is no
// engine of a channel: a Server has it instead of channels.
//
// A Handler takes one call at a time. So there are many, each with its part of the connections behind a lock (netShard), and nobody who
// has a lock waits for a socket.
type netEngine struct {
	server  *Server
	config  *Config
	shards  []*netShard
	sockets []listener // bound, until serve has made listeners of them

	listeners []netListener
	started   time.Time
	second    atomic.Uint32 // since then
	opened    atomic.Uint32 // connections that were ever served; it wraps around
	outputs   sync.Pool     // of *netOutput, empty

	stopped   chan struct{} // closed when nothing is accepted any more
	room      chan struct{} // has an element when a connection has ended since acceptors looked, if any rests
	done      chan struct{} // closed when no connection is left
	inputOver atomic.Bool   // what has not been received is not wanted

	accepting sync.WaitGroup
	work      sync.WaitGroup // all other goroutines

	closing   sync.Mutex   // of those that hold the most; one goroutine looks for them at a time
	limitFrom atomic.Int64 // it is in vain while less is held

	stats counters // of accepting; the rest is the shards'
}

// netListener is a listener of package net's, and what it was made of.
type netListener struct {
	net.Listener
	listener // its fd is the Listener's
}

// netCan reports what the net engine is asked for and cannot do.
func (c *Config) netCan() error {
	switch {
	case len(c.Datagram) > 0, c.Inherited != nil && len(c.Inherited.datagrams) > 0:
		return errors.New("engine net serves no UDP sockets")
	case c.Affinity:
		return errors.New("engine net can't pin threads: they are Go's")
	case c.Hold:
		return errNoHandOver
	}
	return nil
}

// errNoHandOver: Release and Config.Hold are not for the net engine.
var errNoHandOver = errors.New("engine net can't hand sockets over, nor wait for them")

// newNetEngine binds and listens. handlers makes each shard's Handler.
func newNetEngine(s *Server, handlers func(shard int) contract.Handler) (e *netEngine, err error) {
	e = &netEngine{server: s, config: &s.config, stopped: make(chan struct{}), room: make(chan struct{}, 1), done: make(chan struct{})}
	if e.sockets, _, err = s.listen(0, 1); err != nil { // Validate has refused addresses for datagrams
		return nil, err
	}
	for id := range netShards * s.config.threads() {
		e.shards = append(e.shards, &netShard{engine: e, id: id, handler: handlers(id), wakes: make(chan struct{}, 1)})
	}
	return e, nil
}

// serve is Server.Serve.
func (e *netEngine) serve(ctx context.Context) error {
	if err := e.makeListeners(); err != nil {
		return err
	}
	e.started = time.Now()
	e.tick(e.started)
	e.work.Go(e.followClock)
	for _, sh := range e.shards {
		e.work.Go(sh.followWakes)
	}
	for _, l := range e.listeners {
		e.accepting.Go(func() { e.acceptFrom(l) })
	}
	if e.config.Ready != nil {
		e.config.Ready()
	}
	<-ctx.Done()
	e.server.stopping.Store(true)
	e.stop()
	close(e.done)
	e.work.Wait()
	return nil
}

// makeListeners makes package net's listeners of the sockets.
func (e *netEngine) makeListeners() error {
	for len(e.sockets) > 0 {
		l := e.sockets[0]
		e.sockets = e.sockets[1:]
		file := os.NewFile(uintptr(l.fd), "listener")
		made, err := net.FileListener(file) // has a descriptor of its own
		_ = file.Close()
		if err != nil {
			return fmt.Errorf("listening on %v: %w", l.addr, err)
		}
		l.fd = descriptorOf(made)
		e.listeners = append(e.listeners, netListener{made, l})
	}
	return nil
}

// followClock does once a second what time brings.
func (e *netEngine) followClock() {
	clock := time.NewTicker(tick)
	defer clock.Stop()
	for {
		select {
		case now := <-clock.C:
			e.tick(now)
		case <-e.done:
			return
		}
	}
}

func (e *netEngine) tick(now time.Time) {
	e.second.Store(uint32(now.Sub(e.started) / time.Second))
	e.server.tellCrowd()
	e.limitFrom.Store(0)
	e.limitMemory(nil)
	for _, sh := range e.shards {
		sh.tick(now)
	}
}

// close frees what a server that is not serving has.
func (e *netEngine) close() {
	closeListeners(e.sockets)
	e.sockets = nil
	for _, l := range e.listeners {
		_ = l.Close()
	}
}

func (e *netEngine) addTo(sum *Stats) {
	e.stats.addTo(sum)
	for _, sh := range e.shards {
		sh.stats.addTo(sum)
	}
}

// each calls f for every connection. It must not wait for anything.
func (e *netEngine) each(f func(*netConn)) {
	for _, sh := range e.shards {
		sh.mu.Lock()
		sh.each(f)
		sh.mu.Unlock()
	}
}

// toSockets tells of what a shard has, for Server.Sockets. The listeners are the first one's.
func (e *netEngine) toSockets(shard int, from uint32, most int, tell func(contract.Socket)) (next uint32, more bool) {
	if shard == 0 && from == 0 {
		since := int(time.Since(e.started) / time.Second)
		for _, l := range e.listeners {
			tell(e.server.listening(l.listener, since))
		}
	}
	sh := e.shards[shard]
	all := sh.conns.lent
	end := min(len(all), int(from)+socketsPassed)
	at := int(from)
	for ; at < end && most > 0; at++ {
		if c := all[at]; c != nil {
			most--
			tell(c.toSocket())
		}
	}
	return uint32(at), at < len(all)
}

// descriptorOf is that of a connection or listener of package net's, -1 if it is closed.
func descriptorOf(socket any) (fd int) {
	fd = -1
	if raw, err := socket.(syscall.Conn).SyscallConn(); err == nil {
		_ = raw.Control(func(n uintptr) { fd = int(n) })
	}
	return fd
}
