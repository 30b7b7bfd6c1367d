package cluster

import (
	"bufio"
	"context"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// TestPymemcacheHashClient: the client leaves a dead node out and comes back to it.
func TestPymemcacheHashClient(t *testing.T) { runClientHashing(t, "pymemcache_hash.py") }

// TestPylibmcKetama: the client gives errors for the keys of a dead node until it is back.
func TestPylibmcKetama(t *testing.T) { runClientHashing(t, "pylibmc_ketama.py") }

// runClientHashing runs a program that gets the addresses of three nodes and
// says on its standard output "kill N" or "start N" to have it done; it reads a
// line when it is. It exits with 0 if all was as it expects.
func runClientHashing(t *testing.T, script string) {
	t.Helper()
	nodes := startNodes(t, 3)
	args := []string{"-B", "hashing/" + script}
	for _, n := range nodes {
		args = append(args, n.Addr)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/usr/bin/python3", args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	in, inErr := cmd.StdinPipe()
	out, outErr := cmd.StdoutPipe()
	if inErr != nil || outErr != nil {
		t.Fatal(inErr, outErr)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		verb, number, _ := strings.Cut(lines.Text(), " ")
		i, err := strconv.Atoi(number)
		switch {
		case verb == "kill" && err == nil:
			nodes[i].Kill()
		case verb == "start" && err == nil:
			nodes[i].restart(t)
		default:
			t.Log(lines.Text())
			continue
		}
		_, _ = io.WriteString(in, "done\n")
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%s: %v\n%s", script, err, stderr.String())
	}
}
