package process

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"ringcached/internal/servertest"
)

// TestCPULimits goes through the ways in which processor time is limited.
func TestCPULimits(t *testing.T) {
	const cpu1 = "36 23 0:33 / /sys/fs/cgroup/cpu,cpuacct rw shared:11 - cgroup cgroup rw,cpu,cpuacct\n"
	for name, test := range map[string]struct {
		files map[string]string
		want  []string // cores and who
	}{
		"nothing is mounted": {nil, nil},
		"a service and its slice": {map[string]string{
			"proc/self/cgroup":                                 "0::/system.slice/cache.service\n",
			"proc/self/mountinfo":                              rootMount + unified,
			"sys/fs/cgroup/system.slice/cpu.max":               "250000 100000\n",
			"sys/fs/cgroup/system.slice/cache.service/cpu.max": "max 100000\n",
		}, []string{"2.5 /sys/fs/cgroup/system.slice/cpu.max"}},
		"nested": {map[string]string{
			"proc/self/cgroup":          "0::/a/b\n",
			"proc/self/mountinfo":       rootMount + unified,
			"sys/fs/cgroup/cpu.max":     "800000 100000\n",
			"sys/fs/cgroup/a/cpu.max":   "100000 50000\n",
			"sys/fs/cgroup/a/b/cpu.max": "30000 10000\n",
		}, []string{"3 /sys/fs/cgroup/a/b/cpu.max", "2 /sys/fs/cgroup/a/cpu.max", "8 /sys/fs/cgroup/cpu.max"}},
		"a container with a namespace": {map[string]string{
			"proc/self/cgroup":      "0::/\n",
			"proc/self/mountinfo":   rootMount + unified,
			"sys/fs/cgroup/cpu.max": "50000 100000\n",
		}, []string{"0.5 /sys/fs/cgroup/cpu.max"}},
		"version 1": {map[string]string{
			"proc/self/cgroup":                                       "12:memory:/m\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/s\n3:cpuset:/c\n",
			"proc/self/mountinfo":                                    rootMount + version1 + cpu1,
			"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us":             "-1\n",
			"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us":            "100000\n",
			"sys/fs/cgroup/cpu,cpuacct/docker/cpu.cfs_quota_us":      "400000\n",
			"sys/fs/cgroup/cpu,cpuacct/docker/cpu.cfs_period_us":     "100000\n",
			"sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us":  "75000\n",
			"sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us": "50000\n",
			"sys/fs/cgroup/cpu,cpuacct/c/cpu.cfs_quota_us":           "1\n",
			"sys/fs/cgroup/memory/m/cpu.cfs_quota_us":                "1\n",
		}, []string{"1.5 /sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us", "4 /sys/fs/cgroup/cpu,cpuacct/docker/cpu.cfs_quota_us"}},
		"both versions, cpu in the first": {map[string]string{
			"proc/self/cgroup":                                "4:cpu,cpuacct:/abc\n0::/u\n",
			"proc/self/mountinfo":                             rootMount + cpu1 + hybrid,
			"sys/fs/cgroup/cpu,cpuacct/abc/cpu.cfs_quota_us":  "200000\n",
			"sys/fs/cgroup/cpu,cpuacct/abc/cpu.cfs_period_us": "100000\n",
			"sys/fs/cgroup/unified/u/cgroup.procs":            "1\n",
		}, []string{"2 /sys/fs/cgroup/cpu,cpuacct/abc/cpu.cfs_quota_us"}},
		"nonsense": {map[string]string{
			"proc/self/cgroup":          "0::/a/b/c/d/e\n",
			"proc/self/mountinfo":       rootMount + unified,
			"sys/fs/cgroup/cpu.max":     "100000\n",
			"sys/fs/cgroup/a/cpu.max":   "lots 100000\n",
			"sys/fs/cgroup/a/b/cpu.max": "100000 0\n",

			"sys/fs/cgroup/a/b/c/cpu.max":   "0 100000\n",
			"sys/fs/cgroup/a/b/c/d/cpu.max": "-100000 -100000\n",
		}, nil},
	} {
		var got []string
		for _, l := range CPULimits(fakeRoot(t, test.files)) {
			got = append(got, fmt.Sprint(l.Cores, " ", l.Who))
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

// TestDefaultThreads: the least of cores and quotas counts, rounded up, and it is never none.
func TestDefaultThreads(t *testing.T) {
	limits := func(cores ...float64) (all []CPULimit) {
		for i, c := range cores {
			all = append(all, CPULimit{c, fmt.Sprint("file", i)})
		}
		return all
	}
	for _, test := range []struct {
		chosen string
		cores  int
		limits []CPULimit
		want   string
	}{
		{"", 8, nil, "8 usable cores"},
		{"", 8, limits(2), "2 cpu quota of 2 cores, file0"},
		{"", 8, limits(1.5), "2 cpu quota of 1.5 cores, file0"},
		{"", 8, limits(1.001), "2 cpu quota of 1 core, file0"},
		{"", 8, limits(1), "1 cpu quota of 1 core, file0"},
		{"", 8, limits(0.1), "1 cpu quota of 0.1 cores, file0"},
		{"", 8, limits(0.001), "1 cpu quota of 0.001 cores, file0"},
		{"", 8, limits(4, 2.25, 6), "3 cpu quota of 2.25 cores, file1"},
		{"", 8, limits(7.5), "8 usable cores"},
		{"", 2, limits(64), "2 usable cores"},
		{"", 8, limits(1e300), "8 usable cores"},
		{"", 4096, nil, "1024 usable cores"},
		{"3", 8, limits(2), "3 GOMAXPROCS of the environment"},
		{"0", 8, nil, "8 usable cores"},
		{"many", 8, nil, "8 usable cores"},
	} {
		threads, from := DefaultThreads(test.chosen, test.cores, test.limits)
		if got := fmt.Sprint(threads, " ", from); got != test.want {
			t.Errorf("%q, %d cores, %v: %s, want %s", test.chosen, test.cores, test.limits, got, test.want)
		}
	}
}

// groupWithQuota makes a cgroup below a hierarchy's root that has half a core.
func groupWithQuota(t *testing.T) (dir string) {
	t.Helper()
	var why []string
	for _, m := range cgroupMounts("/", "cpu") {
		dir, err := os.MkdirTemp(m.dir, "ringcached-cpu-test-")
		if err == nil {
			file, quota := "cpu.max", "50000 100000"
			if m.version == 1 {
				file, quota = "cpu.cfs_quota_us", "50000"
			}
			err = os.WriteFile(filepath.Join(dir, file), []byte(quota), 0)
			if err == nil {
				t.Cleanup(func() { _ = os.Remove(dir) }) // after the servers in it have ended
				return dir
			}
			_ = os.Remove(dir)
		}
		why = append(why, fmt.Sprint(m.dir, ": ", err))
	}
	t.Skipf("no cgroup with a cpu quota can be made: it takes root, a hierarchy that is mounted for writing, and its cpu controller (%s)", strings.Join(why, "; "))
	return ""
}

// TestThreadsOfCgroup: a server in a real cgroup has the threads of its quota, and tells so in the log, in `stats settings` and in check; -t wins.
func TestThreadsOfCgroup(t *testing.T) {
	if runtime.NumCPU() < 2 {
		t.Skip("with one core there is one thread in any case")
	}
	dir := groupWithQuota(t)
	inside := func(args []string) *exec.Cmd {
		script := fmt.Sprintf(`unset GOMAXPROCS; echo $$ >%s/cgroup.procs && exec "$0" "$@"`, dir)
		return exec.Command("/bin/sh", append([]string{"-c", script, servertest.Binary()}, args...)...)
	}
	quota := "cpu quota of 0.5 cores, " + dir + "/cpu."
	for flags, want := range map[string]struct{ threads, from string }{"": {"1", quota}, "-t 2": {"2", "-t"}} {
		server := servertest.StartCommand(t, "auto", inside, strings.Fields(flags)...)
		settings := server.Stats(t, "settings")
		if settings["num_threads"] != want.threads || !strings.HasPrefix(settings["num_threads_from"], want.from) {
			t.Errorf("%q: %s threads from %s", flags, settings["num_threads"], settings["num_threads_from"])
		}
		if said := server.Log(); !strings.Contains(said, ", "+want.threads+" thread") || !strings.Contains(said, " ("+want.from) {
			t.Errorf("%q: %s", flags, said)
		}
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	}
	out, err := inside([]string{"check", "-u", "nobody", "-l", "127.0.0.1"}).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "\n--threads=1\n") || !strings.Contains(string(out), "\n# 1 thread: "+quota) {
		t.Errorf("check: %v, %s", err, out)
	}
}
