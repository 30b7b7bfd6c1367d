package process

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ringcached/internal/servertest"
)

// fakeRoot writes files below a folder.
func fakeRoot(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// Lines of mountinfo.
const (
	rootMount = "23 1 0:20 / / rw shared:1 - ext4 /dev/vda rw\n"
	unified   = "31 23 0:28 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
	version1  = "35 23 0:32 / /sys/fs/cgroup/memory rw shared:10 - cgroup cgroup rw,memory\n"
	hybrid    = "41 23 0:38 / /sys/fs/cgroup/unified rw shared:11 - cgroup2 cgroup2 rw\n"
	noLimit1  = "9223372036854771712\n"
)

// TestMemoryLimits goes through the ways in which memory is limited.
func TestMemoryLimits(t *testing.T) {
	for name, test := range map[string]struct {
		files map[string]string
		want  []string // bytes and who
	}{
		"nothing is mounted": {nil, nil},
		"machine": {map[string]string{
			"proc/meminfo": "MemTotal:        1000 kB\nMemFree:          10 kB\nMemAvailable:     200 kB\nHugePages_Total:       0\n",
		}, []string{"1024000 MemTotal of the machine", "204800 MemAvailable of the machine, others have the rest"}},
		"a service and its slice": {map[string]string{
			"proc/self/cgroup":                                    "0::/system.slice/cache.service\n",
			"proc/self/mountinfo":                                 rootMount + unified,
			"sys/fs/cgroup/memory.max":                            "7\n", // the root has none, but a container's has
			"sys/fs/cgroup/system.slice/memory.max":               "2097152\n",
			"sys/fs/cgroup/system.slice/cache.service/memory.max": "max\n",
		}, []string{"2097152 /sys/fs/cgroup/system.slice/memory.max", "7 /sys/fs/cgroup/memory.max"}},
		"a unit with MemoryHigh= and MemoryMax=": {map[string]string{
			"proc/self/cgroup":            "0::/s\n",
			"proc/self/mountinfo":         rootMount + unified,
			"sys/fs/cgroup/s/memory.max":  "9000000\n",
			"sys/fs/cgroup/s/memory.high": "8000000\n",
			"sys/fs/cgroup/memory.high":   "max\n",
		}, []string{"9000000 /sys/fs/cgroup/s/memory.max", "8000000 /sys/fs/cgroup/s/memory.high slows"}},
		"a container with a namespace": {map[string]string{
			"proc/self/cgroup":         "0::/\n",
			"proc/self/mountinfo":      rootMount + unified,
			"sys/fs/cgroup/memory.max": "5000000\n",
		}, []string{"5000000 /sys/fs/cgroup/memory.max"}},
		"nested in a namespace": {map[string]string{
			"proc/self/cgroup":                 "0::/inner\n",
			"proc/self/mountinfo":              rootMount + unified,
			"sys/fs/cgroup/memory.max":         "5000000\n",
			"sys/fs/cgroup/inner/memory.max":   "6000000\n",
			"sys/fs/cgroup/another/memory.max": "1\n",
		}, []string{"6000000 /sys/fs/cgroup/inner/memory.max", "5000000 /sys/fs/cgroup/memory.max"}},
		"outside of the namespace": {map[string]string{
			"proc/self/cgroup":         "0::/../../elsewhere\n",
			"proc/self/mountinfo":      rootMount + unified,
			"sys/fs/cgroup/memory.max": "5000000\n",
			"memory.max":               "1\n",
			"elsewhere/memory.max":     "1\n",
		}, []string{"5000000 /sys/fs/cgroup/memory.max"}},
		"a container without a namespace": {map[string]string{
			"proc/self/cgroup":            "0::/docker/abc/in\n",
			"proc/self/mountinfo":         "31 23 0:28 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n",
			"sys/fs/cgroup/memory.max":    "max\n",
			"sys/fs/cgroup/in/memory.max": "4000000\n",
		}, []string{"4000000 /sys/fs/cgroup/in/memory.max"}},
		"mounted from outside of the namespace": {map[string]string{
			"proc/self/cgroup":         "0::/\n",
			"proc/self/mountinfo":      "31 23 0:28 /../.. /sys/fs/cgroup ro - cgroup2 cgroup rw\n",
			"sys/fs/cgroup/memory.max": "4000000\n",
		}, []string{"4000000 /sys/fs/cgroup/memory.max"}},
		"a neighbour with a longer name": {map[string]string{
			"proc/self/cgroup":                "0::/docker/abcdef\n",
			"proc/self/mountinfo":             "31 23 0:28 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n",
			"sys/fs/cgroup/memory.max":        "4000000\n",
			"sys/fs/cgroup/def/memory.max":    "1\n",
			"sys/fs/cgroup/abcdef/memory.max": "1\n",
		}, []string{"4000000 /sys/fs/cgroup/memory.max"}},
		"version 1": {map[string]string{
			"proc/self/cgroup":                                      "12:pids:/p\n4:cpu,memory:/docker/abc\n1:name=systemd:/s\n",
			"proc/self/mountinfo":                                   rootMount + version1 + "36 23 0:33 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes":            noLimit1,
			"sys/fs/cgroup/memory/docker/memory.limit_in_bytes":     "3000000\n",
			"sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes": "2000000\n",
			"sys/fs/cgroup/memory/p/memory.limit_in_bytes":          "1\n",
		}, []string{"2000000 /sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes", "3000000 /sys/fs/cgroup/memory/docker/memory.limit_in_bytes"}},
		"both versions, memory in the first": {map[string]string{
			"proc/self/cgroup":                               "4:memory:/abc\n0::/u\n",
			"proc/self/mountinfo":                            rootMount + version1 + hybrid,
			"sys/fs/cgroup/memory/abc/memory.limit_in_bytes": "2000000\n",
			"sys/fs/cgroup/unified/u/cgroup.procs":           "1\n",
		}, []string{"2000000 /sys/fs/cgroup/memory/abc/memory.limit_in_bytes"}},
		"a path with blanks and colons": {map[string]string{
			"proc/self/cgroup":               "0::/a:b c\n",
			"proc/self/mountinfo":            `31 23 0:28 / /sys/my\040groups rw - cgroup2 cgroup2 rw` + "\n",
			"sys/my groups/a:b c/memory.max": "9\n",
		}, []string{"9 /sys/my groups/a:b c/memory.max"}},
		"nonsense": {map[string]string{
			"proc/self/cgroup":         "x\n0::\n::\n",
			"proc/self/mountinfo":      "- cgroup2\n\n31 23 0:28 / /sys/fs/cgroup rw - cgroup2\n" + unified,
			"proc/meminfo":             "MemTotal\nMemTotal: many kB\n",
			"sys/fs/cgroup/memory.max": "lots\n",
		}, nil},
	} {
		var got []string
		for _, l := range MemoryLimits(fakeRoot(t, test.files)) {
			who := fmt.Sprint(l.Bytes, " ", l.Who)
			if l.Slows {
				who += " slows"
			}
			if l.Group != strings.HasPrefix(l.Who, "/") {
				t.Errorf("%s: %s: of a cgroup: %v", name, who, l.Group)
			}
			got = append(got, who)
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

// limitedGroup makes a cgroup below a hierarchy's root whose memory is limited.
func limitedGroup(t *testing.T, megabytes int) (dir string) {
	t.Helper()
	var why []string
	for _, m := range cgroupMounts("/", "memory") {
		dir, err := os.MkdirTemp(m.dir, "ringcached-memory-test-") // others, of test/systemd, are ringcached-test-
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, limitFiles[m.version][0]), fmt.Append(nil, megabytes<<20), 0)
			if err == nil {
				t.Cleanup(func() { _ = os.Remove(dir) }) // after the servers in it have ended
				return dir
			}
			_ = os.Remove(dir)
		}
		why = append(why, fmt.Sprint(m.dir, ": ", err))
	}
	t.Skipf("no cgroup with a memory limit can be made: it takes root, a hierarchy that is mounted for writing, and its memory controller (%s)", strings.Join(why, "; "))
	return ""
}

// TestMemoryOfCgroup: the limit of a real cgroup is found and named, in the log and by check.
func TestMemoryOfCgroup(t *testing.T) {
	dir := limitedGroup(t, 200)
	inside := func(args []string) *exec.Cmd {
		script := fmt.Sprintf(`echo $$ >%s/cgroup.procs && exec "$0" "$@"`, dir)
		return exec.Command("/bin/sh", append([]string{"-c", script, servertest.Binary()}, args...)...)
	}
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		for megabytes, warns := range map[string]bool{"100": false, "300": true} {
			server := servertest.StartCommand(t, engine, inside, "-m", megabytes)
			want := "of 200 that there are (" + dir + "/memory."
			if strings.Contains(server.Log(), want) != warns {
				t.Errorf("-m %s: %s", megabytes, server.Log())
			}
			if err := server.Stop(); err != nil {
				t.Error(err)
			}
		}
	})
	out, err := inside([]string{"check", "-u", "nobody", "-m", "300"}).CombinedOutput()
	if err != nil || strings.Count(string(out), "# warning: too little memory: ") != 1 {
		t.Errorf("check: %v, %s", err, out)
	}
}
