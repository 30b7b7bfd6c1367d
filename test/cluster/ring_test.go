package cluster

import (
	"crypto/md5"
	"encoding/binary"
	"fmt"
	"slices"
	"sort"
)

// pointsPerNode is how often each node of equal weight stands on the ring of
// ketama: four points of each of 40 hashes.
const pointsPerNode = 160

// ring is ketama's consistent hashing as the proxy does it with `hash: md5` and
// named nodes, written down a second time to predict where every key goes.
type ring []point

type point struct {
	hash uint32
	node string
}

func newRing(nodes []string) ring {
	var r ring
	for _, node := range nodes {
		for i := range pointsPerNode / 4 {
			sum := md5.Sum(fmt.Appendf(nil, "%s-%d", node, i))
			for part := range 4 {
				r = append(r, point{binary.LittleEndian.Uint32(sum[4*part:]), node})
			}
		}
	}
	slices.SortFunc(r, func(a, b point) int { return int(int64(a.hash) - int64(b.hash)) })
	return r
}

// node returns the node with the first point at or after the key's hash.
func (r ring) node(key string) string {
	sum := md5.Sum([]byte(key))
	hash := binary.LittleEndian.Uint32(sum[:])
	i := sort.Search(len(r), func(i int) bool { return r[i].hash >= hash })
	return r[i%len(r)].node
}

// keysOf returns those of keys that the ring gives to a node.
func (r ring) keysOf(node string, keys []string) []string {
	var of []string
	for _, key := range keys {
		if r.node(key) == node {
			of = append(of, key)
		}
	}
	return of
}

// manyKeys returns n keys that look as those of an application do.
func manyKeys(n int) []string {
	var keys []string
	for i := range n {
		keys = append(keys, fmt.Sprintf("user:%d:profile", i))
	}
	return keys
}
