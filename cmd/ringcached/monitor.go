package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"ringcached/batch"
	"ringcached/cmd/ringcached/config"
	"ringcached/cmd/ringcached/process"
	"ringcached/cmd/ringcached/web"
	"ringcached/proto"
	"ringcached/proto/hotkeys"
	"ringcached/proto/latency"
)

// monitor answers HTTP at the address of --metrics. A nil one does nothing, for servers without the flag.
type monitor struct {
	listener net.Listener
	own      bool // a server has made it, and not whoever has started one
	keys     bool

	mu    sync.Mutex
	web   *web.Server // nil: it does not answer yet
	shown *shown      // nil: nothing
}

// openMonitor listens at the address of --metrics, and answers there unless another server still does: one that hands over.
func (s *service) openMonitor(h *process.Handover, log process.LogFunc) error {
	address := s.config.Monitoring.Metrics
	l, own, err := s.inherited.MetricsListener()
	if err != nil {
		return err
	}
	if l != nil && !samePlace(l.Addr(), address) {
		if err := s.decline(l, own, log); err != nil {
			return err
		}
		l = nil
	}
	if address == "" {
		return nil
	}
	if l == nil {
		own = true
		if l, err = s.listenHTTP(address); err != nil {
			return fmt.Errorf("--metrics %s: %w", address, err)
		}
	}
	s.monitor = &monitor{listener: l, own: own, keys: s.config.Monitoring.Keys}
	if !s.inherited.HasPredecessor() {
		s.monitor.answer(h)
	}
	return nil
}

// decline closes a listener that was passed, for another address than that of --metrics. The old server goes on answering there until it has handed over.
func (s *service) decline(l net.Listener, own bool, log process.LogFunc) error {
	place := l.Addr().String()
	switch address := s.config.Monitoring.Metrics; {
	case address != "":
		log(0, "--metrics %s: the socket that was passed is at %s, and is closed", address, place)
	case s.inherited.HasPredecessor():
		log(0, "there is no --metrics any more: what was answered at %s ends", place)
	default:
		log(0, "a socket at %s was passed for --metrics, which is not there: it is closed", place)
	}
	if own && l.Addr().Network() == "unix" {
		s.leftBehind = place
	}
	return l.Close()
}

// removeLeftBehind removes the file of the old server's socket of --metrics, where this one listens elsewhere. It is called when the old one has handed over.
func (s *service) removeLeftBehind(log process.LogFunc) {
	if s.leftBehind == "" {
		return
	}
	if err := os.Remove(s.leftBehind); err != nil && !errors.Is(err, os.ErrNotExist) {
		log(0, "warning: %v", err)
	}
}

// samePlace reports whether a listener at addr is one that --metrics asks for.
func samePlace(addr net.Addr, asked string) bool {
	if asked == "" || config.IsPath(asked) {
		return asked != "" && addr.String() == asked
	}
	want, err := net.ResolveTCPAddr("tcp", asked)
	have, tcp := addr.(*net.TCPAddr)
	if err != nil || !tcp || want.Port != 0 && want.Port != have.Port {
		return false
	}
	everywhere := want.IP == nil || want.IP.IsUnspecified()
	return everywhere && have.IP.IsUnspecified() || want.IP.Equal(have.IP)
}

// pathMost is how long the path of a unix socket may be, without the zero at its end.
const pathMost = len(syscall.RawSockaddrUnix{}.Path) - 1

// tcpOf is the network to listen in. Go takes 0.0.0.0 for every address, those of IPv6 too, where -l takes it for those of IPv4.
func tcpOf(address string) string {
	if a, err := netip.ParseAddrPort(address); err == nil && a.Addr().Is4() {
		return "tcp4"
	}
	return "tcp"
}

// listenHTTP listens at an address of --metrics. A unix socket has the mode of -a, and is the user's. A file of one that nobody listens on is removed.
func (s *service) listenHTTP(address string) (net.Listener, error) {
	if !config.IsPath(address) {
		return net.Listen(tcpOf(address), address)
	}
	if len(address) > pathMost {
		return nil, fmt.Errorf("the path has %d bytes, and a unix socket's has %d at most", len(address), pathMost)
	}
	if info, err := os.Lstat(address); err == nil {
		if info.Mode()&os.ModeSocket == 0 {
			return nil, errors.New("there is a file that is no socket")
		}
		conn, err := net.Dial("unix", address)
		switch {
		case err == nil:
			return nil, errors.Join(errors.New("another process listens there"), conn.Close())
		case !errors.Is(err, syscall.ECONNREFUSED): // EAGAIN where more clients wait than may
			return nil, fmt.Errorf("another process seems to listen there: %w", err)
		}
		if err := os.Remove(address); err != nil {
			return nil, err
		}
	}
	l, err := net.Listen("unix", address)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(os.Chmod(address, s.config.Network.UnixMode), s.identity.Own(address)); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// answer makes it answer from here on.
func (m *monitor) answer(h *process.Handover) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if l, unix := m.listener.(*net.UnixListener); unix {
		l.SetUnlinkOnClose(m.own) // not before: until then a file that was passed is the old server's
	}
	var source web.Source // not m.shown: a nil one would be a source
	if m.shown != nil {
		source = m.shown
	}
	m.web = web.Serve(m.listener, m.keys, source)
	h.Metrics, h.OwnMetrics = m.web, m.own
}

// attach gives what is shown from here on.
func (m *monitor) attach(what *shown) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.shown = what; m.web != nil {
		m.web.Attach(what)
	}
}

// detach takes it away: nobody uses it any more.
func (m *monitor) detach() {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.shown = nil; m.web != nil {
		m.web.Detach()
	}
}

// serves notes that the server serves.
func (m *monitor) serves() {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.shown != nil {
		m.shown.serving.Store(true)
	}
}

// announce logs where it answers.
func (m *monitor) announce(log process.LogFunc) {
	if m != nil {
		log(0, "metrics, health and a page at %v", m.listener.Addr())
	}
}

// close ends it.
func (m *monitor) close() {
	switch {
	case m == nil:
	case m.web != nil:
		m.web.Close()
	default:
		_ = m.listener.Close() // it has answered nobody
	}
}

// shown is the server as others see it.
type shown struct {
	protocol *proto.Server
	server   *batch.Server
	hotKeys  bool
	serving  atomic.Bool
	ctx      context.Context // ends when the server stops
	draining context.Context // ends when it is told to stop
}

var _ web.Source = (*shown)(nil)

func (s *shown) Report(group string, add func(name, value string)) bool {
	return s.protocol.Report(group, add)
}

func (s *shown) Channels() (channels []batch.Stats) {
	for id := range s.server.Threads() {
		channels = append(channels, s.server.ChannelStats(id))
	}
	return channels
}

func (s *shown) Latency(class latency.Class) latency.Histogram { return s.protocol.Latency(class) }

func (s *shown) HotKeys(n int) (keys []hotkeys.Key, looked bool) {
	if !s.hotKeys {
		return nil, false
	}
	return s.protocol.HotKeys(n), true
}

func (s *shown) Engine() batch.Choice { return s.server.Engine() }

// Ready reports whether clients should come.
func (s *shown) Ready() bool {
	return s.serving.Load() && s.draining.Err() == nil && s.ctx.Err() == nil
}
