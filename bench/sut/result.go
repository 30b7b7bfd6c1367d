package sut

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Format is that of the reports that this program writes and reads. It goes up when a program that knows the last one would misread
// the new one; a field that is only added leaves it alone.
const Format = 2

// Header is what every result begins with: when, where and how it was measured, and the servers that took part.
type Header struct {
	Format      int               `json:"format"` // Format
	Kind        string            `json:"kind"`   // compare, run, store, limits, replay, regress or attack
	Began       time.Time         `json:"began"`
	Seconds     float64           `json:"seconds"`
	Interrupted bool              `json:"interrupted,omitempty"` // experiments, or rounds of them, are missing
	Environment Environment       `json:"environment"`
	Options     any               `json:"options"`
	Servers     map[string]Server `json:"servers,omitempty"`
}

// Server is what is known of a server that took part.
type Server struct {
	Version string `json:"version"`
	Command string `json:"command,omitempty"`
	CPUFrom string `json:"cpu_time_from,omitempty"`
}

// NewHeader begins a result of a kind now, on this machine. The options are written as they are.
func NewHeader(kind string, options any) Header {
	return Header{Format: Format, Kind: kind, Began: time.Now(), Environment: ReadEnvironment(), Options: options, Servers: make(map[string]Server)}
}

// Finish keeps how long the measurement took. A later call counts.
func (h *Header) Finish() { h.Seconds = time.Since(h.Began).Seconds() }

// Note keeps what is known of a server when it is first seen; cpuFrom is where its CPU time was read, empty if it was not.
func (h *Header) Note(in *Instance, cpuFrom string) {
	if _, ok := h.Servers[in.Name]; !ok {
		h.Servers[in.Name] = Server{Version: in.version, Command: in.command(), CPUFrom: cpuFrom}
	}
}

// Failures lists what makes a result untrustworthy, a line each. A result that has none by itself has none.
func (h *Header) Failures() []string { return nil }

// ResidentBytes is the memory of the process that is in RAM.
func ResidentBytes(pid int) (int64, error) { return MemoryBytes(pid, "VmRSS") }

// AnonymousBytes is what of it is the process's own, without pages of files.
func AnonymousBytes(pid int) (int64, error) { return MemoryBytes(pid, "RssAnon") }

// MemoryBytes is a line of /proc/PID/status in bytes.
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
