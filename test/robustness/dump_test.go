package robustness

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"ringcached/internal/servertest"
)

// dumped is how many items the dumps have: with keys of 200 bytes far more than sockets hold, also in a race build.
const dumped = 200_000 / (1 + 2*(servertest.Slow-1)/9)

func dumpKey(i int) string { return fmt.Sprintf("%0200d", i) }

// startDump stores the items and begins a dump that nobody reads.
func startDump(t *testing.T, server *servertest.Server) *client {
	t.Helper()
	c := mustDial(t, server)
	var sets strings.Builder
	for i := range dumped {
		fmt.Fprintf(&sets, "set %s 0 0 1 noreply\r\nv\r\n", dumpKey(i))
		if sets.Len() > 1<<20 || i == dumped-1 {
			if err := c.say(sets.String()); err != nil {
				t.Fatal(err)
			}
			sets.Reset()
		}
	}
	if err := c.ping(); err != nil {
		t.Fatal(err)
	}
	c.Close()
	dump := mustDial(t, server)
	_ = dump.SetReadBuffer(64 << 10)
	if err := dump.say("lru_crawler metadump all\r\n"); err != nil {
		t.Fatal(err)
	}
	servertest.Eventually(t, 20*time.Second, func() error {
		if server.Stat(t, "backlog_bytes", "batch") == 0 {
			return fmt.Errorf("the dump is not held up by its reader")
		}
		return nil
	})
	return dump
}

// TestSlowDump reads a dump of many items slowly. Others are served meanwhile, the server keeps little for the reader, and nothing is
// missing in the end.
func TestSlowDump(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		t.Parallel()
		server := servertest.Start(t, engine, "-t", "1", "-m", "256", "--send-timeout", "10m")
		dump := startDump(t, server)
		other := mustDial(t, server)
		served := func() {
			t.Helper()
			if err := other.get(dumpKey(0), "v"); err != nil {
				t.Fatalf("another client: %v", err)
			}
		}
		for range 100 {
			served()
		}
		if n := server.Stat(t, "backlog_bytes", "batch"); n > 1<<20 {
			t.Errorf("%d bytes are kept for a client that does not read", n)
		}
		if n := server.Stat(t, "lru_crawler_running"); n != 1 {
			t.Errorf("lru_crawler_running %d", n)
		}
		if err := dump.expect("OK\r\n"); err != nil {
			t.Fatal(err)
		}
		seen := make([]bool, dumped)
		for n := 0; ; n++ {
			_ = dump.SetReadDeadline(time.Now().Add(patience))
			line, err := dump.in.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if line == "END\r\n" {
				if n != dumped {
					t.Errorf("%d items of %d", n, dumped)
				}
				break
			}
			var i int
			if _, err := fmt.Sscanf(line, "key=%d exp=-1 la=", &i); err != nil || i < 0 || i >= dumped || seen[i] {
				t.Fatalf("%q, %v: unknown, or seen before", line, err)
			}
			seen[i] = true
			if n%1000 == 0 {
				served()
			}
		}
		if err := dump.ping(); err != nil {
			t.Error(err)
		}
		if n := server.Stat(t, "lru_crawler_running"); n != 0 {
			t.Errorf("lru_crawler_running %d after the dump", n)
		}
	})
}

// TestAbandonedDump: a client that goes away in the middle of a dump leaves nothing behind.
func TestAbandonedDump(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		t.Parallel()
		server := servertest.Start(t, engine, "-m", "256", "--send-timeout", "10m")
		before := rest(t, server)
		dump := startDump(t, server)
		dump.reset()
		servertest.Eventually(t, 20*time.Second, func() error {
			if server.Stat(t, "lru_crawler_running") != 0 {
				return fmt.Errorf("the dump goes on")
			}
			return nil
		})
		keys := make([]string, dumped)
		for i := range keys {
			keys[i] = dumpKey(i)
		}
		expectNoLeak(t, server, before, keys...)
	})
}

// TestDumpAtTheEnd: a server that stops does not wait for a dump that nobody reads.
func TestDumpAtTheEnd(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		t.Parallel()
		server := servertest.Start(t, engine, "-m", "256", "--send-timeout", "10m")
		startDump(t, server)
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
}
