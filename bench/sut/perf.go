package sut

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"unsafe"
)

// perfEvent is what perf_event_open counts, by the kernel's numbers: a type and one of its events.
type perfEvent struct {
	kind   uint32
	config uint64
}

var (
	PerfCycles    = perfEvent{0, 0} // PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES
	perfTaskClock = perfEvent{1, 1} // PERF_TYPE_SOFTWARE, PERF_COUNT_SW_TASK_CLOCK: nanoseconds, in any machine
)

// perfSyscalls counts system calls, where the kernel's tracepoints may be read.
func perfSyscalls() (perfEvent, error) {
	const tracepoint = 2 // PERF_TYPE_TRACEPOINT
	text, err := os.ReadFile("/sys/kernel/tracing/events/raw_syscalls/sys_enter/id")
	if err != nil {
		return perfEvent{}, err
	}
	id, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	return perfEvent{tracepoint, id}, err
}

// cyclesName is what Environment.Counters says where cycles can be counted.
const cyclesName = "cycles"

// perfAttr is the beginning of the kernel's struct perf_event_attr, PERF_ATTR_SIZE_VER0.
type perfAttr struct {
	kind         uint32
	size         uint32
	config       uint64
	samplePeriod uint64
	sampleType   uint64
	readFormat   uint64
	flags        uint64
	wakeup       uint32
	breakpoint   uint32
	config1      uint64
}

const (
	perfInherit   = 1 << 1 // attr.inherit: threads that are made later count too
	perfCloseExec = 1 << 3 // PERF_FLAG_FD_CLOEXEC
)

// openPerf makes a counter of what one thread does, in the kernel too, on whatever core; 0 is the calling thread.
func openPerf(e perfEvent, tid int) (*os.File, error) {
	attr := perfAttr{kind: e.kind, size: uint32(unsafe.Sizeof(perfAttr{})), config: e.config, flags: perfInherit}
	anyCore, noGroup := -1, -1
	fd, _, errno := syscall.RawSyscall6(syscall.SYS_PERF_EVENT_OPEN, uintptr(unsafe.Pointer(&attr)), uintptr(tid), uintptr(anyCore),
		uintptr(noGroup), perfCloseExec, 0)
	if errno != 0 {
		return nil, fmt.Errorf("perf_event_open: %w", errno)
	}
	return os.NewFile(fd, "perf event"), nil
}

// hardwareCounters says whether the CPU counts cycles.
func hardwareCounters() string {
	f, err := openPerf(PerfCycles, 0)
	switch {
	case err == nil:
		_ = f.Close()
		return cyclesName
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ENODEV), errors.Is(err, syscall.EOPNOTSUPP):
		return "none"
	}
	return "none: " + err.Error()
}

// PerfCounter counts what all threads of a process do, those too that are made later.
type PerfCounter struct {
	threads []*os.File
}

// CountProcess begins to count. The counter must be closed.
func CountProcess(e perfEvent, pid int) (*PerfCounter, error) {
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return nil, err
	}
	c := &PerfCounter{}
	for _, t := range tasks {
		tid, err := strconv.Atoi(t.Name())
		if err != nil {
			continue
		}
		f, err := openPerf(e, tid)
		if errors.Is(err, syscall.ESRCH) {
			continue // the thread just ended
		}
		if err != nil {
			c.Close()
			return nil, err
		}
		c.threads = append(c.threads, f)
	}
	return c, nil
}

// Read returns what was counted since the beginning.
func (c *PerfCounter) Read() (sum uint64, err error) {
	var b [8]byte
	for _, f := range c.threads {
		if _, err := f.Read(b[:]); err != nil {
			return 0, err
		}
		sum += binary.NativeEndian.Uint64(b[:])
	}
	return sum, nil
}

func (c *PerfCounter) Close() {
	for _, f := range c.threads {
		_ = f.Close()
	}
}
