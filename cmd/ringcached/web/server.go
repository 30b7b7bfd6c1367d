package web

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"ringcached/batch"
	"ringcached/proto/hotkeys"
	"ringcached/proto/latency"
)

// Limits of the HTTP server. It has few clients, and none of them may cost much: what is made for one that does not take it is there for answerTime at most,
// for connectionsMost of them.
const (
	requestTime = 5 * time.Second // for all of a request, also a body that nobody wants
	answerTime  = 30 * time.Second
	idleTime    = 2 * time.Minute
	headerBytes = 16 << 10
	closeTime   = time.Second // for answers in progress at the end
)

// Source is the server that is shown. Its methods are called from any goroutine; none of them waits for a channel's thread.
type Source interface {
	// Report calls add for the lines of `stats group`: "", settings, items, slabs, batch or hotkeys. False: there is no such group.
	Report(group string, add func(name, value string)) bool
	// Channels are the counts of each channel since the start: `stats reset` does not change them.
	Channels() []batch.Stats
	// Latency is how long commands of a class were handled since the start.
	Latency(class latency.Class) latency.Histogram
	// HotKeys are the keys that are used most, at most n, the most used first. False: the server has no --hot-keys.
	HotKeys(n int) (keys []hotkeys.Key, looked bool)
	// Engine is the I/O engine that was taken, and why.
	Engine() batch.Choice
	// Ready reports whether clients should come: the server serves, and has not been told to stop.
	Ready() bool
}

// Server answers HTTP at one listener. Until Attach it has nothing to show: it is alive, and not ready.
type Server struct {
	listener *listener
	http     *http.Server
	keys     bool
	begun    time.Time
	turns    chan struct{} // has an element for each answer that is being made
	released atomic.Bool
	ended    sync.WaitGroup

	mu      sync.RWMutex // held for reading while an answer uses source
	source  Source       // nil: none
	metrics http.Handler // of source
}

// Serve begins to answer at l, which becomes the Server's. keys says that keys of items may be shown. source is attached from the beginning; nil: none is.
func Serve(l net.Listener, keys bool, source Source) *Server {
	return serve(l, keys, source, answerTime)
}

// serve is Serve with a time for each answer to be made and taken.
func serve(l net.Listener, keys bool, source Source, answerTime time.Duration) *Server {
	s := &Server{keys: keys, begun: time.Now(), turns: make(chan struct{}, makingMost)}
	s.listener = newListener(l, s.endIdle)
	s.http = &http.Server{
		Handler:        s.routes(),
		ReadTimeout:    requestTime,
		WriteTimeout:   answerTime,
		IdleTimeout:    idleTime,
		MaxHeaderBytes: headerBytes,
		ErrorLog:       silent,
		ConnContext:    withPace,
	}
	if source != nil {
		s.Attach(source)
	}
	s.ended.Go(func() { _ = s.http.Serve(s.listener) }) // it ends when it is told to
	return s
}

// endIdle ends the connections that wait for a further request, to make room.
func (s *Server) endIdle() {
	s.http.SetKeepAlivesEnabled(false)
	s.http.SetKeepAlivesEnabled(true)
}

// parting reports whether a connection ends with the answer, because others wait for its room, or another process for its client.
func (s *Server) parting() bool { return s.released.Load() || s.listener.full() }

// Attach gives the Server what it shows.
func (s *Server) Attach(source Source) {
	handler := metricsOf(source)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.source, s.metrics = source, handler
}

// Detach takes it away again: when it returns nobody uses the source any more, and the Server is alive but not ready.
func (s *Server) Detach() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.source, s.metrics = nil, nil
}

// Descriptor duplicates the listener's descriptor for another process. The copy is the caller's.
func (s *Server) Descriptor() (fd int, err error) {
	l, ok := s.listener.Listener.(syscall.Conn)
	if !ok {
		return -1, fmt.Errorf("a listener at %v has no descriptor", s.listener.Addr())
	}
	raw, err := l.SyscallConn()
	if err != nil {
		return -1, err
	}
	var errno syscall.Errno
	err = raw.Control(func(own uintptr) {
		var copied uintptr
		copied, _, errno = syscall.Syscall(syscall.SYS_FCNTL, own, syscall.F_DUPFD_CLOEXEC, 0)
		fd = int(copied)
	})
	if err == nil && errno != 0 {
		err = errno
	}
	return fd, err
}

// Release leaves the listener to another process that has its descriptor: the Server accepts no more, and only answers what it has been asked. Clients that
// are to ask again later have to connect again. As the other process serves, /readyz says that clients should come. The file of a unix socket stays. It waits for
// nothing.
func (s *Server) Release() {
	if l, unix := s.listener.Listener.(*net.UnixListener); unix {
		l.SetUnlinkOnClose(false)
	}
	_ = s.listener.Close() // nobody can mend that
	s.released.Store(true)
	s.http.SetKeepAlivesEnabled(false)
}

// Close ends the Server, with its answers in progress unless they end soon, and waits for that.
func (s *Server) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	if s.http.Shutdown(ctx) != nil {
		_ = s.http.Close()
	}
	s.ended.Wait()
}

// Addr is where the Server listens.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }
