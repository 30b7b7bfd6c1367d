package sut

import (
	"cmp"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"ringcached/bench/load"
	"ringcached/ring"
)

// Format is that of the reports that this program writes and reads. It goes up when a program that knows the last one
// would misread the new one; a field that is only added leaves it alone.
const Format = 2

// Header is what every result begins with: when, where and how it was measured, and the servers that took part.
type Header struct {
	Format      int               `json:"format"` // Format
	Kind        string            `json:"kind"`   // compare, run, store, limits, replay, regress or attack
	Began       time.Time         `json:"began"`
	Seconds     float64           `json:"seconds"`
	Interrupted bool              `json:"interrupted,omitempty"` // experiments, or rounds of them, are missing
	Environment Environment       `json:"environment"`
	Home        string            `json:"home,omitempty"`      // of the user who ran it
	Directory   string            `json:"directory,omitempty"` // in which it ran, without links
	Options     any               `json:"options"`
	Servers     map[string]Server `json:"servers,omitempty"`
}

// Server is what is known of a server that took part.
type Server struct {
	Version string `json:"version"`
	Command string `json:"command,omitempty"`
	CPUFrom string `json:"cpu_time_from,omitempty"`
	TLS     string `json:"tls,omitempty"` // version and cipher suite of a load's connections, empty: they were plain
}

// NewHeader begins a result of a kind now, on this machine. The options are written as they are.
func NewHeader(kind string, options any) Header {
	h := Header{Format: Format, Kind: kind, Began: time.Now(), Options: options, Servers: make(map[string]Server)}
	h.Environment = ReadEnvironment()
	h.Home, _ = os.UserHomeDir() // where there is none, empty
	if dir, err := os.Getwd(); err == nil {
		h.Directory, _ = filepath.EvalSymlinks(dir)
	}
	return h
}

// Finish keeps how long the measurement took. A later call counts.
func (h *Header) Finish() { h.Seconds = time.Since(h.Began).Seconds() }

// Note keeps what is known of a server when it is first seen; cpuFrom is where its CPU time was read, "" if it was not.
func (h *Header) Note(in *Instance, cpuFrom string) {
	if _, ok := h.Servers[in.noted()]; !ok {
		h.Servers[in.noted()] = Server{Version: in.version, Command: in.command(), CPUFrom: cpuFrom}
	}
}

// NoteTLS keeps what the connections of a load to a server that was noted agreed on; nil: they are plain.
func (h *Header) NoteTLS(in *Instance, session *load.Session) {
	if s := h.Servers[in.noted()]; session != nil {
		s.TLS = session.String()
		h.Servers[in.noted()] = s
	}
}

// TLSName is what a server is called that speaks TLS, beside one of the name that does not.
func TLSName(name string) string { return name + ", TLS" }

// noted is the instance's name in results.
func (in *Instance) noted() string {
	if in.OverTLS {
		return TLSName(in.Name)
	}
	return in.Name
}

// MemoryBytes is a line of /proc/PID/status in bytes, such as VmRSS, what is in RAM, and RssAnon, that without files.
func MemoryBytes(pid int, name string) (int64, error) {
	path := fmt.Sprintf("/proc/%d/status", pid)
	kb, err := strconv.ParseInt(strings.TrimSuffix(valueIn(path, name), " kB"), 10, 64)
	if err != nil {
		err = fmt.Errorf("%s has no %s", path, name)
	}
	return kb << 10, err
}

// StatNumber is a statistic that is one.
func StatNumber(stats map[string]string, name string) (int64, error) {
	n, err := strconv.ParseInt(stats[name], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("statistic %s: %w", name, err)
	}
	return n, nil
}

// Environment is what a result depends on beside the servers. What the system does not tell is empty.
type Environment struct {
	Kernel        string   `json:"kernel"`
	CPU           string   `json:"cpu"`
	Cores         int      `json:"cores"`
	Go            string   `json:"go"`
	Version       string   `json:"version"` // of this program
	Congestion    string   `json:"tcp_congestion_control"`
	Mitigations   []string `json:"mitigations"` // against which vulnerabilities: they set the price of a system call
	HugePages     string   `json:"transparent_hugepage"`
	Governor      string   `json:"cpu_governor"`
	Command       []string `json:"command"`
	PhysicalCores int      `json:"physical_cores"`
	Nodes         int      `json:"numa_nodes"`
	Memory        int64    `json:"memory_bytes"` // of the machine
	OpenFiles     int64    `json:"limit_open_files"`
	LockedMemory  int64    `json:"limit_locked_memory_bytes"` // this process's limits, which servers inherit; -1 is none
	Ring          string   `json:"io_uring"`                  // its features in this kernel, or why there is none
	Counters      string   `json:"hardware_counters"`         // that the CPU counts cycles, or why it does not
}

// Machine is the processor, the kernel and the release of Go, for the headings of tables.
func (e *Environment) Machine() string {
	return fmt.Sprintf("%s, kernel %s, %s", cmp.Or(e.CPU, "unknown CPU"), e.Kernel, e.Go)
}

// ReadEnvironment asks the system.
func ReadEnvironment() Environment {
	e := Environment{
		Kernel:     firstLine("/proc/sys/kernel/osrelease"),
		CPU:        cmp.Or(valueIn("/proc/cpuinfo", "model name"), runtime.GOARCH),
		Cores:      runtime.NumCPU(),
		Go:         runtime.Version(),
		Version:    buildVersion(),
		Congestion: firstLine("/proc/sys/net/ipv4/tcp_congestion_control"),
		HugePages:  chosen(firstLine("/sys/kernel/mm/transparent_hugepage/enabled")),
		Governor:   firstLine("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
		Command:    os.Args,

		Nodes:        len(files("/sys/devices/system/node/node[0-9]*")),
		OpenFiles:    ResourceLimit(unix.RLIMIT_NOFILE),
		LockedMemory: ResourceLimit(unix.RLIMIT_MEMLOCK),
		Counters:     hardwareCounters(),
	}
	for _, f := range files("/sys/devices/system/cpu/vulnerabilities/*") {
		if strings.HasPrefix(firstLine(f), "Mitigation") {
			e.Mitigations = append(e.Mitigations, filepath.Base(f))
		}
	}
	groups := make(map[string]bool) // of hardware threads that share a core
	for _, f := range files("/sys/devices/system/cpu/cpu[0-9]*/topology/thread_siblings_list") {
		groups[firstLine(f)] = true
	}
	e.PhysicalCores = len(groups)
	var s unix.Sysinfo_t
	if unix.Sysinfo(&s) == nil {
		e.Memory = int64(s.Totalram) * int64(s.Unit)
	}
	if features, err := ring.Probe(); err != nil {
		e.Ring = "none: " + err.Error()
	} else {
		e.Ring = cmp.Or(features.String(), "none beyond kernel 5.19's")
	}
	return e
}

// OwnFiles are the files beside the connections that this process may have open.
const OwnFiles = 100

// ResourceLimit is a soft limit, -1 for none.
func ResourceLimit(resource int) int64 {
	var l unix.Rlimit
	if unix.Getrlimit(resource, &l) != nil {
		return 0
	}
	if l.Cur > math.MaxInt64 {
		return -1
	}
	return int64(l.Cur)
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

func files(pattern string) []string {
	all, _ := filepath.Glob(pattern)
	return all
}

// firstLine is that of a file, empty if there is none.
func firstLine(path string) string {
	text, _ := os.ReadFile(path)
	line, _, _ := strings.Cut(string(text), "\n")
	return strings.TrimSpace(line)
}

// valueIn is the first value of a name in a file with lines of "name: value", empty if there is none.
func valueIn(path, name string) string {
	text, _ := os.ReadFile(path)
	for line := range strings.Lines(string(text)) {
		if key, value, _ := strings.Cut(line, ":"); strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// chosen picks the word in brackets, as the kernel marks the option in force.
func chosen(options string) string {
	_, rest, _ := strings.Cut(options, "[")
	word, _, ok := strings.Cut(rest, "]")
	if !ok {
		return options
	}
	return word
}
