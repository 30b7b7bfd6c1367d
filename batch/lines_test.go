package batch

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"ringcached/internal/contract"
	"ringcached/internal/record"
	"ringcached/internal/servertest"
	"ringcached/ring"
)

// lines is a Handler for tests that answers requests of one line each:
//
//	echo WORD   the word and a newline
//	copy N      N bytes, copied, and a newline
//	ref N       N bytes by reference, and a newline
//	quit        closes
//	turn        answers "turn" and yields
//	label       answers with the label of the connection's listener
//	listen      answers "listen"; the connection is sent the news from there on
//	put N       takes the N bytes behind the line, and answers with their checksum
type lines struct {
	t        *testing.T
	mem      []byte // what ref refers to
	refs     *atomic.Int64
	open     *atomic.Int64
	everyone map[uint32]bool
	labels   map[uint32]uint8
	news     *news // what listening connections are sent
	uploads  *uploads
	shown    []string      // what Prefetch was shown, and Data was not given yet
	foreseen *atomic.Int64 // inputs that Data was given after Prefetch was shown them

	datagrams *atomic.Int64 // requests; nil: not counted
}

func (h *lines) Open(conn uint32, label uint8) {
	h.labels[conn] = label
	if h.everyone[conn] {
		h.t.Errorf("connection %d opened twice", conn)
	}
	h.everyone[conn] = true
	h.open.Add(1)
}

func (h *lines) Closed(conn uint32, why contract.Reason) {
	if !h.everyone[conn] {
		h.t.Errorf("connection %d closed, but not open", conn)
	}
	delete(h.everyone, conn)
	h.uploads.drop(conn)
	h.news.leave(conn)
	h.open.Add(-1)
}

func (h *lines) Release(uint64) { h.refs.Add(-1) }
func (h *lines) EndBatch()      {}

// Prefetch remembers what it was shown, for Data to find.
func (h *lines) Prefetch(inputs [][]byte) {
	if len(inputs) < 2 || len(inputs) > contract.PrefetchMax {
		h.t.Errorf("%d inputs to prefetch; want 2 to %d", len(inputs), contract.PrefetchMax)
	}
	h.shown = h.shown[:0]
	for _, in := range inputs {
		h.shown = append(h.shown, string(in))
	}
}

// given notes that Data was given what Prefetch was shown. It copies nothing: a client may have sent much, of which Data takes little at a time.
func (h *lines) given(in []byte) {
	if i := slices.IndexFunc(h.shown, func(shown string) bool { return shown == string(in) }); i >= 0 {
		h.shown = slices.Delete(h.shown, i, i+1)
		h.foreseen.Add(1)
	}
}

func (h *lines) Tick(time.Time) {}

// Idle spares connections that listen to the news.
func (h *lines) Idle(conn uint32) bool { return !h.news.has(conn) }

func (h *lines) Pending() []uint32 { return h.news.pending() }

func (h *lines) Unwanted(func(uint32, bool, bool) bool) {}

func (h *lines) Push(conn uint32, out contract.Replies) bool { return h.news.push(conn, out) }

// Datagram answers the lines behind a head of 8 bytes, as far as they are to be answered:
// "silent" is not, nor is what a last line "discard" stands behind, and of what "instead"
// stands behind only that is.
func (h *lines) Datagram(in []byte, out contract.DatagramReplies) {
	if h.datagrams != nil {
		h.datagrams.Add(1)
	}
	in = in[contract.DatagramHead:]
	if string(in) == "silent\n" {
		return
	}
	in, discarded := bytes.CutSuffix(in, []byte("discard\n"))
	in, replaced := bytes.CutSuffix(in, []byte("instead\n"))
	for len(in) > 0 {
		n, _ := h.Data(0, in, out)
		in = in[n:]
	}
	if discarded || replaced {
		out.Discard()
	}
	if replaced {
		h.write(out, []byte("instead\n"))
	}
}

// Frame repeats the request's first two bytes, then tells sequence and total.
func (h *lines) Frame(head, in []byte, seq, total int) {
	copy(head, in[:2])
	binary.BigEndian.PutUint16(head[2:], uint16(seq))
	binary.BigEndian.PutUint16(head[4:], uint16(total))
	head[6], head[7] = 0, 0
}

// requestsPerQuantum is what the handler answers before it yields.
const requestsPerQuantum = 10

func (h *lines) Data(conn uint32, in []byte, out contract.Replies) (n int, next contract.Next) {
	h.given(in)
	for served := 0; ; served++ {
		if h.uploads.of(conn) != nil {
			k, next := h.uploads.data(h, conn, in[n:], out)
			n += k
			if next != contract.Yield {
				return n, next
			}
			continue
		}
		end := bytes.IndexByte(in[n:], '\n')
		if end < 0 {
			return n, contract.More
		}
		if served == requestsPerQuantum || out.Full() {
			return n, contract.Yield
		}
		verb, arg, _ := strings.Cut(string(in[n:n+end]), " ")
		n += end + 1
		switch verb {
		case "echo":
			h.write(out, []byte(arg))
		case "copy":
			size, _ := strconv.Atoi(arg)
			h.write(out, pattern(size))
		case "ref":
			size, _ := strconv.Atoi(arg)
			h.refs.Add(1)
			out.Reference(h.mem[:size], 7)
		case "turn":
			h.write(out, []byte("turn"))
			h.write(out, []byte("\n"))
			return n, contract.Yield
		case "quit":
			return n, contract.Close
		case "put":
			size, _ := strconv.Atoi(arg)
			h.uploads.begin(conn, size)
			continue
		case "label":
			h.write(out, strconv.AppendUint(nil, uint64(h.labels[conn]), 10))
		case "listen":
			h.news.listen(conn)
			h.write(out, []byte("listen"))
		default:
			h.t.Errorf("request %q", verb)
		}
		h.write(out, []byte("\n"))
	}
}

func (h *lines) write(out contract.Replies, p []byte) {
	for len(p) > 0 {
		room := out.Reserve(min(len(p), contract.ReserveMax))
		n := copy(room[:cap(room)], p)
		out.Commit(n)
		p = p[n:]
	}
}

// pattern is n bytes that tell their place.
func pattern(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = 'a' + byte((i^i>>8)%26)
	}
	return p
}

// server is a running Server for a test.
type server struct {
	*Server
	t    *testing.T
	refs atomic.Int64
	open atomic.Int64
	stop func()

	datagrams atomic.Int64 // requests
	foreseen  atomic.Int64 // inputs that Handler.Prefetch was shown before Data was given them

	socket      string  // path of the unix socket
	mem         []byte  // what ref refers to
	news        []*news // by channel
	wantsUpload []*uploads
}

// setup is an engine with a set of kernel features.
type setup struct {
	name   string
	change func(*Config)
}

// setups are the engines of channels, and the feature sets of the kernels that uring
// must run on; only one set when it was chosen, without those that other tests have with it. With the race detector those are left out whose code
// others have together.
func setups(t *testing.T) []setup {
	list := []setup{{"epoll", func(c *Config) { c.Engine = EngineEpoll }}}
	releases := []string{"5.19", "6.0", "6.1", "all"}
	if chosen := servertest.Features(); chosen != "" {
		list, releases = nil, []string{chosen}
	}
	for _, release := range releases {
		allow := parseFeatures(t, release)
		list = append(list, setup{"uring-" + release, func(c *Config) { c.Engine, c.Allow = EngineURing, allow }})
	}
	if servertest.Features() == "" {
		list = append(list,
			setup{"epoll-tls", func(c *Config) { c.Engine = EngineEpoll; overTLS(t, c) }},
			setup{"uring-tls-parking-5.19", func(c *Config) {
				c.Engine, c.ParkAfter = EngineURing, parkAlways
				c.Allow = parseFeatures(t, "5.19")
				overTLS(t, c)
			}})
	}
	if servertest.Features() == "" && kernelSeals() {
		list = append(list,
			setup{"epoll-tls-kernel", func(c *Config) { c.Engine, c.KernelTLS = EngineEpoll, true; overTLS(t, c) }},
			setup{"uring-tls-kernel", func(c *Config) { c.Engine, c.KernelTLS = EngineURing, true; overTLS(t, c) }},
			setup{"uring-tls-kernel-parking-5.19", func(c *Config) {
				c.Engine, c.KernelTLS, c.ParkAfter = EngineURing, true, parkAlways
				c.Allow = parseFeatures(t, "5.19")
				overTLS(t, c)
			}})
	}
	list = append(list,
		setup{"uring-tls", func(c *Config) { c.Engine = EngineURing; overTLS(t, c) }},
		setup{"uring-depth1", func(c *Config) { c.Engine, c.Depth = EngineURing, 1 }},
		setup{"uring-gather", func(c *Config) { c.Engine, c.Wait = EngineURing, 8 }},
		setup{"uring-gather-auto", func(c *Config) { c.Engine, c.Wait = EngineURing, WaitAuto }},
		setup{"uring-gather-6.1", func(c *Config) {
			c.Engine, c.Wait = EngineURing, 8
			c.Allow = parseFeatures(t, "6.1")
		}},
		setup{"uring-direct", func(c *Config) { c.Engine, c.Direct = EngineURing, true }},
		setup{"uring-sqpoll", func(c *Config) { c.Engine, c.SQPoll = EngineURing, time.Millisecond }},
		setup{"uring-zero-copy", func(c *Config) { c.Engine, c.ZeroCopy = EngineURing, 5000 }},
		setup{"uring-parking", func(c *Config) { c.Engine, c.ParkAfter = EngineURing, parkAlways }},
		setup{"uring-parking-5.19", func(c *Config) {
			c.Engine, c.ParkAfter = EngineURing, parkAlways
			c.Allow = parseFeatures(t, "5.19")
		}},
		setup{"uring-parking-direct", func(c *Config) { c.Engine, c.ParkAfter, c.Direct = EngineURing, parkAlways, true }},
		setup{"uring-8-buffers", func(c *Config) { c.Engine, c.Buffers = EngineURing, 8 }},
	)
	var without []string
	switch {
	case servertest.Features() != "":
		without = []string{"uring-depth1", "uring-gather-auto", "uring-gather-6.1", "uring-sqpoll", "uring-zero-copy", "uring-parking-5.19", "uring-parking-direct"}
	case servertest.Race:
		without = []string{"uring-6.0", "uring-6.1", "uring-depth1", "uring-gather", "uring-gather-auto", "uring-gather-6.1", "uring-sqpoll", "uring-zero-copy",
			"uring-parking-5.19", "uring-parking-direct", "uring-tls-parking-5.19"}
	}
	return slices.DeleteFunc(list, func(s setup) bool { return slices.Contains(without, s.name) })
}

func parseFeatures(t *testing.T, features string) ring.Feature {
	t.Helper()
	set, err := ring.ParseFeatures(features)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// everySetup runs f as a subtest with each of the setups.
func everySetup(t *testing.T, f func(t *testing.T, change func(*Config))) {
	for _, s := range setups(t) {
		t.Run(s.name, func(t *testing.T) { f(t, s.change) })
	}
}

// everyPlainSetup is everySetup without TLS, for what TLS has no part in, UDP and unix sockets, and for what takes plain input: values that are
// received in place, and prefetching.
func everyPlainSetup(t *testing.T, f func(t *testing.T, change func(*Config))) {
	for _, s := range setups(t) {
		if !speaksTLS(s.change) {
			t.Run(s.name, func(t *testing.T) { f(t, s.change) })
		}
	}
}

// speaksTLS tells whether a setup does.
func speaksTLS(change func(*Config)) bool {
	c := DefaultConfig()
	change(&c)
	return c.TLS != nil
}

// start serves lines on a free port until the test ends, and then checks that nothing
// is left.
func start(t *testing.T, change ...func(*Config)) *server {
	t.Helper()
	s := prepare(t, change...)
	s.run()
	return s
}

// prepare makes a server that does not serve before run.
func prepare(t *testing.T, change ...func(*Config)) *server {
	t.Helper()
	c := DefaultConfig()
	c.DrainTimeout *= servertest.Slow
	c.Listen = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}
	c.Threads = 2
	c.Log = func(level int, format string, args ...any) {
		if level == 0 {
			t.Logf(format, args...)
		}
	}
	for _, f := range change {
		f(&c)
	}
	c.Labels = c.Labels[:min(len(c.Labels), len(c.Listen))] // a setup knows nothing of what else was changed
	if chosen := servertest.Features(); chosen != "" {
		c.Allow &= parseFeatures(t, chosen)
	}
	mem, err := ring.Map(8 << 20)
	if err != nil {
		t.Fatal(err)
	}
	copy(mem, pattern(len(mem)))
	s := &server{t: t}
	var parkers []*parker
	s.Server, err = New(c, func(int) contract.Handler {
		n := &news{read: map[uint32]int{}}
		s.news = append(s.news, n)
		u := &uploads{under: map[uint32]*upload{}}
		s.wantsUpload = append(s.wantsUpload, u)
		h := &lines{t: t, mem: mem, refs: &s.refs, open: &s.open, everyone: map[uint32]bool{}, labels: map[uint32]uint8{}, news: n, uploads: u, datagrams: &s.datagrams, foreseen: &s.foreseen}
		if c.Engine != EngineURing || c.ParkAfter != parkAlways {
			return h
		}
		parkers = append(parkers, &parker{lines: h})
		return parkers[len(parkers)-1]
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range parkers {
		p.ch = s.channels[i]
	}
	s.socket, s.mem = c.Unix, mem
	return s
}

// run serves until stop, at the latest at the end of the test.
func (s *server) run() {
	t, channels, mem := s.t, s.channels, s.mem
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	stopped := false
	s.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Serve: %v", err)
			}
		case <-time.After(s.config.DrainTimeout + 2*releaseTime*servertest.Slow):
			t.Fatal("Serve does not end")
		}
		s.checkNothingLeft(channels)
		_ = ring.Unmap(mem)
	}
	t.Cleanup(s.stop)
}

func (s *server) checkNothingLeft(channels []*channel) {
	s.t.Helper()
	if n := s.refs.Load(); n != 0 {
		s.t.Errorf("%d references were not released", n)
	}
	if n := s.open.Load(); n != 0 {
		s.t.Errorf("%d connections were not closed", n)
	}
	if n := s.conns.Load(); n != 0 {
		s.t.Errorf("%d connections counted", n)
	}
	for _, u := range s.wantsUpload {
		u.check(s.t)
	}
	for _, ch := range channels {
		if ch.conns.used != 0 {
			s.t.Errorf("channel %d: %d connection records in use", ch.id, ch.conns.used)
		}
		if ch.blocks.lent != 0 {
			s.t.Errorf("channel %d: %d send queue blocks lent", ch.id, ch.blocks.lent)
		}
		if n := ch.stats.sendQueueBytes.Load(); n != 0 {
			s.t.Errorf("channel %d: %d bytes of send queues", ch.id, n)
		}
		if n := ch.stats.buffersOut.Load(); n != 0 {
			s.t.Errorf("channel %d: %d buffers out", ch.id, n)
		}
		if n := ch.stats.parked.Load(); n != 0 {
			s.t.Errorf("channel %d: %d connections parked", ch.id, n)
		}
	}
}

// answerTime is how long a connection may stand still, on a machine with much else to do.
const answerTime = 30 * time.Second * servertest.Slow

// dialTCP connects to the server. The connection fails after some time instead of hanging.
func (s *server) dialTCP() *net.TCPConn {
	s.t.Helper()
	return s.dialAddress(0)
}

// dialAddress connects to one of the server's addresses.
func (s *server) dialAddress(i int) *net.TCPConn {
	s.t.Helper()
	c, err := net.Dial("tcp", s.Addrs()[i].String())
	if err != nil {
		s.t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(answerTime))
	s.t.Cleanup(func() { _ = c.Close() })
	return c.(*net.TCPConn)
}

// stream is a client's connection, over TLS if the server speaks it at that address.
type stream struct {
	net.Conn
	tcp *net.TCPConn
}

// dial connects to the server's first address. Over TLS the handshake is over.
func (s *server) dial() stream {
	s.t.Helper()
	return s.dialLabel(0)
}

// dialBuffers is dial with sockets whose buffers have the given sizes. They are set before the handshake: a receive buffer that becomes smaller
// after something was received makes a connection stand still for 200 ms again and again, plain ones too, until the kernel asks for its window.
func (s *server) dialBuffers(receive, send int) stream {
	s.t.Helper()
	return s.dialLabel(0, func(c *net.TCPConn) {
		_ = c.SetReadBuffer(receive)
		_ = c.SetWriteBuffer(send)
	})
}

// dialLabel is dial for address i, which prepares the socket before its first byte.
func (s *server) dialLabel(i int, prepare ...func(*net.TCPConn)) stream {
	s.t.Helper()
	tcp := s.dialAddress(i)
	for _, f := range prepare {
		f(tcp)
	}
	if !s.isTLS(i) {
		return stream{tcp, tcp}
	}
	return stream{s.secure(tcp, nil), tcp}
}

// isTLS tells whether the server speaks TLS at address i.
func (s *server) isTLS(i int) bool {
	labels := s.config.Labels
	if in := s.config.Inherited; in != nil {
		_, labels = in.Addrs()
	}
	return i < len(labels) && contract.TLSLabel(labels[i]) != 0
}

// knock connects to address i of a server that may let it wait for room, and sends a request. Over TLS that goes on by itself, as the server
// has its part in the handshake.
func (s *server) knock(i int, request string) stream {
	s.t.Helper()
	tcp := s.dialAddress(i)
	if !s.isTLS(i) {
		send(s.t, tcp, request)
		return stream{tcp, tcp}
	}
	c := tls.Client(tcp, clientConfig())
	go func() { _, _ = io.WriteString(c, request) }()
	return stream{c, tcp}
}

// SyscallConn is that of the socket, for descriptorOf.
func (c stream) SyscallConn() (syscall.RawConn, error) { return c.tcp.SyscallConn() }

// CloseWrite ends what the client sends. Over TLS a record says so, and the socket's own end, which comes behind it.
func (c stream) CloseWrite() error {
	if c, ok := c.Conn.(*tls.Conn); ok {
		if err := c.CloseWrite(); err != nil {
			return err
		}
	}
	return c.tcp.CloseWrite()
}

// wantRefused connects, and expects to be told that there is no room: by a line, or over TLS by the alert that ends the handshake.
func (s *server) wantRefused() {
	s.t.Helper()
	c := s.dialTCP()
	if s.isTLS(0) {
		err, alert := tls.Client(c, clientConfig()).Handshake(), tls.AlertError(record.InternalError)
		if err == nil || !strings.Contains(err.Error(), alert.Error()) {
			s.t.Errorf("above the limit: %v; want %v", err, alert)
		}
	} else {
		expect(s.t, c, refusal)
	}
	expectEnd(s.t, c)
}

// dialUnix connects to the server's unix socket.
func (s *server) dialUnix() *net.UnixConn {
	s.t.Helper()
	c, err := net.Dial("unix", s.socket)
	if err != nil {
		s.t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(answerTime))
	s.t.Cleanup(func() { _ = c.Close() })
	return c.(*net.UnixConn)
}

// send writes s.
func send(t *testing.T, c net.Conn, s string) {
	t.Helper()
	_ = c.SetWriteDeadline(time.Now().Add(answerTime))
	if _, err := c.Write([]byte(s)); err != nil {
		t.Fatal(err)
	}
}

// arrived waits until the kernel has all that was sent for the server to receive.
func arrived(t *testing.T, c net.Conn) {
	t.Helper()
	fd := descriptorOf(c)
	eventually(t, "what was sent arrives", func() bool { return outstanding(fd) == 0 })
}

// expect reads exactly what is wanted.
func expect(t *testing.T, c net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	for n := 0; n < len(got); {
		_ = c.SetReadDeadline(time.Now().Add(answerTime))
		k, err := c.Read(got[n:])
		if n += k; err != nil && n < len(got) {
			t.Fatalf("after %d of %d bytes: %v", n, len(want), err)
		}
	}
	if string(got) != want {
		t.Fatalf("reply differs at byte %d: got %.60q, want %.60q", differ(string(got), want), got, want)
	}
}

func differ(a, b string) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

// expectEnd reads the end of the stream, orderly or by reset.
func expectEnd(t *testing.T, c net.Conn) {
	t.Helper()
	var b [64]byte
	n, err := c.Read(b[:])
	if ne, ok := err.(net.Error); n > 0 || err == nil || ok && ne.Timeout() {
		t.Fatalf("want the end of the connection, got %q, %v", b[:n], err)
	}
}

// eventually waits for a condition that another thread brings about.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second * servertest.Slow); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", 20*time.Second*servertest.Slow, what)
		}
	}
}

func echoes(from, n int) (requests, replies string) {
	var a, b strings.Builder
	for i := range n {
		fmt.Fprintf(&a, "echo word%d\n", from+i)
		fmt.Fprintf(&b, "word%d\n", from+i)
	}
	return a.String(), b.String()
}
