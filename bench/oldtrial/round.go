package oldtrial

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"ringcached/bench/load"
	"ringcached/bench/sut"
)

// Round is one server's trial in one round of a comparison.
type Round struct {
	Server  string  `json:"server"`
	Number  int     `json:"round"` // from 1
	Place   int     `json:"place"` // in the round's order, from 1
	Seconds float64 `json:"seconds"`
	load.Counts
	PerSecond float64        `json:"ops_per_second"`
	Latency   load.Quantiles `json:"latency_us"`
	Open      *load.OpenLoop `json:"open_loop,omitempty"` // nil: a closed loop
	// CPUSeconds is the server's CPU time, user and system, and CPUPerOp that in microseconds per operation. Both are 0 for a server that was not
	// started here.
	CPUSeconds   float64     `json:"server_cpu_seconds"`
	CPUPerOp     float64     `json:"server_cpu_us_per_op"`
	CyclesPerOp  float64     `json:"server_cycles_per_op,omitempty"` // 0: unknown, as where the CPU's counters cannot be read
	LoadCPUPerOp float64     `json:"load_cpu_us_per_op"`
	LoadBusy     float64     `json:"load_busy"` // CPU time of the load per second, and thread that has a core; in an open loop threads spin
	ServerCore   sut.CoreUse `json:"server_core"`
	LoadCore     sut.CoreUse `json:"load_core"`
	// Foreign is the part of the server's cores that processes other than the server used: they disturb its caches and timing.
	Foreign  float64           `json:"foreign"`
	Syscalls *sut.SyscallCount `json:"syscalls,omitempty"`
	Problems []string          `json:"problems,omitempty"`
	// ServerStarted: by this process, so that its CPU time is known. A result that is read says so by CPUSeconds.
	ServerStarted bool   `json:"-"`
	CPUFrom       string `json:"-"` // Source of CPUSeconds
}

// A load that is this busy while the server's core is this idle is what limits the figures.
const (
	saturatedLoad = 0.95
	idleServer    = 0.10
)

// Saturated reports that the load generator limited the round, not the server. In an open loop that is also the case when it was mostly late; when
// it was seldom late, only high quantiles of latency are its own (OpenLoop.tells).
func (r *Round) Saturated() bool {
	switch {
	case r.Open != nil && !r.Open.Tells(r.Open.Lateness.P50, r.Latency.P50):
		return true
	case r.Open != nil && !r.Open.Short, r.Open == nil && r.LoadBusy+r.LoadCore.Steal < saturatedLoad:
		return false
	}
	return !r.ServerStarted || r.ServerCore.Busy+r.ServerCore.Steal < 1-idleServer
}

// Overloaded reports that requests arrived faster than the server could answer them.
func (r *Round) Overloaded() bool { return r.Open != nil && r.Open.Short && !r.Saturated() }

// Failed reports that the round's figures are unusable.
func (r *Round) Failed() bool { return r.Errors() > 0 || r.Operations == 0 || len(r.Problems) > 0 }

// trial is what one round of one server needs.
type trial struct {
	options *Options
	subject *sut.Subject
	load    load.Workload
	seed    uint64
	count   bool       // count system calls too
	idle    *idleTrial // nil: the load has the server for itself
}

// idleTrial are connections that do nothing during a trial.
type idleTrial struct {
	connections int
	settle      settle
	clients     []sut.SlabGrowth // what this process's ends of them cost the kernel, each
	cost        *idleCost        // filled in by the trial; nil: unknown
}

// run starts the server, warms it up, measures and stops it. The error is for what keeps the whole comparison from going on; what is wrong with
// this round only is in the Round.
func (t *trial) run(ctx context.Context) (r Round, in *sut.Instance, err error) {
	r.Server = t.subject.Name
	all := t.load
	if t.idle != nil {
		all.Connections += t.idle.connections
	}
	in, err = t.subject.Start(ctx, &t.options.Servers, t.options.Cores.Server, &all)
	if err != nil {
		return r, nil, err
	}
	defer in.Stop()
	r.ServerStarted = in.Process != nil
	if t.idle == nil {
		err = t.measure(ctx, in, &r)
	} else {
		err = t.measureAmongIdle(ctx, in, &r)
	}
	if ctx.Err() != nil {
		return r, in, ctx.Err()
	}
	if in.Process != nil && !in.Process.Running() {
		r.Problems = append(r.Problems, "the server died: "+in.Process.Death().Error())
	} else if err != nil {
		r.Problems = append(r.Problems, err.Error())
	}
	return r, in, nil
}

// measureAmongIdle opens the idle connections first.
func (t *trial) measureAmongIdle(ctx context.Context, in *sut.Instance, r *Round) error {
	conns, cost, err := idleAround(ctx, in, t.idle.connections, t.idle.settle, t.idle.clients)
	defer conns.close()
	if err != nil {
		return err
	}
	t.idle.cost = cost
	return t.measure(ctx, in, r)
}

// trialPatience is how long a reply over UDP is waited for in a trial, which is short: a connection that waits for a lost one makes no load.
const trialPatience = 100 * time.Millisecond

// warmUp stores the keys, starts the load and lets it run for a while. The load, if there is no error, must be stopped.
func (t *trial) warmUp(ctx context.Context, in *sut.Instance) (l *load.Load, err error) {
	canned := t.subject.Name == sut.Null
	if !canned {
		if err := load.Preload(ctx, in.Addr, &t.load); err != nil {
			return nil, err
		}
	}
	o := load.Options{
		Addr: in.Addr, Workload: t.load, Threads: t.options.Threads, Driver: t.options.Driver, Seed: t.seed, Canned: canned, Patience: trialPatience,
	}
	if l, err = load.Start(ctx, o); err != nil {
		return nil, err
	}
	if _, err = l.Measure(ctx, t.options.Warmup); err != nil {
		l.Stop()
		return nil, err
	}
	return l, nil
}

func (t *trial) measure(ctx context.Context, in *sut.Instance, r *Round) error {
	l, err := t.warmUp(ctx, in)
	if err != nil {
		return err
	}
	defer l.Stop()
	if err := t.window(ctx, in, l, r); err != nil {
		return err
	}
	if t.count && in.Process != nil && ctx.Err() == nil {
		c := sut.CountSyscalls(ctx, l, in.Process.PID, in.Addr, t.options.countFor())
		r.Syscalls = &c
	}
	l.Stop()
	// A wrong reply counts whenever it came, in the warm-up or while system calls were counted too.
	r.Problems = append(r.Problems, l.Problems()...)
	return err
}

// window is the timed part: nothing but the load and the server runs in it, and all clocks are read at its two ends.
func (t *trial) window(ctx context.Context, in *sut.Instance, l *load.Load, r *Round) error {
	own, err := sut.NewCPUReader(os.Getpid())
	if err != nil {
		return err
	}
	meters := []*sut.CPUReader{own}
	if in.Process != nil {
		server, err := sut.NewCPUReader(in.Process.PID)
		if err != nil {
			return err
		}
		r.CPUFrom = server.Source
		meters = append(meters, server)
	}
	cycles := serverCycles(in)
	defer cycles.Close()
	before, err := t.readMeters(meters)
	if err != nil {
		return err
	}
	cyclesBefore, _ := cycles.Read()
	w, merr := l.Measure(ctx, t.options.Duration)
	cyclesAfter, cerr := cycles.Read()
	after, err := t.readMeters(meters)
	if err := errors.Join(merr, err); err != nil {
		return err
	}
	if w.Ended && ctx.Err() == nil {
		return errors.New("the load ended by itself")
	}
	r.Seconds, r.Counts, r.PerSecond, r.Latency = w.Elapsed.Seconds(), w.Counts, w.PerSecond(), w.Quantiles()
	r.Open = w.Open
	perOp := func(d time.Duration) float64 { return d.Seconds() * 1e6 / float64(max(w.Operations, 1)) }
	load := after.cpu[0] - before.cpu[0]
	r.LoadCPUPerOp = perOp(load)
	r.LoadBusy = load.Seconds() / w.Elapsed.Seconds() / float64(max(min(t.options.Threads, len(t.options.Cores.Load)), 1))
	if len(meters) > 1 {
		used := after.cpu[1] - before.cpu[1]
		r.CPUSeconds, r.CPUPerOp = used.Seconds(), perOp(used)
		if cerr == nil {
			r.CyclesPerOp = float64(cyclesAfter-cyclesBefore) / float64(max(w.Operations, 1))
		}
	}
	r.ServerCore, r.LoadCore = after.server.Since(before.server), after.load.Since(before.load)
	if r.CPUSeconds > 0 {
		used := r.CPUSeconds / r.Seconds / float64(len(t.options.Cores.Server))
		r.Foreign = max(0, r.ServerCore.Busy-used)
		r.ServerCore.Busy = min(max(r.ServerCore.Busy, used), 1) // it is counted in ticks, which are coarse in a short trial
	}
	if t.load.Gets > 0 {
		if asked := r.Hits + r.Misses; float64(r.Misses) > 0.001*float64(asked) {
			r.Problems = append(r.Problems, fmt.Sprintf("%d of %d keys were missing: too little memory for the workload", r.Misses, asked))
		}
	}
	return nil
}

// serverCycles counts the cycles of a server that was started here. Where that is not possible the counter reads 0.
func serverCycles(in *sut.Instance) *sut.PerfCounter {
	if in.Process != nil {
		if c, err := sut.CountProcess(sut.PerfCycles, in.Process.PID); err == nil {
			return c
		}
	}
	return &sut.PerfCounter{}
}

type meterReading struct {
	cpu          []time.Duration
	server, load sut.CoreTimes
}

func (t *trial) readMeters(meters []*sut.CPUReader) (m meterReading, err error) {
	for _, r := range meters {
		d, err := r.Read()
		if err != nil {
			return m, err
		}
		m.cpu = append(m.cpu, d)
	}
	if m.server, err = sut.ReadCoreTimes(t.options.Cores.Server); err != nil {
		return m, err
	}
	m.load, err = sut.ReadCoreTimes(t.options.Cores.Load)
	return m, err
}
