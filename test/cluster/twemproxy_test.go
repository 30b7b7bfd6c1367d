package cluster

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"ringcached/internal/servertest"
)

const keyCount = 2000

// never is a server_retry_timeout within which no test ends.
const never = "server_retry_timeout: 3600000"

// TestKeysFollowTheRing: each key is on the one node that ketama says, whatever
// addresses the named nodes have, and no node has much more or less than its
// share. Without names the ring is made of the addresses.
func TestKeysFollowTheRing(t *testing.T) {
	nodes := startNodes(t, 4)
	keys := manyKeys(keyCount)
	startProxy(t, nodes, consistent).dial(t).store(t, keys, "v")
	expectRing(t, nodes, keys)
	for _, n := range nodes {
		share := float64(len(newRing(names(nodes)).keysOf(n.name, keys))) / keyCount
		t.Logf("%s has %.1f %% of the keys", n.name, 100*share)
		if share < 0.20 || share > 0.30 {
			t.Errorf("%s has %.1f %% of the keys, a quarter is even", n.name, 100*share)
		}
	}

	for _, n := range nodes {
		n.name = n.Addr
	}
	others := manyKeys(2 * keyCount)[keyCount:]
	startProxy(t, nodes, consistent).dial(t).store(t, others, "v")
	expectRing(t, nodes, others)
}

// expectRing expects each key on the node that the ring of the nodes' names gives
// it, and on no other.
func expectRing(t *testing.T, nodes []*node, keys []string) {
	t.Helper()
	ring, where := newRing(names(nodes)), whereIs(t, nodes, keys)
	for _, key := range keys {
		if got := where[key]; len(got) != 1 || got[0] != ring.node(key) {
			t.Fatalf("%s is on %v, want %s", key, got, ring.node(key))
		}
	}
}

// TestDefaultHashKeepsNeighboursTogether: with the hash that is the default of
// the proxy keys that differ only in the last character lie on the same node,
// more often than not; md5 has no such habit.
func TestDefaultHashKeepsNeighboursTogether(t *testing.T) {
	nodes := startNodes(t, 4)
	together := map[string]int{} // of 100 groups of ten keys
	for _, hash := range []string{"fnv1a_64", "md5"} {
		c := startProxy(t, nodes, "distribution: ketama", "hash: "+hash).dial(t)
		for group := range 100 {
			var keys []string
			for last := range 10 {
				keys = append(keys, hash+"-"+string(rune('a'+group/10))+string(rune('a'+group%10))+"-"+string(rune('0'+last)))
			}
			c.store(t, keys, "v")
			holders := map[string]bool{}
			for _, holder := range whereIs(t, nodes, keys) {
				holders[holder[0]] = true
			}
			if len(holders) == 1 {
				together[hash]++
			}
		}
	}
	t.Logf("groups on a single node: %v", together)
	if together["fnv1a_64"] < 50 || together["md5"] > 5 {
		t.Errorf("groups on a single node: %v", together)
	}
}

// TestAddingANode: ketama moves to a new node its share and nothing else; modula
// moves most keys.
func TestAddingANode(t *testing.T) {
	nodes := startNodes(t, 4)
	keys := manyKeys(keyCount)
	before, after := newRing(names(nodes[:3])), newRing(names(nodes))
	for _, pool := range []string{consistent, "distribution: modula\n  hash: md5"} {
		startProxy(t, nodes[:3], pool).dial(t).store(t, keys, "v")
		c, moved := startProxy(t, nodes, pool).dial(t), 0
		for _, key := range keys {
			_, found, err := c.get(key)
			if err != nil {
				t.Fatal(err)
			}
			if !found {
				moved++
			}
			if pool == consistent && found == (before.node(key) != after.node(key)) {
				t.Errorf("%s: found %v, %s before and %s after", key, found, before.node(key), after.node(key))
			}
		}
		t.Logf("%q: %.1f %% moved", pool, 100*float64(moved)/keyCount)
		if share := float64(moved) / keyCount; pool == consistent != (share < 0.30) || pool != consistent && share < 0.70 {
			t.Errorf("%q: %.1f %% moved", pool, 100*share)
		}
		for _, n := range nodes {
			if reply, err := dial(t, "tcp", n.Addr).ask("flush_all\r\n"); reply != "OK" {
				t.Fatalf("flush_all: %q, %v", reply, err)
			}
		}
	}
}

// TestDeadNodeIsEjected: a killed node costs server_failure_limit requests; then
// its keys, and no others, are missing, and go to the nodes that are left.
func TestDeadNodeIsEjected(t *testing.T) {
	nodes := startNodes(t, 4)
	p := startProxy(t, nodes, consistent, "auto_eject_hosts: true", "server_failure_limit: 2", never)
	c := p.dial(t)
	keys := manyKeys(keyCount)
	c.store(t, keys, "before")
	nodes[1].Kill()
	left := []*node{nodes[0], nodes[2], nodes[3]}
	full, rest := newRing(names(nodes)), newRing(names(left))

	failures, missing := 0, 0
	for _, key := range keys {
		_, found, err := c.get(key)
		for err != nil {
			if !strings.Contains(err.Error(), "SERVER_ERROR") || failures == 2 {
				t.Fatalf("after %d failures: %v", failures, err)
			}
			failures++
			_, found, err = c.get(key)
		}
		if dead := full.node(key) == "node-1"; found == dead {
			t.Errorf("%s of %s: found %v", key, full.node(key), found)
		}
		if !found {
			missing++
		}
	}
	t.Logf("%d requests failed, %.1f %% of the keys are missing", failures, 100*float64(missing)/keyCount)
	if failures == 0 {
		t.Error("no request failed")
	}

	lost := full.keysOf("node-1", keys)
	c.store(t, lost, "after")
	expectRing(t, left, lost)
	took := map[string]int{}
	for _, key := range lost {
		took[rest.node(key)]++
	}
	t.Logf("%d keys were taken over: %v", len(lost), took)
	for _, n := range left {
		if took[n.name] < len(lost)/10 {
			t.Errorf("%s took only %d of %d keys over", n.name, took[n.name], len(lost))
		}
	}
	p.eventually(t, "", "server_ejects", func(n float64) bool { return n == 1 })
	p.eventually(t, "node-1", "server_ejected_at", func(at float64) bool { return at > 0 })
	p.eventually(t, "node-1", "server_err", func(n float64) bool { return n > 0 })
	p.eventually(t, "node-0", "server_ejected_at", func(at float64) bool { return at == 0 })
}

// TestDeadNodeIsTriedAgain: after server_retry_timeout a node that is still dead
// costs server_failure_limit requests once more.
func TestDeadNodeIsTriedAgain(t *testing.T) {
	t.Parallel() // it mostly waits
	nodes := startNodes(t, 3)
	c := startProxy(t, nodes, consistent, "auto_eject_hosts: true", "server_failure_limit: 2", "server_retry_timeout: 500").dial(t)
	key := newRing(names(nodes)).keysOf("node-1", manyKeys(100))[0]
	c.store(t, []string{key}, "v")
	nodes[1].Kill()
	failures := 0
	servertest.Eventually(t, patience, func() error {
		_, found, err := c.get(key)
		switch {
		case found:
			t.Fatal("a dead node answered")
		case err != nil:
			failures++
		case failures%2 != 0 || failures == 0:
			t.Fatalf("ejected after %d failures", failures)
		}
		if err != nil || failures < 4 {
			return fmt.Errorf("%d failures, now %v", failures, err)
		}
		return nil
	})
}

// TestOldCopiesOfAnOutage: what other nodes took over stays with them when the
// node is back, and is served again, out of date, when the node fails once more.
func TestOldCopiesOfAnOutage(t *testing.T) {
	t.Parallel() // it mostly waits
	nodes := startNodes(t, 3)
	c := startProxy(t, nodes, consistent, "auto_eject_hosts: true", "server_failure_limit: 1", "server_retry_timeout: 500").dial(t)
	key := newRing(names(nodes)).keysOf("node-1", manyKeys(100))[0]
	c.store(t, []string{key}, "first")
	nodes[1].Kill()
	c.store(t, []string{key}, "second")

	nodes[1].restart(t)
	c.becomes(t, key, "")
	c.store(t, []string{key}, "third")
	if value, _ := nodes[1].holds(t, key); value != "third" {
		t.Fatalf("the node that is back has %q", value)
	}

	nodes[1].Kill()
	c.becomes(t, key, "second")
}

// TestNoEjection: with auto_eject_hosts off the keys of a dead node have errors
// for answers until it is back, those of others are as they were, and nothing
// moves.
func TestNoEjection(t *testing.T) {
	nodes := startNodes(t, 3)
	c := startProxy(t, nodes, consistent, "auto_eject_hosts: false").dial(t)
	keys, ring := manyKeys(300), newRing(names(nodes))
	c.store(t, keys, "v")
	nodes[1].Kill()
	for range 3 {
		for _, key := range keys {
			_, found, err := c.get(key)
			dead := ring.node(key) == "node-1"
			if dead != (err != nil && strings.Contains(err.Error(), "SERVER_ERROR")) || !dead && !found {
				t.Errorf("%s of %s: found %v, %v", key, ring.node(key), found, err)
			}
		}
	}
	nodes[1].restart(t)
	c.store(t, keys, "w")
	expectRing(t, nodes, keys)
}

// TestWithoutTimeout: a request to a node that hangs waits for as long as it
// hangs; those to others do not.
func TestWithoutTimeout(t *testing.T) {
	nodes := startNodes(t, 3)
	p := startProxy(t, nodes, consistent)
	keys, ring := manyKeys(100), newRing(names(nodes))
	c := p.dial(t)
	c.store(t, keys, "v")
	nodes[1].hold(t)
	waiting, theirs := p.dial(t), ring.keysOf("node-1", keys)
	answered := make(chan error, 1)
	go func() {
		_, found, err := waiting.get(theirs[0])
		if err == nil && !found {
			err = errors.New("a miss")
		}
		answered <- err
	}()
	p.eventually(t, "node-1", "requests", func(n float64) bool { return int(n) > len(theirs) })
	c.becomes(t, ring.keysOf("node-0", keys)[0], "v")
	select {
	case err := <-answered:
		t.Errorf("answered by a node that hangs: %v", err)
	default:
	}
	nodes[1].release(t)
	if err := <-answered; err != nil {
		t.Error(err)
	}
}

// TestNodeThatWasOnlyUnreachable: a node that does not answer is ejected after
// `timeout`. It still has what it had, and what it was sent before the proxy gave
// up: back in the ring it serves old values, unless it was flushed first.
func TestNodeThatWasOnlyUnreachable(t *testing.T) {
	t.Parallel() // it mostly waits
	nodes := startNodes(t, 3)
	p := startProxy(t, nodes, consistent, "auto_eject_hosts: true", "server_failure_limit: 1", "timeout: 1000", "server_retry_timeout: 2000")
	c := p.dial(t)
	var keys []string
	c.store(t, manyKeys(300), "old")
	for key, holders := range whereIs(t, nodes, manyKeys(300)) {
		if len(holders) == 1 && holders[0] == "node-1" { // whatever a busy machine has timed out
			keys = append(keys, key)
		}
	}
	// next sets the next of the keys until that succeeds or fails as wanted: which of both is the proxy's
	// decision, and a key whose set has failed may be set later.
	next := func(value string, succeeds bool) (key string) {
		servertest.Eventually(t, patience, func() error {
			key, keys = keys[0], keys[1:]
			if err := c.set(key, value); succeeds != (err == nil) {
				return fmt.Errorf("set %s: %v", key, err)
			}
			return nil
		})
		return key
	}

	for _, flush := range []bool{false, true} {
		nodes[1].hold(t)
		late := next("late", false)
		key := next("new", true)
		nodes[1].release(t)
		servertest.Eventually(t, patience, func() error {
			if value, _ := nodes[1].holds(t, late); value != "late" {
				return fmt.Errorf("%s is %q", late, value)
			}
			return nil
		})
		if !flush {
			c.becomes(t, key, "old")
			continue
		}
		if reply, err := dial(t, "tcp", nodes[1].Addr).ask("flush_all\r\n"); reply != "OK" {
			t.Fatalf("flush_all: %q, %v", reply, err)
		}
		c.becomes(t, key, "")
	}
	p.eventually(t, "node-1", "server_timedout", func(n float64) bool { return n >= 2 })
}

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
