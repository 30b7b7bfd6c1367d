package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"ringcached/internal/servertest"
)

// demand sends a line and expects one line.
func demand(t *testing.T, conn io.ReadWriter, line, want string) {
	t.Helper()
	fmt.Fprintf(conn, "%s\r\n", line)
	expectLine(t, bufio.NewReaderSize(conn, 1<<10), want)
}

// storeMany sets keys prefix0 to prefix<n-1>, which expire as told.
func storeMany(t *testing.T, conn io.ReadWriter, prefix string, n, exptime int, value string) {
	t.Helper()
	var sets strings.Builder
	for i := range n {
		fmt.Fprintf(&sets, "set %s%d 0 %d %d noreply\r\n%s\r\n", prefix, i, exptime, len(value), value)
	}
	if _, err := io.WriteString(conn, sets.String()); err != nil {
		t.Fatal(err)
	}
	demand(t, conn, "verbosity 0", "OK")
}

func eventuallyStat(t *testing.T, server *servertest.Server, name string, ok func(int) bool, group ...string) {
	t.Helper()
	servertest.Eventually(t, 20*time.Second, func() error {
		if n := server.Stat(t, name, group...); !ok(n) {
			return fmt.Errorf("%s is %d", name, n)
		}
		return nil
	})
}

// TestCrawl: what has expired is found and freed in the background.
func TestCrawl(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		t.Parallel()
		server := servertest.Start(t, engine)
		conn := server.Dial(t)
		const dead, alive = 5000, 1000
		storeMany(t, conn, "dead", dead, -1, "v")
		storeMany(t, conn, "alive", alive, 0, "v")
		demand(t, conn, "lru_crawler crawl all", "OK")
		eventuallyStat(t, server, "lru_crawler_running", func(n int) bool { return n == 0 })
		// The server sweeps by itself, too: whoever finds them, all are counted once.
		for name, want := range map[string]int{
			"crawler_reclaimed": dead, "lru_crawler_starts": 1, "curr_items": alive, "expired_unfetched": dead, "evictions": 0,
		} {
			eventuallyStat(t, server, name, func(n int) bool { return n == want })
		}
		if n := server.Stat(t, "crawler_items_checked"); n < dead+alive {
			t.Errorf("%d items were looked at, want %d at least", n, dead+alive)
		}
		if n := server.Stat(t, "items:1:crawler_reclaimed", "items"); n != dead {
			t.Errorf("class 1: %d reclaimed", n)
		}
		// A crawl of several slices, with a second in between, has not ended when the next command of the same batch is looked at.
		demand(t, conn, "lru_crawler sleep 1000000", "OK")
		fmt.Fprint(conn, "lru_crawler crawl 1\r\nlru_crawler crawl 1\r\n")
		in := bufio.NewReader(conn)
		expectLine(t, in, "OK")
		expectLine(t, in, "BUSY currently processing crawler request")
		demand(t, conn, "lru_crawler disable", "OK")
		eventuallyStat(t, server, "lru_crawler_running", func(n int) bool { return n == 0 })
	})
}

// TestMemoryLimit: a lower limit takes effect in the background and gives memory back to the system; a higher one at once.
func TestMemoryLimit(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		t.Parallel()
		server := servertest.Start(t, engine, "-m", "64")
		conn := server.Dial(t)
		value := strings.Repeat("v", 100_000)
		storeMany(t, conn, "a", 700, 0, value)
		resident := server.Resident(t)
		demand(t, conn, "cache_memlimit 8", "OK")
		eventuallyStat(t, server, "total_malloced", func(n int) bool { return n <= 8<<20 }, "slabs")
		servertest.Eventually(t, 20*time.Second, func() error {
			if now := server.Resident(t); now > resident-40<<20 {
				return fmt.Errorf("%d MiB are resident, %d before", now>>20, resident>>20)
			}
			return nil
		})
		if n := server.Stat(t, "limit_maxbytes"); n != 8<<20 {
			t.Errorf("limit_maxbytes %d", n)
		}
		demand(t, conn, "cache_memlimit 256", "OK")
		fmt.Fprint(conn, "stats reset\r\n")
		expectLine(t, bufio.NewReader(conn), "RESET")
		storeMany(t, conn, "b", 1500, 0, value)
		if n := server.Stat(t, "evictions"); n != 0 {
			t.Errorf("%d evictions after the limit was raised", n)
		}
	})
}

// TestReassign moves a page by command.
func TestReassign(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		t.Parallel()
		server := servertest.Start(t, engine)
		conn := server.Dial(t)
		storeMany(t, conn, "a", 30_000, 0, "v")
		before := server.Stat(t, "1:total_pages", "slabs")
		if before < 2 {
			t.Fatalf("class 1 has %d pages", before)
		}
		demand(t, conn, "slabs reassign 1 5", "OK")
		eventuallyStat(t, server, "slabs_moved", func(n int) bool { return n == 1 })
		eventuallyStat(t, server, "slab_reassign_running", func(n int) bool { return n == 0 })
		from, to := server.Stat(t, "1:total_pages", "slabs"), server.Stat(t, "5:total_pages", "slabs")
		if from != before-1 || to != 1 {
			t.Errorf("%d pages of %d are left, %d have arrived", from, before, to)
		}
	})
}

// TestShutdownCommand: it stops the server as a signal does, when what came before it is answered.
func TestShutdownCommand(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		for _, command := range []string{"shutdown", "shutdown graceful"} {
			t.Run(command, func(t *testing.T) {
				t.Parallel()
				server := servertest.Start(t, engine, "-A")
				conn := server.Dial(t)
				fmt.Fprintf(conn, "set k 0 0 1\r\nv\r\nget k\r\n%s\r\n", command)
				got, err := io.ReadAll(conn)
				if want := "STORED\r\nVALUE k 0 1\r\nv\r\nEND\r\n"; err != nil || string(got) != want {
					t.Errorf("%q, %v; want %q", got, err, want)
				}
				if err := server.Wait(); err != nil {
					t.Errorf("%v\n%s", err, server.Log())
				}
			})
		}
	})
}
