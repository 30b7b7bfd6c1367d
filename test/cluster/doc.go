// Package cluster has no code but tests: they show what docs/cluster.md tells of
// several servers behind a proxy (twemproxy, whose program is nutcracker) and of
// clients that choose among several servers themselves. The nodes are real
// servers on addresses of their own, in both engines by turns; they are killed,
// held up and started again.
package cluster
