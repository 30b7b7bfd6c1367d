package bench

import (
	"bufio"
	"context"
	"fmt"
	"strings"
	"time"
)

// queryTimeout bounds how long a server may take for one administrative command.
const queryTimeout = 20 * time.Second

// query sends one command on a connection of its own and hands each line of the reply to more, until that returns false.
func query(ctx context.Context, addr, command string, more func(line string) bool) error {
	c, err := dialServer(ctx, addr, queryTimeout)
	if err != nil {
		return err
	}
	defer c.Close()
	limit := time.Now().Add(queryTimeout)
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

func askVersion(ctx context.Context, addr string) (version string, err error) {
	var answer string
	if err := query(ctx, addr, "version", func(line string) bool { answer = line; return false }); err != nil {
		return "", err
	}
	version, ok := strings.CutPrefix(answer, "VERSION ")
	if !ok {
		return "", fmt.Errorf("%s answered %q to version", addr, answer)
	}
	return version, nil
}

// askStats returns the statistics of one kind, empty for the general ones.
func askStats(ctx context.Context, addr, kind string) (map[string]string, error) {
	stats := make(map[string]string)
	var bad string
	err := query(ctx, addr, strings.TrimSpace("stats "+kind), func(line string) bool {
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
