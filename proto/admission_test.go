package proto_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"ringcached/internal/contract"
	"ringcached/internal/conversation"
)

// hold begins something that takes long on a connection whose client does not read, and gives what is left of the request.
func (w *worker) hold(conn uint32, in string) (out *conversation.Output, rest string) {
	w.t.Helper()
	w.Open(conn, 0)
	out = &conversation.Output{Limit: 1}
	n, next := w.Data(conn, []byte(in), out)
	if next != contract.Yield && next != contract.Wait || n >= len(in) {
		w.t.Fatalf("%q: %d, %v, %q", in, n, next, out.Bytes)
	}
	return out, in[n:]
}

// number is a line of `stats`.
func (w *worker) number(name string) int {
	w.t.Helper()
	n, err := strconv.Atoi(w.stat(name))
	if err != nil {
		w.t.Fatalf("%s: %v", name, err)
	}
	return n
}

// TestRequestsLookAtLittle: what small requests make the server look at goes with what they show, not with what there is.
func TestRequestsLookAtLittle(t *testing.T) {
	w := newWorker(t, nil, nil)
	fillStore(w, 20_000, "0")
	for _, c := range []struct {
		request string
		most    int
	}{
		{"stats sizes\r\n", 0},
		{"stats cachedump 40 0\r\n", 0},
		{"lru_crawler metadump 40\r\n", 0},
		{"lru_crawler mgdump 2,3,40\r\n", 0},
		{"stats cachedump 1 1\r\n", 200},
		{"stats cachedump 1 100\r\n", 300},
	} {
		before := w.number("walks_looked")
		w.ask(c.request)
		if n := w.number("walks_looked") - before; n > c.most {
			t.Errorf("%q: looked at %d buckets and chunks", c.request, n)
		}
	}
}

// TestDumpsAreBounded: one dump too many gets an error; a client that does not read keeps others out for a while only, and does not get a dump with
// a hole in it.
func TestDumpsAreBounded(t *testing.T) {
	w := newWorker(t, nil, nil)
	w.server.SetEngine(&engine{})
	fillStore(w, 5000, "0")
	const most = 4
	for conn := uint32(1); conn <= most; conn++ {
		w.hold(conn, "lru_crawler metadump all\r\n")
	}
	const busy = "BUSY currently processing crawler request\r\n"
	w.wantReply("lru_crawler metadump all\r\n", busy)
	w.wantReply("lru_crawler mgdump 1\r\nlru_crawler metadump 40\r\n", busy+busy)
	if got := w.stat("walks_running") + w.stat("walks_refused"); got != "43" {
		t.Errorf("running, refused: %s", got)
	}
	w.Closed(1, contract.ReasonNormal)
	w.wantReply("lru_crawler metadump 40\r\n", "OK\r\nEND\r\n")

	w.store.SetNow(w.store.Now() + 5)
	w.hold(1, "lru_crawler metadump all\r\n")
	w.wantReply("lru_crawler metadump 40\r\n", busy)
	w.store.SetNow(w.store.Now() + 5)
	w.wantReply("lru_crawler metadump 40\r\n", "OK\r\nEND\r\n")
	w.EndBatch()
	if got := w.stat("walks_running") + w.stat("walks_expelled") + w.stat("lru_crawler_running"); got != "131" {
		t.Errorf("running, expelled, crawler running: %s", got)
	}
	var out conversation.Output
	if n, next := w.Data(2, []byte("\n"), &out); next != contract.Close || len(out.Bytes) > 0 {
		t.Errorf("one that was held up: %d, %v, %q", n, next, out.Bytes)
	}
	for conn := uint32(1); conn <= most; conn++ {
		w.Closed(conn, contract.ReasonNormal)
	}
	if got := w.LongReplies() + w.number("walks_running"); got != 0 {
		t.Errorf("%d are left", got)
	}
}

// TestReportsWaitTheirTurn: of long replies that are no dumps some are made at a time, in the order in which they were asked for.
func TestReportsWaitTheirTurn(t *testing.T) {
	w := newWorker(t, nil, nil)
	fillStore(w, 5000, "0")
	const most, all = 4, 12
	for conn := uint32(1); conn <= all; conn++ {
		w.hold(conn, "stats cachedump 1 0\r\n")
	}
	if got := w.stat("walks_running") + w.stat("walks_waiting"); got != "48" {
		t.Errorf("running, waiting: %s", got)
	}
	turn := func(conn uint32) bool {
		t.Helper()
		var out conversation.Output
		w.EndBatch()
		_, next := w.Data(conn, []byte("\n"), &out)
		return next == contract.More
	}
	for range 1000 { // the last has to wait, however often it looks, and is not to look all the time
		w.EndBatch()
		if _, next := w.Data(all, []byte("\n"), &conversation.Output{}); next != contract.Wait {
			t.Fatalf("a client that has to wait: %v", next)
		}
	}
	w.Closed(1, contract.ReasonNormal)
	w.Closed(all, contract.ReasonNormal)
	for conn := uint32(2); conn < all; conn++ {
		turns := 0
		for ; !turn(conn); turns++ {
			if turns > 10_000 {
				t.Fatalf("connection %d waits", conn)
			}
		}
	}
	if n := w.number("walks_waiting") + w.LongReplies(); n != 0 {
		t.Errorf("%d wait or are left", n)
	}
}

// TestReportHeldUp: those who do not read lose their place to one who waits.
func TestReportHeldUp(t *testing.T) {
	w := newWorker(t, nil, nil)
	w.server.SetEngine(&engine{})
	fillStore(w, 5000, "0")
	for conn := uint32(1); conn <= 4; conn++ {
		w.hold(conn, "stats cachedump 1 0\r\n")
	}
	_, rest := w.hold(5, "stats cachedump 1 1\r\n")
	w.store.SetNow(w.store.Now() + 10)
	var out conversation.Output
	for turns := 0; rest != ""; turns++ {
		w.EndBatch()
		n, _ := w.Data(5, []byte(rest), &out)
		if rest = rest[n:]; turns > 100 {
			t.Fatal("does not get its turn")
		}
	}
	if got := string(out.Bytes); !strings.HasPrefix(got, "ITEM ") || !strings.HasSuffix(got, "END\r\n") {
		t.Errorf("got %q", got)
	}
}

// TestLongRepliesShareABatch: however many long replies there are and however many quanta they get, their steps in a batch are bounded.
func TestLongRepliesShareABatch(t *testing.T) {
	w := newWorker(t, nil, nil)
	fillStore(w, 20_000, "0")
	var outs [5]conversation.Output
	for conn := uint32(1); conn <= 4; conn++ {
		w.Open(conn, 0)
		w.Data(conn, []byte("lru_crawler metadump 1\r\n"), &outs[conn])
	}
	w.EndBatch()
	before := w.number("walks_looked")
	for range 100 {
		for conn := uint32(1); conn <= 4; conn++ {
			w.Data(conn, []byte("\n"), &outs[conn])
		}
	}
	if n := w.number("walks_looked") - before; n == 0 || n > 32*16 {
		t.Errorf("looked at %d chunks in a batch", n)
	}
}

// TestPrefixesTakeTurns: a long list of prefixes comes in turns, in order and whole, to text and binary clients.
func TestPrefixesTakeTurns(t *testing.T) {
	const n, turn = 4000, 40_000
	w := newWorker(t, nil, nil)
	w.ask("stats detail on\r\n")
	for i := range n {
		w.ask(fmt.Sprintf("get prefix-%04d:x\r\n", i*7%n))
	}
	want := textOfPrefixes(n)
	for _, in := range []string{"stats detail dump\r\n", request(0x10, 0, "", "detail dump", "")} {
		w.Closed(0, contract.ReasonNormal)
		w.Open(0, 0)
		got := ""
		for rest, turns := in, 0; rest != ""; turns++ {
			w.out.Reset()
			used, _ := w.data(rest)
			rest = rest[used:]
			if w.EndBatch(); len(w.out.Bytes) > turn || turns > 10_000 {
				t.Fatalf("%q: %d bytes in turn %d", in, len(w.out.Bytes), turns)
			}
			got += string(w.out.Bytes)
		}
		const head = 24
		if in[0] == 0x80 {
			got = strings.TrimPrefix(got[head:len(got)-head], "detailed")
		}
		if got != want {
			t.Errorf("%.30q: got %d bytes, want %d", in, len(got), len(want))
		}
	}
}

// textOfPrefixes is what TestPrefixesTakeTurns expects.
func textOfPrefixes(n int) (text string) {
	for i := range n {
		text += fmt.Sprintf("PREFIX prefix-%04d get 1 hit 0 set 0 del 0\r\n", i)
	}
	return text + "END\r\n"
}
