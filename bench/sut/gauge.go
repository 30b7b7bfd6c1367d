package sut

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"

	"ringcached/bench/load"
)

// ResidentBytes is the memory of the process that is in RAM.
func ResidentBytes(pid int) (int64, error) { return MemoryBytes(pid, "VmRSS") }

// AnonymousBytes is what of it is the process's own, without pages of files.
func AnonymousBytes(pid int) (int64, error) { return MemoryBytes(pid, "RssAnon") }

// MemoryBytes is a line of /proc/PID/status in bytes.
func MemoryBytes(pid int, name string) (int64, error) {
	path := fmt.Sprintf("/proc/%d/status", pid)
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == name+":" {
			kb, err := strconv.ParseInt(f[1], 10, 64)
			return kb << 10, err
		}
	}
	return 0, fmt.Errorf("%s has no %s", path, name)
}

// Gauge is what a server says of its store, and the system of the server.
type Gauge struct {
	Items     int64 `json:"items"`
	Evictions int64 `json:"evictions"`
	Bytes     int64 `json:"bytes"`       // of items, with the server's headers
	Index     int64 `json:"index_bytes"` // of the hash table
	Resident  int64 `json:"resident_bytes"`
}

// ReadGauge asks the server for its statistics, and the system for its memory if the server was started here.
func ReadGauge(ctx context.Context, in *Instance) (g Gauge, err error) {
	stats, err := load.AskStats(ctx, in.Addr, "")
	if err != nil {
		return g, err
	}
	for _, f := range []struct {
		name string
		to   *int64
	}{{"curr_items", &g.Items}, {"evictions", &g.Evictions}, {"bytes", &g.Bytes}, {"hash_bytes", &g.Index}} {
		if *f.to, err = StatNumber(stats, f.name); err != nil {
			return g, err
		}
	}
	if in.Process != nil {
		g.Resident, err = ResidentBytes(in.Process.PID)
	}
	return g, err
}

// StatNumber is a statistic that is one.
func StatNumber(stats map[string]string, name string) (int64, error) {
	n, err := strconv.ParseInt(stats[name], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("statistic %s: %w", name, err)
	}
	return n, nil
}
