package sut

import (
	"cmp"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"

	"ringcached/ring"
)

// Environment is what a result depends on beside the servers. What the system does not tell is empty.
type Environment struct {
	Kernel     string `json:"kernel"`
	CPU        string `json:"cpu"`
	Cores      int    `json:"cores"`
	Go         string `json:"go"`
	Version    string `json:"version"` // of this program
	Congestion string `json:"tcp_congestion_control"`
	// Mitigations names the vulnerabilities that the kernel works around: they set the price of a system call.
	Mitigations []string `json:"mitigations"`
	HugePages   string   `json:"transparent_hugepage"`
	Governor    string   `json:"cpu_governor"`
	Command     []string `json:"command"`
	// Physical cores, the nodes of memory (NUMA) that they belong to, and how much memory there is in all.
	PhysicalCores int   `json:"physical_cores"`
	Nodes         int   `json:"numa_nodes"`
	Memory        int64 `json:"memory_bytes"`
	// OpenFiles and LockedMemory are this process's limits, which servers inherit; -1 is none.
	OpenFiles    int64 `json:"limit_open_files"`
	LockedMemory int64 `json:"limit_locked_memory_bytes"`
	// Ring lists the features of io_uring that this kernel has, or says why there is no io_uring.
	Ring string `json:"io_uring"`
	// Counters says whether the CPU counts cycles for whoever asks, or why it does not.
	Counters string `json:"hardware_counters"`
}

// Machine is the processor, the kernel and the release of Go, for the headings of tables.
func (e *Environment) Machine() string {
	return fmt.Sprintf("%s, kernel %s, %s", cmp.Or(e.CPU, "unknown CPU"), e.Kernel, e.Go)
}

// ReadEnvironment asks the system.
func ReadEnvironment() Environment {
	e := Environment{
		Kernel:     firstLine("/proc/sys/kernel/osrelease"),
		CPU:        cpuModel(),
		Cores:      runtime.NumCPU(),
		Go:         runtime.Version(),
		Version:    buildVersion(),
		Congestion: firstLine("/proc/sys/net/ipv4/tcp_congestion_control"),
		HugePages:  chosen(firstLine("/sys/kernel/mm/transparent_hugepage/enabled")),
		Governor:   firstLine("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
		Command:    os.Args,

		PhysicalCores: physicalCores(),
		Nodes:         countFiles("/sys/devices/system/node/node[0-9]*"),
		Memory:        totalMemory(),
		OpenFiles:     ResourceLimit(syscall.RLIMIT_NOFILE),
		LockedMemory:  ResourceLimit(rlimitMemlock),
		Ring:          ringFeatures(),
		Counters:      hardwareCounters(),
	}
	files, _ := filepath.Glob("/sys/devices/system/cpu/vulnerabilities/*")
	for _, f := range files {
		if strings.HasPrefix(firstLine(f), "Mitigation") {
			e.Mitigations = append(e.Mitigations, filepath.Base(f))
		}
	}
	return e
}

// physicalCores counts the groups of hardware threads that share a core.
func physicalCores() int {
	files, _ := filepath.Glob("/sys/devices/system/cpu/cpu[0-9]*/topology/thread_siblings_list")
	groups := make(map[string]bool)
	for _, f := range files {
		groups[firstLine(f)] = true
	}
	return len(groups)
}

func countFiles(pattern string) int {
	files, _ := filepath.Glob(pattern)
	return len(files)
}

func totalMemory() int64 {
	var s syscall.Sysinfo_t
	if err := syscall.Sysinfo(&s); err != nil {
		return 0
	}
	return int64(s.Totalram) * int64(s.Unit)
}

const rlimitMemlock = 8 // RLIMIT_MEMLOCK, asm-generic/resource.h

// OwnFiles are the files beside the connections that this process may have open.
const OwnFiles = 100

// ResourceLimit is a soft limit, -1 for none.
func ResourceLimit(resource int) int64 {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(resource, &l); err != nil {
		return 0
	}
	if l.Cur > math.MaxInt64 {
		return -1
	}
	return int64(l.Cur)
}

func ringFeatures() string {
	features, err := ring.Probe()
	if err != nil {
		return "none: " + err.Error()
	}
	return cmp.Or(features.String(), "none beyond kernel 5.19's")
}

func cpuModel() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

func buildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return info.Main.Version
}

func firstLine(path string) string {
	text, _ := os.ReadFile(path)
	line, _, _ := strings.Cut(string(text), "\n")
	return strings.TrimSpace(line)
}

// chosen picks the word in brackets, as the kernel marks the option in force.
func chosen(options string) string {
	_, rest, ok := strings.Cut(options, "[")
	word, _, _ := strings.Cut(rest, "]")
	if !ok {
		return options
	}
	return word
}
