package proto_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"ringcached/internal/contract"
	"ringcached/store"
)

// TestMetaInterrupted: an ms whose client goes away in the middle of the value gives back its item and its opaque's place.
func TestMetaInterrupted(t *testing.T) {
	w := newWorker(t, nil, nil)
	for i := range 1000 {
		w.Open(uint32(i), 0)
		w.Data(uint32(i), fmt.Appendf(nil, "ms key%d 100000 Oopaque-%d k\r\nbegin", i, i), &w.out)
	}
	for i := range 1000 {
		w.Closed(uint32(i), contract.ReasonNormal)
	}
	w.wantEmpty()
	if n := w.OpaquesInUse(); n != 0 {
		t.Errorf("%d opaques are still kept", n)
	}
}

// TestOpaquesInterleave: many connections send values byte by byte, each with its own opaque.
func TestOpaquesInterleave(t *testing.T) {
	w := newWorker(t, nil, nil)
	const conns = 50
	requests := make([]string, conns)
	got := make([]string, conns)
	for i := range requests {
		w.Open(uint32(i), 0)
		requests[i] = fmt.Sprintf("ms key%d 3 k O%d s\r\nabc\r\n", i, i*i*1000)
	}
	var pending [conns]string
	for at := 0; ; at++ {
		done := true
		for i, r := range requests {
			if at >= len(r) {
				continue
			}
			done = false
			pending[i] += r[at : at+1]
			w.out.Reset()
			n, _ := w.Data(uint32(i), []byte(pending[i]), &w.out)
			pending[i] = pending[i][n:]
			got[i] += string(w.out.Bytes)
		}
		if done {
			break
		}
	}
	for i := range got {
		if want := fmt.Sprintf("HD kkey%d O%d s3\r\n", i, i*i*1000); got[i] != want {
			t.Errorf("got %q, want %q", got[i], want)
		}
	}
	if n := w.OpaquesInUse(); n != 0 {
		t.Errorf("%d opaques are still kept", n)
	}
}

// TestNoopFlushes: mn and Noop end what was gathered, so that a client that waits for them gets it.
func TestNoopFlushes(t *testing.T) {
	for _, c := range []struct{ first, second, reply string }{
		{"mg a\r\nmn\r\n", "mg b\r\n", "EN\r\nMN\r\n"},
		{request(0x09, 0, "", "a", "") + request(0x0a, 0, "", "", ""), request(0x09, 0, "", "b", ""), "\x81\x0a\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00tag.\x00\x00\x00\x00\x00\x00\x00\x00"},
	} {
		w := newWorker(t, nil, nil)
		n, next := w.data(c.first + c.second)
		if n != len(c.first) || next != contract.Yield || string(w.out.Bytes) != c.reply {
			t.Fatalf("n=%d next=%v %q", n, next, w.out.Bytes)
		}
		if n, next := w.data(c.second); n != len(c.second) || next != contract.More {
			t.Fatalf("n=%d next=%v", n, next)
		}
		if n, next := w.data(c.first); n != len(c.first) || next != contract.More {
			t.Fatalf("n=%d next=%v: nothing is left, so there is nothing to yield for", n, next)
		}
		w.Closed(0, contract.ReasonNormal)
		w.Open(0, 0)
		if got := w.stat("conn_yields"); got != "0" {
			t.Errorf("conn_yields %s: those were not quanta of others", got)
		}
	}
}

// full is a worker whose store must not evict and has no room; the last key that fitted is key.
func full(t *testing.T) (w *worker, key string) {
	w = newWorker(t, func(c *store.Config) { c.NoEvict, c.Limit = true, 8<<20 }, nil)
	for i := 0; ; i++ {
		name := fmt.Sprintf("key%d", i)
		if w.ask(fmt.Sprintf("ms %s 10000 E7 q\r\n%s\r\n", name, strings.Repeat("v", 10_000))) != "" {
			return w, key
		}
		key = name
	}
}

// TestMetaOutOfMemory: a store that must not evict has no memory left.
func TestMetaOutOfMemory(t *testing.T) {
	w, key := full(t)
	body := "\r\n" + strings.Repeat("v", 10_000) + "\r\n"
	w.wantReply("ms "+key+" 10000 q k"+body, "SERVER_ERROR out of memory storing object\r\n")
	w.wantReply("mg "+key+" k\r\n", "EN k"+key+"\r\n")
	// There is memory for what is to be appended now, but not for both.
	w.wantReply("ms key0 10000 MA q"+body, "NS\r\n")
	if got := w.stat("store_no_memory"); got != "2" {
		t.Errorf("store_no_memory %s", got)
	}
	if n := w.OpaquesInUse(); n != 0 {
		t.Errorf("%d opaques are still kept", n)
	}
}

// TestSmallOutOfMemory: there is no memory for what mg, ma and md make.
func TestSmallOutOfMemory(t *testing.T) {
	w := newWorker(t, func(c *store.Config) { c.NoEvict, c.Limit, c.ItemMax = true, 8<<20, 1<<20 }, nil)
	w.ask("set big 0 0 100000\r\n" + strings.Repeat("b", 100_000) + "\r\nset number 0 0 1\r\n9\r\n")
	for _, size := range []int{100_000, 1000, 1, 0} {
		for i := 0; w.ask(fmt.Sprintf("set k%d-%d 0 0 %d\r\n%s\r\n", size, i, size, strings.Repeat("v", size))) == "STORED\r\n"; i++ {
		}
	}
	for _, c := range []struct{ in, want string }{
		{"mg new N30 v\r\n", "EN\r\n"},
		{"ma new N0 q\r\n", "SERVER_ERROR Out of memory allocating new item\r\n"},
		{"md big I E5 q\r\n", "SERVER_ERROR out of memory\r\n"},
		{"md big x q\r\n", "SERVER_ERROR out of memory\r\n"},
		{"ma number q E5\r\n", "SERVER_ERROR out of memory\r\n"},
		{"ma number D2000000000000\r\n", "SERVER_ERROR out of memory\r\n"},
		{"mg number v\r\n", "VA 1\r\n9\r\n"},
		{"mg big s\r\n", "HD s100000\r\n"},
		{"ms big 0 MA\r\n\r\n", "SERVER_ERROR out of memory storing object\r\n"},
	} {
		w.wantReply(c.in, c.want)
	}
}

// TestMetaReplyFits: the longest lines that there can be.
func TestMetaReplyFits(t *testing.T) {
	w := newWorker(t, nil, nil)
	w.out.Tight = true
	key := strings.Repeat("////", 61) + "//8="
	opaque := strings.Repeat("o", 31)
	in := fmt.Sprintf("ms %s 1 b k O%s c s E%d F%d T2000000\r\n1\r\n", key, opaque, uint64(math.MaxUint64), uint32(math.MaxUint32))
	w.wantReply(in, fmt.Sprintf("HD k%s b O%s c%d s1\r\n", key, opaque, uint64(math.MaxUint64)))
	in = fmt.Sprintf("mg %s b k O%s s v t c f l h q u R2147483647\r\n", key, opaque)
	want := fmt.Sprintf("VA 1 k%s b O%s s1 t2000000 c%d f%d l0 h0 W\r\n1\r\n", key, opaque, uint64(math.MaxUint64), uint32(math.MaxUint32))
	w.wantReply(in, want)
	in = fmt.Sprintf("ma %s b k O%s v t c D%d\r\n", key, opaque, uint64(math.MaxUint64)-1)
	if got := w.ask(in); !strings.HasPrefix(got, "VA 20 k"+key+" b O"+opaque) || !strings.HasSuffix(got, "\r\n18446744073709551615\r\n") {
		t.Errorf("got %q", got)
	}
}
