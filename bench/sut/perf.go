package sut

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// perfEvent is what perf_event_open(2) counts: a type of the kernel's, and one of its events.
type perfEvent struct {
	kind   uint32
	config uint64
}

var (
	PerfCycles    = perfEvent{unix.PERF_TYPE_HARDWARE, unix.PERF_COUNT_HW_CPU_CYCLES}
	perfTaskClock = perfEvent{unix.PERF_TYPE_SOFTWARE, unix.PERF_COUNT_SW_TASK_CLOCK} // nanoseconds, in any machine
)

// perfSyscalls counts system calls, where the kernel's tracepoints may be read.
func perfSyscalls() (perfEvent, error) {
	text, err := os.ReadFile("/sys/kernel/tracing/events/raw_syscalls/sys_enter/id")
	if err != nil {
		return perfEvent{}, err
	}
	var id uint64
	_, err = fmt.Sscan(string(text), &id)
	return perfEvent{unix.PERF_TYPE_TRACEPOINT, id}, err
}

// openPerf makes a counter of what one thread and those that it makes do, in the kernel too, on whatever core; 0 is the calling thread.
func openPerf(e perfEvent, tid int) (*os.File, error) {
	attr := unix.PerfEventAttr{Type: e.kind, Config: e.config, Size: uint32(unsafe.Sizeof(unix.PerfEventAttr{})), Bits: unix.PerfBitInherit}
	fd, err := unix.PerfEventOpen(&attr, tid, -1, -1, unix.PERF_FLAG_FD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("perf_event_open: %w", err)
	}
	return os.NewFile(uintptr(fd), "perf event"), nil
}

// hardwareCounters says whether the CPU counts cycles.
func hardwareCounters() string {
	f, err := openPerf(PerfCycles, 0)
	switch {
	case err == nil:
		_ = f.Close()
		return "cycles"
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ENODEV), errors.Is(err, syscall.EOPNOTSUPP):
		return "none"
	}
	return "none: " + err.Error()
}

// PerfCounter counts what all threads of a process do, those too that are made later.
type PerfCounter struct{ threads []*os.File }

// CountProcess begins to count. The counter must be closed.
func CountProcess(e perfEvent, pid int) (*PerfCounter, error) {
	all, err := threads(pid)
	if err != nil {
		return nil, err
	}
	c := &PerfCounter{}
	for _, tid := range all {
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
