package batch

import (
	"context"
	"errors"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
	"ringcached/internal/contract"
)

// Server is a set of channels that listen on the same addresses.
type Server struct {
	config   Config
	choice   Choice // once the channels start theirs to change
	starting starting

	complaints complaints
	memory     *clientMemory

	trial    bool             // see Try
	addrs    []netip.AddrPort // TCP
	dgrams   []netip.AddrPort // UDP
	first    claims           // until the first channel has taken them
	unixFD   int              // listening unix socket; -1: none
	channels []*channel
	file     socketFile // of the unix socket
	ownsPath bool       // it goes away with the server
	began    time.Time
	conns    atomic.Int64
	crowd    crowd
	full     atomic.Int32 // channels with connections that wait for room
	started  atomic.Int32 // channels that serve
	open     atomic.Bool  // Accept was called
	release  release
	stopping atomic.Bool
	hurried  atomic.Bool // Hurry was called
	closed   bool
	closing  sync.Mutex // of closed; held while channels and sockets are closed, or looked at by whoever does not know whether they are

	resetMu sync.Mutex
	base    Stats // counts at the last ResetStats
}

// New checks the configuration, binds and listens. What the kernel allows is only looked
// at by Choose, and rings are only made by Serve, so that privileges can be dropped in
// between. handlers makes each channel's Handler, numbered from 0 on.
func New(config Config, handlers func(channel int) contract.Handler) (*Server, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	s := &Server{config: config, began: time.Now(), addrs: slices.Clone(config.Listen), dgrams: slices.Clone(config.Datagram), unixFD: -1,
		memory: newClientMemory(config.ClientMemory, config.mapMemory)}
	s.release.done = make(chan struct{})
	if err := s.claim(); err != nil {
		s.Close()
		return nil, err
	}
	for id := range config.threads() {
		ch, err := newChannel(s, id, handlers(id))
		if err != nil {
			s.Close()
			return nil, err
		}
		s.channels = append(s.channels, ch)
	}
	if !config.Hold {
		if err := s.steer(); err != nil {
			s.Close()
			return nil, err
		}
	}
	return s, nil
}

// listen opens a channel's sockets, or takes its part of those that were inherited by so many channels.
func (s *Server) listen(channel, channels int) (listeners, dgrams []listener, err error) {
	switch in := s.config.Inherited; {
	case s.trial:
		return s.placeholders()
	case in != nil:
		listeners, err = share(in.streams, channel, channels)
		if err == nil {
			dgrams, err = share(in.datagrams, channel, channels)
		}
	case channel == 0:
		listeners, dgrams = s.first.streams, s.first.datagrams
		s.first = claims{}
		s.label(listeners)
	default:
		listeners, dgrams, err = s.openAll(channel)
		s.label(listeners)
	}
	if err == nil && s.unixFD >= 0 {
		var l listener
		if l, err = (listener{fd: s.unixFD}).duplicate(); err == nil {
			listeners = append(listeners, l)
		}
	}
	if err != nil {
		closeListeners(listeners)
		closeListeners(dgrams)
	}
	return listeners, dgrams, err
}

// label gives the sockets of the addresses, which come in their order, what Config.Labels has for them.
func (s *Server) label(listeners []listener) {
	for i := range min(len(listeners), len(s.config.Labels)) {
		listeners[i].label = s.config.Labels[i]
	}
}

// openAll opens another channel's sockets beside those of the first, or with Config.OneQueue other descriptors of the first's for TCP.
func (s *Server) openAll(channel int) (listeners, dgrams []listener, err error) {
	if s.config.OneQueue {
		listeners, err = duplicates(s.channels[0].listeners)
	} else {
		listeners, err = openEach(s.addrs, channel, func(a netip.AddrPort) (int, error) { return listen(a, s.config.Backlog, true) })
	}
	if err == nil {
		dgrams, err = openEach(s.dgrams, channel, func(a netip.AddrPort) (int, error) { return datagramSocket(a, true) })
	}
	return listeners, dgrams, err
}

// openEach opens a channel's socket for each of the addresses.
func openEach(addrs []netip.AddrPort, channel int, open func(netip.AddrPort) (int, error)) (opened []listener, err error) {
	for _, addr := range addrs {
		fd, err := open(addr)
		if err != nil {
			return opened, err
		}
		opened = append(opened, listener{fd: fd, addr: addr, index: channel})
	}
	return opened, nil
}

// Addrs returns the addresses that the server listens on, with their real ports.
func (s *Server) Addrs() []netip.AddrPort { return s.addrs }

// DatagramAddrs returns the UDP addresses, likewise.
func (s *Server) DatagramAddrs() []netip.AddrPort { return s.dgrams }

// UnixPath returns the path of the unix socket, "" if there is none.
func (s *Server) UnixPath() string { return s.config.Unix }

// HasUnixPath tells whether the unix socket is still the one at its path. Another server may have put its own there.
func (s *Server) HasUnixPath() bool { return s.file.there() }

// Choose decides on the engine, with the privileges that the process has now. Serve does
// it where it was not done before. With EngineAuto it may take another when it has to start it.
func (s *Server) Choose() (err error) {
	if s.choice.Engine == "" {
		s.choice, err = s.config.choose()
	}
	return err
}

// Engine returns the engine that the server takes, and why. It does not change once the server is ready.
func (s *Server) Engine() Choice { return s.choice }

// Threads returns the number of channels.
func (s *Server) Threads() int { return s.config.threads() }

// Serve serves until ctx ends; then it answers what was received, sends what is
// unsent, for Config.DrainTimeout at most, closes everything and returns nil. Another error
// means that an engine could not be started, or broke.
func (s *Server) Serve(ctx context.Context) error {
	if err := s.Choose(); err != nil {
		s.Close()
		return err
	}
	runtime.GOMAXPROCS(max(runtime.GOMAXPROCS(0), len(s.channels)+1))
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for _, ch := range s.channels {
		wg.Go(func() {
			if err := ch.run(); err != nil {
				cancel(err)
			}
		})
	}
	<-ctx.Done()
	s.stopping.Store(true)
	s.wakeAll()
	wg.Wait()
	s.Close()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// Close frees a server that is not serving. Serve calls it by itself.
func (s *Server) Close() {
	s.closing.Lock()
	defer s.closing.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	closeListeners(s.first.streams)
	closeListeners(s.first.datagrams)
	for _, ch := range s.channels {
		ch.close()
	}
	if s.unixFD >= 0 {
		if s.ownsPath && !s.release.wanted.Load() {
			s.file.remove()
		}
		_ = unix.Close(s.unixFD)
		s.unixFD = -1
	}
}

// Stats returns the counts of all channels.
func (s *Server) Stats() Stats {
	s.resetMu.Lock()
	base := s.base
	s.resetMu.Unlock()
	return s.sum().minus(&base)
}

// ResetStats makes the counts start from 0.
func (s *Server) ResetStats() {
	sum := s.sum()
	s.resetMu.Lock()
	s.base = sum
	s.resetMu.Unlock()
}

func (s *Server) sum() (sum Stats) {
	for i, ch := range s.channels {
		ch.stats.addTo(&sum)
		load := uint64(ch.load.Load())
		if i == 0 || load < sum.LeastConns {
			sum.LeastConns = load
		}
		sum.MostConns = max(sum.MostConns, load)
	}
	sum.Conns = uint64(max(0, s.conns.Load()))
	sum.MaxConns = uint64(s.config.MaxConns)
	sum.ClientMemory, sum.ClientMemoryLimit = uint64(max(0, s.memory.held.Load())), uint64(s.memory.limit)
	sum.ClientsClosed, sum.ClientsLacking = s.memory.closed.Load(), s.memory.lacking.Load()
	return sum
}

// startedOne counts a channel that serves from here on.
func (s *Server) startedOne() {
	if int(s.started.Add(1)) == len(s.channels) && s.config.Ready != nil {
		s.config.Ready()
	}
}

// arrive counts a connection in, unless there are enough.
func (s *Server) arrive() bool {
	if s.conns.Add(1) > int64(s.config.MaxConns) {
		s.conns.Add(-1)
		return false
	}
	return true
}

// depart counts a connection out. Channels that wait for the room get to know.
func (s *Server) depart() {
	s.conns.Add(-1)
	if s.full.Load() > 0 {
		s.wakeAll()
	}
}
