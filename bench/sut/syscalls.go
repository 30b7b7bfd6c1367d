package sut

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"ringcached/bench/load"
)

// SyscallCount is how many system calls a server made per operation, counted in a short window of its own, since counting costs the server time.
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
func CountSyscalls(ctx context.Context, l *load.Load, pid int, addr string, d time.Duration) SyscallCount {
	var why []string
	for _, m := range []struct {
		name  string
		begin func() (counting, error)
	}{
		{ByPerf, func() (counting, error) { return countByPerf(pid) }},
		{ByServer, func() (counting, error) { return countByServer(ctx, addr) }},
		{ByStrace, func() (counting, error) { return countByStrace(ctx, pid) }},
	} {
		end, err := m.begin()
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

func countByPerf(pid int) (counting, error) {
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

func countByServer(ctx context.Context, addr string) (counting, error) {
	read := func() (int64, error) {
		stats, err := load.AskStats(ctx, addr, "batch")
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
func countByStrace(ctx context.Context, pid int) (counting, error) {
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

// straceTotal finds the number of calls in the last line of strace -c: percent, seconds, microseconds per call, calls, perhaps errors, "total".
func straceTotal(summary string) (float64, error) {
	for line := range strings.Lines(summary) {
		if f := strings.Fields(line); len(f) >= 5 && f[len(f)-1] == "total" {
			return strconv.ParseFloat(f[3], 64)
		}
	}
	return 0, fmt.Errorf("no total in strace's summary: %s", strings.TrimSpace(summary))
}
