package sut

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

// Slabs are the kernel's slab caches, by name.
type Slabs map[string]slab

// slab is a cache: how many objects it has given out, and the size of one in bytes.
type slab struct {
	objects int64
	size    int64
}

// ReadSlabs reads /proc/slabinfo, which only root may do.
func ReadSlabs() (Slabs, error) {
	text, err := os.ReadFile("/proc/slabinfo")
	if err != nil {
		return nil, err
	}
	return parseSlabs(string(text))
}

// othersCaches are not counted: connections have nothing in them, and whatever else a machine does makes them grow, such as files that are read or
// mapped, and looks at /proc/PID/fd.
var othersCaches = []string{
	"proc_inode_cache", "ext4_inode_cache", "xfs_inode", "btrfs_inode", "ovl_inode", "shmem_inode_cache", "inode_cache", "buffer_head",
	"radix_tree_node", "vm_area_struct", "task_struct", "mm_struct",
}

// parseSlabs understands version 2: a line for each cache, of its name, the objects in use, those there is room for, and the size of one.
func parseSlabs(text string) (Slabs, error) {
	if !strings.HasPrefix(text, "slabinfo - version: 2.") {
		return nil, errors.New("/proc/slabinfo is not of version 2")
	}
	all := make(Slabs)
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "slabinfo") || strings.HasPrefix(line, "#") {
			continue
		}
		var name string
		var s slab
		var room int64
		if _, err := fmt.Sscan(line, &name, &s.objects, &room, &s.size); err != nil {
			return nil, fmt.Errorf("/proc/slabinfo: %q: %w", strings.TrimSpace(line), err)
		}
		if !slices.Contains(othersCaches, name) {
			all[name] = s
		}
	}
	return all, nil
}

// SlabCache is one of the kernel's caches of objects, as /proc/slabinfo lists them.
type SlabCache struct {
	Name  string  `json:"name"`
	Bytes float64 `json:"bytes"` // for each connection
}

// SlabGrowth is by how many objects a cache has grown for each connection.
type SlabGrowth struct {
	Name    string
	Objects float64
	size    int64
}

// fewObjects is what somebody else, and not the connections, has taken from a cache: what a connection needs comes in whole objects.
const fewObjects = 0.4

// PerConnection is how much each cache has grown since before, for each of n connections, as far as that is theirs.
func (s Slabs) PerConnection(before Slabs, n int) (all []SlabGrowth) {
	for name, now := range s {
		if each := float64(now.objects-before[name].objects) / float64(n); each >= fewObjects {
			all = append(all, SlabGrowth{name, each, now.size})
		}
	}
	return all
}

// Near reports that no cache has changed since before by so much that it would count for n connections.
func (s Slabs) Near(before Slabs, n int) bool {
	return len(s.PerConnection(before, n)) == 0 && len(before.PerConnection(s, n)) == 0
}

// Halve leaves one of two ends that are alike.
func Halve(all []SlabGrowth) (halves []SlabGrowth) {
	for _, g := range all {
		g.Objects /= 2
		halves = append(halves, g)
	}
	return halves
}

// Caches are what is left of the growth when that of other ends is taken away, the cache with most bytes first.
func Caches(all, others []SlabGrowth) (rest []SlabCache) {
	for _, g := range all {
		if i := slices.IndexFunc(others, func(o SlabGrowth) bool { return o.Name == g.Name }); i >= 0 {
			g.Objects -= others[i].Objects
		}
		if g.Objects >= fewObjects {
			rest = append(rest, SlabCache{Name: g.Name, Bytes: g.Objects * float64(g.size)})
		}
	}
	slices.SortFunc(rest, func(a, b SlabCache) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), strings.Compare(a.Name, b.Name))
	})
	return rest
}

// SumCaches is what all caches have grown by.
func SumCaches(all []SlabCache) (sum float64) {
	for _, c := range all {
		sum += c.Bytes
	}
	return sum
}
