package trial

import (
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

// profiles makes a profile of each first server that missed a target.
func (m *measuring) profiles(ctx context.Context) error {
	for i := range m.result.Ratios {
		r := &m.result.Ratios[i]
		row := m.result.Row(r.Point, r.Of)
		if m.o.Profile == "" || r.Verdict != Missed || r.Metric != MetricCPU || row == nil || row.Profile != "" {
			continue
		}
		path, err := m.profile(ctx, m.spots[r.Point].track(r.Of))
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			m.problem(m.plan.Points[r.Point].Label, r.Of, false, "no profile: "+err.Error())
		}
		row.Profile = path
	}
	return nil
}

// profile starts a server under its load, and records where its CPU time goes: WORKLOAD.data for perf, and a list in WORKLOAD.txt, whose name it
// returns.
func (m *measuring) profile(ctx context.Context, t *track) (path string, err error) {
	s, err := m.stand(ctx, t, m.o.Seed)
	defer s.stop()
	if err != nil {
		return "", err
	}
	path = filepath.Join(m.o.Profile, t.spot.point.Load.Name)
	perf := func(args ...string) error {
		if out, err := exec.CommandContext(ctx, "perf", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("perf %s: %w: %s", args[0], err, out)
		}
		return nil
	}
	recorded := make(chan error, 1)
	go func() {
		recorded <- perf("record", "-q", "-g", "-F", "997", "-o", path+".data", "-p", strconv.Itoa(s.in.Process.PID), "--", "sleep",
			strconv.FormatFloat(profileTime.Seconds(), 'f', 3, 64))
	}()
	_, err = s.load.Measure(ctx, profileTime) // perf, which ends by itself, is a little later
	if err = errors.Join(err, <-recorded); err != nil {
		return "", err
	}
	return path + ".txt", perf("report", "-i", path+".data", "--stdio", "--no-children", "-g", "none", "--percent-limit", "0.3", "-o", path+".txt")
}
