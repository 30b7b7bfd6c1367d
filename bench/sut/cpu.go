package sut

import (
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// CPUReader reads how much CPU time, user and system together, a process has used so far. The kernel's own work for it is in there: system
// calls, what interrupts do while it runs, and threads that io_uring makes on its behalf.
type CPUReader struct {
	PID    int
	Source string // what Read reads, for reports
}

// NewCPUReader fails where the process's CPU time cannot be read.
func NewCPUReader(pid int) (*CPUReader, error) {
	r := &CPUReader{pid, "process CPU clock"}
	if _, err := r.Read(); err != nil {
		return nil, fmt.Errorf("CPU time of process %d: %w", pid, err)
	}
	return r, nil
}

// Read reads the clock that clock_getcpuclockid(3) names: its id is the complement of the pid, shifted by three bits, and the number 2 for time as
// the scheduler accounts it. It counts nanoseconds of all threads, also of those that ended.
func (r *CPUReader) Read() (time.Duration, error) {
	const schedClock = 2
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^r.PID)<<3|schedClock, &ts); err != nil {
		return 0, fmt.Errorf("clock_gettime: %w", err)
	}
	return time.Duration(ts.Nano()), nil
}

// RunDelay is how long the threads of the process were ready to run so far and waited for a core that others had, 0 where the kernel does not tell.
func RunDelay(pid int) (sum time.Duration) {
	all, _ := threads(pid)
	for _, tid := range all {
		var used, waited int64
		_, _ = fmt.Sscan(firstLine(fmt.Sprintf("/proc/%d/task/%d/schedstat", pid, tid)), &used, &waited) // empty: the thread just ended
		sum += time.Duration(waited)
	}
	return sum
}

// CoreTimes is how long one or more cores were there, and how much of that the hypervisor took for others, in ticks.
type CoreTimes struct{ all, stolen int64 }

// ReadCoreTimes reads the times of the cores since boot from /proc/stat, all of them together.
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
			t.all += user + nice + system + idle + wait + irq + softirq + steal
			t.stolen += steal
		}
	}
	return t, nil
}

// StolenSince is the part of the cores' time since before, from 0 to 1, that was taken for others: of a noisy host.
func (t CoreTimes) StolenSince(before CoreTimes) float64 {
	return float64(t.stolen-before.stolen) / float64(max(t.all-before.all, 1))
}
