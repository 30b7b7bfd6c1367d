package process

import (
	"bytes"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// MemoryLimit is a limit on the memory that the process can use.
type MemoryLimit struct {
	Bytes   int64
	Who     string // a file of a cgroup, or a line of /proc/meminfo
	Passing bool   // it changes with what others take
	Group   bool   // it holds for a cgroup, which the kernel's memory for it counts for too
	Slows   bool   // whoever exceeds it is not killed but slowed down, which a cache is as good as dead from
}

// MemoryLimits finds all that holds for this process: the memory of the machine, and the limits of its cgroup and of those above that, of either
// version. What cannot be read is not there: an empty container has no /proc. root is / but in tests.
func MemoryLimits(root string) (limits []MemoryLimit) {
	total, available := machineMemory(root)
	if total > 0 {
		limits = append(limits, MemoryLimit{Bytes: total, Who: "MemTotal of the machine"})
	}
	if available > 0 {
		limits = append(limits, MemoryLimit{Bytes: available, Who: "MemAvailable of the machine, others have the rest", Passing: true})
	}
	own := ownCgroups(root, "memory")
	for _, m := range cgroupMounts(root, "memory") {
		for _, dir := range m.above(own[m.version]) {
			for _, name := range limitFiles[m.version] {
				file := path.Join(dir, name)
				text, err := os.ReadFile(filepath.Join(root, file))
				// "max" is none, and so is what version 1 has instead: the largest number of whole pages.
				if bytes, notNumber := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && notNumber == nil && bytes < 1<<62 {
					limits = append(limits, MemoryLimit{Bytes: bytes, Who: file, Group: true, Slows: name == softLimitFile})
				}
			}
		}
	}
	return limits
}

// machineMemory reads /proc/meminfo; 0: not known.
func machineMemory(root string) (total, available int64) {
	text, _ := os.ReadFile(filepath.Join(root, "proc/meminfo"))
	for line := range bytes.Lines(text) {
		name, value, _ := strings.Cut(string(line), ":")
		kibibytes, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		switch {
		case err != nil:
		case name == "MemTotal":
			total = kibibytes << 10
		case name == "MemAvailable":
			available = kibibytes << 10
		}
	}
	return total, available
}

// softLimitFile has what systemd calls MemoryHigh=. What version 1 calls a soft limit slows nobody down.
const softLimitFile = "memory.high"

// limitFiles are the files with a cgroup's limits, by version.
var limitFiles = map[int][]string{1: {"memory.limit_in_bytes"}, 2: {"memory.max", softLimitFile}}
