package load

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
)

// QueryTimeout bounds how long a server may take for one administrative command.
const QueryTimeout = 20 * time.Second

// RefusalLine is what memcached and ringcached tell a client before they close its connection, because as many are
// open as their -c allows.
const RefusalLine = "ERROR Too many open connections"

// ErrConnectionRefused is a connection that the server closed with a RefusalLine, whatever was asked on it.
var ErrConnectionRefused = errors.New("the server refused the connection: " + RefusalLine + " (raise its -c)")

// Client is a connection for anything but load, with its input buffered. The end of the context closes it.
type Client struct {
	net.Conn
	In   *bufio.Reader
	done func() bool
}

// Connect opens a connection. The caller closes it.
func (e Endpoint) Connect(ctx context.Context) (*Client, error) {
	conn, err := e.Dial(ctx, ConnectTimeout)
	if err != nil {
		return nil, err
	}
	c := &Client{Conn: conn, In: bufio.NewReaderSize(conn, 32<<10)}
	c.done = context.AfterFunc(ctx, func() { _ = conn.Close() })
	return c, nil
}

// Close closes the connection.
func (c *Client) Close() {
	c.done()
	_ = c.Conn.Close()
}

// Line reads a line, without its end.
func (c *Client) Line() (string, error) {
	line, err := c.In.ReadString('\n')
	return strings.TrimRight(line, "\r\n"), err
}

// Exchange sends a text and hands each line of the reply to more, with its end and valid until the next one, until that
// returns false.
func (c *Client) Exchange(text string, more func(line []byte) bool) error {
	_, err := io.WriteString(c, text)
	for err == nil {
		var line []byte
		if line, err = c.In.ReadSlice('\n'); err == nil && !more(line) {
			return nil
		}
	}
	return err
}

// SleepUntil sleeps until a moment by Now, or the context ends. The runtime's timers may be a millisecond late, the
// kernel's are not.
func SleepUntil(ctx context.Context, due int64) {
	for wait := due - Now(); wait > 0 && ctx.Err() == nil; wait = due - Now() {
		ts := syscall.NsecToTimespec(min(wait, int64(20*time.Millisecond)))
		_ = syscall.Nanosleep(&ts, nil)
	}
}

// Query sends one command on a connection of its own and hands each line of the reply to more, until that returns
// false.
func (e Endpoint) Query(ctx context.Context, command string, more func(line string) bool) error {
	c, err := e.Connect(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(QueryTimeout))
	err = c.Exchange(command+"\r\n", func(line []byte) bool { return more(strings.TrimRight(string(line), "\r\n")) })
	if err != nil {
		return cmp.Or(ctx.Err(), err)
	}
	return nil
}

// AskVersion returns the version that the server states. The error says whether nobody listens there, the
// server refuses the connection, wants a password, does not answer, or is no memcached server.
func (e Endpoint) AskVersion(ctx context.Context) (version string, err error) {
	var answer string
	err = e.Query(ctx, "version", func(line string) bool { answer = line; return false })
	return VersionIn(e.Addr, answer, err)
}

// VersionIn returns the version that the server on addr stated in its answer to the command version; err is why there
// is no answer. The error is AskVersion's.
func VersionIn(addr, answer string, err error) (version string, _ error) {
	var dial *net.OpError
	switch {
	case errors.As(err, &dial) && dial.Op == "dial":
		return "", fmt.Errorf("can't connect to %s: %w", addr, dial.Err)
	case errors.Is(err, io.EOF):
		return "", fmt.Errorf("%s closed the connection without an answer to version", addr)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "", fmt.Errorf("%s did not answer version within %v", addr, QueryTimeout)
	case err != nil:
		return "", fmt.Errorf("%s: %w", addr, err)
	case answer == RefusalLine:
		return "", fmt.Errorf("%s: %w", addr, ErrConnectionRefused)
	case strings.HasPrefix(answer, "CLIENT_ERROR unauthenticated"):
		return "", fmt.Errorf("%s wants a user and a password (-Y), which there is no way to give here", addr)
	}
	version, ok := strings.CutPrefix(answer, "VERSION ")
	if !ok {
		return "", fmt.Errorf("%s is no memcached server: it answered %q to version", addr, answer)
	}
	return version, nil
}

// AskStats returns the statistics of one kind, empty for the general ones.
func (e Endpoint) AskStats(ctx context.Context, kind string) (map[string]string, error) {
	stats, last := make(map[string]string), ""
	err := e.Query(ctx, strings.TrimSpace("stats "+kind), func(line string) bool {
		last = line
		rest, more := strings.CutPrefix(line, "STAT ")
		if name, value, ok := strings.Cut(rest, " "); more && ok {
			stats[name] = value
		}
		return more
	})
	if err == nil && last != "END" {
		err = fmt.Errorf("%s answered %q to stats %s", e.Addr, last, kind)
	}
	return stats, err
}
