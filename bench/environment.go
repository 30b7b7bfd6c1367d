package bench

import (
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
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
}

// ReadEnvironment asks the system.
func ReadEnvironment() Environment {
	e := Environment{
		Kernel:     kernelRelease(),
		CPU:        cpuModel(),
		Cores:      runtime.NumCPU(),
		Go:         runtime.Version(),
		Version:    buildVersion(),
		Congestion: firstLine("/proc/sys/net/ipv4/tcp_congestion_control"),
		HugePages:  chosen(firstLine("/sys/kernel/mm/transparent_hugepage/enabled")),
		Governor:   firstLine("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
		Command:    os.Args,
	}
	files, _ := filepath.Glob("/sys/devices/system/cpu/vulnerabilities/*")
	for _, f := range files {
		if strings.HasPrefix(firstLine(f), "Mitigation") {
			e.Mitigations = append(e.Mitigations, filepath.Base(f))
		}
	}
	return e
}

func kernelRelease() string {
	var u syscall.Utsname
	if err := syscall.Uname(&u); err != nil {
		return ""
	}
	var b strings.Builder
	for _, c := range u.Release {
		if c == 0 {
			break
		}
		b.WriteByte(byte(c))
	}
	return b.String()
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
