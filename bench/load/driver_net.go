package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// netDriver serves each session with a goroutine over package net. It costs more CPU per request than ringDriver, and works on every kernel.
type netDriver struct {
	*thread
	dialer  net.Dialer
	mu      sync.Mutex
	conns   map[net.Conn]struct{}
	unready int           // sessions that never had a connection
	halted  chan struct{} // closed by halt

	// Of an open loop, see driver_net_open.go.
	begun chan struct{}   // closed when requests begin to arrive
	line  chan chan int64 // sessions that wait for a request to arrive: the channel on which each gets one
}

func newNetDriver(t *thread) *netDriver {
	d := &netDriver{thread: t, conns: make(map[net.Conn]struct{}), unready: len(t.sessions), halted: make(chan struct{})}
	d.begun, d.line = make(chan struct{}), make(chan chan int64, len(t.sessions))
	d.dialer = net.Dialer{Timeout: ConnectTimeout, Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		if cerr := c.Control(func(fd uintptr) { err = t.sources.bind(int(fd)) }); cerr != nil {
			return cerr
		}
		return err
	}}
	return d
}

func (d *netDriver) halt() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.stopping.Swap(true) {
		close(d.halted)
	}
	for c := range d.conns {
		_ = c.Close()
	}
}

func (d *netDriver) run() error {
	errs := make(chan error, len(d.sessions))
	var arrivals []chan int64 // of an open loop, by session
	for _, s := range d.sessions {
		var due chan int64
		if d.rec.open != nil {
			due = make(chan int64, 1)
			arrivals = append(arrivals, due)
		}
		go func() { errs <- d.serve(s, due) }()
	}
	var dispatcher sync.WaitGroup
	if d.rec.open != nil {
		dispatcher.Go(func() { d.dispatch(arrivals) })
	}
	defer dispatcher.Wait()
	var first error
	for range d.sessions {
		if err := <-errs; err != nil && first == nil {
			first = err
			d.halt()
		}
	}
	return first
}

// serve gives the session one connection after the other. In an open loop due delivers the time of each arrival.
func (d *netDriver) serve(s *session, due chan int64) error {
	b := &netBuffers{in: make([]byte, max(4<<10, min(64<<10, 2*d.workload.ValueSize)))}
	for fresh := true; ; fresh = false {
		c, err := d.dial(fresh)
		if err != nil || c == nil {
			return err
		}
		var over bool
		if due != nil {
			over, err = d.attend(c, s, due, b)
		} else {
			over, err = d.converse(c, s, b)
		}
		d.forget(c)
		d.rec.Lock()
		s.reconnect()
		if err != nil && !d.stopping.Load() {
			err = d.fail(err)
		} else {
			err = nil
		}
		d.rec.Unlock()
		if over || err != nil || d.stopping.Load() {
			return err
		}
	}
}

// dial opens a connection. It returns neither connection nor error when the driver was halted.
func (d *netDriver) dial(fresh bool) (net.Conn, error) {
	c, err := d.dialer.DialContext(context.Background(), d.target.transport, d.target.String())
	if d.stopping.Load() {
		if c != nil {
			_ = c.Close()
		}
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	d.rec.Lock()
	d.rec.Connects++
	d.rec.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stopping.Load() {
		_ = c.Close()
		return nil, nil
	}
	d.conns[c] = struct{}{}
	if fresh {
		if d.unready--; d.unready == 0 {
			d.rec.Lock()
			d.ready()
			d.rec.Unlock()
			close(d.begun)
		}
	}
	return c, nil
}

func (d *netDriver) forget(c net.Conn) {
	d.mu.Lock()
	delete(d.conns, c)
	d.mu.Unlock()
	_ = c.Close()
}

// netBuffers are a session's.
type netBuffers struct{ out, in []byte }

// converse uses one connection until it is spent or broken. over: the budget is spent.
func (d *netDriver) converse(c net.Conn, s *session, b *netBuffers) (over bool, err error) {
	for !s.spent() {
		d.rec.Lock()
		b.out = d.fill(s, b.out[:0], Now())
		d.rec.Unlock()
		if s.idle() {
			return true, nil
		}
		if _, err := c.Write(b.out); err != nil {
			return false, err
		}
		if err := d.await(c, s, b); err != nil {
			return false, err
		}
	}
	return false, nil
}

// await takes the replies to the session's group, over UDP until it is lost.
func (d *netDriver) await(c net.Conn, s *session, b *netBuffers) error {
	if d.target.datagrams() {
		_ = c.SetReadDeadline(time.Now().Add(d.patience))
	}
	for !s.idle() {
		n, err := c.Read(b.in)
		switch {
		case d.target.datagrams() && errors.Is(err, os.ErrDeadlineExceeded):
			d.rec.Lock()
			s.lose(d.rec)
			d.rec.Unlock()
			return nil
		case n == 0 && errors.Is(err, io.EOF):
			return ErrClosedEarly
		case n == 0 && err != nil:
			return err
		}
		d.rec.Lock()
		err = s.receive(b.in[:n], Now(), d.rec)
		d.rec.Unlock()
		if err != nil {
			return err
		}
	}
	return nil
}
