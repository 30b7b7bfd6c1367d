package trial

import (
	"fmt"
	"slices"
	"strings"
	"syscall"

	"ringcached/bench/load"
	"ringcached/bench/sut"
)

// WorkloadsPlan compares servers under workloads. The reference is the second server, so that ratios are of the first one over it.
func WorkloadsPlan(name string, servers []string, workloads []load.Workload) *Plan {
	p := &Plan{
		Name: name, Title: "CPU time of single workloads", Mode: SideBySide, Axis: Axis{Label: "workload", Scale: ScaleNames},
		Shows: costs, Syscalls: true, MinTurns: 2 * minTurns,
	}
	for _, s := range servers {
		p.Servers = append(p.Servers, Server{Name: s, Start: s})
	}
	if len(servers) > 1 {
		p.Reference = servers[1]
	}
	for i, w := range workloads {
		p.Points = append(p.Points, Point{X: float64(i), Label: w.Name, Load: w})
	}
	return p
}

// Names of two builds that BuildsPlan compares.
const (
	BuildOld = "old"
	BuildNew = "new"
)

// BuildsPlan compares two builds of ringcached, which it adds to the servers' variants.
func BuildsPlan(before, after string, workloads []load.Workload, o *sut.ServerOptions) *Plan {
	o.Variants = append(o.Variants, sut.Variant{Name: BuildOld, Path: before}, sut.Variant{Name: BuildNew, Path: after})
	p := WorkloadsPlan("builds", []string{BuildNew, BuildOld}, workloads)
	p.Syscalls = false
	return p
}

// limit is a row of the table of targets: a workload, and the most that CPU per operation over io_uring may be of other servers'. 0: no target.
type limit struct {
	workload               string
	memcached, null, build float64
	epoll                  float64 // 0: 1, with epollSlack
}

var limits = []limit{
	{"get", 0.88, 1.10, 1.00, 0},
	{"get-1000", 0.88, 1.10, 0, 0},
	{"get-pipeline", 0.50, 1.15, 0.85, 0},
	{"mix", 0.88, 0, 0, 0},
	{"mix-1000", 0.88, 0, 0, 0},
	{"set", 0.88, 0, 0, 0},
	{"multiget", 0.75, 0, 0.70, 0},
	{"meta-pipeline", 0.50, 0, 0.85, 0},
	{"binary-16", 0.75, 0, 0.85, 0},
	{"binary-100", 0.75, 0, 0.70, 0},
	{"connection-1", 0.80, 0, 0, 0},
	{"connection-10", 0.80, 0, 0, 0},
	{"connection-100", 0.80, 0, 0, 0},
	{"get-64k", 1.00, 0, 0, 0},
	{"set-64k", 1.00, 0, 0, 1.00},
	{"get-1m", 1.00, 0, 0, 0},
	{"set-1m", 1.00, 0, 0, 0},
}

const (
	// slack is how far io_uring may be behind an equal, epoll or a build before, as long as that is within noise.
	slack = 0.05
	// idleMost is the target: bytes of memory of its own that an idle connection may cost a server.
	idleMost = 100
	// LimitIdle is the name of the row of idle connections.
	LimitIdle = "idle"
	// BuildBefore is the name of the build that ratios of a change's targets are over.
	BuildBefore = "before"
)

// LimitNames lists the rows.
func LimitNames() (names []string) {
	for _, l := range limits {
		names = append(names, l.workload)
	}
	return append(names, LimitIdle)
}

// targets are those of the row. Without a build before there is none that is about it.
func (l *limit) targets(before bool) (all []Target) {
	add := func(over string, most, slack float64) {
		if most > 0 {
			all = append(all, Target{Over: over, Most: most, Slack: slack})
		}
	}
	if l.epoll > 0 {
		add(sut.Epoll, l.epoll, 0)
	} else {
		add(sut.Epoll, 1, slack)
	}
	add(sut.Memcached, l.memcached, 0)
	add(sut.Null, l.null, 0)
	if before {
		add(BuildBefore, l.build, 0)
	}
	return all
}

// LimitsOptions say which targets are looked at.
type LimitsOptions struct {
	Only   []string // rows by name; none: all
	Before string   // path of an earlier build, which a change's targets are over; empty: those are left out
	Idle   int      // connections of the row of idle ones
	Turns  int      // of that row
}

// Plans are the rows' plans. An earlier build is added to the servers' variants.
func (l *LimitsOptions) Plans(o *sut.ServerOptions) (plans []*Plan, err error) {
	for _, name := range l.Only {
		if !slices.Contains(LimitNames(), name) {
			return nil, fmt.Errorf("only: %q is not one of %s", name, strings.Join(LimitNames(), ", "))
		}
	}
	wanted := func(name string) bool { return len(l.Only) == 0 || slices.Contains(l.Only, name) }
	if l.Before != "" {
		o.Variants = append(o.Variants, sut.Variant{Name: BuildBefore, Path: l.Before})
	}
	for _, row := range limits {
		w, err := load.SelectWorkloads([]string{row.workload})
		if err != nil {
			return nil, err
		}
		if !wanted(row.workload) {
			continue
		}
		targets := row.targets(l.Before != "")
		names := []string{sut.Uring}
		for _, t := range targets {
			names = append(names, t.Over)
		}
		p := WorkloadsPlan(row.workload, names, w)
		p.Experiment, p.Title, p.Reference, p.Syscalls, p.NoAA = "limits", w[0].Title, "", false, len(plans) > 0
		p.Points[0].Targets = targets
		plans = append(plans, p)
	}
	if wanted(LimitIdle) {
		p, err := l.idlePlan()
		if err != nil {
			return nil, err
		}
		plans = append(plans, p)
	}
	return plans, nil
}

// idlePlan measures what connections cost that have sent a request and are idle since.
func (l *LimitsOptions) idlePlan() (*Plan, error) {
	switch {
	case l.Idle < 100 || l.Idle > load.MaxConnections:
		return nil, fmt.Errorf("idle-connections: %d is not in 100..%d", l.Idle, load.MaxConnections)
	case l.Turns < 1 || l.Turns > 1000:
		return nil, fmt.Errorf("idle-rounds: %d is not in 1..1000", l.Turns)
	}
	if most := sut.ResourceLimit(syscall.RLIMIT_NOFILE); most >= 0 && most < int64(l.Idle+sut.OwnFiles) {
		return nil, fmt.Errorf("idle-connections: %d need a limit of %d open files, and it is %d (ulimit -n)", l.Idle, l.Idle+sut.OwnFiles, most)
	}
	w := load.DefaultWorkload()
	w.Connections, w.Keys = activeConnections, 1000
	p := WorkloadsPlan(LimitIdle, []string{sut.Uring, sut.Epoll, sut.Memcached}, []load.Workload{w})
	p.Experiment, p.Title, p.Reference, p.Syscalls, p.NoAA = "limits", fmt.Sprintf("%d idle connections", l.Idle), "", false, true
	p.Mode, p.Shows, p.settle, p.MinTurns, p.MaxTurns = FreshProcesses, []Metric{MetricUserMemory}, settleFully, l.Turns, l.Turns
	p.Points[0].Label, p.Points[0].Idle = LimitIdle, l.Idle
	p.Points[0].Targets = []Target{{Most: idleMost, Metric: MetricUserMemory}}
	p.Weight = 8
	return p, nil
}
