package cluster

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"ringcached/internal/servertest"
)

// patience is how long one answer, or a change that must come, may take.
const patience = 30 * time.Second

// client is a connection that speaks the text protocol with a node or the proxy.
type client struct {
	net.Conn
	in *bufio.Reader
}

func dial(t *testing.T, network, address string) *client {
	t.Helper()
	conn, err := net.DialTimeout(network, address, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &client{conn, bufio.NewReader(conn)}
}

// ask sends a request and returns the first line of the reply.
func (c *client) ask(request string) (string, error) {
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, request); err != nil {
		return "", err
	}
	line, err := c.in.ReadString('\n')
	return strings.TrimSuffix(line, "\r\n"), err
}

// set returns an error for every reply but STORED.
func (c *client) set(key, value string) error {
	reply, err := c.ask(fmt.Sprintf("set %s 0 0 %d\r\n%s\r\n", key, len(value), value))
	if err == nil && reply != "STORED" {
		err = fmt.Errorf("set %s: %s", key, reply)
	}
	return err
}

// get returns an error for a reply that is neither a value nor a miss.
func (c *client) get(key string) (value string, found bool, err error) {
	reply, err := c.ask("get " + key + "\r\n")
	if err != nil || reply == "END" {
		return "", false, err
	}
	if !strings.HasPrefix(reply, "VALUE "+key+" ") {
		return "", false, fmt.Errorf("get %s: %s", key, reply)
	}
	value, err = c.in.ReadString('\n')
	if err == nil {
		_, err = c.in.ReadString('\n') // END
	}
	return strings.TrimSuffix(value, "\r\n"), true, err
}

// becomes asks for a key until it has this value, or is missing for "".
func (c *client) becomes(t *testing.T, key, want string) {
	t.Helper()
	servertest.Eventually(t, patience, func() error {
		got, _, err := c.get(key)
		if err == nil && got != want {
			err = fmt.Errorf("get %s: %q, want %q", key, got, want)
		}
		return err
	})
}

// store sets keys one after another, each to its value, again where the proxy has
// found out only then that a node is dead.
func (c *client) store(t *testing.T, keys []string, value string) {
	t.Helper()
	for _, key := range keys {
		servertest.Eventually(t, patience, func() error { return c.set(key, value) })
	}
}
