package robustness

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"ringcached/internal/servertest"
)

// patience is how long one answer may take.
const patience = 20 * time.Second * servertest.Slow

// client is a connection whose errors end the test's goroutine only through
// their return values, so that it can be used from any goroutine.
type client struct {
	net.Conn              // over TLS, if the server speaks that
	tcp      *net.TCPConn // what is below it, or itself
	in       *bufio.Reader
}

func dial(server *servertest.Server) (*client, error) {
	return dialBy(&net.Dialer{Timeout: patience}, server)
}

func dialBy(d *net.Dialer, server *servertest.Server) (*client, error) {
	conn, err := d.Dial("tcp", server.Addr)
	if err != nil {
		return nil, err
	}
	c := &client{Conn: conn, tcp: conn.(*net.TCPConn)}
	if server.TLS != nil {
		secure := tls.Client(conn, server.TLS)
		_ = conn.SetDeadline(time.Now().Add(patience))
		if err := secure.Handshake(); err != nil {
			conn.Close()
			return nil, err
		}
		_ = conn.SetDeadline(time.Time{})
		c.Conn = secure
	}
	c.in = bufio.NewReader(c.Conn)
	return c, nil
}

func mustDial(t *testing.T, server *servertest.Server) *client {
	t.Helper()
	c, err := dial(server)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func (c *client) say(text string) error {
	_ = c.SetWriteDeadline(time.Now().Add(patience))
	_, err := io.WriteString(c, text)
	return err
}

// expect reads exactly want.
func (c *client) expect(want string) error {
	_ = c.SetReadDeadline(time.Now().Add(patience))
	got := make([]byte, len(want))
	n, err := io.ReadFull(c.in, got)
	if string(got[:n]) != want {
		return fmt.Errorf("got %.80q (%d bytes, %w), want %.80q", got[:n], n, err, want)
	}
	return nil
}

// set stores a value, get expects it.
func (c *client) set(key, value string) error {
	return errors.Join(c.say(setRequest(key, value)), c.expect("STORED\r\n"))
}

func (c *client) get(key, value string) error {
	return errors.Join(c.say("get "+key+"\r\n"), c.expect(getReply(key, value)))
}

// ping shows that the connection is served.
func (c *client) ping() error {
	return errors.Join(c.say("mget-is-no-command\r\n"), c.expect("ERROR\r\n"))
}

// stat is one of the server's statistics, of a group or, with "", of none, for where there is no other connection to ask with.
func (c *client) stat(name, group string) (n int, err error) {
	if err := c.say(strings.TrimSpace("stats "+group) + "\r\n"); err != nil {
		return 0, err
	}
	_ = c.SetReadDeadline(time.Now().Add(patience))
	for found := false; ; {
		line, err := c.in.ReadString('\n')
		if err != nil {
			return 0, err
		}
		if line == "END\r\n" && !found {
			return 0, fmt.Errorf("stats %s has no %s", group, name)
		}
		if line == "END\r\n" {
			return n, nil
		}
		if text, is := strings.CutPrefix(line, "STAT "+name+" "); is {
			found = true
			if n, err = strconv.Atoi(strings.TrimSpace(text)); err != nil {
				return 0, err
			}
		}
	}
}

// reset closes the connection with RST, as the kernel does for a killed process
// that has not read everything.
func (c *client) reset() {
	_ = c.tcp.SetLinger(0)
	c.tcp.Close()
}

// closeWrite ends what the client says: by FIN, or over TLS by close_notify.
func (c *client) closeWrite() error {
	if secure, ok := c.Conn.(*tls.Conn); ok {
		return secure.CloseWrite()
	}
	return c.tcp.CloseWrite()
}

func setRequest(key, value string) string {
	return fmt.Sprintf("set %s 0 0 %d\r\n%s\r\n", key, len(value), value)
}

func getReply(key, value string) string {
	return fmt.Sprintf("VALUE %s 0 %d\r\n%s\r\nEND\r\n", key, len(value), value)
}

// number is one of a server's statistics.
func number(t *testing.T, stats map[string]string, name string) int {
	t.Helper()
	n, err := strconv.Atoi(stats[name])
	if err != nil {
		t.Fatalf("%s is %q", name, stats[name])
	}
	return n
}

// baseline is what a server holds when nobody is connected.
type baseline struct{ descriptors int }

// rest waits until only the connection of the statistics is left and returns
// what the server holds then.
func rest(t *testing.T, server *servertest.Server) baseline {
	t.Helper()
	servertest.Eventually(t, 10*time.Second, func() error {
		stats, batch := server.Stats(t), server.Stats(t, "batch")
		if n := stats["curr_connections"]; n != "1" {
			return fmt.Errorf("curr_connections %s", n)
		}
		for _, name := range []string{"buffers_out", "backlog_bytes", "stash_bytes"} {
			// The buffer in which this very request lies may be out.
			if n, err := strconv.Atoi(batch[name]); err != nil || n > 1 || n > 0 && name != "buffers_out" {
				return fmt.Errorf("%s %q", name, batch[name])
			}
		}
		return nil
	})
	// The server may yet have to close the last connection.
	least := baseline{len(server.Descriptors(t))}
	for range 10 {
		time.Sleep(10 * time.Millisecond)
		least.descriptors = min(least.descriptors, len(server.Descriptors(t)))
	}
	return least
}

// expectNoLeak compares with before, and counts the items: after every key of
// keys was deleted no chunk of memory may be in use.
func expectNoLeak(t *testing.T, server *servertest.Server, before baseline, keys ...string) {
	t.Helper()
	rest(t, server)
	servertest.Eventually(t, 10*time.Second, func() error {
		if open := server.Descriptors(t); len(open) > before.descriptors {
			return fmt.Errorf("%d descriptors, %d before: %v", len(open), before.descriptors, open)
		}
		return nil
	})
	c := mustDial(t, server)
	for _, key := range keys {
		if err := c.say("delete " + key + " noreply\r\n"); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.ping(); err != nil {
		t.Fatal(err)
	}
	servertest.Eventually(t, 10*time.Second, func() error {
		used := 0
		for name, value := range server.Stats(t, "slabs") {
			if strings.HasSuffix(name, ":used_chunks") {
				n, err := strconv.Atoi(value)
				if err != nil {
					t.Fatal(err)
				}
				used += n
			}
		}
		if items := server.Stat(t, "curr_items"); used > 0 || items > 0 {
			return fmt.Errorf("%d items and %d chunks in use after all keys were deleted", items, used)
		}
		return nil
	})
}
