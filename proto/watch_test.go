package proto_test

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"ringcached/internal/contract"
	"ringcached/internal/conversation"
	"ringcached/proto"
	"ringcached/store"
)

// watcher is a connection of a worker that watches.
type watcher struct {
	w    *worker
	conn uint32
	out  conversation.Output
}

// watch makes connection conn of w a watcher.
func (w *worker) watch(conn uint32, kinds string) *watcher {
	w.t.Helper()
	x := &watcher{w: w, conn: conn}
	w.Open(conn, 0)
	in := []byte("watch " + kinds + "\r\n")
	if n, next := w.Data(conn, in, &x.out); n != len(in) || next != contract.More || string(x.out.Bytes) != "OK\r\n" {
		w.t.Fatalf("watch %s: %d, %v, %q", kinds, n, next, x.out.Bytes)
	}
	w.EndBatch()
	return x
}

// read gives what the watcher is sent.
func (x *watcher) read() string {
	x.w.t.Helper()
	x.out.Reset()
	for slices.Contains(x.w.Pending(), x.conn) {
		x.w.Push(x.conn, &x.out)
		x.out.Flush(x.w.t, x.w.Worker)
	}
	return string(x.out.Bytes)
}

var linePattern = regexp.MustCompile(`^ts=\d+\.\d{6} gid=(\d+) (type=.*)\n$`)

// want reads and compares lines without what differs from run to run. Ids must go up.
func (x *watcher) want(want ...string) {
	x.w.t.Helper()
	var got []string
	last := 0
	for line := range strings.Lines(x.read()) {
		m := linePattern.FindStringSubmatch(line)
		if m == nil {
			got = append(got, line)
			continue
		}
		id, _ := strconv.Atoi(m[1])
		if id <= last {
			x.w.t.Errorf("id %d after %d", id, last)
		}
		last = id
		got = append(got, m[2])
	}
	if !slices.Equal(got, want) {
		x.w.t.Errorf("watcher was sent\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// second makes another worker of w's server, with a connection 0.
func (w *worker) second() *worker {
	o := &worker{Worker: w.server.NewWorker(), server: w.server, store: w.store, t: w.t}
	o.Open(0, 0)
	return o
}

func TestWatchFetchers(t *testing.T) {
	w := newWorker(t, nil, nil)
	w.ask("set a 0 0 3\r\none\r\nset old 0 100 1\r\n1\r\nset b 0 0 3\r\none\r\n")
	x := w.watch(1, "")
	for _, step := range []struct{ request, line string }{
		{"get a\r\n", "type=item_get key=a status=found clsid=1 cfd=-1 size=3"},
		{"get none\r\n", "type=item_get key=none status=not_found clsid=0 cfd=-1 size=0"},
		{"gets a\r\n", "type=item_get key=a status=found clsid=1 cfd=-1 size=3"},
		{"gat 0 a\r\n", "type=item_get key=a status=found clsid=1 cfd=-1 size=3"},
		{"touch a 0\r\n", "type=item_get key=a status=found clsid=1 cfd=-1 size=3"},
		{"mg a v\r\n", "type=item_get key=a status=found clsid=1 cfd=-1 size=3"},
		{"mg YQ== v b\r\n", "type=item_get key=a status=found clsid=1 cfd=-1 size=3"},
		{"set a 0 0 5\r\nthree\r\n", "type=item_get key=a status=found clsid=1 cfd=-1 size=3"},
		{"add a 0 0 3\r\none\r\n", "type=item_get key=a status=found clsid=1 cfd=-1 size=5"},
		{"incr none 1\r\n", "type=item_get key=none status=not_found clsid=0 cfd=-1 size=0"},
		{"ma none\r\n", "type=item_get key=none status=not_found clsid=0 cfd=-1 size=0"},
		{"delete a\r\n", "type=item_get key=a status=found clsid=1 cfd=-1 size=5"},
		{"md a\r\n", "type=item_get key=a status=not_found clsid=0 cfd=-1 size=0"},
		{"get \x01,%~-._aZ9\xff\r\n", "type=item_get key=%01%2C%25~-._aZ9%FF status=not_found clsid=0 cfd=-1 size=0"},
		{"me none\r\nversion\r\n", "type=item_get key=none status=not_found clsid=0 cfd=-1 size=0"},
	} {
		w.ask(step.request)
		if step.line == "" {
			x.want()
			continue
		}
		x.want(step.line)
	}
	// What memcached stores by a command that stores, beside the one that was asked for, is looked up twice.
	w.ask("ma new N0\r\nmd new x\r\n")
	x.want("type=item_get key=new status=not_found clsid=0 cfd=-1 size=0", "type=item_get key=new status=not_found clsid=0 cfd=-1 size=0",
		"type=item_get key=new status=found clsid=1 cfd=-1 size=1", "type=item_get key=new status=found clsid=1 cfd=-1 size=1")
	w.ask("get b none b\r\nget b\r\n")
	x.want("type=item_get key=b status=found clsid=1 cfd=-1 size=3", "type=item_get key=none status=not_found clsid=0 cfd=-1 size=0",
		"type=item_get key=b status=found clsid=1 cfd=-1 size=3", "type=item_get key=b status=found clsid=1 cfd=-1 size=3")
	w.store.SetNow(500)
	w.ask("get old\r\n")
	x.want("type=item_get key=old status=expired clsid=0 cfd=-1 size=0")
	w.ask("flush_all\r\nget b\r\n")
	x.want("type=item_get key=b status=flushed clsid=0 cfd=-1 size=0")
}

func TestWatchMutations(t *testing.T) {
	w := newWorker(t, func(c *store.Config) { c.ItemMax = 4096 }, nil)
	x := w.watch(1, "mutations")
	large := strings.Repeat("x", 5000)
	for _, step := range []struct{ request, line string }{
		{"set a 0 0 3\r\none\r\n", "key=a status=stored cmd=set ttl=0 clsid=1 cfd=-1 size=3"},
		{"set a 0 100 3 noreply\r\none\r\n", "key=a status=stored cmd=set ttl=100 clsid=1 cfd=-1 size=3"},
		{"add a 0 0 3\r\none\r\n", "key=a status=not_stored cmd=add ttl=0 clsid=1 cfd=-1 size=3"},
		{"replace a 0 0 3\r\none\r\n", "key=a status=stored cmd=replace ttl=0 clsid=1 cfd=-1 size=3"},
		{"append a 7 7 1\r\no\r\n", "key=a status=stored cmd=append ttl=0 clsid=1 cfd=-1 size=4"},
		{"touch a 60\r\nprepend a 0 0 36\r\n" + large[:36] + "\r\n", "key=a status=stored cmd=prepend ttl=60 clsid=2 cfd=-1 size=40"},
		{"ms a 1 MA\r\no\r\n", "key=a status=stored cmd=append ttl=60 clsid=2 cfd=-1 size=41"},
		{"ms vivified 1 MP N30\r\no\r\n", "key=vivified status=stored cmd=prepend ttl=30 clsid=1 cfd=-1 size=1"},
		{"set past 0 -1 1\r\no\r\n", "key=past status=stored cmd=set ttl=-1 clsid=1 cfd=-1 size=1"},
		{"prepend b 0 0 1\r\no\r\n", "key=b status=not_stored cmd=prepend ttl=0 clsid=1 cfd=-1 size=1"},
		{"cas a 0 0 1 1000000\r\no\r\n", "key=a status=exists cmd=cas ttl=0 clsid=1 cfd=-1 size=1"},
		{"cas b 0 0 1 1\r\no\r\n", "key=b status=not_found cmd=cas ttl=0 clsid=1 cfd=-1 size=1"},
		{"set n 0 0 1\r\n7\r\n", "key=n status=stored cmd=set ttl=0 clsid=1 cfd=-1 size=1"},
		{"incr n 5\r\ndecr n 1\r\nincr n 1000\r\nma n\r\nma n MD\r\n", ""},
		{"ma new N0 J5\r\n", "key=new status=stored cmd=add ttl=0 clsid=1 cfd=-1 size=1"},
		{"ma newer N0 MD\r\n", "key=newer status=stored cmd=add ttl=0 clsid=1 cfd=-1 size=1"},
		{"mg empty N30 v\r\n", ""},
		{"md n x T50\r\n", "key=n status=stored cmd=set ttl=50 clsid=1 cfd=-1 size=0"},
		{"md n I x\r\n", "key=n status=stored cmd=set ttl=0 clsid=1 cfd=-1 size=0"},
		{"md n I\r\nmd n\r\nmd new\r\n", ""},
		{"ms m 2\r\nhi\r\n", "key=m status=stored cmd=set ttl=0 clsid=1 cfd=-1 size=2"},
		{"ms m 2 ME\r\nhi\r\n", "key=m status=not_stored cmd=add ttl=0 clsid=1 cfd=-1 size=2"},
		{"set a 0 0 5000\r\n" + large + "\r\n", "key=a status=too_large cmd=set ttl=0 clsid=0 cfd=-1 size=5000"},
		{"ms a 5000 MA\r\n" + large + "\r\n", "key=a status=too_large cmd=append ttl=0 clsid=0 cfd=-1 size=5000"},
		{"get a\r\ntouch n 0\r\n", ""},
	} {
		w.ask(step.request)
		if step.line == "" {
			x.want()
			continue
		}
		x.want("type=item_store " + step.line)
	}
}

func TestWatchDeletions(t *testing.T) {
	w := newWorker(t, nil, nil)
	x := w.watch(1, "deletions")
	w.ask("set a 0 0 3\r\none\r\ndelete a\r\ndelete a\r\nset a 0 0 4\r\nfour\r\nmd a\r\nset b 0 0 1\r\n1\r\nmd b x\r\nmd b I\r\nmd b I x\r\n")
	x.want("type=deleted key=a cmd=delete clsid=1 size=3", "type=deleted key=a cmd=md clsid=1 size=4", "type=deleted key=b cmd=md clsid=1 size=0")
}

// TestWatchBinary: the binary protocol is watched like the text protocol, but for deletions, of which memcached tells nothing.
func TestWatchBinary(t *testing.T) {
	w := newWorker(t, nil, nil)
	x := w.watch(1, "fetchers mutations deletions")
	w.ask(request(0x01, 0, "\x00\x00\x00\x00\x00\x00\x00\x00", "a", "12") + request(0x0c, 0, "", "a", "") +
		request(0x1c, 0, "\x00\x00\x00\x00", "b", "") + request(0x05, 0, strings.Repeat("\x00", 7)+"\x01"+strings.Repeat("\x00", 12), "a", "") +
		request(0x04, 0, "", "a", ""))
	x.want("type=item_get key=a status=not_found clsid=0 cfd=-1 size=0",
		"type=item_store key=a status=stored cmd=set ttl=0 clsid=1 cfd=-1 size=2",
		"type=item_get key=a status=found clsid=1 cfd=-1 size=2",
		"type=item_get key=b status=not_found clsid=0 cfd=-1 size=0",
		"type=item_get key=a status=found clsid=1 cfd=-1 size=2",
		"type=item_get key=a status=found clsid=1 cfd=-1 size=2")
	w.ask(request(0x05, 0, strings.Repeat("\x00", 19)+"\x3c", "n", "") + request(0x0e, 0, "", "n", "00"))
	x.want("type=item_get key=n status=not_found clsid=0 cfd=-1 size=0", "type=item_get key=n status=not_found clsid=0 cfd=-1 size=0",
		"type=item_store key=n status=stored cmd=add ttl=60 clsid=1 cfd=-1 size=1",
		"type=item_get key=n status=found clsid=1 cfd=-1 size=1",
		"type=item_store key=n status=stored cmd=append ttl=60 clsid=1 cfd=-1 size=3")
}

func TestWatchEvictions(t *testing.T) {
	w := newWorker(t, func(c *store.Config) { c.Limit, c.ItemMax = 4<<20, 1<<20 }, nil)
	x := w.watch(1, "evictions")
	value := strings.Repeat("v", 1000)
	stored := 0
	for w.stat("evictions") == "0" {
		for range 100 {
			w.ask(fmt.Sprintf("set key-%d 0 1000 1000\r\n%s\r\n", stored, value))
			stored++
		}
	}
	evicted, _ := strconv.Atoi(w.stat("evictions"))
	lines := strings.Count(x.read(), "\n")
	if lines != evicted {
		t.Fatalf("%d lines for %d evictions", lines, evicted)
	}
	w.ask(fmt.Sprintf("set last 0 0 1000\r\n%s\r\n", value))
	line := x.read()
	if !regexp.MustCompile(`^ts=\d+\.\d{6} gid=\d+ type=eviction key=key-\d+ fetch=no ttl=1000 la=0 clsid=\d+ size=1000\n$`).MatchString(line) {
		t.Errorf("got %q", line)
	}
}

func TestWatchConnections(t *testing.T) {
	w := newWorker(t, nil, nil)
	w.server.SetEngine(&engine{})
	x := w.watch(1, "connevents")
	w.Open(5, 0)
	w.EndBatch()
	x.want("type=conn_new rip=2001:db8::1 rport=4711 transport=tcp cfd=105")
	w.Closed(5, contract.ReasonIdle)
	w.EndBatch()
	x.want("type=conn_close rip=2001:db8::1 rport=4711 transport=tcp reason=idle_timeout cfd=105")
}

// TestWatchOthers: watchers on another worker get all events in order, and their worker is woken once however much there is.
func TestWatchOthers(t *testing.T) {
	w := newWorker(t, nil, func(c *proto.Config) { c.Settings.WorkerBuffer = 1 << 20 })
	o := w.second()
	e := &engine{}
	w.server.SetEngine(e)
	x, y := o.watch(1, "fetchers"), o.watch(2, "mutations fetchers")
	in := strings.Repeat("get a\r\n", 1000)
	w.data(in)
	for rest := in; rest != ""; {
		n, _ := w.data(rest)
		rest = rest[n:]
	}
	w.EndBatch()
	w.ask("get b\r\n")
	if !slices.Equal(e.wakes, []int{1}) {
		t.Errorf("woken were %v", e.wakes)
	}
	if n := strings.Count(y.read(), "\n"); n != 1021 {
		t.Errorf("%d lines", n)
	}
	if got := x.read(); strings.Count(got, "key=a") != 1020 || strings.Count(got, "key=b") != 1 || strings.Count(got, "\n") != 1021 {
		t.Errorf("%d lines", strings.Count(got, "\n"))
	}
	if o.Pending(); len(o.Pending()) != 0 {
		t.Errorf("still pending: %v", o.Pending())
	}
	w.ask("get c\r\n")
	if !slices.Equal(e.wakes, []int{1, 1}) {
		t.Errorf("woken were %v", e.wakes)
	}
	// Its own worker needs no waking.
	o.ask("get d\r\n")
	x.want("type=item_get key=c status=not_found clsid=0 cfd=100 size=0", "type=item_get key=d status=not_found clsid=0 cfd=200 size=0")
	if len(e.wakes) != 2 {
		t.Errorf("woken were %v", e.wakes)
	}
}

// TestWatchSince: a watcher sees nothing of what was before it watched, even if that was in the same batch.
func TestWatchSince(t *testing.T) {
	w := newWorker(t, nil, nil)
	first := w.watch(1, "")
	w.data("get before\r\n")
	second := w.watch(2, "")
	w.ask("get after\r\n")
	first.want("type=item_get key=before status=not_found clsid=0 cfd=-1 size=0", "type=item_get key=after status=not_found clsid=0 cfd=-1 size=0")
	second.want("type=item_get key=after status=not_found clsid=0 cfd=-1 size=0")
}

// TestWatchSkips: what does not fit is counted and told.
func TestWatchSkips(t *testing.T) {
	w := newWorker(t, nil, func(c *proto.Config) { c.Settings.WatcherBuffer = 1024 })
	x := w.watch(1, "")
	for range 100 {
		w.ask("get a\r\n")
	}
	lines := strings.Count(x.read(), "\n")
	if lines == 0 || lines > 16 {
		t.Fatalf("%d lines in 1024 bytes", lines)
	}
	skipped := strconv.Itoa(100 - lines)
	if got := w.stat("log_watcher_skipped"); got != skipped {
		t.Errorf("log_watcher_skipped %s, want %s", got, skipped)
	}
	w.ask("get b\r\n")
	x.want("skipped="+skipped+"\n", "type=item_get key=b status=not_found clsid=0 cfd=-1 size=0")
	for name, want := range map[string]string{
		"log_watchers": "1", "log_worker_written": "101", "log_worker_dropped": "0", "log_watcher_sent": strconv.Itoa(lines + 1),
	} {
		if got := w.stat(name); got != want {
			t.Errorf("%s %s, want %s", name, got, want)
		}
	}
	w.ask("stats reset\r\n")
	if got := w.stat("log_worker_written"); got != "0" {
		t.Errorf("log_worker_written %s after a reset", got)
	}
}

// TestWatchSmallLog: a batch with more events than the worker's buffer holds loses none.
func TestWatchSmallLog(t *testing.T) {
	w := newWorker(t, nil, func(c *proto.Config) { c.Settings.WorkerBuffer = 1024 })
	o := w.second()
	e := &engine{}
	w.server.SetEngine(e)
	x, y := w.watch(1, ""), o.watch(1, "")
	w.ask("get" + strings.Repeat(" a", 200) + "\r\n")
	for _, watcher := range []*watcher{x, y} {
		if n := strings.Count(watcher.read(), "\n"); n != 200 {
			t.Errorf("%d lines", n)
		}
	}
	if !slices.Equal(e.wakes, []int{1}) {
		t.Errorf("woken were %v", e.wakes)
	}
}

// TestWatchLimit: the number of watchers is limited, and closing makes room.
func TestWatchLimit(t *testing.T) {
	w := newWorker(t, nil, nil)
	for i := range uint32(20) {
		w.watch(1+i, "")
	}
	w.wantReply("watch\r\n", "WATCHER_TOO_MANY log watcher limit reached\r\n")
	w.wantReply("get a\r\n", "END\r\n") // it is no watcher
	w.Closed(7, contract.ReasonNormal)
	w.watch(30, "")
	for i := range uint32(20) {
		if conn := 1 + i; conn != 7 {
			w.Closed(conn, contract.ReasonNormal)
		}
	}
	w.Closed(30, contract.ReasonNormal)
	if got := w.stat("log_watchers"); got != "0" {
		t.Errorf("log_watchers %s", got)
	}
	w.ask("get a\r\n")
	if got := w.Pending(); len(got) != 0 {
		t.Errorf("pending %v", got)
	}
}

// TestWatchIsSilent: who watches is not listened to, and does not count as idle.
func TestWatchIsSilent(t *testing.T) {
	w := newWorker(t, nil, nil)
	if !w.Idle(0) {
		t.Error("a connection that does not watch may not be closed")
	}
	x := w.watch(1, "")
	x.out.Reset()
	if n, next := w.Data(1, []byte("get a\r\nquit\r\n"), &x.out); n != 13 || next != contract.More || len(x.out.Bytes) > 0 {
		t.Errorf("%d, %v, %q", n, next, x.out.Bytes)
	}
	w.EndBatch()
	x.want()
	if w.Idle(1) {
		t.Error("a watcher may be closed for silence")
	}
}

// TestWatchByDatagram: nobody can be told anything later.
func TestWatchByDatagram(t *testing.T) {
	w := newWorker(t, nil, nil)
	var out conversation.Output
	w.Datagram([]byte("\x00\x01\x00\x00\x00\x01\x00\x00watch\r\nstats conns\r\n"), &out)
	if string(out.Bytes) != "CLIENT_ERROR not over UDP\r\nCLIENT_ERROR not over UDP\r\n" {
		t.Errorf("got %q", out.Bytes)
	}
}

// TestWatchBroken: the end of a client that broke the protocol has another reason than that of one that quits.
func TestWatchBroken(t *testing.T) {
	w := newWorker(t, nil, nil)
	w.server.SetEngine(&engine{})
	x := w.watch(1, "connevents")
	for in, reason := range map[string]string{
		"quit\r\n":                   "normal",
		request(0x07, 0, "", "", ""): "normal",
		"get a\r\n":                  "normal",
		strings.Repeat("x", 5000):    "error",
		"GET / HTTP/1.1\r\n":         "error",
		request(0x0a, 0, "", "", "") + strings.Repeat("x", 24): "error",
		request(0x00, 0, "", strings.Repeat("k", 300), ""):     "error",
		request(0x01, 0, "", "k", ""):                          "error",
	} {
		w.Open(5, 0)
		var out conversation.Output
		for rest := []byte(in); len(rest) > 0; {
			n, next := w.Data(5, rest, &out)
			if rest = rest[n:]; next == contract.Close {
				break
			}
		}
		w.EndBatch()
		x.read()
		w.Closed(5, contract.ReasonNormal)
		w.EndBatch()
		x.want("type=conn_close rip=2001:db8::1 rport=4711 transport=tcp reason=" + reason + " cfd=105")
	}
}
