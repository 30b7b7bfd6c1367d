package proto_test

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"ringcached/internal/contract"
	"ringcached/proto"
)

// datagram puts the head of request id, of one datagram, before a request.
func datagram(id byte, request string) []byte {
	return append([]byte{0, id, 0, 0, 0, 1, 0, 0}, request...)
}

func TestDatagram(t *testing.T) {
	w := newWorker(t, nil, nil)
	pipeline := strings.Repeat("get a\r\n", 100) // more than -R: nobody else waits here
	for _, c := range []struct{ request, want string }{
		{"set a 0 0 2\r\nhi\r\n", "STORED\r\n"},
		{"get a\r\n", "VALUE a 0 2\r\nhi\r\nEND\r\n"},
		{"get a", ""},               // no whole line
		{"set b 0 0 100\r\nhi", ""}, // no whole value
		{"get b\r\n", "END\r\n"},    // nothing of it stayed
		{"set c 0 0 1 noreply\r\n1\r\n", ""},
		{"nonsense\r\nget a\r\n", ""},
		{"get a\r\nnonsense\r\nget a\r\n", "VALUE a 0 2\r\nhi\r\nEND\r\n"},
		{"set a\r\n", "CLIENT_ERROR bad command line format\r\n"}, // a command's name makes a request
		{pipeline, strings.Repeat("VALUE a 0 2\r\nhi\r\nEND\r\n", 100)},
		{"quit\r\n", ""},
		{"mg a v k Omine\r\nmn\r\nmg b\r\n", "VA 2 ka Omine\r\nhi\r\nMN\r\nEN\r\n"},
		{"ms b 100 Omine\r\nhi", ""},
		{"lru_crawler metadump all\r\n", "CLIENT_ERROR not over UDP\r\n"},
		{"lru_crawler mgdump all\r\n", "CLIENT_ERROR not over UDP\r\n"},
		{"stats cachedump 1 0\r\n", "CLIENT_ERROR not over UDP\r\n"},
		{request(0x10, 0, "", "sizes", ""), reply(0x10, 4, "Invalid arguments")},
		{"stats sizes\r\n", "CLIENT_ERROR not over UDP\r\n"},
		{"stats detail dump\r\n", "CLIENT_ERROR not over UDP\r\n"},
		{request(0x10, 0, "", "detail dump", ""), reply(0x10, 4, "Invalid arguments")},
		{request(0x0a, 0, "", "", "") + request(0x00, 0, "", "none", ""), reply(0x0a, 0, "") + reply(0x00, 1, "Not found")},
		{request(0x01, 0, storeExtras, "d", "value")[:36], ""},
		{request(0x07, 0, "", "", "") + request(0x0a, 0, "", "", ""), reply(0x07, 0, "")},
	} {
		w.out.Reset()
		w.Datagram(datagram(1, c.request), &w.out)
		if got := string(w.out.Bytes); got != c.want {
			t.Errorf("%.40q: got %.80q, want %.80q", c.request, got, c.want)
		}
	}
	for _, in := range []string{"", "short", "\x00\x01\x00\x00\x00\x01\x00\x00", "\x00\x01\x00\x00\x00\x02\x00\x00get a\r\n"} {
		w.out.Reset()
		w.Datagram([]byte(in), &w.out)
		if len(w.out.Bytes) > 0 {
			t.Errorf("%q was answered with %q", in, w.out.Bytes)
		}
	}
	w.out.Reset()
	w.ask("delete a\r\ndelete c\r\n")
	w.wantEmpty()
	if n := w.OpaquesInUse(); n != 0 {
		t.Errorf("%d opaques are still kept", n)
	}
}

// TestDatagramFull asks for more than replies may hold.
func TestDatagramFull(t *testing.T) {
	w := newWorker(t, nil, nil)
	w.ask("set a 0 0 1000\r\n" + strings.Repeat("a", 1000) + "\r\n")
	w.out.Reset()
	w.out.Limit = 10_000
	w.wantSilence(string(datagram(1, "get"+strings.Repeat(" a", 10_000))))
	w.out.Reset()
	w.Datagram(datagram(1, "get"+strings.Repeat(" a", 10_000)+"\r\n"), &w.out)
	got := string(w.out.Bytes)
	if got != "SERVER_ERROR reply too large for UDP\r\n" {
		t.Errorf("%d bytes, at the end %q", len(got), got[max(0, len(got)-60):])
	}
}

// TestBinaryDatagramFull is the same with binary requests.
func TestBinaryDatagramFull(t *testing.T) {
	w := newWorker(t, nil, nil)
	w.ask("set a 0 0 1000\r\n" + strings.Repeat("a", 1000) + "\r\n")
	w.out.Reset()
	w.out.Limit = 10_000
	w.Datagram(datagram(1, strings.Repeat(request(0x00, 0, "", "a", ""), 2000)), &w.out)
	if got := string(w.out.Bytes); got != reply(0x00, 3, "Too large.") {
		t.Errorf("%d bytes, at the end %q", len(got), got[max(0, len(got)-60):])
	}
}

// TestGuestsAreStrangers: where clients have to authenticate a datagram is not answered, as it cannot say who sent it.
func TestGuestsAreStrangers(t *testing.T) {
	w := newWorker(t, nil, func(c *proto.Config) { c.Auth = &guard{} })
	w.wantReply("set k 0 0 3\r\nu p\r\n", "STORED\r\n") // to be told of numbers
	for _, in := range []string{"get a\r\n", "set a 0 0 3\r\nu p\r\n", "CLIENT_ERROR unauthenticated\r\n", request(0x0b, 0, "", "", ""), request(0x21, 0, "", "PLAIN", "\x00u\x00p")} {
		w.wantSilence(string(datagram(1, in)))
	}
}

// TestDatagramsThatAreNoRequests: what another server may have said, or nobody means, has no reply, and is counted.
func TestDatagramsThatAreNoRequests(t *testing.T) {
	w := newWorker(t, nil, nil)
	w.ask("set a 0 0 2\r\nhi\r\n")
	long := "get" + strings.Repeat(" a", 2000)
	for _, in := range []string{
		"", "\x00\x01\x00\x00\x00\x01\x00", string(datagram(1, "")), "\x00\x01\x00\x00\x00\x02\x00\x00get a\r\n", "\x00\x01\x00\x00\x00\x00\x00\x00get a\r\n",
	} {
		w.wantSilence(in)
	}
	for _, in := range []string{
		"ERROR\r\n", "CLIENT_ERROR bad command line format\r\n", "SERVER_ERROR reply too large for UDP\r\n", "END\r\n", "STORED\r\n", "5\r\n", "\r\n", "\n", "HD\r\n",
		"MN\r\n", "EN\r\n", "VERSION 1.6.45\r\n", "VALUE a 0 7\r\nget a\r\nEND\r\n", "VA 7 ka\r\nget a\r\n\r\n", "STAT pid 1\r\nEND\r\n", "GET / HTTP/1.1\r\n\r\n",
		"get a", "set a 0 0 100\r\nhi", long, long[:len(long)-2], "get " + strings.Repeat("k", 3000), "gat 0" + strings.Repeat(" a", 2000), strings.Repeat("x", 3000), "x", "\x00",
		"\x81" + request(0x0b, 0, "", "", "")[1:], request(0x30, 0, "", "", ""), request(0x1f, 0, "", "a", "bc"), request(0x00, 0, "", "", ""), request(0x20, 0, "", "", ""),
		request(0x0b, 0, "", "", "")[:23], request(0x00, 0, "", "key", "")[:26],
		"\x80\x00\x00\x10\x08\x00\x00\x00\x00\x00\x00\x01" + strings.Repeat("\x00", 12), // a key longer than the body
	} {
		w.wantSilence(string(datagram(1, in)))
	}
}

// wantSilence presents a datagram that is to have no reply, and looks whether it is counted.
func (w *worker) wantSilence(in string) {
	w.t.Helper()
	before := w.batchStat("datagrams_ignored")
	w.out.Reset()
	w.Datagram([]byte(in), &w.out)
	if len(w.out.Bytes) > 0 {
		w.t.Errorf("%.40q was answered with %.80q", in, w.out.Bytes)
	}
	w.EndBatch()
	w.out.Flush(w.t, w.Worker)
	if n := w.batchStat("datagrams_ignored") - before; n != 1 {
		w.t.Errorf("%.40q: counted %d times", in, n)
	}
}

// batchStat is a number of "stats batch".
func (w *worker) batchStat(name string) int {
	w.t.Helper()
	_, rest, ok := strings.Cut(w.ask("stats batch\r\n"), "STAT "+name+" ")
	value, _, _ := strings.Cut(rest, "\r\n")
	n, err := strconv.Atoi(value)
	if !ok || err != nil {
		w.t.Fatalf("%s is %q", name, value)
	}
	return n
}

// TestNoAdministrationByDatagram: what changes the server for everybody, or is about other clients, is refused, in every protocol.
func TestNoAdministrationByDatagram(t *testing.T) {
	w := newWorker(t, nil, func(c *proto.Config) {
		c.Shutdown = func(bool) { t.Error("shutdown is done") }
		c.Settings.Crawler, c.Settings.SlabReassign = true, true
	})
	w.ask("set a 0 0 2\r\nhi\r\nverbosity 1\r\nstats sizes_enable\r\n")
	settings, batch := w.ask("stats settings\r\n"), 0
	for _, line := range []string{
		"shutdown", "shutdown graceful", "verbosity 0", "flush_all", "flush_all 10", " flush_all", "cache_memlimit 128", "slabs automove 2", "slabs reassign 1 2", "lru tune 10 10 0.1 2",
		"lru mode flat", "lru_crawler disable", "lru_crawler sleep 7", "lru_crawler tocrawl 7", "lru_crawler crawl all", "lru_crawler metadump all", "lru_crawler mgdump all",
		"watch", "stats reset", "stats detail on", "stats detail dump", "stats cachedump 1 0", "stats sizes", "stats sizes_enable", "stats sizes_disable", "stats conns",
	} {
		w.wantDatagram(line+"\r\n", "CLIENT_ERROR not over UDP\r\n")
		batch++
	}
	w.wantDatagram("flush_all noreply\r\nget a\r\n", "VALUE a 0 2\r\nhi\r\nEND\r\n")
	for _, key := range []string{"reset", "sizes", "sizes_enable", "sizes_disable", "detail on", "detail dump", "conns"} {
		w.wantDatagram(request(0x10, 0, "", key, ""), reply(0x10, 4, "Invalid arguments"))
		batch++
	}
	for _, opcode := range []byte{0x08, 0x18} {
		w.wantDatagram(request(opcode, 0, "", "", ""), reply(opcode, 4, "Invalid arguments"))
		batch++
	}
	w.EndBatch()
	if n := w.batchStat("datagrams_refused"); n != batch+1 {
		t.Errorf("%d are counted, want %d", n, batch+1)
	}
	if now := w.ask("stats settings\r\n"); now != settings {
		t.Errorf("settings were\n%s\nand are\n%s", settings, now)
	}
	w.wantReply("get a\r\n", "VALUE a 0 2\r\nhi\r\nEND\r\n")
	for _, line := range []string{"stats", "stats settings", "stats items", "stats slabs", "stats batch"} {
		w.out.Reset()
		if w.Datagram(datagram(1, line+"\r\n"), &w.out); !strings.HasPrefix(string(w.out.Bytes), "STAT ") {
			t.Errorf("%s: %q", line, w.out.Bytes)
		}
	}
}

// wantDatagram presents a request as a datagram.
func (w *worker) wantDatagram(request, want string) {
	w.t.Helper()
	w.out.Reset()
	if w.Datagram(datagram(1, request), &w.out); string(w.out.Bytes) != want {
		w.t.Errorf("%.40q: got %.80q, want %.80q", request, w.out.Bytes, want)
	}
}

// TestAmplification: a reply is at most the given number of times as long as its request, heads of datagrams included, and whole. An error stands for
// a longer one, and nothing where that would be too long too.
func TestAmplification(t *testing.T) {
	for _, most := range []int{1, 2, 3, 4, 10, 99, 100, 1000} {
		w := newWorker(t, nil, func(c *proto.Config) { c.Amplification = most })
		tooLarge := 0
		for _, size := range []int{0, 1, 10, 100, 1372, 1373, 1374, 1375, 4000, 4094, 4095, 8191, 100_000, 900_000} {
			value := strings.Repeat("v", size)
			w.ask(fmt.Sprintf("set a 0 0 %d\r\n%s\r\n", size, value))
			for request, whole := range map[string]string{
				"get a\r\n":       fmt.Sprintf("VALUE a 0 %d\r\n%s\r\nEND\r\n", size, value),
				"mg a v\r\n":      fmt.Sprintf("VA %d\r\n%s\r\n", size, value),
				"get a\r\nmn\r\n": fmt.Sprintf("VALUE a 0 %d\r\n%s\r\nEND\r\nMN\r\n", size, value),
				"get" + strings.Repeat(" a", 70) + "\r\n": strings.Repeat(fmt.Sprintf("VALUE a 0 %d\r\n%s\r\n", size, value), 70) + "END\r\n",
				request(0x00, 0, "", "a", ""):             string(binaryValue(0x00, value)),
			} {
				in := datagram(1, request)
				allowed := most * len(in)
				want, large := whole, false
				if onWire(whole) > allowed {
					want, large = "SERVER_ERROR reply too large for UDP\r\n", true
					if request[0] == 0x80 {
						want = reply(0x00, 3, "Too large.")
					}
					tooLarge++
				}
				if onWire(want) > allowed {
					want = ""
				}
				w.out.Reset()
				w.Datagram(in, &w.out)
				if got := string(w.out.Bytes); got != want && !(request[0] == 0x80 && !large && len(got) == len(want)) { // but for the CAS
					t.Errorf("%d times, %.20q, a value of %d: %d bytes, want %d: %.60q", most, request, size, len(got), len(want), got)
				}
				w.out.Flush(t, w.Worker)
			}
		}
		w.EndBatch()
		if n := w.batchStat("datagrams_too_large"); n != tooLarge {
			t.Errorf("%d times: %d are counted, want %d", most, n, tooLarge)
		}
		w.ask("delete a\r\n")
		w.wantEmpty()
	}
}

// onWire is the sum of the datagrams that a reply leaves in.
func onWire(reply string) int {
	return len(reply) + 8*((len(reply)+contract.DatagramSize-9)/(contract.DatagramSize-8))
}

// binaryValue is the reply to a Get, without its CAS.
func binaryValue(opcode byte, value string) []byte {
	head := []byte{0x81, opcode, 0, 0, 4, 0, 0, 0}
	head = binary.BigEndian.AppendUint32(head, uint32(4+len(value)))
	return append(append(head, make([]byte, 16)...), value...)
}

func TestFrame(t *testing.T) {
	w := newWorker(t, nil, nil)
	head := make([]byte, 8)
	w.Frame(head, datagram(7, "get a\r\n"), 258, 772)
	if want := "\x00\x07\x01\x02\x03\x04\x00\x00"; string(head) != want {
		t.Errorf("head %q, want %q", head, want)
	}
}
