package cluster

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"ringcached/internal/servertest"
)

// node is a server that can be killed and started again at the same address.
type node struct {
	*servertest.Server
	name string // in the proxy's configuration
}

// clusters counts what startNodes has started: the addresses are different in
// each, so that nobody can take that of a node which is killed.
var clusters atomic.Int32

// startNodes starts n servers, each on a loopback address of its own.
func startNodes(t *testing.T, n int) []*node {
	t.Helper()
	engines, cluster := servertest.Engines(), clusters.Add(1)
	var nodes []*node
	for i := range n {
		address := fmt.Sprintf("127.0.%d.%d", cluster, 1+i)
		nodes = append(nodes, &node{
			Server: servertest.Start(t, engines[i%len(engines)], "-t", "1", "-l", address),
			name:   fmt.Sprintf("node-%d", i),
		})
	}
	return nodes
}

// restart starts a killed node again: empty.
func (n *node) restart(t *testing.T) {
	t.Helper()
	host, port, err := net.SplitHostPort(n.Addr)
	if err != nil {
		t.Fatal(err)
	}
	n.Server = servertest.Start(t, n.Engine, "-t", "1", "-l", host, "-p", port)
}

// hold stops all threads of the node: connections stay open and nothing is answered.
func (n *node) hold(t *testing.T) {
	t.Helper()
	if err := n.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Signal(syscall.SIGCONT) })
	servertest.Eventually(t, patience, func() error {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", n.PID))
		if err != nil || len(threads) == 0 {
			return fmt.Errorf("threads %v, %w", threads, err)
		}
		for _, thread := range threads {
			if stat, err := os.ReadFile(thread); err != nil || !strings.Contains(string(stat), ") T ") {
				return fmt.Errorf("%s: %s, %w", thread, stat, err)
			}
		}
		return nil
	})
}

// release lets it go on.
func (n *node) release(t *testing.T) {
	t.Helper()
	if err := n.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
}

// holds asks a node itself for a key.
func (n *node) holds(t *testing.T, key string) (value string, found bool) {
	t.Helper()
	c := dial(t, "tcp", n.Addr)
	defer c.Close()
	value, found, err := c.get(key)
	if err != nil {
		t.Fatal(err)
	}
	return value, found
}

// whereIs returns which nodes hold each key.
func whereIs(t *testing.T, nodes []*node, keys []string) map[string][]string {
	t.Helper()
	where := map[string][]string{}
	for _, n := range nodes {
		c := dial(t, "tcp", n.Addr)
		for some := range slices.Chunk(keys, 100) {
			found, err := c.getMany(some)
			if err != nil {
				t.Fatal(err)
			}
			for key := range found {
				where[key] = append(where[key], n.name)
			}
		}
		c.Close()
	}
	return where
}

func names(nodes []*node) []string {
	var names []string
	for _, n := range nodes {
		names = append(names, n.name)
	}
	return names
}
