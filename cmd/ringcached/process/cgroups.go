package process

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// ownCgroups are the paths of this process's cgroups in the hierarchies that may have a controller, such as memory, by version. On a machine that
// has both, one of them does not.
func ownCgroups(root, controller string) map[int]string {
	text, _ := os.ReadFile(filepath.Join(root, "proc/self/cgroup"))
	own := map[int]string{}
	for line := range bytes.Lines(text) {
		// 4:memory:/some/where, and 0::/some/where in version 2.
		fields := strings.SplitN(strings.TrimSuffix(string(line), "\n"), ":", 3)
		switch {
		case len(fields) < 3:
		case fields[0] == "0" && fields[1] == "":
			own[2] = fields[2]
		case hasWord(fields[1], controller):
			own[1] = fields[2]
		}
	}
	return own
}

// cgroupMount is where a hierarchy is mounted.
type cgroupMount struct {
	version int
	root    string // the cgroup that is mounted there
	dir     string
}

// cgroupMounts finds the hierarchies that may have the controller in /proc/self/mountinfo, see proc_pid_mountinfo(5).
func cgroupMounts(root, controller string) (mounts []cgroupMount) {
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
		case what[0] == "cgroup" && hasWord(what[2], controller):
			m.version = 1
		default:
			continue
		}
		mounts = append(mounts, m)
	}
	return mounts
}

// above are the folders of the cgroup with the path own, and of those above it that can be seen, the own first.
func (m cgroupMount) above(own string) (dirs []string) {
	// With a namespace of cgroups, or a mount from outside of it, either may lead out of what is mounted: then that is all that can be known.
	below := "/"
	if rest, inside := strings.CutPrefix(own, strings.TrimSuffix(m.root, "/")); inside && (rest == "" || rest[0] == '/') && !strings.Contains(rest, "/..") {
		below = path.Join("/", rest)
	}
	for {
		dirs = append(dirs, path.Join(m.dir, below))
		if below == "/" {
			return dirs
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
