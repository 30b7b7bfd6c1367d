package gonet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ringcached/internal/contract"
	"ringcached/internal/conversation"
	"ringcached/internal/servertest"
)

// patience is how long anything may take here.
const patience = 30 * time.Second * servertest.Slow

// running is a Server that serves, and is stopped at the end of the test.
type running struct {
	*Server
	t     testing.TB
	at    net.Addr
	stop  func()
	ended chan error
}

// start starts a server that flags and the functions configure.
func start(t testing.TB, flags []string, change ...func(*Config)) *running {
	t.Helper()
	return startOn(t, "tcp", "127.0.0.1:0", flags, change...)
}

func startOn(t testing.TB, network, addr string, flags []string, change ...func(*Config)) *running {
	t.Helper()
	c := Config{Threads: 2, MaxConns: 1000, SendTimeout: patience, DrainTimeout: patience}
	var err error
	if c.Store, c.Proto, err = conversation.Configure(flags); err != nil {
		t.Fatal(err)
	}
	for _, f := range change {
		f(&c)
	}
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{Server: s, t: t, at: l.Addr(), stop: cancel, ended: make(chan error, 1)}
	go func() { r.ended <- s.Serve(ctx, l) }()
	t.Cleanup(r.end)
	return r
}

// end stops the server and waits for it.
func (r *running) end() {
	r.t.Helper()
	r.stop()
	select {
	case err := <-r.ended:
		if err != nil {
			r.t.Error(err)
		}
		r.ended <- nil
	case <-time.After(2 * patience):
		r.t.Fatal("the server does not stop")
	}
	if n := r.conns.Load(); n != 0 {
		r.t.Errorf("%d connections are left", n)
	}
}

func (r *running) dial() net.Conn {
	r.t.Helper()
	c, err := net.Dial(r.at.Network(), r.at.String())
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return c
}

// ask sends a request, and wants a reply.
func ask(t testing.TB, c net.Conn, request, want string) {
	t.Helper()
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	expect(t, c, want)
}

func expect(t testing.TB, c net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(c, got); err != nil || string(got) != want {
		t.Fatalf("got %.100q, %v; want %.100q", got[:n], err, want)
	}
}

// TestConversations holds the protocol's conversations: whole, cut into single bytes, and pipelined.
func TestConversations(t *testing.T) {
	scripts, err := conversation.Load("../../../proto/testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, script := range scripts {
		for _, mode := range []conversation.Mode{conversation.Whole, conversation.Split, conversation.Pipelined} {
			t.Run(script.Name+"/"+mode.String(), func(t *testing.T) {
				t.Parallel()
				s := start(t, script.Flags)
				script.RunConn(t, s.dial, mode)
			})
		}
	}
}

// TestLargeValues: values of all sizes come back as they were, several in one reply too, and are received straight into their items.
func TestLargeValues(t *testing.T) {
	s := start(t, []string{"-m", "128", "-I", "8m"})
	c := s.dial()
	var keys, values strings.Builder
	for i, size := range []int{0, 100, 4000, 8 << 10, 65536, 600_000, 1 << 20, 3_000_000} {
		value := strings.Repeat(string(rune('a'+i)), size)
		ask(t, c, fmt.Sprintf("set key%d 0 0 %d\r\n%s\r\n", i, size, value), "STORED\r\n")
		fmt.Fprintf(&keys, " key%d", i)
		fmt.Fprintf(&values, "VALUE key%d 0 %d\r\n%s\r\n", i, size, value)
	}
	for range 3 {
		ask(t, c, "get"+keys.String()+"\r\n", values.String()+"END\r\n")
	}
}

// TestManyConnections: many talk at the same time, each gets its own replies in order, and all numbers of connections are used again.
func TestManyConnections(t *testing.T) {
	s := start(t, nil)
	const clients, requests = 200, 50
	for range 2 {
		var all sync.WaitGroup
		for id := range clients {
			c := s.dial()
			all.Go(func() {
				var said, want bytes.Buffer
				for i := range requests {
					fmt.Fprintf(&said, "set %d 0 0 3\r\n%03d\r\nget %d\r\n", id, i, id)
					fmt.Fprintf(&want, "STORED\r\nVALUE %d 0 3\r\n%03d\r\nEND\r\n", id, i)
				}
				got := make([]byte, want.Len())
				_, werr := c.Write(said.Bytes())
				_, rerr := io.ReadFull(c, got)
				if err := errors.Join(werr, rerr); err != nil || !bytes.Equal(got, want.Bytes()) {
					t.Errorf("client %d: %v, %.200q", id, err, got)
				}
				_ = c.Close()
			})
		}
		all.Wait()
		servertest.Eventually(t, patience, func() error {
			if n := s.conns.Load(); n > 0 {
				return fmt.Errorf("%d connections are left", n)
			}
			return nil
		})
	}
	for _, sh := range s.shards {
		sh.mu.Lock()
		if slices.ContainsFunc(sh.conns, func(c *conn) bool { return c != nil }) || len(sh.conns) > clients {
			t.Errorf("%d numbers, some not free", len(sh.conns))
		}
		sh.mu.Unlock()
	}
}

// TestLimitOfConnections: a connection above the limit gets an error, and its client may connect again.
func TestLimitOfConnections(t *testing.T) {
	s := start(t, nil, func(c *Config) { c.MaxConns = 2 })
	first, second := s.dial(), s.dial()
	ask(t, first, "version\r\n", "VERSION ")
	ask(t, second, "version\r\n", "VERSION ")
	if got, err := io.ReadAll(s.dial()); err != nil || string(got) != refusal {
		t.Errorf("%q, %v", got, err)
	}
	_ = first.Close()
	servertest.Eventually(t, patience, func() error {
		c := s.dial()
		defer c.Close()
		_, err := io.WriteString(c, "mn\r\n")
		reply := make([]byte, 4)
		_, rerr := io.ReadFull(c, reply)
		if err = errors.Join(err, rerr); err != nil || string(reply) != "MN\r\n" {
			return fmt.Errorf("%q, %w", reply, err)
		}
		return nil
	})
}

// TestStopAnswers: whoever has asked before a stop is answered, however slowly it reads, and is not reset.
func TestStopAnswers(t *testing.T) {
	s := start(t, nil)
	value := strings.Repeat("v", 1_000_000)
	c, idle := s.dial(), s.dial()
	ask(t, c, fmt.Sprintf("set key 0 0 %d\r\n%s\r\n", len(value), value), "STORED\r\n")
	const requests = 20
	if _, err := io.WriteString(c, strings.Repeat("get key\r\n", requests)); err != nil {
		t.Fatal(err)
	}
	one := fmt.Sprintf("VALUE key 0 %d\r\n%s\r\nEND\r\n", len(value), value)
	expect(t, c, one)
	s.stop()
	expect(t, c, strings.Repeat(one, requests-1))
	for _, c := range []net.Conn{c, idle} {
		if n, err := c.Read(make([]byte, 1)); n > 0 || !errors.Is(err, io.EOF) {
			t.Errorf("%d, %v", n, err)
		}
	}
}

// TestStopIsLimited: a peer that takes nothing cannot keep the server.
func TestStopIsLimited(t *testing.T) {
	s := start(t, nil, func(c *Config) { c.DrainTimeout = 300 * time.Millisecond })
	stick(t, s)
	s.end()
}

// TestSendTimeout: nor a connection, and its references are given back.
func TestSendTimeout(t *testing.T) {
	s := start(t, nil, func(c *Config) { c.SendTimeout = time.Second })
	stick(t, s)
	servertest.Eventually(t, patience, func() error {
		if n := s.conns.Load(); n > 0 {
			return errors.New("it is still there")
		}
		return nil
	})
}

// stick makes a connection that asks for much and reads nothing, and waits until the server's write does not go on.
func stick(t *testing.T, s *running) {
	t.Helper()
	c := s.dial()
	value := strings.Repeat("v", 1_000_000)
	ask(t, c, fmt.Sprintf("set key 0 0 %d\r\n%s\r\n", len(value), value), "STORED\r\n")
	if _, err := io.WriteString(c, strings.Repeat("get key\r\n", 100)); err != nil {
		t.Fatal(err)
	}
	last, since := uint64(0), time.Now()
	servertest.Eventually(t, patience, func() error {
		if n := s.written(); n != last {
			last, since = n, time.Now()
		}
		if last < uint64(len(value)) || time.Since(since) < 100*time.Millisecond {
			return errors.New("the server is still writing")
		}
		return nil
	})
}

// written is how many bytes of replies the server has given to sockets.
func (r *running) written() (sum uint64) {
	for _, sh := range r.shards {
		sum += sh.sent.Load()
	}
	return sum
}

// TestUnix: a unix socket is served.
func TestUnix(t *testing.T) {
	s := startOn(t, "unix", filepath.Join(t.TempDir(), "socket"), nil)
	ask(t, s.dial(), "mn\r\n", "MN\r\n")
}

// TestStats: the server reports what it counts.
func TestStats(t *testing.T) {
	s := start(t, nil)
	c := s.dial()
	ask(t, c, "mn\r\n", "MN\r\n")
	if _, err := io.WriteString(c, "stats\r\nstats batch\r\nquit\r\n"); err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"STAT curr_connections 1\r\n", "STAT total_connections 1\r\n", "STAT threads 2\r\n", "STAT engine net\r\n", "STAT bytes_written 4\r\n",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// TestBuffer: the buffer follows what a connection sends.
func TestBuffer(t *testing.T) {
	c := &conn{buf: make([]byte, bufferMin)}
	for _, step := range []struct{ received, handled, size int }{
		{10, 10, bufferMin},
		{bufferMin - 10, 100, bufferMin},
		{10 + 100, 0, 2 * bufferMin}, // full
		{bufferMin, 2 * bufferMin, bufferMax},
		{bufferMax, bufferMax, bufferMax}, // it is full every time
		{bufferMax, 1, bufferMax},
		{1, 0, 2 * bufferMax}, // one request does not fit
		{bufferMax, 2 * bufferMax, bufferMax},
	} {
		c.to += step.received
		c.from += step.handled
		rest := c.to - c.from
		if c.makeRoom(); len(c.buf) != step.size || c.from != 0 || c.to != rest {
			t.Fatalf("after %+v: %d bytes, %d to %d are used", step, len(c.buf), c.from, c.to)
		}
	}
}

// TestReservesTooMuch: the contract's limit is kept.
func TestReservesTooMuch(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	new(replies).Reserve(contract.ReserveMax + 1)
}
