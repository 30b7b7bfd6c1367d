package sut

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"ringcached/bench/load"
)

// SyscallCount is how many system calls a server made per operation, and how that was found out. Counting costs the server time, so it happens in a
// short window of its own, after the timed one.
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

// CountSyscalls counts the system calls of the server while the load runs, for about d.
func CountSyscalls(ctx context.Context, l *load.Load, pid int, addr string, d time.Duration) SyscallCount {
	var why []string
	for _, m := range []struct {
		name  string
		count func() (float64, error)
	}{
		{ByPerf, func() (float64, error) { return countByPerf(ctx, l, pid, d) }},
		{ByServer, func() (float64, error) { return countByServer(ctx, l, addr, d) }},
		{ByStrace, func() (float64, error) { return countByStrace(ctx, l, pid, d) }},
	} {
		n, err := m.count()
		if err == nil {
			return SyscallCount{PerOperation: n, Method: m.name}
		}
		why = append(why, fmt.Sprintf("%s: %v", m.name, err))
	}
	return SyscallCount{Why: strings.Join(why, "; ")}
}

var errNoOperations = errors.New("no operations while counting")

func countByPerf(ctx context.Context, l *load.Load, pid int, d time.Duration) (float64, error) {
	perf, err := exec.LookPath("perf")
	if err != nil {
		return 0, err
	}
	var out tail
	cmd := exec.CommandContext(ctx, perf, "stat", "-x", ",", "-e", "raw_syscalls:sys_enter", "-p", strconv.Itoa(pid), "--", "sleep",
		strconv.FormatFloat(d.Seconds(), 'f', 3, 64))
	cmd.Stderr = &out
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	w, merr := l.Measure(ctx, d)
	if err := errors.Join(cmd.Wait(), merr); err != nil {
		return 0, fmt.Errorf("%w: %s", err, &out)
	}
	first, _, _ := strings.Cut(out.String(), ",")
	n, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return 0, fmt.Errorf("%s", &out)
	}
	if w.Operations == 0 {
		return 0, errNoOperations
	}
	// Both windows are of length d, to within the start of a process.
	return n / d.Seconds() / w.PerSecond(), nil
}

func countByServer(ctx context.Context, l *load.Load, addr string, d time.Duration) (float64, error) {
	read := func() (float64, error) {
		stats, err := load.AskStats(ctx, addr, "batch")
		if err != nil {
			return 0, err
		}
		n, ok := stats["syscalls"]
		if !ok {
			return 0, errors.New("the server does not count them")
		}
		return strconv.ParseFloat(n, 64)
	}
	before, err := read()
	if err != nil {
		return 0, err
	}
	start := time.Now()
	w, merr := l.Measure(ctx, d)
	after, err := read()
	if err := errors.Join(merr, err); err != nil {
		return 0, err
	}
	if w.Operations == 0 {
		return 0, errNoOperations
	}
	return (after - before) / time.Since(start).Seconds() / w.PerSecond(), nil
}

func countByStrace(ctx context.Context, l *load.Load, pid int, d time.Duration) (float64, error) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		return 0, err
	}
	dir, err := os.MkdirTemp("", "ringcached-bench-")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	summary := filepath.Join(dir, "strace")
	var out tail
	cmd := exec.CommandContext(ctx, strace, "-c", "-f", "-p", strconv.Itoa(pid), "-o", summary)
	cmd.Stderr = &out
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	for wait := 0; !strings.Contains(out.String(), "attached") && wait < 100; wait++ {
		time.Sleep(5 * time.Millisecond)
	}
	start := time.Now()
	w, merr := l.Measure(ctx, d)
	_ = cmd.Process.Signal(syscall.SIGINT)
	attached := time.Since(start)
	_ = cmd.Wait() // ends by the signal
	if merr != nil {
		return 0, merr
	}
	text, err := os.ReadFile(summary)
	if err != nil {
		return 0, fmt.Errorf("%w: %s", err, &out)
	}
	n, err := straceTotal(string(text))
	if err != nil {
		return 0, fmt.Errorf("%w: %s", err, &out)
	}
	if w.Operations == 0 {
		return 0, errNoOperations
	}
	return n / attached.Seconds() / w.PerSecond(), nil
}

// straceTotal finds the number of calls in the last line of strace -c: percent, seconds, microseconds per call, calls, perhaps errors, "total".
func straceTotal(summary string) (float64, error) {
	for line := range strings.Lines(summary) {
		f := strings.Fields(line)
		if len(f) >= 5 && f[len(f)-1] == "total" {
			return strconv.ParseFloat(f[3], 64)
		}
	}
	return 0, errors.New("no total in strace's summary")
}
