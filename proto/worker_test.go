package proto_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ringcached/internal/contract"
	"ringcached/internal/conversation"
	"ringcached/proto"
	"ringcached/store"
)

// worker is a Worker with its store, its output and a connection 0 that is open.
type worker struct {
	*proto.Worker
	server *proto.Server
	store  *store.Store
	out    conversation.Output
	t      testing.TB
}

// newWorker makes one; the functions may change what it is configured with.
func newWorker(t testing.TB, configure func(*store.Config), more func(*proto.Config)) *worker {
	t.Helper()
	sc := store.Config{Limit: 64 << 20, LimitMax: 1 << 30, ItemMax: 1 << 20, Factor: 1.25, ChunkMin: 48, Seed: 1}
	if configure != nil {
		configure(&sc)
	}
	st, err := store.New(sc)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	st.SetNow(2)
	pc := proto.Config{Version: "test", Start: time.Now()}
	pc.Settings.Crawler, pc.Settings.CrawlerSleep, pc.Settings.SlabReassign = true, 100, true
	if more != nil {
		more(&pc)
	}
	s := proto.NewServer(st, pc)
	w := &worker{Worker: s.NewWorker(), server: s, store: st, t: t}
	w.Open(0, 0)
	return w
}

// data presents in to connection 0.
func (w *worker) data(in string) (n int, next contract.Next) {
	return w.Data(0, []byte(in), &w.out)
}

// ask presents in until nothing is left, and gives the replies. The outputs are flushed all the time.
func (w *worker) ask(in string) string {
	w.t.Helper()
	w.out.Reset()
	for rest := []byte(in); ; {
		n, next := w.Data(0, rest, &w.out)
		rest = rest[n:]
		w.EndBatch()
		w.out.Flush(w.t, w.Worker)
		if next == contract.Yield {
			continue
		}
		if len(rest) > 0 {
			w.t.Fatalf("%d bytes left over", len(rest))
		}
		break
	}
	return string(w.out.Bytes)
}

// wantReply asks and compares.
func (w *worker) wantReply(in, want string) {
	w.t.Helper()
	if got := w.ask(in); got != want {
		w.t.Fatalf("%.100q: got %.200q, want %.200q", in, got, want)
	}
}

// stat is a number of `stats`.
func (w *worker) stat(name string) string {
	w.t.Helper()
	_, rest, ok := strings.Cut(w.ask("stats\r\n"), "STAT "+name+" ")
	if !ok {
		w.t.Fatalf("no %s", name)
	}
	value, _, _ := strings.Cut(rest, "\r\n")
	return value
}

// wantEmpty checks that no item is in use.
func (w *worker) wantEmpty() {
	w.t.Helper()
	for _, c := range w.store.Classes() {
		if c.ChunksUsed != 0 {
			w.t.Errorf("class %d: %d chunks used", c.ID, c.ChunksUsed)
		}
	}
}

func TestYieldAfterRequests(t *testing.T) {
	w := newWorker(t, nil, func(c *proto.Config) { c.RequestsPerEvent = 5 })
	in := strings.Repeat("get a\r\n", 12)
	n, next := w.data(in)
	if n != 5*7 || next != contract.Yield {
		t.Fatalf("n=%d next=%v", n, next)
	}
	if n, next = w.data(in[35:]); n != 35 || next != contract.Yield {
		t.Fatalf("n=%d next=%v", n, next)
	}
	if n, next = w.data(in[70:]); n != 14 || next != contract.More {
		t.Fatalf("n=%d next=%v", n, next)
	}
	// Exactly that many and nothing left is no yield.
	if n, next = w.data(in[:35]); n != 35 || next != contract.More {
		t.Fatalf("n=%d next=%v", n, next)
	}
	if got := w.stat("conn_yields"); got != "2" {
		t.Errorf("conn_yields %s, want 2", got)
	}
}

func TestMultigetStopsWhenFull(t *testing.T) {
	w := newWorker(t, nil, nil)
	w.ask("set a 0 0 2000\r\n" + strings.Repeat("a", 2000) + "\r\nset b 0 0 8000\r\n" + strings.Repeat("b", 8000) + "\r\n")
	in := "get" + strings.Repeat(" a b", 50) + "\r\nget a\r\n"
	want := w.ask(in)

	w.out.Reset()
	w.out.Limit = 20000
	var pauses int
	for rest := in; rest != ""; {
		before := len(w.out.Bytes)
		n, next := w.data(rest)
		rest = rest[n:]
		// Full is seen when new room is asked for: one room more, and one value, may come behind it.
		if grown := len(w.out.Bytes) - before; grown > 20000+contract.ReserveMax+8100 {
			t.Fatalf("%d bytes in one call", grown)
		}
		if next == contract.Yield {
			pauses++
			if n, next := w.data(rest); n != 0 || next != contract.Yield {
				t.Fatalf("full, and yet n=%d next=%v", n, next)
			}
		}
		w.out.Flush(t, w.Worker)
	}
	if string(w.out.Bytes) != want {
		t.Error("the replies differ")
	}
	if pauses < 10 {
		t.Errorf("%d pauses", pauses)
	}
	if got := w.stat("conn_yields"); got != "0" {
		t.Errorf("conn_yields %s: those were not quanta of others", got)
	}
}

func TestUploadInterrupted(t *testing.T) {
	for _, header := range []string{
		"set a 0 0 100000\r\n", "add a 0 0 100000\r\n", "append a 0 0 100000 noreply\r\n", "cas a 0 0 100000 7\r\n", "set a 0 0 8\r\n",
	} {
		w := newWorker(t, nil, nil)
		want := contract.Upload
		if strings.Contains(header, " 8\r") {
			want = contract.More
		}
		if n, next := w.data(header + "begin"); n != len(header)+5 || next != want {
			t.Fatalf("n=%d next=%v", n, next)
		}
		w.Closed(0, contract.ReasonNormal)
		w.wantEmpty()
		w.Open(0, 0)
		w.wantReply("get a\r\n", "END\r\n")
	}
}

func TestChainedUploadInterrupted(t *testing.T) {
	w := newWorker(t, func(c *store.Config) { c.ItemMax = 8 << 20 }, nil)
	w.data("set a 0 0 5000000\r\n" + strings.Repeat("x", 3000000))
	w.Closed(0, contract.ReasonNormal)
	w.wantEmpty()
}

// TestReferenced looks at a large value's memory while it is being sent.
func TestReferenced(t *testing.T) {
	for _, size := range []int{4095, 100_000, 3_000_000} {
		w := newWorker(t, func(c *store.Config) { c.ItemMax = 4 << 20 }, nil)
		value := strings.Repeat("v", size)
		w.wantReply(fmt.Sprintf("set a 0 0 %d\r\n%s\r\n", size, value), "STORED\r\n")
		w.out.Reset()
		w.data("get a\r\n")
		// It goes out of the index, and others take memory; what is being sent stays.
		w.data("delete a\r\n")
		w.data("set b 0 0 100\r\n" + strings.Repeat("b", 100) + "\r\n")
		w.data("set c 0 0 " + fmt.Sprint(size) + "\r\n" + strings.Repeat("c", size) + "\r\n")
		want := fmt.Sprintf("VALUE a 0 %d\r\n%s\r\nEND\r\nDELETED\r\n", size, value) + strings.Repeat("STORED\r\n", 2)
		if string(w.out.Bytes) != want {
			t.Errorf("%d: wrong reply", size)
		}
		w.out.Flush(t, w.Worker)
		w.ask("delete b\r\ndelete c\r\n")
		w.wantEmpty()
	}
}

// receive moves what it can of in into the memory of an upload, and says how much.
func (w *worker) receive(in []byte) (n int) {
	for _, part := range w.UploadBuffer(0, make([][]byte, 0, 3)) {
		n += copy(part, in[n:])
	}
	if n > 0 {
		w.UploadAdvance(0, n, &w.out)
		w.EndBatch()
	}
	return n
}

// TestReceiveInPlace fills an upload the way a ring does that receives straight into memory.
func TestReceiveInPlace(t *testing.T) {
	for _, size := range []int{10, 1_000_000, 5_000_000} {
		w := newWorker(t, func(c *store.Config) { c.ItemMax = 8 << 20 }, nil)
		if w.receive([]byte("x")) != 0 {
			t.Error("room before an upload")
		}
		header := fmt.Sprintf("set a 0 0 %d\r\n", size)
		w.data(header + "01234")
		rest := strings.Repeat("r", size-5) + "\r\n"
		for rest != "" {
			n := w.receive([]byte(rest[:min(len(rest), 70000)]))
			if n == 0 {
				t.Fatal("no room")
			}
			rest = rest[n:]
		}
		if got := string(w.out.Bytes); got != "STORED\r\n" {
			t.Fatalf("got %q", got)
		}
		if w.receive([]byte("x")) != 0 {
			t.Error("room behind an upload")
		}
		w.wantReply("get a\r\n", fmt.Sprintf("VALUE a 0 %d\r\n01234%s\r\nEND\r\n", size, strings.Repeat("r", size-5)))
	}
}

func TestLongPipeline(t *testing.T) {
	w := newWorker(t, nil, nil)
	const n = 100_000
	var in, want strings.Builder
	for i := range n {
		fmt.Fprintf(&in, "set k%d 0 0 %d\r\n%d\r\nget k%d\r\n", i%100, len(fmt.Sprint(i)), i, i%100)
		fmt.Fprintf(&want, "STORED\r\nVALUE k%d 0 %d\r\n%d\r\nEND\r\n", i%100, len(fmt.Sprint(i)), i)
	}
	w.wantReply(in.String(), want.String())
}

// TestOutOfMemory fills a store that must not evict.
func TestOutOfMemory(t *testing.T) {
	w := newWorker(t, func(c *store.Config) { c.NoEvict, c.Limit = true, 8<<20 }, nil)
	value := strings.Repeat("v", 10_000)
	last := ""
	for i := 0; ; i++ {
		got := w.ask(fmt.Sprintf("set key%d 0 0 10000\r\n%s\r\n", i, value))
		if got == "STORED\r\n" {
			last = fmt.Sprintf("key%d", i)
			continue
		}
		if got != "SERVER_ERROR out of memory storing object\r\n" {
			t.Fatalf("got %q", got)
		}
		break
	}
	w.wantReply("add new 0 0 10000\r\n"+value+"\r\nget new\r\n", "SERVER_ERROR out of memory storing object\r\nEND\r\n")
	w.wantReply("set "+last+" 0 0 10000 noreply\r\n"+value+"\r\n", "")
	if got := w.ask("get " + last + "\r\n"); got != "END\r\n" {
		t.Errorf("a set that failed left the old value")
	}
	if got := w.stat("store_no_memory"); got != "3" {
		t.Errorf("store_no_memory %s", got)
	}
}

// TestCountersOfOthers checks that `stats` adds up what all workers published.
func TestCountersOfOthers(t *testing.T) {
	w := newWorker(t, nil, nil)
	other := &worker{Worker: w.server.NewWorker(), server: w.server, store: w.store, t: t}
	other.Open(0, 0)
	other.ask("get a\r\nget b\r\nset c 0 0 1\r\n1\r\n")
	w.ask("get a\r\n")
	if got := w.stat("get_misses"); got != "3" {
		t.Errorf("get_misses %s", got)
	}
	if got := w.stat("cmd_set"); got != "1" {
		t.Errorf("cmd_set %s", got)
	}
	other.ask("stats reset\r\n")
	if got := w.stat("get_misses"); got != "0" {
		t.Errorf("get_misses %s after a reset", got)
	}
	other.ask("get a\r\n")
	if got := w.stat("get_misses"); got != "1" {
		t.Errorf("get_misses %s", got)
	}
}

// engine reports made-up numbers.
type engine struct {
	resets   int
	wakes    []int // workers that were woken
	stopping bool
	conns    uint32 // of each worker, 0 is 1
	told     int    // connections that Sockets told of
}

func (e *engine) Stats(add func(name, value string)) {
	add("curr_connections", "17")
	add("libevent", "uring")
	add("engine_special", "1")
}
func (e *engine) BatchStats(add func(name, value string)) { add("enters", "5") }
func (e *engine) ResetStats()                             { e.resets++ }

func (e *engine) Wake(worker int) { e.wakes = append(e.wakes, worker) }
func (e *engine) Stopping() bool  { return e.stopping }

// Sockets tells of a listening socket and a connection on each worker.
func (e *engine) Sockets(worker int, from uint32, most int, tell func(contract.Socket)) (next uint32, more bool) {
	if from == 0 {
		tell(contract.Socket{FD: 3 + worker, Transport: "tcp", Local: localAddr, Phase: contract.PhaseListening, Idle: 100})
	}
	for next = from; next < max(e.conns, 1) && most > 0; most-- {
		tell(e.Socket(worker, next))
		e.told++
		next++
	}
	return next, next < e.conns
}

func (e *engine) Socket(worker int, conn uint32) contract.Socket {
	return contract.Socket{Conn: conn, FD: e.Descriptor(worker, conn), Transport: "tcp", Local: localAddr, Peer: peerAddr, Phase: contract.PhaseIdle, Idle: 7}
}

func (e *engine) Descriptor(worker int, conn uint32) int { return 100*(worker+1) + int(conn) }

var (
	localAddr = netip.MustParseAddrPort("127.0.0.1:11211")
	peerAddr  = netip.MustParseAddrPort("[2001:db8::1]:4711")
)

func TestEngineStats(t *testing.T) {
	w := newWorker(t, nil, nil)
	const datagrams = "STAT datagrams_ignored 0\r\nSTAT datagrams_refused 0\r\nSTAT datagrams_too_large 0\r\nEND\r\n"
	w.wantReply("stats batch\r\n", datagrams)
	e := &engine{}
	w.server.SetEngine(e)
	w.wantReply("stats batch\r\n", "STAT enters 5\r\n"+datagrams)
	for name, want := range map[string]string{"curr_connections": "17", "libevent": "uring", "engine_special": "1", "total_connections": "0"} {
		if got := w.stat(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	w.wantReply("stats reset\r\n", "RESET\r\n")
	if e.resets != 1 {
		t.Error("the engine was not reset")
	}
}

func TestStatsLongerThanRoom(t *testing.T) {
	w := newWorker(t, nil, func(c *proto.Config) { c.Settings.Interface = strings.Repeat("127.0.0.1,", 5000) })
	got := w.ask("stats settings\r\n")
	if !strings.Contains(got, "\r\nSTAT inter "+strings.Repeat("127.0.0.1,", 5000)+"\r\n") || !strings.HasSuffix(got, "END\r\n") {
		t.Error("a long setting was not shown whole")
	}
}

func TestTrace(t *testing.T) {
	var log bytes.Buffer
	var level atomic.Int32
	w := newWorker(t, nil, func(c *proto.Config) {
		c.Verbosity = &level
		c.Log = func(format string, args ...any) { fmt.Fprintf(&log, format+"\n", args...) }
	})
	w.ask("get quiet\r\n")
	w.wantReply("verbosity 2\r\n", "OK\r\n")
	w.wantReply("get a\r\nset a 0 0 1\r\n1\r\ndelete a\r\n", "END\r\nSTORED\r\nDELETED\r\n")
	w.ask("set b 0 0 3 noreply\r\n1\n2\r\nmg b v s\r\ngets b nosuch\r\nstats settings\r\n")
	w.Closed(0, contract.ReasonNormal)
	w.Open(0, 0)
	w.wantReply("version\r\n", "VERSION test\r\n")
	const want = `<0 get a
>0 END
<0 set a 0 0 1
>0 STORED
<0 delete a
>0 DELETED
<0 set b 0 0 3 noreply
>0 NOREPLY STORED
<0 mg b v s
>0 VA 3 s3
<0 gets b nosuch
>0 sending key b
>0 END
<0 stats settings
>0 END
<0 connection closed.
<0 new auto-negotiating client connection
0: Client using the ascii protocol
<0 version
>0 VERSION test
`
	if log.String() != want {
		t.Errorf("logged %q, want %q", log.String(), want)
	}
	if level.Load() != 2 {
		t.Error("the level is not shared")
	}
}

// TestSessionNumbers opens connections far apart and uses numbers again.
func TestSessionNumbers(t *testing.T) {
	w := newWorker(t, nil, nil)
	w.Open(70_000, 0)
	w.Open(3, 0)
	if n, next := w.Data(70_000, []byte("set a 0 0 5\r\nab"), &w.out); n != 15 || next != contract.More {
		t.Fatalf("n=%d next=%v", n, next)
	}
	if n, _ := w.Data(3, []byte("get a\r\n"), &w.out); n != 7 {
		t.Fatalf("n=%d", n)
	}
	w.Data(70_000, []byte("cde\r\n"), &w.out)
	if got := string(w.out.Bytes); got != "END\r\nSTORED\r\n" {
		t.Errorf("got %q", got)
	}
	w.Closed(70_000, contract.ReasonNormal)
	w.Open(70_000, 0)
	w.Data(70_000, []byte("get b\r\n"), &w.out)
	if got := string(w.out.Bytes); got != "END\r\nSTORED\r\nEND\r\n" {
		t.Errorf("got %q", got)
	}
}
