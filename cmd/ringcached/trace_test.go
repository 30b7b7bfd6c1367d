package main

import (
	"bufio"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"ringcached/internal/servertest"
)

// TestRequestsLogged: with -vv the lines of a connection are memcached's, from its beginning to its end, and have one number: that of its
// descriptor. Values are received and sent in every way that there is.
func TestRequestsLogged(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		flags := map[string][]string{"": nil, "unix": {"-s", filepath.Join(publicDir(t), "socket")}}
		if engine == "uring" {
			flags["direct"] = []string{"--direct-descriptors"}
		}
		for name, more := range flags {
			t.Run(name, func(t *testing.T) {
				server := servertest.Start(t, engine, append([]string{"-vv", "-t", "1"}, more...)...)
				for range 2 {
					checkLogged(t, server, name != "direct")
				}
			})
		}
	})
}

// loggedLine is a line with the number of a connection.
var loggedLine = regexp.MustCompile(`^ringcached: [<>]?(\d+):? `)

func checkLogged(t *testing.T, server *servertest.Server, numbered bool) {
	t.Helper()
	before := len(server.Log())
	conn := server.Dial(t)
	large := strings.Repeat("v\n", 100_000)
	fmt.Fprintf(conn, "set a 0 0 1\r\nx\r\nset l 0 0 %d\r\n%s\r\nget a nosuch l\r\nbogus\r\nquit\r\n", len(large), large)
	_ = conn.SetReadDeadline(time.Now().Add(30 * time.Second * servertest.Slow))
	if _, err := io.Copy(io.Discard, bufio.NewReader(conn)); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"<N new auto-negotiating client connection", "N: Client using the ascii protocol", "<N set a 0 0 1", ">N STORED",
		fmt.Sprintf("<N set l 0 0 %d", len(large)), ">N STORED", "<N get a nosuch l", ">N sending key a", ">N sending key l", ">N END",
		"<N bogus", ">N ERROR", "<N quit", "<N connection closed.",
	}
	var lines, numbers []string
	servertest.Eventually(t, 10*time.Second, func() error {
		lines, numbers = nil, nil
		for line := range strings.Lines(server.Log()[before:]) {
			if found := loggedLine.FindStringSubmatchIndex(line); found != nil {
				numbers = append(numbers, line[found[2]:found[3]])
				lines = append(lines, strings.TrimSpace(line[len("ringcached: "):found[2]]+"N"+line[found[3]:]))
			}
		}
		if !slices.Equal(lines, want) {
			return fmt.Errorf("logged %q, want %q", lines, want)
		}
		return nil
	})
	if n := slices.Compact(numbers); len(n) != 1 || numbered && n[0] < "3" && len(n[0]) == 1 {
		t.Errorf("the numbers are %v", numbers)
	}
}
