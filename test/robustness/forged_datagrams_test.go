package robustness

import (
	"encoding/binary"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"ringcached/internal/servertest"
)

// startUDP starts a server with one thread that serves TCP too, and a client that speaks UDP to it.
func startUDP(t *testing.T, engine string, flags ...string) (*servertest.Server, *datagrams) {
	t.Helper()
	server := servertest.Start(t, engine, append([]string{"-t", "1", "-U", "-1"}, flags...)...)
	_, listening, _ := strings.Cut(server.Log(), "listening on ")
	_, udp, _ := strings.Cut(listening, ", ")
	udp, _, _ = strings.Cut(udp, "/udp")
	return server, dialDatagramsTo(t, udp)
}

// said gives what came since the last time. A thread answers in order: what comes before the answer to a last request is all there is.
func (c *datagrams) said(t *testing.T) (all []string) {
	t.Helper()
	buf := make([]byte, 64<<10)
	for range 10 {
		c.id++
		if _, err := c.Write([]byte(datagramTo(c.id, 0, 1, "mn\r\n"))); err != nil {
			t.Fatal(err)
		}
		_ = c.SetReadDeadline(time.Now().Add(patience / 10))
		for {
			n, err := c.Read(buf)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break // lost
			}
			if err != nil {
				t.Fatal(err)
			}
			if string(buf[:n]) == datagramTo(c.id, 0, 1, "MN\r\n") {
				return all
			}
			if binary.BigEndian.Uint16(buf) == forged {
				all = append(all, string(buf[:n]))
			}
		}
	}
	t.Fatal("no answer")
	return nil
}

// forged is the id of a datagram whose sender is forged to be another server.
const forged = 0xfffe

// TestServersDoNotAnswerEachOther: a datagram whose sender is forged makes one server send to another. What arrives there is handed back and
// forth, as the network would do, until nothing comes: that is after the first reply at the latest.
func TestServersDoNotAnswerEachOther(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		_, a := startUDP(t, engine)
		_, b := startUDP(t, engine)
		poison := "get x\r\nnonsense\r\nget x\r\n"
		if got, err := a.ask(setRequest("x", poison)); got != "STORED\r\n" || err != nil {
			t.Fatalf("%q, %v", got, err)
		}
		for _, request := range []string{
			"nonsense\r\n", "ERROR\r\n", "\r\n", "x", "CLIENT_ERROR bad command line format\r\n", "get x\r\n", "get y\r\n", "gets x\r\n", "set a\r\n", "mg x v k\r\n", "mg y\r\n",
			"me x\r\n", "version\r\n", "stats\r\n", "set n 0 0 1\r\n5\r\nincr n 1\r\n", "incr n 1\r\n", "shutdown\r\n", "get " + strings.Repeat("k", 300) + "\r\n",
			"set big 0 0 99999999\r\n", "get x x\r\nget x\r\n", binaryRequest(0x00, 1, "", "x", ""), binaryRequest(0x0b, 1, "", "", ""), binaryRequest(0x99, 1, "", "", ""),
			binaryRequest(0x00, 1, "", "", ""), binaryRequest(0x00, 1, "", "y", ""), binaryRequest(0x08, 1, "", "", ""),
		} {
			datagrams, rounds, to, from := []string{datagramTo(forged, 0, 1, request)}, 0, a, b
			for ; len(datagrams) > 0 && rounds < 20; rounds++ {
				for _, d := range datagrams {
					if _, err := to.Write([]byte(d)); err != nil {
						t.Fatal(err)
					}
				}
				datagrams, to, from = to.said(t), from, to
			}
			if rounds > 2 {
				t.Errorf("%.40q: servers answer each other, %d times until it was enough", request, rounds)
			}
		}
	})
}

// TestNoAdministrationByDatagrams: a forged sender changes nothing but items, though the flags allow the commands.
func TestNoAdministrationByDatagrams(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		server, c := startUDP(t, engine, "-A", "-o", "track_sizes")
		if got, err := c.ask(setRequest("k", "value")); got != "STORED\r\n" || err != nil {
			t.Fatalf("%q, %v", got, err)
		}
		before := server.Stats(t, "settings")
		refused := []string{
			"shutdown\r\n", "shutdown graceful\r\n", "flush_all\r\n", "flush_all 0\r\n", "verbosity 2\r\n", "cache_memlimit 1024\r\n", "slabs automove 0\r\n", "lru_crawler disable\r\n",
			"lru_crawler crawl all\r\n", "lru_crawler metadump all\r\n", "watch\r\n", "stats reset\r\n", "stats sizes\r\n", "stats cachedump 1 0\r\n", "stats conns\r\n", "stats detail on\r\n",
		}
		for _, request := range refused {
			if got, err := c.ask(request); got != "CLIENT_ERROR not over UDP\r\n" || err != nil {
				t.Errorf("%q: %q, %v", request, got, err)
			}
		}
		for _, opcode := range []byte{0x08, 0x18} {
			if got, err := c.ask(binaryRequest(opcode, 1, "", "", "")); !strings.HasSuffix(got, "Invalid arguments") || err != nil {
				t.Errorf("opcode %x: %q, %v", opcode, got, err)
			}
		}
		for name, now := range server.Stats(t, "settings") {
			if now != before[name] {
				t.Errorf("%s was %s and is %s", name, before[name], now)
			}
		}
		if n := server.Stat(t, "datagrams_refused", "batch"); n < len(refused)+2 { // more if one was lost and asked again
			t.Errorf("%d are counted", n)
		}
		if got, err := c.ask("get k\r\n"); got != getReply("k", "value") || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	})
}
