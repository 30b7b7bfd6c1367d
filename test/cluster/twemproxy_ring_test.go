package cluster

import (
	"testing"
)

// keyCount is how many keys the tests of shares have.
const keyCount = 2000

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
