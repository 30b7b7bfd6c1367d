package process

import (
	"fmt"
	"math"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// maxThreads is the most threads that a server has without being asked for more: what -t takes at the most.
const maxThreads = 1024

// CPULimit is a limit on the processor time of the process: a quota, which a cgroup has in each of its periods.
type CPULimit struct {
	Cores float64 // the quota over the period; above 0
	Who   string  // a file of a cgroup
}

// CPULimits finds those of the process's cgroup and of those above it, of either version. What cannot be read is not there. root is / but in tests.
func CPULimits(root string) (limits []CPULimit) {
	own := ownCgroups(root, "cpu")
	for _, m := range cgroupMounts(root, "cpu") {
		for _, dir := range m.above(own[m.version]) {
			read := func(name string) string {
				text, _ := os.ReadFile(filepath.Join(root, dir, name))
				return string(text)
			}
			name := "cpu.max"
			text := read(name)
			if m.version == 1 {
				name = "cpu.cfs_quota_us"
				text = read(name) + " " + read("cpu.cfs_period_us")
			}
			if cores, limited := coresOf(text); limited {
				limits = append(limits, CPULimit{Cores: cores, Who: path.Join(dir, name)})
			}
		}
	}
	return limits
}

// coresOf reads a quota and a period. "max", and in version 1 -1, is no quota.
func coresOf(text string) (cores float64, limited bool) {
	fields := strings.Fields(text)
	if len(fields) != 2 {
		return 0, false
	}
	quota, errQuota := strconv.ParseInt(fields[0], 10, 64)
	period, errPeriod := strconv.ParseInt(fields[1], 10, 64)
	if errQuota != nil || errPeriod != nil || quota <= 0 || period <= 0 {
		return 0, false
	}
	return float64(quota) / float64(period), true
}

// DefaultThreads is how many threads serve unless -t says so, and where the number comes from: one for each of the usable cores, but no more than
// use up the least quota. A thread more would only make the kernel stop all of them sooner in each period; so a quota of 1.5 cores has two
// threads. chosen is GOMAXPROCS of the environment, which counts as in any program in Go.
func DefaultThreads(chosen string, cores int, limits []CPULimit) (threads int, from string) {
	if n, err := strconv.Atoi(chosen); err == nil && n > 0 {
		return min(n, maxThreads), "GOMAXPROCS of the environment"
	}
	threads, from = cores, "usable cores"
	for _, l := range limits {
		if n := int(math.Ceil(min(l.Cores, maxThreads))); n < threads {
			threads = n
			from = fmt.Sprintf("cpu quota of %s, %s", coresText(l.Cores), l.Who)
		}
	}
	return min(max(threads, 1), maxThreads), from
}

// coresText is a number of cores to two decimals, and to one digit below that.
func coresText(cores float64) string {
	digits := strconv.FormatFloat(math.Round(cores*100)/100, 'f', -1, 64)
	if cores < 0.01 {
		digits = strconv.FormatFloat(cores, 'g', 1, 64)
	}
	if digits == "1" {
		return "1 core"
	}
	return digits + " cores"
}
