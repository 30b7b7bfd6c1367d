package admin

import (
	"sync"
	"sync/atomic"
	"time"

	"ringcached/internal/contract"
	"ringcached/proto/hotkeys"
	"ringcached/store"
)

// Config is what package proto tells a Server about itself.
type Config struct {
	Settings         Settings
	Version          string
	Amplification    int           // most bytes of a reply to a datagram for each byte of the request; 0: any number
	RequestsPerEvent int           // requests of a connection in one call of Data
	Epoch            int64         // Unix time of the store's second 0
	Started          uint32        // the store's second from which uptime counts
	PID              int           // shown by `stats`
	Verbosity        *atomic.Int32 // set by `verbosity`
	// Uploads gives the bytes of the store that unfinished values hold, and how many they may hold.
	Uploads func() (held, most int64)
	// HotKeys are shown by `stats hotkeys`; nil: nobody looks for them.
	HotKeys *hotkeys.Set
}

// Engine is what the I/O engine reports, and how it is woken. Its methods are called from any worker.
type Engine interface {
	// Stats reports what belongs in `stats`, under memcached's names (curr_connections, bytes_read, ...). Names that memcached does not
	// have are shown behind its own.
	Stats(add func(name, value string))
	// BatchStats reports what `stats batch` shows.
	BatchStats(add func(name, value string))
	// ResetStats does what `stats reset` means for these.
	ResetStats()
	// Wake makes the engine call EndBatch and Pending of a worker soon.
	Wake(worker int)
	// Stopping says that the server is about to end, so that the engine may not call workers any more.
	Stopping() bool
	// Sockets calls tell for at most most of the sockets that a worker has open: from 0 on, then from the next that it returned,
	// while there are more. Socket describes one connection, and Descriptor gives only its FD. Only that worker calls them.
	Sockets(worker int, from uint32, most int, tell func(contract.Socket)) (next uint32, more bool)
	Socket(worker int, conn uint32) contract.Socket
	Descriptor(worker int, conn uint32) int
}

// Server is the part of administration that all workers share.
type Server struct {
	st     *store.Store
	config Config

	crawler crawler
	dumps   admission
	reports admission     // of long replies that are no dumps
	wake    chan struct{} // Maintain has something to do

	interest atomic.Uint32                // an Interest: what somebody wants to know about requests
	engine   atomic.Pointer[Engine]       // nil: none
	snapshot atomic.Pointer[connSnapshot] // the last one that was begun and that nobody has taken; nil: none

	mu      sync.Mutex
	workers []*Worker
	base    counters // what the counters showed at the last reset

	_        [64]byte // what follows changes with every event while somebody watches
	watchers watchers
}

// Init prepares a Server over st.
func (s *Server) Init(st *store.Store, c Config) {
	s.st, s.config = st, c
	s.dumps.most, s.reports.most = dumpsMost, reportsMost
	s.wake = make(chan struct{}, 1)
	s.crawler.enabled = c.Settings.Crawler
	s.crawler.pause = time.Duration(c.Settings.CrawlerSleep) * time.Microsecond
	s.crawler.most = uint32(c.Settings.CrawlerToCrawl)
	if c.Settings.PrefixDetail {
		s.setInterest(prefixes, prefixes)
	}
}

// SetEngine names the engine that `stats` reports.
func (s *Server) SetEngine(e Engine) { s.engine.Store(&e) }

// Engine is the engine to ask, nil if there is none.
func (s *Server) Engine() Engine {
	if e := s.engine.Load(); e != nil {
		return *e
	}
	return nil
}

// add makes w the next of the server's workers.
func (s *Server) add(w *Worker) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.id = len(s.workers)
	s.workers = append(s.workers, w)
}

// allWorkers are the workers that were made until now.
func (s *Server) allWorkers() []*Worker {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.workers[:len(s.workers):len(s.workers)]
}
