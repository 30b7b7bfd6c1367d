package process

import (
	"bufio"
	"bytes"
	"fmt"
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
	own := ownCgroups(root)
	for _, m := range cgroupMounts(root) {
		limits = append(limits, m.limits(root, own[m.version])...)
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

// ownCgroups are the paths of this process's cgroups in the hierarchies that limit memory, by version. On a machine that has both, one of them
// does not.
func ownCgroups(root string) map[int]string {
	text, _ := os.ReadFile(filepath.Join(root, "proc/self/cgroup"))
	own := map[int]string{}
	for line := range bytes.Lines(text) {
		// 4:memory:/some/where, and 0::/some/where in version 2.
		fields := strings.SplitN(strings.TrimSuffix(string(line), "\n"), ":", 3)
		switch {
		case len(fields) < 3:
		case fields[0] == "0" && fields[1] == "":
			own[2] = fields[2]
		case hasWord(fields[1], "memory"):
			own[1] = fields[2]
		}
	}
	return own
}

// cgroupMount is where a hierarchy is mounted that can limit memory.
type cgroupMount struct {
	version int
	root    string // the cgroup that is mounted there
	dir     string
}

// cgroupMounts reads /proc/self/mountinfo, see proc_pid_mountinfo(5).
func cgroupMounts(root string) (mounts []cgroupMount) {
	file, err := os.Open(filepath.Join(root, "proc/self/mountinfo"))
	if err != nil {
		return nil
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20) // overlays have long lines
	for lines.Scan() {
		// 37 31 0:34 /root /dir rw,relatime shared:9 - cgroup cgroup rw,memory
		mount, system, _ := strings.Cut(lines.Text(), " - ")
		where, what := strings.Fields(mount), strings.Fields(system)
		if len(where) < 5 || len(what) < 3 {
			continue
		}
		m := cgroupMount{root: unescape(where[3]), dir: unescape(where[4])}
		switch {
		case what[0] == "cgroup2":
			m.version = 2
		case what[0] == "cgroup" && hasWord(what[2], "memory"):
			m.version = 1
		default:
			continue
		}
		mounts = append(mounts, m)
	}
	return mounts
}

// limitFiles are the files with a cgroup's limit, by version.
var limitFiles = map[int]string{1: "memory.limit_in_bytes", 2: "memory.max"}

// limits are those of the cgroup at path, and of those above it that can be seen.
func (m cgroupMount) limits(root, own string) (found []MemoryLimit) {
	// With a namespace of cgroups, or a mount from outside of it, either may lead out of what is mounted: then that is all that can be known.
	below := "/"
	if rest, inside := strings.CutPrefix(own, strings.TrimSuffix(m.root, "/")); inside && (rest == "" || rest[0] == '/') && !strings.Contains(rest, "/..") {
		below = path.Join("/", rest)
	}
	for {
		file := path.Join(m.dir, below, limitFiles[m.version])
		text, err := os.ReadFile(filepath.Join(root, file))
		// "max" is none, and so is what version 1 has instead: the largest number of whole pages.
		if bytes, notNumber := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && notNumber == nil && bytes < 1<<62 {
			found = append(found, MemoryLimit{Bytes: bytes, Who: file})
		}
		if below == "/" {
			return found
		}
		below = path.Dir(below)
	}
}

// hasWord looks for a word in a list that commas separate.
func hasWord(list, word string) bool {
	return strings.Contains(","+list+",", ","+word+",")
}

// unescape reads the \040 of mountinfo.
func unescape(text string) string {
	for _, c := range " \t\n\\" {
		text = strings.ReplaceAll(text, fmt.Sprintf(`\%03o`, c), string(c))
	}
	return text
}
