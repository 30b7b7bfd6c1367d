package main

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"ringcached/internal/servertest"
)

// withCertificate are the flags of TLS, with a certificate of its own.
func withCertificate(t *testing.T) []string {
	return servertest.NewCertificate(t, "server").Flags()
}

// startSecureLineage is startLineage over TLS, in either version.
func startSecureLineage(t *testing.T, engine string, flags ...string) *lineage {
	t.Helper()
	certificate := servertest.NewCertificate(t, "server")
	l := startLineage(t, engine, certificate.Flags(flags...)...)
	l.tls = certificate.Client(false)
	l.tls.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	if engine == "epoll" {
		l.tls.MaxVersion = tls.VersionTLS12
	}
	return l
}

// isAlert says that a connection over TLS ended by an alert, of either side.
func isAlert(err error) bool {
	var failed *net.OpError
	return errors.As(err, &failed) && (failed.Op == "local error" || failed.Op == "remote error")
}

// TestHandOverOverTLS: the next server speaks TLS at the same sockets, has the items, and every change that was made was answered.
func TestHandOverOverTLS(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		t.Parallel()
		file := filepath.Join(publicDir(t), "items")
		startSecureLineage(t, engine, "-t", "2", "-m", "32", "-e", file).underLoad(handOvers(t, 3), true, nil)
	})
}

// TestStopOverTLS: a client of TLS gets all replies to what it has sent when the server stops, and is told that this was all; so is one that is idle. One
// whose handshake goes on holds up nothing.
func TestStopOverTLS(t *testing.T) {
	const replies, size = 50, 1000000
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		t.Parallel()
		l := startSecureLineage(t, engine, "-t", "2", "--drain-timeout", patience.String(), "--tls-handshake-timeout", "1h")
		dial := func() net.Conn {
			t.Helper()
			conn, err := l.dial()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { conn.Close() })
			return conn
		}
		slow, idle, silent := dial(), dial(), dial()
		value := strings.Repeat("x", size)
		in := bufio.NewReader(slow)
		fmt.Fprintf(slow, "set k 0 0 %d\r\n%s\r\n", size, value)
		expectLine(t, in, "STORED")
		answer(t, idle, "get none", 1)
		if _, err := silent.(*tls.Conn).NetConn().Write([]byte{22, 3}); err != nil { // of a ClientHello
			t.Fatal(err)
		}
		fmt.Fprint(slow, strings.Repeat("get k\r\n", replies)+"mn\r\n")
		expectLine(t, in, fmt.Sprintf("VALUE k 0 %d", size)) // the server has the requests
		l.Signal(syscall.SIGTERM)
		l.WantLog("terminated: stopping", 1)
		if got, err := io.ReadAll(idle); len(got) > 0 || err != nil {
			t.Errorf("the idle one got %q, %v; want close_notify", got, err)
		}
		got, err := io.ReadAll(in)
		one := value + "\r\nEND\r\n"
		if want := one + strings.Repeat(fmt.Sprintf("VALUE k 0 %d\r\n", size)+one, replies-1) + "MN\r\n"; string(got) != want || err != nil {
			t.Errorf("%d bytes, %v; want %d and close_notify", len(got), err, len(want))
		}
		l.WantGone(l.PID)
		if !l.Ended().Success() {
			t.Error(l.LastSaid())
		}
	})
}
