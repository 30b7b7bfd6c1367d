package robustness

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"ringcached/internal/servertest"
)

// dumped is how many items the dumps have: with keys of 200 bytes far more than sockets hold, also in a race build.
const dumped = 200_000 / (1 + 2*(servertest.Slow-1)/9)

func dumpKey(i int) string { return fmt.Sprintf("%0200d", i) }

// storeDumped sets the items.
func storeDumped(t *testing.T, server *servertest.Server) {
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
}

// startDump begins a dump, and waits until it stops because nobody reads it.
func startDump(t *testing.T, server *servertest.Server) *client {
	t.Helper()
	dump := mustDial(t, server)
	_ = dump.tcp.SetReadBuffer(64 << 10)
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

// TestDump dumps many items: to a client that reads slowly, to one that goes away in the middle, and to one that does not read while
// the server stops.
func TestDump(t *testing.T) {
	eachTransport(t, func(t *testing.T, on transport) {
		t.Parallel()
		server := on.start(t, "-t", "1", "-m", "256", "--send-timeout", "10m")
		storeDumped(t, server)
		before := rest(t, server)
		dumpSlowly(t, server)
		startDump(t, server).reset()
		servertest.Eventually(t, 20*time.Second, func() error {
			if server.Stat(t, "lru_crawler_running") != 0 {
				return fmt.Errorf("the dump of a client that went away goes on")
			}
			return nil
		})
		rest(t, server)
		servertest.Eventually(t, 10*time.Second, func() error {
			if open := server.Descriptors(t); len(open) > before.descriptors {
				return fmt.Errorf("%d descriptors, %d before: %v", len(open), before.descriptors, open)
			}
			return nil
		})
		startDump(t, server)
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
}

// dumpSlowly reads a whole dump. Others are served meanwhile, the server keeps little for the reader, and nothing is missing in the end.
func dumpSlowly(t *testing.T, server *servertest.Server) {
	t.Helper()
	other, dump := mustDial(t, server), startDump(t, server)
	defer other.Close()
	defer dump.Close()
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
		key, _, _ := strings.Cut(strings.TrimPrefix(line, "key="), " exp=-1 la=")
		i, err := strconv.Atoi(key)
		if err != nil || i < 0 || i >= dumped || seen[i] {
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
}
