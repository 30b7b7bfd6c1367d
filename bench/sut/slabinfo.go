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

// slab is a cache: how many objects it has given out, or a growth for each connection, and the bytes of one.
type slab struct {
	Objects float64
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

// othersCaches are not counted: connections have nothing in them, and whatever else a machine does makes them grow,
// such as files that are read or mapped, and looks at /proc/PID/fd.
var othersCaches = []string{
	"proc_inode_cache", "ext4_inode_cache", "xfs_inode", "btrfs_inode", "ovl_inode", "shmem_inode_cache", "inode_cache",
	"buffer_head", "radix_tree_node", "vm_area_struct", "task_struct", "mm_struct",
}

// parseSlabs reads version 2: lines of a cache's name, objects in use, those there is room for, and the size of one.
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
		if _, err := fmt.Sscan(line, &name, &s.Objects, &room, &s.size); err != nil {
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

// fewObjects is what others have taken from a cache, and not connections: these need whole objects.
const fewObjects = 0.4

// PerConnection is how much each cache has grown since before, for each of n connections, as far as that is theirs.
func (s Slabs) PerConnection(before Slabs, n int) Slabs {
	growth := make(Slabs)
	for name, now := range s {
		if now.Objects = (now.Objects - before[name].Objects) / float64(n); now.Objects >= fewObjects {
			growth[name] = now
		}
	}
	return growth
}

// Near reports that no cache has changed since before by so much that it would count for n connections.
func (s Slabs) Near(before Slabs, n int) bool {
	return len(s.PerConnection(before, n)) == 0 && len(before.PerConnection(s, n)) == 0
}

// Caches are a growth less half of one of two ends that are alike: the cache of most bytes first, and the bytes of all.
func (s Slabs) Caches(ends Slabs) (rest []SlabCache, sum float64) {
	for name, g := range s {
		if left := g.Objects - ends[name].Objects/2; left >= fewObjects {
			rest = append(rest, SlabCache{Name: name, Bytes: left * float64(g.size)})
		}
	}
	slices.SortFunc(rest, func(a, b SlabCache) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), strings.Compare(a.Name, b.Name))
	})
	for _, c := range rest {
		sum += c.Bytes
	}
	return rest, sum
}
