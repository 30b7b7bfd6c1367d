package robustness

import (
	"syscall"
	"testing"
	"time"

	"ringcached/internal/servertest"
)

// bytesPerIdle is the most memory of its own that an idle connection may cost the
// server, beside what the kernel keeps for its socket.
const bytesPerIdle = 100

// bytesPerIdleTLS is the same for one that speaks TLS, when the server has given back what it had for the time in which it was busy.
const bytesPerIdleTLS = 400

// TestIdleConnections: connections that have sent a request and then sit idle
// cost next to nothing, and all are still served.
func TestIdleConnections(t *testing.T) {
	needDescriptors(t, 16000)
	eachTransport(t, func(t *testing.T, on transport) {
		connections, most := 15000, bytesPerIdle
		if on.certificate != nil {
			most = bytesPerIdleTLS
		}
		if servertest.Slow > 1 {
			connections = 2000
		}
		server := on.start(t, "-c", "16000", "-b", "4096")
		warm(t, server)
		before, own := rest(t, server), server.Anonymous(t)

		clients := make([]*client, connections)
		for i := range clients {
			c, err := dial(server)
			if err != nil {
				t.Fatalf("connection %d: %v", i, err)
			}
			clients[i] = c
			defer c.Close()
			if err := c.ping(); err != nil {
				t.Fatalf("connection %d: %v", i, err)
			}
		}
		time.Sleep(time.Second)
		each := (server.Anonymous(t) - own) / connections
		for wait := 0; wait < 10 && each > most && on.certificate != nil; wait++ {
			time.Sleep(time.Second)
			each = (server.Anonymous(t) - own) / connections
		}
		t.Logf("%d connections cost %d bytes each", connections, each)
		if each > most && servertest.Slow == 1 {
			t.Errorf("an idle connection costs %d bytes, at most %d are allowed", each, most)
		}
		for i, c := range clients {
			if err := c.ping(); err != nil {
				t.Fatalf("connection %d does not answer any more: %v", i, err)
			}
		}
		for _, c := range clients {
			c.Close()
		}
		expectNoLeak(t, server, before)
	})
}

// warm makes the server touch all that it has however few its connections are, such as
// every receive buffer, and what its first collections of garbage take once and for all.
func warm(t *testing.T, server *servertest.Server) {
	t.Helper()
	for range 50 {
		c := mustDial(t, server)
		for range 100 {
			if err := c.ping(); err != nil {
				t.Fatal(err)
			}
		}
		c.Close()
	}
	for range 500 { // statistics are garbage, some 10 kB each time
		server.Stats(t)
	}
}

// needDescriptors raises this process's own limit.
func needDescriptors(t *testing.T, n int) {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Cur >= uint64(n) {
		return
	}
	raised := syscall.Rlimit{Cur: uint64(n), Max: max(limit.Max, uint64(n))}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised); err != nil {
		t.Fatalf("this test needs %d open files, and the limit is %d (ulimit -n): %v", n, limit.Max, err)
	}
}
