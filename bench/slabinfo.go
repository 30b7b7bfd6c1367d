package bench

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// slabs is how many bytes of objects each of the kernel's slab caches has given out.
type slabs map[string]int64

// readSlabs reads /proc/slabinfo, which only root may do.
func readSlabs() (slabs, error) {
	text, err := os.ReadFile("/proc/slabinfo")
	if err != nil {
		return nil, err
	}
	return parseSlabs(string(text))
}

// parseSlabs understands version 2: a line for each cache, of its name, the objects in use, those there is room for, and the size of one.
func parseSlabs(text string) (slabs, error) {
	if !strings.HasPrefix(text, "slabinfo - version: 2.") {
		return nil, errors.New("/proc/slabinfo is not of version 2")
	}
	all := make(slabs)
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if strings.HasPrefix(line, "slabinfo") || strings.HasPrefix(line, "#") || len(f) == 0 {
			continue
		}
		if len(f) < 4 {
			return nil, fmt.Errorf("/proc/slabinfo: %q is too short", strings.TrimSpace(line))
		}
		objects, err1 := strconv.ParseInt(f[1], 10, 64)
		size, err2 := strconv.ParseInt(f[3], 10, 64)
		if err := errors.Join(err1, err2); err != nil {
			return nil, fmt.Errorf("/proc/slabinfo: %w", err)
		}
		all[f[0]] += objects * size
	}
	return all, nil
}

// noSlab is what a cache must have grown by for each connection, in bytes, to be counted: the smallest object has 8, and what less than every
// second connection needs is somebody else's.
const noSlab = 4

// perConnection is how much each cache has grown since before, for each of n connections, the largest first.
func (s slabs) perConnection(before slabs, n int) (all []SlabCache) {
	for name, bytes := range s {
		if each := float64(bytes-before[name]) / float64(n); each >= noSlab {
			all = append(all, SlabCache{Name: name, Bytes: each})
		}
	}
	slices.SortFunc(all, compareCaches)
	return all
}

func compareCaches(a, b SlabCache) int {
	switch {
	case a.Bytes > b.Bytes:
		return -1
	case a.Bytes < b.Bytes:
		return 1
	}
	return strings.Compare(a.Name, b.Name)
}

// less takes from each cache what the other list has for it.
func less(all, other []SlabCache) (rest []SlabCache) {
	for _, c := range all {
		if i := slices.IndexFunc(other, func(o SlabCache) bool { return o.Name == c.Name }); i >= 0 {
			c.Bytes -= other[i].Bytes
		}
		if c.Bytes >= noSlab {
			rest = append(rest, c)
		}
	}
	slices.SortFunc(rest, compareCaches)
	return rest
}

// sumOf is what all caches have grown by.
func sumOf(all []SlabCache) (sum float64) {
	for _, c := range all {
		sum += c.Bytes
	}
	return sum
}
