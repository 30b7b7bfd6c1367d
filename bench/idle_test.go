package bench

import (
	"bufio"
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestClientEnds looks at the process's own ends of connections, as far as the kernel lets it.
func TestClientEnds(t *testing.T) {
	const n = 400
	before := openFiles(t)
	var ends []slabGrowth
	for range 5 { // others use sockets too
		var err error
		ends, err = clientEnds(t.Context(), n)
		denied := errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist)
		if err != nil && !denied {
			t.Fatal(err)
		}
		if after := openFiles(t); after >= before+n {
			t.Errorf("%d files are open, %d were", after, before)
		}
		if denied {
			t.Skipf("%v: only root may read the kernel's caches, where there is CONFIG_SLUB_DEBUG: run the test as root", err)
		}
		if oneOf(ends, "TCP") && oneOf(ends, "sock_inode_cache") {
			return
		}
	}
	t.Errorf("an end is not one socket: %v", ends)
}

// oneOf says that a connection has one object of the cache, nearly: some are kept at hand for each core.
func oneOf(all []slabGrowth, name string) bool {
	return slices.ContainsFunc(all, func(g slabGrowth) bool { return g.name == name && g.objects > 0.6 && g.objects < 1.4 })
}

func TestClientEndsThatAreUnknownAreTold(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var x experimenting
	var e Experiment
	x.measureClients(ctx, &e, &partPlan{name: "connections", clients: 1})
	if x.clients != nil || len(e.Problems) != 1 || !strings.HasPrefix(e.Problems[0], "connections: kernel memory is unknown") {
		t.Errorf("%v, %q", x.clients, e.Problems)
	}
}

// TestAllParked: who parks none in time is told of, and so is who knows of no parking.
func TestAllParked(t *testing.T) {
	for parked, says := range map[string]string{"STAT conns_parked 5\r\n": "", "STAT conns_parked 4\r\n": "only 4 of 5", "": "conns_parked"} {
		err := allParked(t.Context(), answerAll(t, parked+"END\r\n"), 5, 0)
		if (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", parked, err)
		}
	}
}

// answerAll is the address of a server that answers the first request of each connection like this.
func answerAll(t *testing.T, reply string) string {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if _, err = bufio.NewReader(c).ReadString('\n'); err == nil {
				_, _ = c.Write([]byte(reply))
			}
			_ = c.Close()
		}
	}()
	return l.Addr().String()
}

// openFiles counts this process's.
func openFiles(t *testing.T) int {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}

func TestIdleAroundAServerThatIsNotOurs(t *testing.T) {
	s := startFake(t, nil)
	in := &instance{subject: &subject{name: "fake"}, addr: s.addr()}
	i, cost, err := idleAround(t.Context(), in, 5, settleFully, nil)
	i.close()
	if cost != nil || err == nil || !strings.Contains(err.Error(), "not started here") {
		t.Errorf("%+v, %v", cost, err)
	}
	i, cost, err = idleAround(t.Context(), in, 0, settleFully, nil)
	i.close()
	if cost != nil || err != nil {
		t.Errorf("of none: %+v, %v", cost, err)
	}
}
