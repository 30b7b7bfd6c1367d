package proto

import (
	"math"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"ringcached/store"
)

// Server is what the workers of all channels share.
type Server struct {
	st        *store.Store
	config    Config
	perEvent  int           // requests per call of Data
	epoch     int64         // Unix time of the store's second 0
	verbosity *atomic.Int32 // may be Config.Verbosity
	version   string        // the whole reply to `version`

	crawler crawler
	dumps   gate
	reports gate          // long replies that are no dumps
	wake    chan struct{} // Maintain has something to do

	interest atomic.Uint32          // what is to be observed
	engine   atomic.Pointer[Engine] // nil: none
	census   atomic.Pointer[census] // the last that was begun and is not answered; nil: none

	mu      sync.Mutex
	workers []*Worker
	base    counters // what the counters showed at the last reset

	_        [64]byte // what follows changes with every event, where somebody watches
	watchers watchers
	uploads  uploads
}

// NewServer makes a server over st. The store stays the caller's, who closes it after the last use of a worker and the end of Maintain.
func NewServer(st *store.Store, c Config) *Server {
	if c.RequestsPerEvent <= 0 {
		c.RequestsPerEvent = defaultRequestsPerEvent
	}
	if c.PID == 0 {
		c.PID = os.Getpid()
	}
	if c.Version == "" {
		c.Version = "unknown"
	}
	if c.Verbosity == nil {
		c.Verbosity = new(atomic.Int32)
	}
	s := &Server{
		st:        st,
		config:    c,
		perEvent:  c.RequestsPerEvent,
		epoch:     c.Start.Unix() - firstSecond,
		verbosity: c.Verbosity,
		version:   "VERSION " + c.Version + "\r\n",
		dumps:     gate{most: dumpsMost},
		reports:   gate{most: reportsMost},
		wake:      make(chan struct{}, 1),
	}
	s.uploads.begun = time.Now()
	s.crawler.enabled = c.Settings.Crawler
	s.crawler.pause = time.Duration(c.Settings.CrawlerSleep) * time.Microsecond
	s.crawler.most = uint32(c.Settings.CrawlerToCrawl)
	if c.Engine != nil {
		s.SetEngine(c.Engine)
	}
	if c.Settings.PrefixDetail {
		s.setInterest(prefixes, prefixes)
	}
	return s
}

// SetEngine names the engine that `stats` reports, for a caller whose engine is made after the server.
func (s *Server) SetEngine(e Engine) { s.engine.Store(&e) }

// currentEngine is the engine to ask, nil if there is none.
func (s *Server) currentEngine() Engine {
	if e := s.engine.Load(); e != nil {
		return *e
	}
	return nil
}

// NewWorker makes the worker of one channel, which the Engine knows by its number: the first is 0.
func (s *Server) NewWorker() *Worker {
	w := &Worker{srv: s, st: s.st, shared: new(sharedCounters), sessions: sessions{memory: s.config.Memory}}
	if !s.config.Settings.NoCAS {
		w.casMask = math.MaxUint64
	}
	w.events.size = s.workerBuffer()
	w.prefixes = prefixCounts{delimiter: s.delimiter(), index: map[string]int{}}
	s.mu.Lock()
	defer s.mu.Unlock()
	w.id = len(s.workers)
	s.workers = append(s.workers, w)
	return w
}

// allWorkers are the workers that were made until now.
func (s *Server) allWorkers() []*Worker {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.workers[:len(s.workers):len(s.workers)]
}
