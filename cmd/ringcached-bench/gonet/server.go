package gonet

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"ringcached/internal/contract"
	"ringcached/proto"
	"ringcached/store"
)

// Config says what a Server serves, and its limits.
type Config struct {
	Threads      int           // that are expected to run: 16 workers for each. GOMAXPROCS is the caller's to set
	MaxConns     int           // connections beyond are refused
	SendTimeout  time.Duration // a connection whose peer has not taken replies for so long is closed; 0: never
	DrainTimeout time.Duration // how long a stop may take
	Store        store.Config
	Proto        proto.Config // without Start, Engine and what is above; a Shutdown that is not nil is the Server's
}

const (
	// workersPerThread is so high that goroutines which run at a time seldom want the same worker.
	workersPerThread = 16
	// acceptRetry is the pause after accept failed, most likely for want of descriptors.
	acceptRetry = 20 * time.Millisecond
	// firstSecond is the store's second at start: 0 means never there, and 1 is a time that has always passed.
	firstSecond = 2
	// refusal is what a connection beyond Config.MaxConns is told, as memcached words it.
	refusal = "ERROR Too many open connections\r\n"
)

// Server accepts connections and gives each a goroutine.
//
// A worker of proto takes one call at a time. So there are many, each with a lock and its part of the connections
// (shard), and nobody who has a lock waits for a socket.
type Server struct {
	config   Config
	items    *store.Store
	protocol *proto.Server
	shards   []*shard
	started  time.Time

	ctx  context.Context // ends when the server is to stop
	stop func()

	second      atomic.Uint32 // since the start
	conns       atomic.Int64
	connections sync.WaitGroup // their goroutines
	background  sync.WaitGroup // other goroutines
}

// shard is a worker and the connections that it serves.
type shard struct {
	server   *Server
	waking   atomic.Bool // look is about to run
	accepted atomic.Uint64
	received atomic.Uint64 // bytes
	sent     atomic.Uint64 // bytes

	mu     sync.Mutex // is held while the worker is called; guards what follows
	worker *proto.Worker
	conns  []*conn // by the worker's number for them; nil: free
}

// New makes a Server. Serve frees it.
func New(c Config) (*Server, error) {
	s := &Server{config: c, started: time.Now()}
	s.ctx, s.stop = context.WithCancel(context.Background())
	var err error
	if s.items, err = store.New(c.Store); err != nil {
		return nil, err
	}
	s.items.SetNow(firstSecond)
	s.items.SetAutomove(store.AutomoveCareful)
	c.Proto.Start, c.Proto.Engine = s.started, engine{s}
	c.Proto.Settings.MaxConns, c.Proto.Settings.Threads = c.MaxConns, c.Threads
	if c.Proto.Shutdown != nil {
		c.Proto.Shutdown = func(bool) { s.stop() }
	}
	s.protocol = proto.NewServer(s.items, c.Proto)
	for range workersPerThread * max(c.Threads, 1) {
		s.shards = append(s.shards, &shard{server: s, worker: s.protocol.NewWorker()})
	}
	return s, nil
}

// Serve accepts from the listener until ctx ends, then answers what has arrived, and frees all, the listener too.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	defer context.AfterFunc(ctx, s.stop)()
	drained := make(chan struct{})
	s.background.Go(func() { s.followClock(drained) })
	s.background.Go(func() { s.protocol.Maintain(s.ctx) })
	defer context.AfterFunc(s.ctx, func() { _ = l.Close() })()
	s.acceptFrom(l)
	s.each((*conn).interrupt) // those that send nothing end soon, the others when the time is up
	late := time.AfterFunc(s.config.DrainTimeout, func() { s.each((*conn).abort) })
	s.connections.Wait()
	late.Stop()
	close(drained)
	s.background.Wait()
	return s.items.Close()
}

// each calls f for every connection, with its shard's lock held.
func (s *Server) each(f func(*conn)) {
	for _, sh := range s.shards {
		sh.mu.Lock()
		for _, c := range sh.conns {
			if c != nil {
				f(c)
			}
		}
		sh.mu.Unlock()
	}
}

// followClock gives the store its second, and looks once a second for connections that are not wanted any more.
func (s *Server) followClock(done <-chan struct{}) {
	for {
		select {
		case now := <-time.After(time.Second - time.Since(s.started)%time.Second):
			s.second.Store(uint32(now.Sub(s.started) / time.Second))
			s.items.SetNow(firstSecond + s.second.Load())
			for _, sh := range s.shards {
				sh.look()
			}
			s.each((*conn).endStalled)
		case <-done:
			return
		}
	}
}

// acceptFrom accepts until the listener is closed.
func (s *Server) acceptFrom(l net.Listener) {
	for arrivals := 0; ; {
		nc, err := l.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			time.Sleep(acceptRetry)
		case s.conns.Add(1) > int64(s.config.MaxConns): // its socket is empty and takes the refusal at once
			s.conns.Add(-1)
			_, _ = io.WriteString(nc, refusal)
			_ = nc.Close()
		default:
			c := &conn{shard: s.shards[arrivals%len(s.shards)], nc: nc.(socket), buf: make([]byte, bufferMin)}
			arrivals++
			c.enter()
			s.connections.Go(c.run)
		}
	}
}

// enter gives the connection to its worker.
func (c *conn) enter() {
	sh := c.shard
	sh.mu.Lock()
	defer sh.unlock()
	slot := slices.Index(sh.conns, nil)
	if slot < 0 {
		slot = len(sh.conns)
		sh.conns = append(sh.conns, nil)
	}
	sh.conns[slot], c.slot = c, uint32(slot)
	sh.accepted.Add(1)
	sh.worker.Open(c.slot, 0)
}

// unlock ends the worker's batch, has connections send what their peers did not ask for, and releases the lock.
func (sh *shard) unlock() {
	sh.worker.EndBatch()
	for _, slot := range sh.worker.Pending() {
		sh.conns[slot].pushes = true
		sh.conns[slot].interrupt()
	}
	sh.mu.Unlock()
}

// endUnwanted ends connections that do not go on with what they began, unless input waits. The lock is held.
func (sh *shard) endUnwanted() {
	sh.worker.Unwanted(func(slot uint32, idle, sure bool) bool {
		c := sh.conns[slot]
		if !sure && !idle && c.to > c.from {
			return false
		}
		c.abort()
		return true
	})
}

// look asks the worker what it wants.
func (sh *shard) look() {
	sh.waking.Store(false)
	sh.mu.Lock()
	sh.endUnwanted()
	sh.unlock()
}

// engine tells the protocol what the server counts. It lists no sockets.
type engine struct{ *Server }

var _ proto.Engine = engine{}

// Stats adds the counters under memcached's names.
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

func (e engine) ResetStats() {
	for _, sh := range e.shards {
		sh.accepted.Store(0)
		sh.received.Store(0)
		sh.sent.Store(0)
	}
}

// Wake has a worker looked at. Any goroutine may call it, with whatever lock, while others of the background run.
func (e engine) Wake(worker int) {
	if sh := e.shards[worker]; sh.waking.CompareAndSwap(false, true) {
		e.background.Go(sh.look)
	}
}

func (e engine) Stopping() bool                          { return e.ctx.Err() != nil }
func (e engine) BatchStats(add func(name, value string)) { add("engine", "net") }
func (e engine) Descriptor(int, uint32) int              { return -1 }

func (e engine) Sockets(int, uint32, int, func(contract.Socket)) (next uint32, more bool) {
	return 0, false
}

func (e engine) Socket(_ int, conn uint32) contract.Socket {
	return contract.Socket{Conn: conn, FD: -1, Transport: "tcp", Phase: contract.PhaseReady}
}
