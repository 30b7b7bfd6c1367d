package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
)

// netDriver serves each session with a goroutine over package net. It costs more CPU per request than ringDriver, and works on every kernel.
type netDriver struct {
	*thread
	dialer  net.Dialer
	mu      sync.Mutex
	conns   map[net.Conn]struct{}
	unready int // sessions that never had a connection
}

func newNetDriver(t *thread) *netDriver {
	d := &netDriver{thread: t, conns: make(map[net.Conn]struct{}), unready: len(t.sessions)}
	d.dialer = net.Dialer{Timeout: connectTimeout, Control: func(_, _ string, c syscall.RawConn) error {
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
	d.stopping.Store(true)
	for c := range d.conns {
		_ = c.Close()
	}
}

func (d *netDriver) run() error {
	errs := make(chan error, len(d.sessions))
	for _, s := range d.sessions {
		go func() { errs <- d.serve(s) }()
	}
	var first error
	for range d.sessions {
		if err := <-errs; err != nil && first == nil {
			first = err
			d.halt()
		}
	}
	return first
}

// serve gives the session one connection after the other.
func (d *netDriver) serve(s *session) error {
	buf := make([]byte, max(4<<10, min(64<<10, 2*d.workload.ValueSize)))
	var group []byte
	for fresh := true; ; fresh = false {
		c, err := d.dial(fresh)
		if err != nil || c == nil {
			return err
		}
		var over bool
		group, over, err = d.converse(c, s, group, buf)
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
	c, err := d.dialer.DialContext(context.Background(), "tcp", d.addr.String())
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
			d.opened()
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

// converse uses one connection until it is spent or broken. over: the budget is spent.
func (d *netDriver) converse(c net.Conn, s *session, group, buf []byte) (_ []byte, over bool, err error) {
	for !s.spent() {
		d.rec.Lock()
		group = d.fill(s, group[:0], now())
		d.rec.Unlock()
		if s.idle() {
			return group, true, nil
		}
		if _, err := c.Write(group); err != nil {
			return group, false, err
		}
		for !s.idle() {
			n, err := c.Read(buf)
			if n == 0 && err != nil {
				if errors.Is(err, io.EOF) {
					err = errClosedEarly
				}
				return group, false, err
			}
			d.rec.Lock()
			err = s.receive(buf[:n], now(), d.rec)
			d.rec.Unlock()
			if err != nil {
				return group, false, err
			}
		}
	}
	return group, false, nil
}
