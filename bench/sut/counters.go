package sut

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"ringcached/bench/load"
)

// CPUSource is where CPUTime is read, for reports.
const CPUSource = "process CPU clock"

// CPUTime is how much CPU time, user and system together, all threads of a process have used so far, also those that
// ended. The kernel's own work for it is in there: system calls, what interrupts do while it runs, and threads that
// io_uring makes on its behalf. It is read from the clock that clock_getcpuclockid(3) names: its id is the complement
// of the pid, shifted by three bits, and the number 2 for time as the scheduler accounts it.
func CPUTime(pid int) (time.Duration, error) {
	const schedClock = 2
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid)<<3|schedClock, &ts); err != nil {
		return 0, fmt.Errorf("CPU time of process %d: clock_gettime: %w", pid, err)
	}
	return time.Duration(ts.Nano()), nil
}

// RunDelay is how long the threads of a process have waited for a core that others had, 0 if unknown.
func RunDelay(pid int) (sum time.Duration) {
	all, _ := threads(pid)
	for _, tid := range all {
		var used, waited int64
		line := firstLine(fmt.Sprintf("/proc/%d/task/%d/schedstat", pid, tid)) // empty: the thread just ended
		_, _ = fmt.Sscan(line, &used, &waited)
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

// perfEvent is what perf_event_open(2) counts: a type of the kernel's, and one of its events.
type perfEvent struct {
	kind   uint32
	config uint64
}

// PerfCycles are those of the CPU.
var PerfCycles = perfEvent{unix.PERF_TYPE_HARDWARE, unix.PERF_COUNT_HW_CPU_CYCLES}

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

// openPerf makes a counter of a thread and those that it makes, in the kernel too, on any core; 0: the calling one.
func openPerf(e perfEvent, tid int) (*os.File, error) {
	attr := unix.PerfEventAttr{Type: e.kind, Config: e.config, Bits: unix.PerfBitInherit}
	attr.Size = uint32(unsafe.Sizeof(attr))
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

// SyscallCount is how many system calls a server made per operation, counted in a short window, since that costs time.
type SyscallCount struct {
	PerOperation float64 `json:"per_operation"`
	Method       string  `json:"method,omitempty"` // one of the constants below; empty: not counted
	Why          string  `json:"why_not,omitempty"`
}

// Methods of counting system calls, best first.
const (
	ByPerf   = "perf"        // a counter in the kernel: hardly slows the server
	ByServer = "stats batch" // the server's own count, of its loop only
	ByStrace = "strace"      // slows the server many times: it finds more requests at once, so the true figure is higher
)

// counting has begun; the function ends it and says how many calls there were.
type counting func() (float64, error)

// CountSyscalls counts the system calls of the server while the load runs, for about d.
func CountSyscalls(ctx context.Context, l *load.Load, pid int, at load.Endpoint, d time.Duration) SyscallCount {
	var why []string
	for _, m := range []struct {
		name  string
		begin func(ctx context.Context, pid int, at load.Endpoint) (counting, error)
	}{{ByPerf, countByPerf}, {ByServer, countByServer}, {ByStrace, countByStrace}} {
		end, err := m.begin(ctx, pid, at)
		if err == nil {
			began := time.Now()
			w, merr := l.Measure(ctx, d)
			passed := time.Since(began)
			n, cerr := end()
			switch err = errors.Join(merr, cerr); {
			case err == nil && w.Operations > 0:
				return SyscallCount{PerOperation: n / passed.Seconds() / w.PerSecond(), Method: m.name}
			case err == nil:
				err = fmt.Errorf("no operations in %v", passed)
			}
		}
		why = append(why, fmt.Sprintf("%s: %v", m.name, err))
	}
	return SyscallCount{Why: strings.Join(why, "; ")}
}

func countByPerf(_ context.Context, pid int, _ load.Endpoint) (counting, error) {
	event, err := perfSyscalls()
	if err != nil {
		return nil, err
	}
	c, err := CountProcess(event, pid)
	return func() (float64, error) {
		defer c.Close()
		n, err := c.Read()
		return float64(n), err
	}, err
}

func countByServer(ctx context.Context, _ int, at load.Endpoint) (counting, error) {
	read := func() (int64, error) {
		stats, err := at.AskStats(ctx, "batch")
		if err == nil && stats["syscalls"] == "" {
			err = errors.New("the server does not count them")
		}
		if err != nil {
			return 0, err
		}
		return StatNumber(stats, "syscalls")
	}
	before, err := read()
	return func() (float64, error) {
		after, err := read()
		return float64(after - before), err
	}, err
}

// countByStrace reads what strace says when it has attached, and the table that it prints in the end.
func countByStrace(ctx context.Context, pid int, _ load.Endpoint) (counting, error) {
	var out tail
	cmd := exec.CommandContext(ctx, "strace", "-c", "-f", "-p", strconv.Itoa(pid))
	cmd.Stderr = &out
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	for wait := 0; !strings.Contains(out.String(), "attached") && wait < 100; wait++ {
		time.Sleep(5 * time.Millisecond)
	}
	return func() (float64, error) {
		_ = cmd.Process.Signal(syscall.SIGINT)
		_ = cmd.Wait() // ends by the signal
		return straceTotal(string(out.buf))
	}, nil
}

// straceTotal finds the calls in the last line of strace -c: percent, seconds, time per call, calls, errors, "total".
func straceTotal(summary string) (float64, error) {
	for line := range strings.Lines(summary) {
		if f := strings.Fields(line); len(f) >= 5 && f[len(f)-1] == "total" {
			return strconv.ParseFloat(f[3], 64)
		}
	}
	return 0, fmt.Errorf("no total in strace's summary: %s", strings.TrimSpace(summary))
}
