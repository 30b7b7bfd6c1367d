package load

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"ringcached/ring"
)

// Drivers by the names that the command line uses.
const (
	DriverAuto = "auto" // ring where io_uring works, else net
	DriverRing = "ring"
	DriverNet  = "net"
)

// A driver opens the connections of one thread's sessions and moves their bytes.
type driver interface {
	// run drives until halt was called, the thread's budget of requests is spent, or nothing can go on (an error: the server cannot be
	// connected to, or too much failed). It closes all connections before it returns.
	run() error
	// halt makes run return soon, without an error. Any goroutine may call it, more than once.
	halt()
}

// chooseDriver resolves DriverAuto and an empty name, and refuses what this host cannot do.
func chooseDriver(name string) (string, error) {
	if name == DriverNet {
		return name, nil
	}
	_, err := ring.Probe()
	switch {
	case err == nil:
		return DriverRing, nil
	case name == DriverRing:
		return "", fmt.Errorf("driver %s: %w", name, err)
	}
	return DriverNet, nil
}

// thread is one load thread's share of the load: what a driver needs.
type thread struct {
	target   *target
	sources  *sources
	workload *Workload
	gen      *generator
	sessions []*session
	rec      *recorder
	patience time.Duration // how long a reply over UDP is waited for

	// Guarded by rec's lock, or used by the one thread that holds it anyway.
	slice    sliced
	budget   int64 // requests that may still be sent
	failures int

	opened   func() // to be called once, when every session has had a connection
	stopping atomic.Bool
}

// maxFailures is how many broken connections and wrong replies a thread sees before it gives up.
const maxFailures = 100

// ConnectTimeout bounds how long a server may take to accept.
const ConnectTimeout = 20 * time.Second

// fill appends the session's next group of requests to dst, as far as the budget goes. Its latency counts from since. The caller holds the
// recorder's lock.
func (t *thread) fill(s *session, dst []byte, since int64) []byte {
	before := len(dst)
	dst = s.fill(dst, int(min(t.budget, maxPipeline)), since)
	t.budget -= int64(s.asked)
	t.rec.BytesOut += int64(len(dst) - before)
	return dst
}

// ready is to be called when every session has had a connection for the first time. Requests arrive from then on. The caller holds the
// recorder's lock.
func (t *thread) ready() {
	if o := t.rec.open; o != nil {
		o.begin(Now())
	}
	t.opened()
}

// settled notes that a request of an open loop is answered or given up. The caller holds the recorder's lock.
func (t *thread) settled() {
	if o := t.rec.open; o != nil {
		o.underway--
	}
}

// fail counts what went wrong on a connection. It returns an error when it was too much to go on. The caller holds the recorder's lock.
func (t *thread) fail(err error) error {
	if wrong := (*WrongReply)(nil); errors.As(err, &wrong) {
		t.rec.Wrong++
	} else {
		t.rec.Broken++
	}
	t.rec.problem(err.Error())
	if t.failures++; t.failures >= maxFailures {
		return fmt.Errorf("gave up after %d failures, the last one: %w", t.failures, err)
	}
	return nil
}

// Now is a monotonic clock in nanoseconds.
func Now() int64 { return int64(time.Since(clockBase)) }

var clockBase = time.Now()
