package proto_test

import (
	"strings"
	"testing"

	"ringcached/internal/contract"
	"ringcached/internal/conversation"
)

const twoWorkers = "STAT 3:addr tcp:127.0.0.1:11211\r\n" +
	"STAT 3:state conn_listening\r\n" +
	"STAT 3:secs_since_last_cmd 100\r\n" +
	"STAT 4:addr tcp:127.0.0.1:11211\r\n" +
	"STAT 4:state conn_listening\r\n" +
	"STAT 4:secs_since_last_cmd 100\r\n" +
	"STAT 100:addr tcp6:[2001:db8::1]:4711\r\n" +
	"STAT 100:listen_addr tcp:127.0.0.1:11211\r\n" +
	"STAT 100:state conn_parse_cmd\r\n" +
	"STAT 100:secs_since_last_cmd 7\r\n" +
	"STAT 200:addr tcp6:[2001:db8::1]:4711\r\n" +
	"STAT 200:listen_addr tcp:127.0.0.1:11211\r\n" +
	"STAT 200:state conn_nread\r\n" +
	"STAT 200:secs_since_last_cmd 7\r\n" +
	"END\r\n"

// TestStatsConns: the answer waits until all workers have told what is theirs, and what comes behind it waits too.
func TestStatsConns(t *testing.T) {
	w := newWorker(t, nil, nil)
	o := w.second()
	e := &engine{}
	w.server.SetEngine(e)
	o.data("set a 0 0 10\r\n123")

	rest := "stats conns\r\nget b\r\n"
	for range 3 {
		n, next := w.data(rest)
		rest = rest[n:]
		if next != contract.Yield || len(w.out.Bytes) > 0 {
			t.Fatalf("%v, %q", next, w.out.Bytes)
		}
		w.EndBatch()
	}
	if len(e.wakes) != 1 || e.wakes[0] != 1 {
		t.Errorf("woken were %v", e.wakes)
	}
	o.EndBatch()
	if n, next := w.data(rest); n != len(rest) || next != contract.More {
		t.Errorf("%d, %v", n, next)
	}
	if got := string(w.out.Bytes); got != twoWorkers+"END\r\n" {
		t.Errorf("got\n%s", got)
	}
}

// TestStatsConnsOfSeveral: clients that ask at different times are answered by different snapshots; one that does not fetch its answer, and
// one that leaves, are in nobody's way.
func TestStatsConnsOfSeveral(t *testing.T) {
	w := newWorker(t, nil, nil)
	o := w.second()
	w.server.SetEngine(&engine{})
	var first, second conversation.Output
	w.Open(1, 0)
	o.Open(1, 0)
	w.Data(1, []byte("stats conns\r\n"), &first)
	if _, next := o.Data(1, []byte("stats conns\r\n"), &second); next != contract.Yield {
		t.Fatalf("%v", next)
	}
	o.EndBatch() // answers the first
	if _, next := o.Data(1, []byte("\n"), &second); next != contract.Yield {
		t.Fatalf("%v", next)
	}
	w.EndBatch() // answers the second
	if _, next := o.Data(1, []byte("\n"), &second); next != contract.More || !strings.HasSuffix(string(second.Bytes), "END\r\n") {
		t.Fatalf("%v, %q", next, second.Bytes)
	}
	if _, next := w.Data(1, []byte("\n"), &first); next != contract.More || len(first.Bytes) != len(second.Bytes) {
		t.Fatalf("%v, %q", next, first.Bytes)
	}

	w.data("stats conns\r\n")
	w.Closed(0, contract.ReasonNormal)
	o.EndBatch()
	if _, next := o.Data(1, []byte("stats conns\r\n"), &second); next != contract.Yield {
		t.Fatalf("%v", next)
	}
	w.EndBatch()
	second.Reset()
	if _, next := o.Data(1, []byte("\n"), &second); next != contract.More || len(second.Bytes) == 0 {
		t.Errorf("%v, %q", next, second.Bytes)
	}
	w.Open(0, 0) // its number is another's now
	if got := w.ask("get a\r\n"); got != "END\r\n" {
		t.Errorf("got %q", got)
	}
}

// TestStatsConnsOfMany: a bounded number of answers is made at a time, and those that begin together share a snapshot, also with one that has left.
func TestStatsConnsOfMany(t *testing.T) {
	const n, most = 20, 4
	w := newWorker(t, nil, nil)
	o := w.second()
	w.server.SetEngine(&engine{})
	answered := map[uint32]bool{}
	ask := func(conn uint32, in string) {
		t.Helper()
		var out conversation.Output
		if _, next := w.Data(conn, []byte(in), &out); next != contract.Yield && next != contract.Wait {
			if got := string(out.Bytes); next != contract.More || strings.Count(got, "STAT") != strings.Count(twoWorkers, "STAT") || !strings.HasSuffix(got, "\r\nEND\r\n") {
				t.Fatalf("connection %d: %v, %q", conn, next, got)
			}
			answered[conn] = true
		}
	}
	for conn := uint32(1); conn <= n; conn++ {
		w.Open(conn, 0)
		ask(conn, "stats conns\r\n")
	}
	w.Closed(2, contract.ReasonNormal)
	for snapshots := 1; len(answered) < n-1; snapshots++ {
		o.EndBatch()
		for range 20 {
			w.EndBatch()
			for conn := uint32(1); conn <= n; conn++ {
				if conn != 2 && !answered[conn] {
					ask(conn, "\n")
				}
			}
		}
		if snapshots > 2*n/most+2 {
			t.Fatalf("%d answers after %d snapshots", len(answered), snapshots)
		}
	}
	if got := w.stat("walks_running") + w.stat("walks_waiting"); got != "00" {
		t.Errorf("running, waiting: %s", got)
	}
}

// TestStatsConnsInSlices: of many connections a worker tells some in a batch, and sees to it that there is another one; the answer comes in turns.
func TestStatsConnsInSlices(t *testing.T) {
	const n, slice, turn = 1000, 100, 64 << 10
	w := newWorker(t, nil, nil)
	o := w.second()
	e := &engine{conns: n}
	w.server.SetEngine(e)
	for conn := range uint32(n) {
		w.Open(conn, 0)
		o.Open(conn, 0)
	}
	rest, got := "stats conns\r\n", ""
	for turns := 0; rest != ""; turns++ {
		for _, one := range []*worker{w, o} {
			before := e.told
			one.EndBatch()
			if e.told-before > slice {
				t.Fatalf("told of %d sockets in a batch", e.told-before)
			}
		}
		w.out.Reset()
		used, next := w.data(rest)
		if len(w.out.Bytes) > turn || turns > 10_000 {
			t.Fatalf("%d bytes in turn %d", len(w.out.Bytes), turns)
		}
		got += string(w.out.Bytes)
		if rest = rest[used:]; (next == contract.Yield) != (rest != "") {
			t.Fatalf("%v, %q is left", next, rest)
		}
	}
	if told := strings.Count(got, ":state "); told != 2*n+2 || !strings.HasSuffix(got, "END\r\n") {
		t.Errorf("%d sockets, the last %.60q", told, got[max(0, len(got)-60):])
	}
	if len(e.wakes) < 2*n/slice {
		t.Errorf("woken %d times", len(e.wakes))
	}
}

// TestStatsConnsWhileStopping: a worker that is not served any more is not waited for.
func TestStatsConnsWhileStopping(t *testing.T) {
	w := newWorker(t, nil, nil)
	w.second()
	w.server.SetEngine(&engine{stopping: true})
	got := w.ask("stats conns\r\n")
	if !strings.HasPrefix(got, "STAT 3:addr") || strings.Contains(got, "STAT 4:addr") || !strings.HasSuffix(got, "END\r\n") {
		t.Errorf("got\n%s", got)
	}
}

// TestStatConns is the same in the binary protocol.
func TestStatConns(t *testing.T) {
	w := newWorker(t, nil, nil)
	w.server.SetEngine(&engine{})
	got := w.ask(request(0x10, 0, "", "conns", ""))
	var names, values []string
	for rest := got; rest != ""; {
		key, body := int(rest[3]), int(rest[10])<<8+int(rest[11])
		names, values = append(names, rest[24:24+key]), append(values, rest[24+key:24+body])
		rest = rest[24+body:]
	}
	if n := strings.Join(names, " "); n != "3:addr 3:state 3:secs_since_last_cmd 100:addr 100:listen_addr 100:state 100:secs_since_last_cmd " {
		t.Errorf("names %q", n)
	}
	if v := strings.Join(values, " "); v != "tcp:127.0.0.1:11211 conn_listening 100 tcp6:[2001:db8::1]:4711 tcp:127.0.0.1:11211 conn_parse_cmd 7 " {
		t.Errorf("values %q", v)
	}
}
