package sut

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// cpuClock is where CPU time is read: clock_gettime(2) with the clock of a process, in nanoseconds, of all threads, also those that ended.
const cpuClock = "process CPU clock"

// CPUReader reads how much CPU time, user and system together, a process has used so far. The kernel's own work for it is in there: system
// calls, what interrupts do while it runs, and threads that io_uring makes on its behalf.
type CPUReader struct {
	PID    int
	Source string
}

// NewCPUReader fails where the process's CPU time cannot be read.
func NewCPUReader(pid int) (*CPUReader, error) {
	r := &CPUReader{pid, cpuClock}
	if _, err := r.Read(); err != nil {
		return nil, fmt.Errorf("CPU time of process %d: %w", pid, err)
	}
	return r, nil
}

// Read reads the clock that clock_getcpuclockid(3) names: its id is the complement of the pid, shifted by three bits, and the number 2 for time as
// the scheduler accounts it.
func (r *CPUReader) Read() (time.Duration, error) {
	const schedClock = 2
	id := int32(^r.PID)<<3 | schedClock
	var ts syscall.Timespec
	if _, _, errno := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, uintptr(id), uintptr(unsafe.Pointer(&ts)), 0); errno != 0 {
		return 0, fmt.Errorf("clock_gettime: %w", errno)
	}
	return time.Duration(ts.Nano()), nil
}

// RunDelay is how long the threads of the process were ready to run so far and waited for a core that others had, 0 where the kernel does not tell.
func RunDelay(pid int) (sum time.Duration) {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	for _, f := range files {
		text, _ := os.ReadFile(f) // empty: the thread just ended
		var used, waited int64
		_, _ = fmt.Sscan(string(text), &used, &waited)
		sum += time.Duration(waited)
	}
	return sum
}

// CoreTimes is how one or more cores spent their time, from /proc/stat, in ticks.
type CoreTimes struct {
	busy, idle, softirq, steal int64
}

// ReadCoreTimes reads what the cores have done since boot from /proc/stat, all of them together.
func ReadCoreTimes(cores []int) (t CoreTimes, err error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return t, err
	}
	for line := range strings.Lines(string(text)) {
		for _, c := range cores {
			rest, found := strings.CutPrefix(line, fmt.Sprintf("cpu%d ", c))
			if !found {
				continue
			}
			var user, nice, system, idle, wait, irq, softirq, steal int64
			if _, err := fmt.Sscan(rest, &user, &nice, &system, &idle, &wait, &irq, &softirq, &steal); err != nil {
				return t, fmt.Errorf("/proc/stat: %w", err)
			}
			t.busy += user + nice + system + irq + softirq
			t.idle += idle + wait
			t.softirq += softirq
			t.steal += steal
		}
	}
	return t, nil
}

// CoreUse is how cores spent a stretch of time, in parts of 1.
type CoreUse struct {
	Busy    float64 `json:"busy"`
	Softirq float64 `json:"softirq"` // part of Busy
	Steal   float64 `json:"steal"`   // taken by the hypervisor for others: a noisy host
}

// Since is how the cores spent the time since before.
func (t CoreTimes) Since(before CoreTimes) CoreUse {
	total := float64(t.busy + t.idle + t.steal - before.busy - before.idle - before.steal)
	if total <= 0 {
		return CoreUse{}
	}
	part := func(now, then int64) float64 { return float64(now-then) / total }
	return CoreUse{part(t.busy, before.busy), part(t.softirq, before.softirq), part(t.steal, before.steal)}
}
