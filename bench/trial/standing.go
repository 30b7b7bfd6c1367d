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

	"ringcached/bench/load"
	"ringcached/bench/sut"
)

// standing is a server that was started for a point, with its load.
type standing struct {
	track  *track
	in     *sut.Instance
	load   *load.Load // nil until there is one
	cycles *sut.PerfCounter
	idle   idling
	storm  *storm // nil: nobody else connects
	o      *Options
}

// trialPatience is how long a reply over UDP is waited for, which is short: a connection that waits for a lost one makes no load.
const trialPatience = 100 * time.Millisecond

// stand starts a track's server, opens idle connections if there are any, stores the keys, and starts and warms up the load. What there is so far
// is in the result also when there is an error. The caller stops it.
func (m *measuring) stand(ctx context.Context, t *track, seed uint64) (*standing, error) {
	pt, o := t.spot.point, m.o
	if o.Cores.Server != nil && pt.Threads > 0 {
		o.Servers.Threads = pt.Threads
		o.Cores.Server = o.Cores.Server[:min(pt.Threads, len(o.Cores.Server))]
	}
	s := &standing{track: t, o: &o, cycles: &sut.PerfCounter{}}
	subjects, err := o.Servers.Subjects([]string{t.server.Start})
	if err != nil {
		return s, err
	}
	subjects[0].Flags, subjects[0].OverTLS = t.row.Args, t.server.TLS
	all := pt.Load
	all.Connections += pt.Idle
	if s.in, err = subjects[0].Start(ctx, &o.Servers, o.Cores.Server, &all); err != nil {
		return s, err
	}
	source := ""
	if s.in.Process != nil {
		source = sut.CPUSource
		if c, err := sut.CountProcess(sut.PerfCycles, s.in.Process.PID); err == nil {
			s.cycles = c
		}
	}
	m.report.Note(s.in, source)
	if pt.Idle > 0 {
		if err := m.idleAround(ctx, s); err != nil {
			return s, err
		}
	}
	if pt.Storm > 0 {
		s.storm = startStorm(ctx, s.in.Endpoint, pt.Storm)
	}
	err = s.startLoad(ctx, seed)
	if s.load != nil {
		m.report.NoteTLS(s.in, s.load.Session())
	}
	return s, err
}

// startLoad stores the keys, starts the load and warms it up.
func (s *standing) startLoad(ctx context.Context, seed uint64) (err error) {
	w := s.track.spot.point.Load
	if s.track.server.Start == sut.Valkey {
		return nil // it has connections only
	}
	canned := s.track.server.Start == sut.Null
	if !canned {
		if err := s.in.Preload(ctx, &w); err != nil {
			return err
		}
	}
	lo := load.Options{
		Endpoint: s.in.Endpoint, Workload: w, Threads: s.o.Threads, Driver: s.o.Driver, Seed: seed, Canned: canned, Patience: trialPatience,
	}
	if s.load, err = load.Start(ctx, lo); err != nil {
		return err
	}
	warm, err := s.load.Measure(ctx, max(s.o.Warmup, time.Millisecond))
	s.track.row.Counts.Add(&warm.Counts) // a wrong reply counts whenever it comes
	return err
}

// end ends the load and the server. It keeps what went wrong, if something did and it was not the context that ended: then the server's part in the
// point is over.
func (s *standing) end(ctx context.Context, wrong error) {
	if wrong != nil && ctx.Err() == nil {
		if s.in != nil && s.in.Process != nil && !s.in.Process.Running() {
			wrong = fmt.Errorf("the server died: %w", s.in.Process.Death())
		}
		s.track.fail(wrong.Error())
	}
	failure, less := s.storm.end()
	if failure != "" && ctx.Err() == nil {
		s.track.fail(failure)
	}
	if less != "" && wrong == nil {
		s.track.less = less
	}
	if s.load != nil {
		s.load.Stop()
		for _, p := range s.load.Problems() {
			s.track.fail(p)
		}
	}
	s.idle.close()
	s.cycles.Close()
	if s.in != nil {
		s.in.Stop()
	}
}

// edge is what the meters show at an edge of a slice.
type edge struct {
	at                   time.Time
	server, own          time.Duration // CPU time
	serverWait, loadWait time.Duration // for a core that others had
	cycles               uint64
	serverCore, loadCore sut.CoreTimes
}

// read reads all meters.
func (s *standing) read() (e edge, err error) {
	var errs [4]error
	e.own, errs[0] = sut.CPUTime(os.Getpid())
	e.loadWait = sut.RunDelay(os.Getpid())
	if s.in.Process != nil {
		e.server, errs[1] = sut.CPUTime(s.in.Process.PID)
		e.serverWait = sut.RunDelay(s.in.Process.PID)
		e.cycles, _ = s.cycles.Read()
	}
	e.serverCore, errs[2] = sut.ReadCoreTimes(s.o.Cores.Server)
	e.loadCore, errs[3] = sut.ReadCoreTimes(s.o.Cores.Load)
	e.at = time.Now()
	return e, errors.Join(errs[:]...)
}

// rest is how long a server has after the last reply of a slice for what it does then, such as closing connections.
const rest = time.Millisecond

// measure lets the load run for a slice, or for the timed part of a trial. All meters are read at its two ends, and nothing else runs in it.
func (s *standing) measure(ctx context.Context, d time.Duration) (Sample, error) {
	before, err := s.read()
	if err != nil {
		return Sample{}, err
	}
	w, err := s.load.Measure(ctx, d)
	if err != nil {
		s.track.row.Counts.Add(&w.Counts)
		return Sample{}, err
	}
	time.Sleep(rest)
	after, err := s.read()
	return s.sample(&before, &after, w), err
}

// sample makes one of what the load did and the meters showed.
func (s *standing) sample(before, after *edge, w *load.Window) Sample {
	s.track.row.Counts.Add(&w.Counts)
	s.track.latency.Merge(w.Latency)
	ops, took := float64(max(w.Operations, 1)), w.Elapsed.Seconds()
	wall := after.at.Sub(before.at).Seconds()
	perOp := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 / ops }
	part := func(d time.Duration, cores int) float64 { return d.Seconds() / wall / float64(max(cores, 1)) }
	o := s.o
	m := Sample{
		Seconds: took, Operations: w.Operations, Latency: w.Quantiles(), open: w.Open,
		Stolen:   max(after.serverCore.StolenSince(before.serverCore), after.loadCore.StolenSince(before.loadCore)),
		loadBusy: part(after.own-before.own, min(max(o.Threads, 1), len(o.Cores.Load))),
	}
	m.Foreign = lostToOthers(part(after.loadWait-before.loadWait, len(o.Cores.Load)), part(after.own-before.own, len(o.Cores.Load)))
	if s.in.Process != nil {
		m.CPUPerOp = perOp(after.server - before.server)
		m.CyclesPerOp = float64(after.cycles-before.cycles) / ops
		m.busy = part(after.server-before.server, len(o.Cores.Server))
		m.Foreign = max(m.Foreign, lostToOthers(part(after.serverWait-before.serverWait, len(o.Cores.Server)), m.busy))
	}
	if w.Open != nil { // a quantile that is rather the load's than the server's is left out
		for _, q := range []struct{ late, latency *float64 }{
			{&w.Open.Lateness.P50, &m.Latency.P50}, {&w.Open.Lateness.P99, &m.Latency.P99}, {&w.Open.Lateness.P999, &m.Latency.P999},
		} {
			if !w.Open.Tells(*q.late, *q.latency) {
				*q.latency = 0
			}
		}
	}
	return m
}

// lostToOthers is the part of a process's cores that others took from it, of what part its threads waited for and which one they used. Threads wait
// for each other too, so others had no more than what the process did not use. What threads waited for that ended meanwhile is missing.
func lostToOthers(waited, used float64) float64 { return max(min(waited, 1-used), 0) }

// countFor is how long system calls are counted for.
const countFor = 100 * time.Millisecond

// countSyscalls counts those of a server that is under load.
func (m *measuring) countSyscalls(ctx context.Context, s *standing) {
	t := s.track
	if m.plan.Syscalls && !t.twin && t.row.Syscalls == nil && s.in.Process != nil {
		if c := sut.CountSyscalls(ctx, s.load, s.in.Process.PID, s.in.Endpoint, countFor); ctx.Err() == nil {
			t.row.Syscalls = &c
		}
	}
}

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
		} else {
			row.Profile = path
		}
	}
	return nil
}

// profile starts a server under its load, and records where its CPU time goes: WORKLOAD.data for perf, and a list in WORKLOAD.txt, whose name it
// returns.
func (m *measuring) profile(ctx context.Context, t *track) (path string, err error) {
	s, err := m.stand(ctx, t, m.o.Seed)
	defer s.end(ctx, nil)
	if err != nil {
		return "", err
	}
	path = filepath.Join(m.o.Profile, t.spot.point.Load.Name)
	perf := func(args ...string) ([]byte, error) {
		out, err := exec.CommandContext(ctx, "perf", args...).Output()
		var failed *exec.ExitError
		if errors.As(err, &failed) {
			err = fmt.Errorf("perf %s: %w: %s", args[0], err, failed.Stderr)
		}
		return out, err
	}
	recorded := make(chan error, 1)
	go func() {
		_, err := perf("record", "-q", "-g", "-F", "997", "-o", path+".data", "-p", strconv.Itoa(s.in.Process.PID), "--", "sleep",
			strconv.FormatFloat(profileTime.Seconds(), 'f', 3, 64))
		recorded <- err
	}()
	_, err = s.load.Measure(ctx, profileTime) // perf, which ends by itself, is a little later
	if err = errors.Join(err, <-recorded); err != nil {
		return "", err
	}
	list, err := perf("report", "-i", path+".data", "--stdio", "--no-children", "-g", "none", "--percent-limit", "0.3")
	if err == nil {
		err = os.WriteFile(path+".txt", list, 0o644)
	}
	return path + ".txt", err
}
