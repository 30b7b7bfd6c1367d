package load

import (
	"errors"
	"fmt"
	"runtime"
	"syscall"
	"time"

	"ringcached/ring"
)

// ringDriver serves all sessions of a load thread from one locked thread with one io_uring. A receive is armed once per connection and delivers into
// buffers that all connections share; a send that succeeds has no completion. So an answered request costs the load one completion and its share of
// one system call. In an open loop (driver_ring_open.go) the thread never sleeps.
type ringDriver struct {
	*thread
	r         *ring.Ring
	bufs      *ring.BufRing
	out       []byte // mapped: a send slot for each connection
	slot      int    // bytes of one
	addrMem   []byte // mapped: the server's sockaddr
	addrLen   int
	multishot bool // receives stay armed
	quiet     bool // sends that succeed have no completion
	conns     []ringConn
	receiving int // receives under way
	parked    int // connections that wait for the next slice, of those that are active
	active    int // connections with something to wait for: a connect, a reply, an end
	unready   int // connections that were never open
	line      readyLine
	looked    int64 // when expire was last there
}

const (
	recvGroup = 1
	// burst is how many completions are handled before what they caused is submitted. Few keep the server fed while the load works; many cost
	// the load fewer system calls.
	burst = 32
	// idleWait bounds how long halt goes unnoticed.
	idleWait = 50 * time.Millisecond
	// drainLimit bounds how long the end of a driver waits for the kernel to let go of its receives.
	drainLimit = 2 * time.Second
)

func newRingDriver(t *thread) *ringDriver { return &ringDriver{thread: t, unready: len(t.sessions)} }

func (d *ringDriver) halt() {
	if !d.stopping.Swap(true) {
		close(d.slice.halted)
	}
}

func (d *ringDriver) run() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := d.setup(); err != nil {
		d.release()
		return fmt.Errorf("driver %s: %w", DriverRing, err)
	}
	d.rec.Lock()
	err := d.openAll()
	d.rec.Unlock()
	if err == nil {
		err = d.loop()
	}
	d.drain()
	return err
}

func (d *ringDriver) setup() error {
	features, err := ring.Probe()
	if err != nil {
		return err
	}
	// A connection that ends after some requests is closed with its last reply. A receive that stays armed would hold it open.
	d.multishot = features.Has(ring.MultishotRecv) && d.workload.RequestsPerConnection == 0
	d.quiet = features.Has(ring.PartialSend)
	n := len(d.sessions)
	entries := uint32(min(max(2*n, 256), 4096))
	if d.r, err = ring.New(ring.Options{Entries: entries, CQEntries: 4 * entries, Features: features}); err != nil {
		return err
	}
	count, size := bufferShape(d.workload, n)
	if d.bufs, err = ring.NewBufRing(d.r, recvGroup, count, count, size); err != nil {
		return err
	}
	d.slot = (d.workload.groupMax() + 63) &^ 63
	if d.out, err = ring.Map(n * d.slot); err != nil {
		return err
	}
	if d.addrMem, err = ring.Map(sockaddrMax); err != nil {
		return err
	}
	d.addrLen = d.target.putSockaddr(d.addrMem)
	d.conns = make([]ringConn, n)
	d.line = newReadyLine(n)
	for i := range d.conns {
		d.conns[i] = ringConn{session: d.sessions[i], index: i, fd: -1, slot: d.out[i*d.slot : (i+1)*d.slot : (i+1)*d.slot]}
	}
	return nil
}

// bufferShape returns how many receive buffers of which size serve n connections: a typical group of replies fits one buffer, and all together stay
// small enough for the cache.
func bufferShape(w *Workload, n int) (count, size int) {
	replies := w.Pipeline * w.Multiget * (w.ValueSize + w.KeySize + binaryHeader)
	size = 2 << 10
	for size < replies && size < 64<<10 {
		size *= 2
	}
	const total = 4 << 20
	return min(max(2*n, 64), max(total/size, 64)), size
}

func (d *ringDriver) openAll() error {
	for i := range d.conns {
		if err := d.connect(&d.conns[i]); err != nil {
			return err
		}
	}
	return nil
}

// loop handles completions until the driver is halted or has nothing left to do.
func (d *ringDriver) loop() error {
	for d.active > 0 && !d.stopping.Load() {
		if d.rec.open != nil {
			if err := d.sendDue(); err != nil {
				return err
			}
		}
		if d.parked > 0 && d.parked == d.active {
			if err := d.nextSlice(); err != nil {
				return err
			}
			continue
		}
		if err := d.enter(); err != nil {
			return err
		}
		if err := d.handleBurst(); err != nil {
			return err
		}
		if d.target.datagrams() {
			if err := d.expire(); err != nil {
				return err
			}
		}
	}
	return nil
}

// nextSlice says that the slice is over, waits for the next, and lets all connections go on.
func (d *ringDriver) nextSlice() error {
	_ = d.r.Enter(0, 0)    // closes that were prepared last
	if d.slice.until > 0 { // else it is the first
		d.slice.stopped <- struct{}{}
	}
	select {
	case d.slice.until = <-d.slice.start:
	case <-d.slice.halted:
		return nil
	}
	d.rec.Lock()
	defer d.rec.Unlock()
	at := Now()
	d.parked = 0
	for i := range d.conns {
		c := &d.conns[i]
		if !c.parked {
			continue
		}
		c.parked = false
		var err error
		if c.fd < 0 {
			d.active--
			err = d.connect(c)
		} else {
			err = d.ask(c, at)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// park lets a connection wait for the next slice. It stays active.
func (d *ringDriver) park(c *ringConn) {
	c.parked = true
	d.parked++
}

// enter submits what is prepared. It waits only when there is nothing to handle, and in an open loop never.
func (d *ringDriver) enter() error {
	var errno syscall.Errno
	switch {
	case d.rec.open != nil:
		errno = d.r.Enter(0, 0)
	case d.r.Ready() > 0:
		_, errno = d.r.Submit()
	default:
		errno = d.r.Enter(1, idleWait)
	}
	switch errno {
	case 0, syscall.ETIME, syscall.EINTR, syscall.EAGAIN, syscall.EBUSY:
		return nil
	}
	return fmt.Errorf("io_uring_enter: %w", errno)
}

func (d *ringDriver) handleBurst() error {
	n := min(d.r.Ready(), burst)
	if n == 0 {
		return nil
	}
	d.rec.Lock()
	defer d.rec.Unlock()
	at := Now()
	if o := d.rec.open; o != nil && d.line.next() == nil {
		o.wait(at)
	}
	for i := range n {
		cqe := *d.r.CQE(i)
		if err := d.handle(&cqe, at); err != nil {
			return err
		}
	}
	d.r.Advance(n)
	d.bufs.Publish()
	return nil
}

// sqe returns a free submission entry, submitting what is prepared where the queue is full.
func (d *ringDriver) sqe() (*ring.SQE, error) {
	for range 100 {
		if e := d.r.SQE(); e != nil {
			return e, nil
		}
		d.bufs.Publish()
		if _, errno := d.r.Submit(); errno != 0 && errno != syscall.EINTR && errno != syscall.EAGAIN && errno != syscall.EBUSY {
			return nil, fmt.Errorf("io_uring_enter: %w", errno)
		}
	}
	return nil, errors.New("the kernel takes no submissions")
}

// drain ends all connections and waits until no receive holds memory or sockets, then frees everything.
func (d *ringDriver) drain() {
	for i := range d.conns {
		if c := &d.conns[i]; c.fd >= 0 {
			_ = d.hangUp(c)
		}
	}
	for deadline := Now() + int64(drainLimit); d.receiving > 0 && Now() < deadline; {
		_ = d.r.Enter(1, idleWait)
		n := d.r.Ready()
		for i := range n {
			if cqe := d.r.CQE(i); cqe.UserData>>opShift == opRecv && !cqe.More() {
				d.receiving--
			}
		}
		d.r.Advance(n)
	}
	_ = d.r.Enter(0, 0) // closes that were prepared last
	for i := range d.conns {
		if c := &d.conns[i]; c.fd >= 0 {
			_ = syscall.Close(c.fd)
		}
	}
	d.release()
}

// release frees ring and memory. Memory that the kernel may still write to is left mapped.
func (d *ringDriver) release() {
	if d.bufs != nil && d.receiving == 0 {
		_ = d.bufs.Close()
	}
	if d.r != nil {
		_ = d.r.Close()
	}
	for _, mem := range [][]byte{d.out, d.addrMem} {
		if mem != nil && d.receiving == 0 {
			_ = ring.Unmap(mem)
		}
	}
}
