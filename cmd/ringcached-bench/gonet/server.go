package gonet

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"ringcached/proto"
	"ringcached/store"
)

// Config says where a Server listens, what it serves, and its limits.
type Config struct {
	Listen       []string      // TCP addresses, host:port
	Unix         string        // path of a unix socket; "": none
	Threads      int           // that are expected to run: 16 workers for each. GOMAXPROCS is the caller's to set
	MaxConns     int           // connections beyond are refused
	SendTimeout  time.Duration // a peer that takes nothing of a reply for so long is closed
	DrainTimeout time.Duration // how long a stop may take
	Store        store.Config
	Proto        proto.Config // its Start and Engine are the Server's, as is what its Settings say of the above; a Shutdown that is not nil stops the Server
}

const (
	// workersPerThread is so high that goroutines which run at a time seldom want the same worker.
	workersPerThread = 16
	// quiet is how long a connection must have sent nothing, while the server stops, before it ends.
	quiet = 100 * time.Millisecond
	// acceptRetry is the pause after accept failed, most likely for want of descriptors.
	acceptRetry = 20 * time.Millisecond
	// firstSecond is the store's second at start: 0 means never there, and 1 is a time that has always passed.
	firstSecond = 2
	// refusal is what a connection beyond Config.MaxConns is told, as memcached words it.
	refusal = "ERROR Too many open connections\r\n"
)

// Server accepts connections and gives each a goroutine.
//
// A worker of proto takes one call at a time. So there are many, each with its part of the connections and a lock (shard), and nobody who
// has a lock waits for a socket.
type Server struct {
	config    Config
	items     *store.Store
	protocol  *proto.Server
	shards    []*shard
	listeners []net.Listener
	started   time.Time

	ctx  context.Context // ends when the server is to stop
	stop func()

	second   atomic.Uint32 // since the start
	arrivals atomic.Uint32 // connections ever served; it wraps around
	conns    atomic.Int64
	rejected atomic.Uint64
	replies  sync.Pool // of *replies, empty

	connections sync.WaitGroup // their goroutines, and those that push to them
}

// New makes a Server that listens, and serves nobody yet. Serve frees it.
func New(c Config) (s *Server, err error) {
	s = &Server{config: c, started: time.Now()}
	s.ctx, s.stop = context.WithCancel(context.Background())
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
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
	for id := range workersPerThread * max(c.Threads, 1) {
		s.shards = append(s.shards, &shard{server: s, id: id, worker: s.protocol.NewWorker(), wakes: make(chan struct{}, 1)})
	}
	for _, addr := range c.Listen {
		if err = s.listen("tcp", addr); err != nil {
			return nil, err
		}
	}
	if c.Unix != "" {
		_ = os.Remove(c.Unix) // of an earlier server
		err = s.listen("unix", c.Unix)
	}
	return s, err
}

func (s *Server) listen(network, addr string) error {
	l, err := net.Listen(network, addr)
	if err == nil {
		s.listeners = append(s.listeners, l)
	}
	return err
}

// Addrs are the addresses that the server listens on, the TCP addresses first.
func (s *Server) Addrs() (all []net.Addr) {
	for _, l := range s.listeners {
		all = append(all, l.Addr())
	}
	return all
}

// Serve serves until ctx ends, then answers what has arrived, and frees everything.
func (s *Server) Serve(ctx context.Context) error {
	defer context.AfterFunc(ctx, s.stop)()
	var accepting, background sync.WaitGroup
	drained := make(chan struct{})
	background.Go(func() { s.followClock(drained) })
	background.Go(func() { s.protocol.Maintain(s.ctx) })
	for _, sh := range s.shards {
		background.Go(func() { sh.followWakes(drained) })
	}
	for _, l := range s.listeners {
		accepting.Go(func() { s.acceptFrom(l) })
	}
	<-s.ctx.Done()
	for _, l := range s.listeners {
		_ = l.Close()
	}
	accepting.Wait()
	s.drain()
	close(drained)
	background.Wait()
	return s.close()
}

// drain ends all connections: those that send nothing soon, the others when the time is up.
func (s *Server) drain() {
	s.each((*conn).expectEnd)
	late := time.AfterFunc(s.config.DrainTimeout, func() { s.each((*conn).abort) })
	s.connections.Wait()
	late.Stop()
}

func (s *Server) close() error {
	s.stop()
	for _, l := range s.listeners {
		_ = l.Close()
	}
	if s.items == nil {
		return nil
	}
	return s.items.Close()
}

func (s *Server) stopping() bool { return s.ctx.Err() != nil }

// each calls f for every connection. f must not wait for anything.
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

// followClock gives store and workers their second.
func (s *Server) followClock(done <-chan struct{}) {
	clock := time.NewTicker(time.Second)
	defer clock.Stop()
	for {
		select {
		case now := <-clock.C:
			second := uint32(now.Sub(s.started) / time.Second)
			s.second.Store(second)
			s.items.SetNow(firstSecond + second)
			for _, sh := range s.shards {
				sh.tick()
			}
		case <-done:
			return
		}
	}
}

// acceptFrom accepts until the listener is closed.
func (s *Server) acceptFrom(l net.Listener) {
	for {
		nc, err := l.Accept()
		switch {
		case err == nil:
			s.arrived(nc.(socket))
		case errors.Is(err, net.ErrClosed):
			return
		default:
			time.Sleep(acceptRetry)
		}
	}
}

// arrived serves a new connection, or refuses it. The socket of one that it refuses is empty and takes the refusal at once.
func (s *Server) arrived(nc socket) {
	if s.conns.Add(1) > int64(s.config.MaxConns) {
		s.conns.Add(-1)
		s.rejected.Add(1)
		_, _ = io.WriteString(nc, refusal)
		_ = nc.Close()
		return
	}
	c := &conn{nc: nc, buf: make([]byte, bufferMin)}
	c.shard = s.shards[(s.arrivals.Add(1)-1)%uint32(len(s.shards))]
	c.shard.enter(c)
	s.connections.Go(c.run)
}

// takeReplies lends empty replies, which go back into the pool.
func (s *Server) takeReplies() *replies {
	if r, ok := s.replies.Get().(*replies); ok {
		return r
	}
	return new(replies)
}
