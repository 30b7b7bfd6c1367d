package admin

import (
	"math"
	"sync/atomic"

	"ringcached/internal/contract"
	"ringcached/store"
)

// NoConn stands for the connection of a request that came without one, in a datagram.
const NoConn = ^uint32(0)

// Replies is where administration writes: to the connection that is being answered, in the protocol of its request.
type Replies interface {
	// Stat writes one line of statistics. name and value are valid during the call.
	Stat(name, value []byte)
	// EndStats ends the statistics.
	EndStats()
	// Text writes text as it is.
	Text(text []byte)
	// BeginValue begins a reply of size bytes, which Text writes and EndValue ends. The text protocol shows nothing of either.
	BeginValue(name string, size int)
	EndValue()
	// Full says that enough is queued for the connection.
	Full() bool
}

// Worker is the part of administration that belongs to one worker of package proto, which alone calls it.
type Worker struct {
	srv   *Server
	st    *store.Store
	id    int // workers are numbered in the order in which they were made
	out   Replies
	state func(conn uint32) string // see Init

	tally     *Tally
	published *publishedCounters // an allocation of its own: others read it
	casMask   uint64             // 0 if there are no CAS numbers

	long     longReplies
	steps    int         // of long replies in this batch
	expelled atomic.Bool // some long reply has lost its place
	lines    []byte      // of a long reply, written while the store is locked, when the replies cannot be asked for room

	events   eventLog
	last     event // the last one that was logged
	watching []*watcher
	pending  []uint32 // what Pending returned
	prefixes prefixCounts

	name, value []byte // of the line of statistics that is being written
}

// Init makes w the next worker of s. tally is what it counts, and out where it writes. state gives memcached's name for what a connection is
// doing that has sent a part of a request or nothing, "" if that says all.
func (w *Worker) Init(s *Server, tally *Tally, out Replies, state func(conn uint32) string) {
	w.srv, w.st, w.tally, w.out, w.state = s, s.st, tally, out, state
	w.published = new(publishedCounters)
	if !s.config.Settings.NoCAS {
		w.casMask = math.MaxUint64
	}
	w.events.size = s.workerBuffer()
	w.prefixes = prefixCounts{delimiter: s.delimiter(), index: map[string]int{}}
	s.add(w)
}

// ID is the worker's number, from 0.
func (w *Worker) ID() int { return w.id }

// EndBatch publishes the counters that changed, notifies watchers, and gives a part of the connection snapshot that somebody wants.
func (w *Worker) EndBatch() {
	w.tally.publish(w.published)
	w.steps = 0
	if len(w.events.lines) > 0 || w.srv.watchers.due.Load() {
		w.srv.watchers.publish(&w.events, w)
	}
	if c := w.srv.snapshot.Load(); c != nil {
		w.contribute(c)
	}
	if w.expelled.Load() {
		w.emptyExpelled()
	}
}

// Descriptor is that of a connection; -1 if it has none or no engine knows it.
func (w *Worker) Descriptor(conn uint32) int {
	e := w.srv.Engine()
	if e == nil || conn == NoConn {
		return -1
	}
	return e.Descriptor(w.id, conn)
}

// socket describes a connection as far as the engine knows it.
func (w *Worker) socket(conn uint32) (k contract.Socket) {
	if e := w.srv.Engine(); e != nil {
		k = e.Socket(w.id, conn)
	}
	return k
}

// wake makes the worker look for what its watchers are to be sent.
func (w *Worker) wake() {
	if e := w.srv.Engine(); e != nil {
		e.Wake(w.id)
	}
}

// stat writes one line of statistics.
func (w *Worker) stat(name, value string) {
	w.name, w.value = append(w.name[:0], name...), append(w.value[:0], value...)
	w.out.Stat(w.name, w.value)
}
