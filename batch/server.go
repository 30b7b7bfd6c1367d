package batch

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"ringcached/batch/handshakes"
	"ringcached/batch/ktls"
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
	handOver handOver
	stopping atomic.Bool
	hurried  atomic.Bool // Hurry was called

	handshakes *handshakes.Pool // nil: nobody speaks TLS
	kernelTLS  ktls.Support     // once Choose was called: what the kernel seals

	closed  bool
	closing sync.Mutex // of closed; held while channels and sockets are closed, or looked at by whoever does not know whether they are

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
	s.handOver.done = make(chan struct{})
	if err := s.claim(); err != nil {
		s.Close()
		return nil, err
	}
	s.newPool()
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

// listen opens a channel's sockets, or takes its share of the inherited ones, of which each channel gets some.
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
// it where it was not done before. With EngineAuto it may take another when it has to start it. With Config.KernelTLS it also finds out what
// the kernel can seal, which may be nothing: see package ktls.
func (s *Server) Choose() (err error) {
	if s.choice.Engine == "" {
		s.choice, err = s.config.choose()
		if s.config.TLS != nil && s.config.KernelTLS {
			s.kernelTLS, _ = ktls.Probe() // whoever set it can ask why
		}
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
	procs := len(s.channels) + 1
	if s.config.TLS != nil {
		procs += handshakes.Threads()
	}
	runtime.GOMAXPROCS(max(runtime.GOMAXPROCS(0), procs))
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
	if s.handshakes != nil {
		s.handshakes.Hurry(s.config.handshakeStop())
	}
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
	if s.handshakes != nil {
		s.handshakes.Close() // first: it gives connections to the channels
	}
	closeListeners(s.first.streams)
	closeListeners(s.first.datagrams)
	for _, ch := range s.channels {
		ch.close()
	}
	if s.unixFD >= 0 {
		if s.ownsPath && !s.handOver.wanted.Load() {
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

// ChannelStats are the counts of one channel since the start, whatever ResetStats did. Conns are its own; what only the server as a whole has is 0.
// Any goroutine may call it.
func (s *Server) ChannelStats(id int) (sum Stats) {
	ch := s.channels[id]
	ch.stats.addTo(&sum)
	sum.Conns = uint64(max(0, ch.load.Load()))
	return sum
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

// starting is where channels meet when each has started its engine, or failed to, so that none serves before all can, and all
// serve with the same engine: a ring belongs to the thread that made it, so each channel makes its own.
type starting struct {
	mu    sync.Mutex
	round *startRound
}

// startRound is one try of all channels.
type startRound struct {
	come int   // channels
	err  error // of one that failed; one for which no other engine helps comes before others
	ends bool  // that is such an error
	over chan struct{}
	next Choice // what all do next, once over is closed
	fail error
}

// meet waits for all channels of the server. err is why this one could not start the engine of the choice. It returns what
// to do: serve, if that is the same choice, or try another engine. With ends no other engine would help.
func (s *Server) meet(tried Choice, err error, ends bool) (Choice, error) {
	st := &s.starting
	st.mu.Lock()
	if st.round == nil {
		st.round = &startRound{over: make(chan struct{})}
	}
	r := st.round
	if r.err == nil || ends && !r.ends {
		r.err, r.ends = err, ends
	}
	if r.come++; r.come == len(s.channels) {
		st.round = nil
		if r.fail = r.err; !r.ends {
			r.next, r.fail = s.config.fallBack(tried, r.err)
		}
		if r.fail == nil && r.next.Engine != tried.Engine {
			s.choice = r.next // nobody looks at it before the meeting is over
		}
		close(r.over)
	}
	st.mu.Unlock()
	<-r.over
	return r.next, r.fail
}

// startEngine starts the engine that all channels take, on the channel's thread. before is done first; if that fails
// no channel can start.
func (ch *channel) startEngine(before func() error) error {
	runtime.LockOSThread() // for good: the thread ends with the goroutine
	choice := ch.server.choice
	err := before()
	ends := err != nil
	for {
		e := newEngine(ch, choice)
		if err == nil {
			err = e.start()
		}
		next, fail := ch.server.meet(choice, err, ends)
		if fail == nil && next.Engine == choice.Engine {
			ch.engine = e
			return nil
		}
		e.free()
		if fail != nil {
			return fail
		}
		choice, err = next, nil
	}
}

// Try tells which engine a server with this configuration takes, as Serve decides it: all channels make what they serve with, each on a
// thread that has called become before, if that is not nil, and free it. Nothing is listened on.
func Try(config Config, become func() error) (Choice, error) {
	if err := config.Validate(); err != nil {
		return Choice{}, err
	}
	if become == nil {
		become = func() error { return nil }
	}
	s := &Server{config: config, memory: newClientMemory(config.ClientMemory, config.mapMemory), unixFD: -1, trial: true}
	if err := onThread(func() error {
		if err := become(); err != nil {
			return err
		}
		return s.Choose()
	}); err != nil {
		return s.choice, err
	}
	defer s.Close()
	for id := range config.threads() {
		ch, err := newChannel(s, id, nil)
		if err != nil {
			return Choice{}, err
		}
		s.channels = append(s.channels, ch)
	}
	errs := make(chan error, len(s.channels))
	for _, ch := range s.channels {
		go func() {
			err := ch.startEngine(become)
			if err == nil {
				ch.engine.free()
			}
			errs <- err
		}()
	}
	var err error
	for range s.channels {
		err = <-errs // the same of all
	}
	return s.choice, err
}

// onThread calls f on a thread that ends with it.
func onThread(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		done <- f()
	}()
	return <-done
}

// placeholders stand for the sockets of a channel of a trial: descriptors that nothing happens on.
func (s *Server) placeholders() (listeners, dgrams []listener, err error) {
	some := func(n int) (made []listener, err error) {
		for range n {
			fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
			if err != nil {
				return made, fmt.Errorf("eventfd: %w", err)
			}
			made = append(made, listener{fd: fd})
		}
		return made, nil
	}
	streams := len(s.config.Listen)
	if s.config.Unix != "" {
		streams++
	}
	if listeners, err = some(streams); err == nil {
		dgrams, err = some(len(s.config.Datagram))
	}
	if err != nil {
		closeListeners(listeners)
		closeListeners(dgrams)
	}
	return listeners, dgrams, err
}

// handOver is how far the server is with giving its sockets away.
type handOver struct {
	wanted atomic.Bool
	let    atomic.Int32  // channels that do not accept any more
	done   chan struct{} // closed when none does
}

// Accept begins to accept connections and to receive datagrams, where Config.Hold has kept the server from it. It is called once, when the
// server is ready.
func (s *Server) Accept() {
	s.closing.Lock()
	defer s.closing.Unlock()
	s.ownsPath = s.unixFD >= 0 && !s.config.UnixStays
	if s.ownsPath {
		_ = unix.Listen(s.unixFD, s.config.Backlog) // from here on the kernel tells peers this process
	}
	if err := s.steer(); err != nil { // not before: until now the sockets were another's
		s.config.log(0, "%v", err)
	}
	s.open.Store(true)
	s.wakeAll()
}

func (s *Server) wakeAll() {
	for _, ch := range s.channels {
		ch.wake()
	}
}

// Listening returns new descriptors of all that is listened on, which are the caller's to close, as Inherit takes them. Those of an address
// come in the kernel's order.
func (s *Server) Listening() (sockets []ListeningSocket, err error) {
	s.closing.Lock()
	defer s.closing.Unlock()
	var all []listener
	for _, ch := range s.channels {
		all = append(append(all, ch.listeners...), ch.datagrams...)
	}
	slices.SortStableFunc(all, byIndex)
	if s.unixFD >= 0 {
		all = append(all, listener{fd: s.unixFD})
	}
	for _, l := range all {
		if !l.shared && err == nil {
			if l, err = l.duplicate(); err == nil {
				sockets = append(sockets, ListeningSocket{l.fd, l.label})
			}
		}
	}
	if err == nil && len(sockets) == 0 {
		err = errors.New("the server has stopped")
	}
	if err != nil {
		for _, l := range sockets {
			_ = unix.Close(l.FD)
		}
		return nil, err
	}
	return sockets, nil
}

// Release ends accepting connections and receiving datagrams, for good: the sockets are somebody else's who has them too. It returns when
// no channel takes anything from them any more. The connections are served as before. Only a server that was ready may be asked.
func (s *Server) Release() {
	s.closing.Lock()
	s.handOver.wanted.Store(true)
	s.wakeAll()
	s.closing.Unlock()
	<-s.handOver.done
}

// followHandOver does what Accept and Release want.
func (ch *channel) followHandOver() {
	if ch.onHold && ch.server.open.Load() && !ch.stopping {
		ch.onHold = false
		ch.engine.accept()
		ch.engine.receiveDatagrams()
	}
	if ch.server.handOver.wanted.Load() && !ch.handingOver {
		ch.handingOver = true
		ch.engine.stopAccept()
		ch.engine.stopDatagrams()
	}
}

// endHandOver ends the release once the kernel takes nothing more for the channel.
func (ch *channel) endHandOver() {
	if ch.engine.quiet() {
		ch.noteHandOver()
	}
}

// noteHandOver counts a channel that does not accept any more, or has ended.
func (ch *channel) noteHandOver() {
	if ch.handedOver {
		return
	}
	ch.handedOver = true
	if r := &ch.server.handOver; int(r.let.Add(1)) == ch.server.Threads() {
		close(r.done)
	}
}

// complainEvery is how often the same complaint is made at most.
const complainEvery = time.Minute

// complaints are what goes wrong again and again, and was logged.
type complaints struct {
	mu   sync.Mutex
	made map[complaint]time.Time
}

type complaint struct{ what, why string }

// complain logs that something fails, for all channels together once in a while.
func (s *Server) complain(what string, err error) {
	c := &s.complaints
	c.mu.Lock()
	now := time.Now()
	about := complaint{what, err.Error()}
	last, made := c.made[about]
	due := !made || now.Sub(last) >= complainEvery
	if due {
		if c.made == nil {
			c.made = map[complaint]time.Time{}
		}
		c.made[about] = now
	}
	c.mu.Unlock()
	if due {
		s.config.log(0, "%s: %v", what, err)
	}
}

// lost closes a connection on which an operation failed. Most often that is the peer's affair; a permission is ours.
func (ch *channel) lost(c *conn, what string, errno syscall.Errno) {
	if denied(errno) {
		ch.server.complain(what, errno)
	}
	ch.kill(c)
}

// denied reports that the kernel, or a filter, does not allow an operation.
func denied(errno syscall.Errno) bool { return errno == unix.EACCES || errno == unix.EPERM }
