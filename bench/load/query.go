package load

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"
)

// QueryTimeout bounds how long a server may take for one administrative command.
const QueryTimeout = 20 * time.Second

// Query sends one command on a connection of its own and hands each line of the reply to more, until that returns false.
func Query(ctx context.Context, addr, command string, more func(line string) bool) error {
	c, err := Dial(ctx, addr, QueryTimeout)
	if err != nil {
		return err
	}
	defer c.Close()
	limit := time.Now().Add(QueryTimeout)
	if d, ok := ctx.Deadline(); ok && d.Before(limit) {
		limit = d
	}
	_ = c.SetDeadline(limit)
	if _, err := c.Write([]byte(command + "\r\n")); err != nil {
		return err
	}
	lines := bufio.NewReader(c)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return err
		}
		if !more(strings.TrimRight(line, "\r\n")) {
			return nil
		}
	}
}

// AskVersion returns the version that the server on addr states. The error says whether nobody listens there, the server refuses the connection,
// wants a password, does not answer, or is no memcached server.
func AskVersion(ctx context.Context, addr string) (version string, err error) {
	var answer string
	err = Query(ctx, addr, "version", func(line string) bool { answer = line; return false })
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
		return "", fmt.Errorf("%s wants a user and a password (-Y), which loads do not have", addr)
	}
	version, ok := strings.CutPrefix(answer, "VERSION ")
	if !ok {
		return "", fmt.Errorf("%s is no memcached server: it answered %q to version", addr, answer)
	}
	return version, nil
}

// AskStats returns the statistics of one kind, empty for the general ones.
func AskStats(ctx context.Context, addr, kind string) (map[string]string, error) {
	stats := make(map[string]string)
	var bad string
	err := Query(ctx, addr, strings.TrimSpace("stats "+kind), func(line string) bool {
		f := strings.SplitN(line, " ", 3)
		if f[0] == "STAT" && len(f) == 3 {
			stats[f[1]] = f[2]
			return true
		}
		if line != "END" {
			bad = line
		}
		return false
	})
	if err == nil && bad != "" {
		err = fmt.Errorf("%s answered %q to stats %s", addr, bad, kind)
	}
	return stats, err
}

// RefusalLine is what memcached and ringcached tell a client before they close its connection, because as many are open as their -c allows.
const RefusalLine = "ERROR Too many open connections"

// ErrConnectionRefused is a connection that the server closed with a RefusalLine, whatever was asked on it.
var ErrConnectionRefused = errors.New("the server refused the connection: " + RefusalLine + " (raise its -c)")
