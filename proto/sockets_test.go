package proto_test

import (
	"strings"
	"testing"

	"ringcached/internal/conversation"
	"ringcached/proto"
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
		if next != proto.Yield || len(w.out.Bytes) > 0 {
			t.Fatalf("%v, %q", next, w.out.Bytes)
		}
		w.EndBatch()
	}
	if len(e.wakes) != 1 || e.wakes[0] != 1 {
		t.Errorf("woken were %v", e.wakes)
	}
	o.EndBatch()
	if n, next := w.data(rest); n != len(rest) || next != proto.More {
		t.Errorf("%d, %v", n, next)
	}
	if got := string(w.out.Bytes); got != twoWorkers+"END\r\n" {
		t.Errorf("got\n%s", got)
	}
}

// TestStatsConnsOfSeveral: clients that ask at different times are answered by different censuses; one that does not fetch its answer, and one
// that leaves, are in nobody's way.
func TestStatsConnsOfSeveral(t *testing.T) {
	w := newWorker(t, nil, nil)
	o := w.second()
	w.server.SetEngine(&engine{})
	var first, second conversation.Output
	w.Open(1)
	o.Open(1)
	w.Data(1, []byte("stats conns\r\n"), &first)
	if _, next := o.Data(1, []byte("stats conns\r\n"), &second); next != proto.Yield {
		t.Fatalf("%v", next)
	}
	o.EndBatch() // answers the first
	if _, next := o.Data(1, []byte("\n"), &second); next != proto.Yield {
		t.Fatalf("%v", next)
	}
	w.EndBatch() // answers the second
	if _, next := o.Data(1, []byte("\n"), &second); next != proto.More || !strings.HasSuffix(string(second.Bytes), "END\r\n") {
		t.Fatalf("%v, %q", next, second.Bytes)
	}
	if _, next := w.Data(1, []byte("\n"), &first); next != proto.More || len(first.Bytes) != len(second.Bytes) {
		t.Fatalf("%v, %q", next, first.Bytes)
	}

	w.data("stats conns\r\n")
	w.Closed(0)
	o.EndBatch()
	if _, next := o.Data(1, []byte("stats conns\r\n"), &second); next != proto.Yield {
		t.Fatalf("%v", next)
	}
	w.EndBatch()
	second.Reset()
	if _, next := o.Data(1, []byte("\n"), &second); next != proto.More || len(second.Bytes) == 0 {
		t.Errorf("%v, %q", next, second.Bytes)
	}
	w.Open(0) // its number is another's now
	if got := w.ask("get a\r\n"); got != "END\r\n" {
		t.Errorf("got %q", got)
	}
}

// TestStatsConnsOfMany: all who asked before a census began share it, also with those who have left; nobody waits for his turn at one of
// his own.
func TestStatsConnsOfMany(t *testing.T) {
	const n = 20
	w := newWorker(t, nil, nil)
	o := w.second()
	e := &engine{}
	w.server.SetEngine(e)
	ask := func(conn uint32, in string) (string, proto.Next) {
		var out conversation.Output
		_, next := w.Data(conn, []byte(in), &out)
		return string(out.Bytes), next
	}
	for conn := range uint32(n) {
		w.Open(conn + 1)
		if got, next := ask(conn+1, "stats conns\r\n"); next != proto.Yield || got != "" {
			t.Fatalf("connection %d: %v, %q", conn+1, next, got)
		}
	}
	w.Closed(2)
	o.EndBatch() // the census of the first
	for conn := uint32(1); conn <= n; conn++ {
		if conn == 2 {
			continue
		}
		got, next := ask(conn, "\n")
		if answered := next == proto.More && strings.HasSuffix(got, "END\r\n"); answered != (conn == 1) {
			t.Fatalf("connection %d after one census: %v, %q", conn, next, got)
		}
	}
	o.EndBatch() // that of all others
	for conn := uint32(3); conn <= n; conn++ {
		if got, next := ask(conn, "\n"); next != proto.More || !strings.HasSuffix(got, "END\r\n") {
			t.Fatalf("connection %d after two: %v, %q", conn, next, got)
		}
	}
	if len(e.wakes) != 2 {
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
