package load

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"ringcached/ring"
)

// Drivers by the names that the command line uses.
const (
	DriverAuto  = "auto" // ring where io_uring works, else epoll
	DriverRing  = "ring"
	DriverEpoll = "epoll"
)

// chooseDriver resolves DriverAuto and an empty name, and refuses what this host cannot do.
func chooseDriver(name string) (string, error) {
	if name == DriverEpoll {
		return name, nil
	}
	_, err := ring.Probe()
	switch {
	case err == nil:
		return DriverRing, nil
	case name == DriverRing:
		return "", fmt.Errorf("driver %s: %w", name, err)
	}
	return DriverEpoll, nil
}

// mover moves the bytes of a load thread's connections. What comes of an operation it tells the thread's methods
// connected, sent and received: in deliver or, of what is over at once, before the operation returns.
type mover interface {
	setup() error
	connect(c *conn) error
	send(c *conn) error    // c.unsent
	receive(c *conn) error // until received is told that there is no more
	hangUp(c *conn) error  // makes a receive end
	close(c *conn) error
	// wait hands prepared operations to the kernel, and reports whether there is something to deliver. It waits for
	// that, if it may, a while at most.
	wait(may bool) (ready bool, err error)
	deliver(at int64) error
	// release ends what is under way and frees everything but the sockets.
	release()
}

// thread is one load thread: a share of the connections, which it opens, drives and closes from one locked thread. In
// an open loop it never sleeps.
type thread struct {
	mover
	target   *target
	workload *Workload
	conns    []conn
	rec      *recorder
	records  *records      // nil: connections are plain
	patience time.Duration // how long a reply over UDP is waited for
	budget   int64         // requests that may still be sent
	failures int
	opening  int   // connections that are being opened
	line     line  // connections that may be asked something
	began    int64 // when the slice began
	fresh    bool  // nothing was sent in the slice: a closed loop sends once however late it is
	looked   int64 // when expire was last there

	life     context.Context // the thread ends with it
	until    atomic.Int64    // no group of requests begins at or after it
	start    chan struct{}   // a slice begins
	stopped  chan struct{}   // it is over, or all connections are open for the first one; closed when the thread has ended
	answered atomic.Int64    // in the slice, as of the last burst
	waiting  atomic.Bool     // somebody waits for a reply
}

const (
	// burst is how many events are handled before what they caused is submitted. Few keep the server fed while the
	// load works; many cost the load fewer system calls.
	burst = 32
	// idleWait bounds how long the end of the load goes unnoticed.
	idleWait = 50 * time.Millisecond
	// maxFailures is how many broken connections and wrong replies a thread sees before it gives up.
	maxFailures = 100
	// ConnectTimeout bounds how long a server may take to accept.
	ConnectTimeout = 20 * time.Second
)

// Now is a monotonic clock in nanoseconds.
func Now() int64 { return int64(time.Since(clockBase)) }

var clockBase = time.Now()

// run drives until its life ends, the budget is spent, or nothing can go on (an error: the server cannot be connected
// to, or too much failed).
func (t *thread) run(driver string) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if driver == DriverRing {
		t.mover = &ringMover{t: t}
	} else {
		t.mover = &epollMover{t: t}
	}
	defer func() {
		t.release()
		if t.records != nil {
			t.records.close(t.conns)
		}
		for i := range t.conns {
			if c := &t.conns[i]; c.fd >= 0 {
				_ = syscall.Close(c.fd)
			}
		}
	}()
	if err := t.setup(); err != nil {
		return fmt.Errorf("driver %s: %w", driver, err)
	}
	for i := range t.conns {
		if err := t.open(&t.conns[i]); err != nil {
			return err
		}
	}
	return t.loop()
}

// loop handles events until the thread's life ends or it has nothing left to do.
func (t *thread) loop() error {
	for t.life.Err() == nil {
		if t.rec.underway == 0 && t.budget <= 0 {
			return nil
		}
		if t.rec.underway == 0 && t.opening == 0 && !t.fresh && Now() >= t.until.Load() {
			if err := t.nextSlice(); err != nil {
				return err
			}
			continue
		}
		if err := t.sendDue(); err != nil {
			return err
		}
		ready, err := t.wait(t.rec.open == nil && t.rec.underway+int64(t.opening) > 0)
		if err == nil && ready {
			err = t.handle()
		}
		if err == nil && t.target.datagrams() {
			err = t.expire()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *thread) handle() error {
	at := Now()
	if o := t.rec.open; o != nil && t.line.empty() {
		o.wait(at)
	}
	err := t.deliver(at)
	t.answered.Store(t.rec.Operations)
	return err
}

// open opens a socket and begins to connect it.
func (t *thread) open(c *conn) error {
	fd, err := t.target.socket()
	if err != nil {
		return err
	}
	c.fd, c.generation, c.ending, c.idleSince = fd, c.generation+1, false, Now()
	t.opening++
	return t.connect(c)
}

// connected: res is 0, or below it the error number.
func (t *thread) connected(c *conn, res int32) error {
	if res < 0 {
		return fmt.Errorf("connecting: %w", syscall.Errno(-res))
	}
	if t.records != nil {
		return t.greet(c)
	}
	t.opened(c)
	return nil
}

// opened: something may be asked on the connection.
func (t *thread) opened(c *conn) {
	t.rec.Connects++
	t.opening--
	if t.workload.RequestsPerConnection == 0 { // the latency of a short connection's first group includes connecting
		c.idleSince = Now()
	}
	t.line.add(c)
}

// sendDue sends what is due: in a closed loop a group of requests on each connection that is idle, in an open one the
// oldest request that has arrived. The latter is one at a time: a send takes the kernel some microseconds, by which
// everything behind it, replies too, would be later.
func (t *thread) sendDue() error {
	o, at := t.rec.open, Now()
	if o != nil {
		t.waiting.Store(t.rec.underway > 0 || t.opening > 0 || o.waits(at))
	}
	for (at < t.until.Load() || t.fresh) && t.budget > 0 && !t.line.empty() && (o == nil || o.due(at)) {
		c := t.line.take()
		if c.fd < 0 {
			if err := t.open(c); err != nil {
				return err
			}
			continue
		}
		if o == nil {
			if err := t.ask(c, max(c.idleSince, t.began)); err != nil {
				return err
			}
			continue
		}
		arrival := o.take()
		err := t.ask(c, arrival)
		Record(t.rec.lateness, Now()-max(arrival, c.idleSince)) // it is submitted next
		return err
	}
	t.fresh = t.fresh && t.rec.underway == 0
	if o != nil && at >= t.until.Load() {
		o.end(at, t.rec.underway)
	}
	return nil
}

// ask sends the session's next group of requests, whose latency counts from since.
func (t *thread) ask(c *conn, since int64) error {
	limit := int(min(t.budget, maxPipeline))
	if r := t.records; r != nil {
		r.plain = c.fill(r.plain[:0], limit, since)
		c.unsent = r.seal(c, c.slot[:0], r.plain)
	} else {
		c.unsent = c.fill(c.slot[:0], limit, since)
	}
	c.busy = true
	t.budget -= int64(c.asked)
	t.rec.underway++
	t.rec.BytesOut += int64(len(c.unsent))
	if t.target.datagrams() {
		c.expires = Now() + int64(t.patience)
	}
	if !c.receiving {
		c.receiving = true
		if err := t.receive(c); err != nil {
			return err
		}
	}
	return t.send(c)
}

// sent: res of c.unsent were sent, or it is below 0 and the error number.
func (t *thread) sent(c *conn, res int32) error {
	switch {
	case c.ending:
		return nil
	case res < 0:
		return t.broken(c, fmt.Errorf("sending: %w", syscall.Errno(-res)))
	case int(res) < len(c.unsent):
		c.unsent = c.unsent[res:]
		return t.send(c)
	}
	return nil
}

// received hands what came to the session and does what comes next. Without anything that came, res is 0 at the
// stream's end, or below it the error number. more: the receive goes on.
func (t *thread) received(c *conn, in []byte, res int32, more bool, at int64) error {
	if c.secure != nil && c.secure.greeting != nil {
		return t.greeted(c, in, endOf(res), more, at)
	}
	c.receiving = more
	var err error
	switch {
	case len(in) == 0 || c.ending:
	case t.records != nil:
		t.rec.BytesIn += int64(len(in))
		err = t.records.open(c, in, at, t.rec)
	default:
		err = c.session.receive(in, at, t.rec)
	}
	switch {
	case c.ending && more:
		return nil
	case c.ending:
		return t.end(c)
	case !c.busy && t.budget <= 0:
		return nil // it has done its part
	case err != nil:
		return t.broken(c, err)
	case res == 0:
		return t.broken(c, ErrClosedEarly)
	case res < 0 && syscall.Errno(-res) != syscall.ENOBUFS:
		return t.broken(c, fmt.Errorf("receiving: %w", syscall.Errno(-res)))
	case !c.busy: // a late datagram
		return nil
	case !c.idle() && !more:
		c.receiving = true
		return t.receive(c)
	case !c.idle():
		return nil
	}
	t.settle(c)
	if c.spent() {
		if t.records != nil {
			t.records.farewell(c)
		}
		return t.end(c)
	}
	c.idleSince = at
	t.line.add(c)
	return nil
}

// settle notes that a connection's group is answered or given up.
func (t *thread) settle(c *conn) {
	c.busy = false
	t.rec.underway--
}

// ErrClosedEarly is a connection that the server closed while a reply was due.
var ErrClosedEarly = errors.New("the server closed the connection")

// broken counts a failed connection and puts a new one in its place, unless too much failed.
func (t *thread) broken(c *conn, err error) error {
	if c.busy {
		t.settle(c)
	} else {
		t.line.remove(c)
	}
	if wrong := (*WrongReply)(nil); errors.As(err, &wrong) {
		t.rec.Wrong++
	} else {
		t.rec.Broken++
	}
	t.rec.problems.Add(err.Error())
	if t.failures++; t.failures >= maxFailures {
		return fmt.Errorf("gave up after %d failures, the last one: %w", t.failures, err)
	}
	if !c.receiving {
		return t.end(c)
	}
	c.ending = true // the receive must end first
	return t.hangUp(c)
}

// end closes a connection that nothing is under way on but perhaps a send that nobody waits for, and opens the next.
func (t *thread) end(c *conn) error {
	err := t.close(c)
	c.fd, c.receiving = -1, false
	c.reconnect()
	if t.records != nil {
		t.records.drop(c)
	}
	if err != nil || t.life.Err() != nil {
		return err
	}
	if t.budget > 0 && Now() < t.until.Load() {
		return t.open(c)
	}
	t.line.add(c) // to be opened in the next slice
	return nil
}

// slotSize is how much memory a connection needs for a group of requests.
func (t *thread) slotSize() int {
	if t.records != nil {
		return sealedMax(t.workload.groupMax())
	}
	return t.workload.groupMax()
}

// nextSlice says that the slice is over, or that all connections are open, and waits for the next.
func (t *thread) nextSlice() error {
	if _, err := t.wait(false); err != nil { // closes that were prepared last
		return err
	}
	t.stopped <- struct{}{}
	select {
	case <-t.start:
	case <-t.life.Done():
		return nil
	}
	t.began, t.fresh = Now(), t.rec.open == nil
	if !t.fresh {
		t.rec.open.begin(t.began, t.budget)
	}
	return nil
}

// expire gives up requests over UDP that have waited too long, which it looks for from time to time.
func (t *thread) expire() error {
	at := Now()
	if at-t.looked < int64(idleWait) {
		return nil
	}
	t.looked = at
	for i := range t.conns {
		c := &t.conns[i]
		if !c.busy || at < c.expires {
			continue
		}
		c.lose(t.rec)
		t.settle(c)
		c.idleSince = at
		t.line.add(c)
	}
	return nil
}
