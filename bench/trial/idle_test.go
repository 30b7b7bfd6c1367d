package trial

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	"ringcached/bench/load"
	"ringcached/bench/sut"
	"ringcached/internal/fakeserver"
	"ringcached/internal/servertest"
)

// TestClientEnds looks at the process's own ends of connections, as far as the kernel lets it.
func TestClientEnds(t *testing.T) {
	const n = 400
	before := openFiles(t)
	var ends sut.Slabs
	for range 5 { // others use sockets too
		var err error
		ends, err = measureClientEnds(t.Context(), n)
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

// oneOf says that each end of a connection has one object of the cache, nearly: some are kept at hand for each core.
func oneOf(both sut.Slabs, name string) bool {
	return both[name].Objects > 1.2 && both[name].Objects < 2.8
}

func TestClientEndsThatAreUnknownAreTold(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m := &measuring{runner: &runner{}, plan: &Plan{clients: 1}, result: &Result{}}
	m.clientEnds(ctx)
	if p := m.result.Problems; m.clients != nil || len(p) != 1 || !strings.HasPrefix(p[0].Text, "kernel memory is unknown") || m.plan.clients != 0 {
		t.Errorf("%v, %+v", m.clients, p)
	}
}

// TestAllParked: a server that parks none in time is reported, and so is one without parking.
func TestAllParked(t *testing.T) {
	for parked, says := range map[string]string{"STAT conns_parked 5\r\n": "", "STAT conns_parked 4\r\n": "only 4 of 5", "": "conns_parked"} {
		err := allParked(t.Context(), load.Endpoint{Addr: fakeserver.AnswerAll(t, parked+"END\r\n")}, 5, 0)
		if (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", parked, err)
		}
	}
}

// TestIdleOverTLS: a connection that makes its request over TLS, and is reset in the end like others.
func TestIdleOverTLS(t *testing.T) {
	o := sut.ServerOptions{User: "nobody"}
	if err := o.MakeCertificate(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(o.Certificate.Remove)
	pair, err := tls.LoadX509KeyPair(o.Certificate.Chain, o.Certificate.Key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	if err != nil {
		t.Fatal(err)
	}
	s := fakeserver.StartWith(t, l, nil)
	before := openFiles(t)
	var idle idling
	for range 3 {
		if err := idle.open(t.Context(), load.Endpoint{Addr: s.Addr(), TLS: &load.TLS{CA: o.Certificate.Chain}}); err != nil {
			t.Fatal(err)
		}
	}
	idle.close()
	servertest.Eventually(t, time.Minute, func() error { // the server's ends are closed by its goroutines
		if n := openFiles(t); n > before {
			return fmt.Errorf("%d files are open, %d were", n, before)
		}
		return nil
	})
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
	s := fakeserver.Start(t, nil)
	m := &measuring{plan: &Plan{}}
	one := &standing{in: &sut.Instance{Endpoint: load.Endpoint{Addr: s.Addr()}}, track: &track{spot: &spot{point: &Point{Idle: 5}}}}
	if err := m.idleAround(t.Context(), one); err == nil || !strings.Contains(err.Error(), "not started here") {
		t.Error(err)
	}
}
