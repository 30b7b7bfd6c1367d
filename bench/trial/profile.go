package trial

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// profileTime is how long a server is profiled for.
const profileTime = 3 * time.Second

// checkProfiler looks for perf, and makes the directory.
func checkProfiler(dir string) error {
	if _, err := exec.LookPath("perf"); err != nil {
		return fmt.Errorf("profile: perf (package linux-perf) is needed: %w", err)
	}
	return os.MkdirAll(dir, 0o755)
}

// profile starts the first server of a point that missed a target under its load, and records where its CPU time goes: WORKLOAD.data for perf, and a
// list in WORKLOAD.txt, whose name it returns.
func (m *measuring) profile(ctx context.Context, t *track) (path string, err error) {
	dir, name := m.o.Profile, t.spot.point.Load.Name
	s, err := m.stand(ctx, t, m.o.Seed)
	defer s.stop()
	if err != nil {
		return "", err
	}
	data := filepath.Join(dir, name+".data")
	record := exec.CommandContext(ctx, "perf", "record", "-q", "-g", "-F", "997", "-o", data, "-p", strconv.Itoa(s.in.Process.PID), "--", "sleep",
		strconv.FormatFloat(profileTime.Seconds(), 'f', 3, 64))
	var words bytes.Buffer
	record.Stdout, record.Stderr = &words, &words
	if err := record.Start(); err != nil {
		return "", fmt.Errorf("perf record: %w", err)
	}
	_, err = s.load.Measure(ctx, profileTime) // perf, which ends by itself, is a little later
	if rerr := record.Wait(); rerr != nil {
		err = fmt.Errorf("perf record: %w: %s", rerr, &words)
	}
	if err != nil {
		return "", err
	}
	path = filepath.Join(dir, name+".txt")
	list, err := os.Create(path)
	if err != nil {
		return "", err
	}
	report := exec.CommandContext(ctx, "perf", "report", "-i", data, "--stdio", "--no-children", "-g", "none", "--percent-limit", "0.3")
	report.Stdout = list
	if err := errors.Join(report.Run(), list.Close()); err != nil {
		return "", fmt.Errorf("perf report: %w", err)
	}
	return path, nil
}
