package cluster

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"ringcached/internal/servertest"
)

// never is a server_retry_timeout within which no test ends.
const never = "server_retry_timeout: 3600000"

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
// costs server_failure_limit requests once more. One less, if the proxy has seen
// the node's connection end by itself, which counts as a failure too.
func TestDeadNodeIsTriedAgain(t *testing.T) {
	t.Parallel() // it mostly waits
	const limit = 2
	nodes := startNodes(t, 3)
	c := startProxy(t, nodes, consistent, "auto_eject_hosts: true", "server_failure_limit: 2", "server_retry_timeout: 500").dial(t)
	key := newRing(names(nodes)).keysOf("node-1", manyKeys(100))[0]
	c.store(t, []string{key}, "v")
	nodes[1].Kill()
	failures, outages := 0, 0
	servertest.Eventually(t, patience, func() error {
		_, found, err := c.get(key)
		switch {
		case found:
			t.Fatal("a dead node answered")
		case err != nil:
			if failures++; failures > limit {
				t.Fatalf("%d failures and not ejected", failures)
			}
			return err
		case failures > 0: // ejected
			failures = 0
			outages++
		}
		if outages < 2 {
			return fmt.Errorf("tried and ejected %d times", outages)
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
