package admin

import (
	"sync/atomic"

	"ringcached/internal/contract"
)

// snapshotSlice is how many sockets a worker describes in a batch: each costs two system calls.
const snapshotSlice = 64

// connSnapshot is what all workers say of their connections. Only a worker may look at its connections, so each adds them itself at the end of
// batches, some at a time, while the reports that wait for the snapshot look in their quanta whether it is complete. One snapshot is made at a
// time.
type connSnapshot struct {
	parts []snapshotPart // by worker
}

// snapshotPart is a worker's part. Only the worker touches it until it is whole.
type snapshotPart struct {
	whole atomic.Bool
	next  uint32 // where Engine.Sockets goes on
	lines [][]socketLine
}

// socketLine is a socket with its state.
type socketLine struct {
	contract.Socket
	worker int
	state  string
}

// beginSnapshot asks all workers, unless another one has done so since last.
func (w *Worker) beginSnapshot(last *connSnapshot) *connSnapshot {
	c := &connSnapshot{parts: make([]snapshotPart, len(w.srv.allWorkers()))}
	if !w.srv.snapshot.CompareAndSwap(last, c) {
		return nil
	}
	w.contribute(c)
	e := w.srv.Engine()
	for id := range c.parts {
		if id != w.id {
			e.Wake(id)
		}
	}
	return c
}

// contribute adds some of the worker's sockets, unless all are there.
func (w *Worker) contribute(c *connSnapshot) {
	e, p := w.srv.Engine(), &c.parts[w.id]
	if p.whole.Load() || e == nil {
		return
	}
	lines := make([]socketLine, 0, snapshotSlice)
	next, more := e.Sockets(w.id, p.next, snapshotSlice, func(k contract.Socket) {
		lines = append(lines, socketLine{k, w.id, w.socketState(&k)})
	})
	p.lines = append(p.lines, lines)
	if p.next = next; more {
		e.Wake(w.id)
		return
	}
	p.whole.Store(true)
}

// complete says that a snapshot has all the parts that it will get: a server that stops calls no workers.
func (s *Server) complete(c *connSnapshot) bool { return c.whole() || s.Engine().Stopping() }

// whole says that all workers have given their part.
func (c *connSnapshot) whole() bool {
	for i := range c.parts {
		if !c.parts[i].whole.Load() {
			return false
		}
	}
	return true
}

// phaseStates are memcached's names for what a socket is doing.
var phaseStates = [contract.NumPhases]string{
	contract.PhaseListening: "conn_listening",
	contract.PhaseDatagram:  "conn_read",
	contract.PhaseNew:       "conn_new_cmd",
	contract.PhaseReady:     "conn_parse_cmd",
	contract.PhasePartial:   "conn_waiting",
	contract.PhaseIdle:      "conn_read",
	contract.PhaseSending:   "conn_mwrite",
	contract.PhaseClosing:   "conn_closing",
}

// socketState is memcached's name for what a socket is doing.
func (w *Worker) socketState(k *contract.Socket) string {
	if k.Phase == contract.PhasePartial || k.Phase == contract.PhaseIdle {
		if state := w.state(k.Conn); state != "" {
			return state
		}
	}
	return phaseStates[k.Phase]
}
