package batch

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"ringcached/internal/contract"
	"ringcached/ring"
)

// TestNetIsAskedFor: the net engine is taken when it is named, and never otherwise.
func TestNetIsAskedFor(t *testing.T) {
	choose := func(engine string, allow ring.Feature) (Choice, error) {
		c := DefaultConfig()
		c.Engine, c.Allow = engine, allow
		return c.choose()
	}
	if c, err := choose(EngineNet, 0); c.Engine != EngineNet || err != nil {
		t.Errorf("named: %v, %v", c, err)
	}
	for _, allow := range []ring.Feature{0, ^ring.Feature(0)} {
		if c, err := choose(EngineAuto, allow); c.Engine == EngineNet || err != nil {
			t.Errorf("auto: %v, %v", c, err)
		}
	}
}

// TestNetRefuses: what the net engine cannot do is an error that says so.
func TestNetRefuses(t *testing.T) {
	loopback := netip.MustParseAddrPort("127.0.0.1:0")
	for _, test := range []struct {
		change func(*Config)
		want   string
	}{
		{func(c *Config) { c.Datagram = []netip.AddrPort{loopback} }, "no UDP"},
		{func(c *Config) { c.Inherited = &Inherited{unixFD: -1, datagrams: []listener{{fd: -1}}} }, "no UDP"},
		{func(c *Config) { c.Affinity = true }, "can't pin threads"},
		{func(c *Config) { c.Affinity, c.Steer = true, true }, "can't pin threads"},
		{func(c *Config) { c.Hold = true }, "can't hand sockets over"},
	} {
		c := DefaultConfig()
		c.Engine, c.Listen = EngineNet, []netip.AddrPort{loopback}
		test.change(&c)
		if _, err := New(c, func(int) contract.Handler { return nil }); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("got %v, want %q", err, test.want)
		}
	}
	s := start(t, useNet)
	if fds, err := s.Listening(); err == nil || len(fds) > 0 {
		t.Errorf("sockets to hand over: %v, %v", fds, err)
	}
}

// TestNetInherits: sockets that somebody else has bound are served, all of them.
func TestNetInherits(t *testing.T) {
	old := start(t, func(c *Config) { c.Engine, c.Threads = EngineEpoll, 3 })
	s := start(t, useNet, func(c *Config) { c.Listen, c.Inherited, c.Threads = nil, old.bequeath(), 1 })
	old.stop()
	for range 30 { // the kernel chooses one of three
		c := s.dial()
		send(t, c, "echo hello\n")
		expect(t, c, "hello\n")
	}
}

// TestNetOneByOne: a Handler is called by one goroutine at a time, also where connections are pushed to, ask, come and go.
func TestNetOneByOne(t *testing.T) {
	s := start(t, useNet, func(c *Config) { c.Threads = 1 })
	listener := s.dial() // the first connection is the first shard's
	send(t, listener, "listen\n")
	expect(t, listener, "listen\n")
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 200 {
			s.news[0].add([]byte("news\n"))
			s.Wake(0)
			time.Sleep(100 * time.Microsecond)
		}
	}()
	for range 4 * netShards {
		c := s.dial()
		requests, replies := echoes(0, 50)
		send(t, c, requests)
		expect(t, c, replies)
		_ = c.Close()
	}
	<-done
	expect(t, listener, strings.Repeat("news\n", 200))
}

// TestNetBuffer: the buffer follows what a connection sends.
func TestNetBuffer(t *testing.T) {
	c := &netConn{buf: make([]byte, netBuffer)}
	for _, step := range []struct{ received, handled, size int }{
		{10, 10, netBuffer},
		{netBuffer - 10, 100, netBuffer},
		{10 + 100, 0, 2 * netBuffer}, // full
		{netBuffer, 2 * netBuffer, netBufferMost},
		{netBufferMost, netBufferMost, netBufferMost}, // it is full every time
		{netBufferMost, 1, netBufferMost},
		{1, 0, 2 * netBufferMost}, // one request does not fit
		{netBufferMost, 2 * netBufferMost, netBufferMost},
	} {
		c.to += step.received
		c.from += step.handled
		rest := c.to - c.from
		if c.makeRoom(); len(c.buf) != step.size || c.from != 0 || c.to != rest {
			t.Fatalf("after %+v: %d bytes, %d to %d are used", step, len(c.buf), c.from, c.to)
		}
	}
}
