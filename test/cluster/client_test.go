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
	return c.line()
}

func (c *client) line() (string, error) {
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
	values, err := c.getMany([]string{key})
	value, found = values[key]
	return value, found, err
}

// getMany asks for several keys at once; the values have no ends of lines.
func (c *client) getMany(keys []string) (map[string]string, error) {
	values := map[string]string{}
	line, err := c.ask("get " + strings.Join(keys, " ") + "\r\n")
	for ; err == nil && line != "END"; line, err = c.line() {
		header := strings.Fields(line)
		if len(header) != 4 || header[0] != "VALUE" {
			return nil, fmt.Errorf("get %s: %s", keys[0], line)
		}
		if values[header[1]], err = c.line(); err != nil {
			break
		}
	}
	return values, err
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
