package sut

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// Sources of a process's CPU time, best first.
const (
	cpuClock     = "process CPU clock"   // clock_gettime: nanoseconds, all threads, also those that ended
	cpuSchedstat = "schedstat"           // nanoseconds, summed over the threads there are
	cpuTicks     = "stat ticks of 10 ms" // utime+stime
	userHz       = 100                   // of /proc, fixed by the kernel's ABI
	tick         = time.Second / userHz
)

// CPUReader reads how much CPU time, user and system together, a process has used so far. The kernel's own work for it is in there: system
// calls, what interrupts do while it runs, and threads that io_uring makes on its behalf.
type CPUReader struct {
	PID    int
	Source string
}

// NewCPUReader finds the best source that works for the process.
func NewCPUReader(pid int) (*CPUReader, error) {
	var last error
	for _, source := range []string{cpuClock, cpuSchedstat, cpuTicks} {
		r := &CPUReader{PID: pid, Source: source}
		used, err := r.Read()
		if err == nil && (used > 0 || source == cpuTicks) {
			return r, nil
		}
		last = err
	}
	return nil, fmt.Errorf("CPU time of process %d: %w", pid, last)
}

func (r *CPUReader) Read() (time.Duration, error) {
	switch r.Source {
	case cpuClock:
		return processClock(r.PID)
	case cpuSchedstat:
		used, _, err := schedstat(r.PID)
		return used, err
	}
	user, system, err := processTicks(r.PID)
	return user + system, err
}

// processClock reads the CPU-time clock of a process, the one that clock_getcpuclockid(3) names: its id is the complement of the pid,
// shifted by three bits, and the number 2 for time as the scheduler accounts it.
func processClock(pid int) (time.Duration, error) {
	const schedClock = 2
	id := int32(^pid)<<3 | schedClock
	var ts syscall.Timespec
	if _, _, errno := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, uintptr(id), uintptr(unsafe.Pointer(&ts)), 0); errno != 0 {
		return 0, fmt.Errorf("clock_gettime: %w", errno)
	}
	return time.Duration(ts.Nano()), nil
}

// schedstat is the CPU time of the threads that the process has, and how long they were ready to run and waited for a core.
func schedstat(pid int) (used, waited time.Duration, err error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(files) == 0 {
		return 0, 0, fmt.Errorf("process %d has no schedstat", pid)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			continue // the thread just ended
		}
		fields := strings.Fields(string(text))
		if len(fields) < 2 {
			return 0, 0, fmt.Errorf("%s is too short", f)
		}
		ns, err1 := strconv.ParseInt(fields[0], 10, 64)
		wait, err2 := strconv.ParseInt(fields[1], 10, 64)
		if err := errors.Join(err1, err2); err != nil {
			return 0, 0, fmt.Errorf("%s: %w", f, err)
		}
		used, waited = used+time.Duration(ns), waited+time.Duration(wait)
	}
	return used, waited, nil
}

// RunDelay is how long the threads of the process were ready to run so far and waited for a core that others had, 0 where the kernel does not tell.
func RunDelay(pid int) time.Duration {
	_, waited, _ := schedstat(pid)
	return waited
}

// processTicks reads user and system time from /proc/PID/stat, to within a tick.
func processTicks(pid int) (user, system time.Duration, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0, err
	}
	// The command's name is in parentheses and may hold anything; the fields behind the last one are plain, and begin with the third.
	rest := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(rest) < 13 {
		return 0, 0, fmt.Errorf("/proc/%d/stat is too short", pid)
	}
	var t [2]int64
	for i := range t {
		if t[i], err = strconv.ParseInt(rest[11+i], 10, 64); err != nil {
			return 0, 0, fmt.Errorf("/proc/%d/stat: %w", pid, err)
		}
	}
	return time.Duration(t[0]) * tick, time.Duration(t[1]) * tick, nil
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
		f := strings.Fields(line)
		for _, c := range cores {
			if len(f) < 9 || f[0] != fmt.Sprintf("cpu%d", c) {
				continue
			}
			var v [8]int64 // user nice system idle iowait irq softirq steal
			for i := range v {
				if v[i], err = strconv.ParseInt(f[1+i], 10, 64); err != nil {
					return t, fmt.Errorf("/proc/stat: %w", err)
				}
			}
			t.busy += v[0] + v[1] + v[2] + v[5] + v[6]
			t.idle += v[3] + v[4]
			t.softirq += v[6]
			t.steal += v[7]
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

func (t CoreTimes) Since(before CoreTimes) CoreUse {
	total := float64(t.busy + t.idle + t.steal - before.busy - before.idle - before.steal)
	if total <= 0 {
		return CoreUse{}
	}
	return CoreUse{
		Busy:    float64(t.busy-before.busy) / total,
		Softirq: float64(t.softirq-before.softirq) / total,
		Steal:   float64(t.steal-before.steal) / total,
	}
}
