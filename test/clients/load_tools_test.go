package clients

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"ringcached/internal/servertest"
)

// TestMemcslap runs libmemcached's load generator, shortly.
func TestMemcslap(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		server := servertest.Start(t, engine)
		for _, args := range [][]string{
			{"-t", "get"}, {"-t", "set"}, {"-t", "mget"}, {"-t", "set", "-b"}, {"-t", "get", "-b"}, {"-t", "set", "-n"}, {"-t", "set", "-R"},
		} {
			out := runClient(t, "memcslap", append(args, "-s", server.Addr, "-c", "4", "-e", "500")...)
			if strings.Contains(strings.ToLower(out), "fail") {
				t.Errorf("%v: %s", args, out)
			}
		}
		servertest.Eventually(t, clientTime/servertest.Slow, func() error { // the client may have left before they are handled
			if sets := server.Stat(t, "cmd_set"); sets < 2500 {
				return fmt.Errorf("%d sets arrived", sets)
			}
			return nil
		})
	})
}

// TestMemcaslap runs libmemcached's other load generator, which compares each
// value that it gets with what it has set.
func TestMemcaslap(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		server := servertest.Start(t, engine)
		for _, args := range [][]string{nil, {"--division=20"}, {"--binary"}} {
			before := server.Stat(t, "cmd_set")
			out := runClient(t, "memcaslap", append(args, "--servers="+server.Addr,
				"--threads=2", "--concurrency=8", "--execute_number=4000", "--verify=1.0")...)
			for _, none := range []string{"get_misses", "verify_misses", "verify_failed"} {
				if n := memcaslapFigure(t, out, none); n != 0 {
					t.Errorf("%v: %s %d", args, none, n)
				}
			}
			sets := memcaslapFigure(t, out, "cmd_set")
			if sets == 0 {
				t.Errorf("%v: no sets sent", args)
			}
			servertest.Eventually(t, clientTime/servertest.Slow, func() error {
				if n := server.Stat(t, "cmd_set") - before; n < sets {
					return fmt.Errorf("%v: %d sets sent, %d arrived", args, sets, n)
				}
				return nil
			})
		}
	})
}

func memcaslapFigure(t *testing.T, out, name string) int {
	t.Helper()
	_, figure, _ := strings.Cut(out, "\n"+name+": ")
	figure, _, _ = strings.Cut(figure, "\n")
	n, err := strconv.Atoi(figure)
	if err != nil {
		t.Fatalf("no %s in\n%s", name, out)
	}
	return n
}
