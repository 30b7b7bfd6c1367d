package robustness

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"ringcached/internal/servertest"
)

// smallRequests are small beside what they ask for.
var smallRequests = []string{
	"stats", "stats items", "stats conns", "stats sizes", "stats detail dump", "stats cachedump 1 0", "stats cachedump 40 0",
	"lru_crawler metadump 1", "lru_crawler metadump all", "lru_crawler mgdump 40", "lru_crawler crawl 40", "get" + strings.Repeat(" none", 200),
}

const (
	floods       = 6  // connections that send one of them again and again and read the replies; as many do not read
	politeGets   = 40 // that another client is answered during each
	walksAllowed = 8
)

// TestSmallRequests: whatever others ask for, a client is served; long replies that are made at a time are bounded; and nothing is left
// when those who asked have gone.
func TestSmallRequests(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		t.Parallel()
		server := servertest.Start(t, engine, "-t", "2", "-m", "256", "-o", "track_sizes", "-D", ":")
		storeDumped(t, server)
		polite := mustDial(t, server)
		if err := polite.set("polite", "value"); err != nil {
			t.Fatal(err)
		}
		for _, request := range smallRequests {
			end := floodRequests(t, server, request+"\r\n")
			for range politeGets {
				if err := polite.get("polite", "value"); err != nil {
					t.Fatalf("during %.30q: %v", request, err)
				}
			}
			if n := server.Stat(t, "walks_running"); n > walksAllowed {
				t.Errorf("during %.30q: %d walks", request, n)
			}
			end()
			servertest.Eventually(t, patience/servertest.Slow, func() error {
				if n := server.Stat(t, "walks_running") + server.Stat(t, "walks_waiting"); n != 0 {
					return fmt.Errorf("after %.30q: %d walks of clients that have gone", request, n)
				}
				return nil
			})
		}
	})
}

// floodRequests begins to send a request on many connections, and waits until all of them have. end ends that in the middle of replies.
func floodRequests(t *testing.T, server *servertest.Server, request string) (end func()) {
	t.Helper()
	var work sync.WaitGroup
	var conns []*client
	for i := range 2 * floods {
		c := mustDial(t, server)
		conns = append(conns, c)
		if err := c.say(request); err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			work.Go(func() { _, _ = io.Copy(io.Discard, struct{ io.Reader }{c.Conn}) })
		}
		work.Go(func() { repeat(c, request) })
	}
	return func() {
		for _, c := range conns {
			c.reset()
		}
		work.Wait()
	}
}

// repeat sends a request until the connection ends.
func repeat(c net.Conn, request string) {
	_ = c.SetWriteDeadline(time.Time{})
	for {
		if _, err := io.WriteString(c, strings.Repeat(request, 20)); err != nil {
			return
		}
	}
}
