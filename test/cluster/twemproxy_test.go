package cluster

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestWhatTheProxyForwards: the commands on single keys and multigets are for the
// nodes; what concerns a whole server, the meta commands and the binary protocol
// close the connection.
func TestWhatTheProxyForwards(t *testing.T) {
	nodes := startNodes(t, 3)
	p, version := startProxy(t, nodes, consistent), nodes[0].Stats(t)["version"]
	for _, forwarded := range []struct{ request, reply string }{
		{"set k 5 0 1\r\n1\r\n", "STORED"},
		{"add k 0 0 1\r\n1\r\n", "NOT_STORED"},
		{"replace k 5 0 1\r\n1\r\n", "STORED"},
		{"append k 0 0 1\r\n2\r\n", "STORED"},
		{"prepend k 0 0 1\r\n3\r\n", "STORED"},
		{"get k\r\n", "VALUE k 5 3"},
		{"get none k none2\r\n", "VALUE k 5 3"},
		{"gets none\r\n", "END"},
		{"cas k 5 0 1 18446744073709551615\r\n1\r\n", "EXISTS"},
		{"incr k 5\r\n", "317"},
		{"decr k 5\r\n", "312"},
		{"touch k 100\r\n", "TOUCHED"},
		{"set k 0 0 1 noreply\r\n1\r\ndelete k\r\n", "DELETED"},
		{"set k 0 0 1048576\r\n" + strings.Repeat("x", 1<<20) + "\r\n", "SERVER_ERROR object too large for cache"},
		{"version\r\n", "VERSION " + version},
	} {
		if reply, err := p.dial(t).ask(forwarded.request); reply != forwarded.reply {
			t.Errorf("%.40q: %q, %v; want %q", forwarded.request, reply, err, forwarded.reply)
		}
	}
	for _, refused := range []string{
		"gat 0 k\r\n", "gats 0 k\r\n", "flush_all\r\n", "stats\r\n", "verbosity 1\r\n", "mg k v\r\n", "ms k 1\r\n1\r\n", "md k\r\n",
		"ma k\r\n", "mn\r\n", "me k\r\n", "lru_crawler metadump all\r\n", "\x80\x0a" + strings.Repeat("\x00", 22),
	} {
		if reply, err := p.dial(t).ask(refused); reply != "" || !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%.40q: %q, %v; want the end", refused, reply, err)
		}
	}
}

// TestProxyNeedsFewConnections: many clients of the proxy are one connection to
// each node.
func TestProxyNeedsFewConnections(t *testing.T) {
	nodes := startNodes(t, 3)
	p := startProxy(t, nodes, consistent)
	keys := manyKeys(100)
	for range 50 {
		c := p.dial(t) // stays open
		c.store(t, keys[:10], "v")
	}
	p.dial(t).store(t, keys, "v")
	p.eventually(t, "", "client_connections", func(n float64) bool { return n == 51 })
	for _, n := range nodes {
		if total := n.Stat(t, "total_connections"); total > 2 { // the proxy's, and the one that asks
			t.Errorf("%s: %d connections", n.name, total)
		}
	}
}

// TestDocumentedConfiguration: the proxy accepts the file that the documentation shows.
func TestDocumentedConfiguration(t *testing.T) {
	text, err := os.ReadFile("../../docs/cluster.md")
	if err != nil {
		t.Fatal(err)
	}
	_, config, _ := strings.Cut(string(text), "```yaml\n")
	config, _, found := strings.Cut(config, "```\n")
	file := filepath.Join(t.TempDir(), "nutcracker.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil || !found {
		t.Fatal(found, err)
	}
	if out, err := exec.Command(nutcracker, "--test-conf", "--conf-file="+file).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
