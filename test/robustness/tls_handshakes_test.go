package robustness

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"ringcached/internal/servertest"
)

// mustConnect is a connection whose handshake has not begun.
func mustConnect(t *testing.T, server *servertest.Server) net.Conn {
	t.Helper()
	c, err := net.DialTimeout("tcp", server.Addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return c
}

// helloStart is how a ClientHello begins that says it is longer.
const helloStart = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"

// TestHandshakesThatDoNotEnd: clients that say nothing, stop in the middle, or go on byte by byte are closed when their time is over, while others are served.
func TestHandshakesThatDoNotEnd(t *testing.T) {
	const each = 20
	eachTLS(t, func(t *testing.T, on transport) {
		server := on.start(t, "--tls-handshake-timeout", fmt.Sprint(2*time.Second*servertest.Slow))
		before := rest(t, server)
		var waiting sync.WaitGroup
		for i := range 3 * each {
			c := mustConnect(t, server)
			if i%3 > 0 {
				_, _ = io.WriteString(c, helloStart)
			}
			waiting.Go(func() {
				if i%3 == 2 {
					for range 100 * servertest.Slow { // ends when the server has closed
						time.Sleep(100 * time.Millisecond)
						if _, err := c.Write([]byte{0}); err != nil {
							return
						}
					}
					t.Error("a client is heard a byte at a time, five times as long as it has")
					return
				}
				if n, err := io.Copy(io.Discard, c); n > 100 || timedOut(err) {
					t.Errorf("%d bytes, %v; want the end", n, err)
				}
			})
		}
		for range 5 {
			c := mustDial(t, server)
			if err := c.ping(); err != nil {
				t.Errorf("another client: %v", err)
			}
			c.Close()
		}
		waiting.Wait()
		servertest.Eventually(t, patience/servertest.Slow, func() error {
			if n := server.Stat(t, "tls_handshakes_timeout"); n != 3*each {
				return fmt.Errorf("tls_handshakes_timeout %d", n)
			}
			return nil
		})
		expectNoLeak(t, server, before)
	})
}

func timedOut(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// TestPlainClientOfTLS: a client that does not speak TLS gets an alert, or nothing, and the end; it is not served.
func TestPlainClientOfTLS(t *testing.T) {
	eachTLS(t, func(t *testing.T, on transport) {
		server := on.start(t)
		before := rest(t, server)
		said := []string{asked, "set plain 0 0 5\r\nvalue\r\n", "\x80\x0a" + strings.Repeat("\x00", 22), "GET / HTTP/1.1\r\n\r\n", strings.Repeat("x", 100_000)}
		for _, text := range said {
			c := mustConnect(t, server)
			go func() { _, _ = io.WriteString(c, text) }()
			got, err := io.ReadAll(c)
			if timedOut(err) || len(got) > 7 || len(got) > 0 && (len(got) < 7 || got[0] != 21) {
				t.Errorf("%.20q: got %q, %v; want an alert and the end", text, got, err)
			}
			c.Close()
		}
		servertest.Eventually(t, patience/servertest.Slow, func() error {
			if n := server.Stat(t, "tls_handshakes_not_tls"); n != len(said) {
				return fmt.Errorf("tls_handshakes_not_tls %d", n)
			}
			return nil
		})
		if n := server.Stat(t, "cmd_set"); n != 0 {
			t.Errorf("cmd_set %d", n)
		}
		expectNoLeak(t, server, before)
	})
}

// TestTooManyOverTLS: a client more than -c gets an alert, and the next one is served when another has left. Those whose handshake goes on count.
func TestTooManyOverTLS(t *testing.T) {
	const most = 20
	eachTLS(t, func(t *testing.T, on transport) {
		server := on.start(t, "-c", strconv.Itoa(most), "--tls-handshake-timeout", "10m")
		var clients []*client
		for i := range most {
			if i%2 == 0 {
				mustConnect(t, server)
				continue
			}
			clients = append(clients, mustDial(t, server))
		}
		refused := func() error {
			c, err := dial(server)
			if err == nil {
				err = c.ping()
				c.Close()
			}
			return err
		}
		var alert tls.AlertError
		if err := refused(); !errors.As(err, &alert) && !strings.Contains(fmt.Sprint(err), "remote error: tls: internal error") {
			t.Errorf("%v; want the alert internal_error", err)
		}
		for _, c := range clients {
			if err := c.ping(); err != nil {
				t.Errorf("one that was there: %v", err)
			}
		}
		clients[0].Close()
		servertest.Eventually(t, patience/servertest.Slow, refused)
		if n, err := clients[1].stat("rejected_connections", ""); err != nil || n == 0 {
			t.Errorf("rejected_connections %d, %v", n, err)
		}
	})
}

// TestNoDescriptorsOverTLS lets more clients come at once than the server may have open files. Each is served in its turn.
func TestNoDescriptorsOverTLS(t *testing.T) {
	const files, arrivals = 60, 120
	eachTLS(t, func(t *testing.T, on transport) {
		server := on.startLimited(t, files, "-t", "1", "-c", strconv.Itoa(files))
		before := rest(t, server)
		first := mustDial(t, server)
		leave := make(chan struct{})
		served := make(chan error, arrivals)
		for range arrivals {
			go func() { served <- stay(server, leave) }()
		}
		servertest.Eventually(t, patience/servertest.Slow, func() error {
			if n, err := first.stat("accept_errors", "batch"); err != nil || n == 0 {
				return fmt.Errorf("accept_errors %d, %w", n, err)
			}
			return nil
		})
		close(leave)
		for range arrivals {
			if err := <-served; err != nil {
				t.Error(err)
			}
		}
		first.Close()
		expectNoLeak(t, server, before)
	})
}

// stay is a client that is served, and leaves when it may.
func stay(server *servertest.Server, leave chan struct{}) error {
	c, err := dial(server)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := errors.Join(c.say(asked), c.expect(answer)); err != nil {
		return err
	}
	<-leave
	return nil
}
