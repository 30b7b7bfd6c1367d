package trial

import (
	"cmp"
	_ "embed"
	"fmt"
	"slices"
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

// Names of builds: the two that BuildsPlan compares, and the one that ratios of a change's targets are over.
const (
	BuildOld    = "old"
	BuildNew    = "new"
	BuildBefore = "before"
)

// BuildsPlan compares two builds of ringcached, which it adds to the servers' variants.
func BuildsPlan(before, after string, workloads []load.Workload, o *sut.ServerOptions) *Plan {
	o.Variants = append(o.Variants, sut.Variant{Name: BuildOld, Path: before}, sut.Variant{Name: BuildNew, Path: after})
	p := WorkloadsPlan("builds", []string{BuildNew, BuildOld}, workloads)
	p.Syscalls = false
	return p
}

// limits are the rows of the table of targets: a workload, and what CPU per operation over io_uring may be of other servers' at most. Over an equal,
// epoll, it is 1, which slack lets it meet.
var limits = parsed[struct {
	Workload string
	Targets  []Target
}](limitsFile)

//go:embed limits.json
var limitsFile []byte

const (
	limitIdle = "idle" // the row of idle connections
	idleMost  = 100    // bytes of memory of its own that an idle connection may cost a server
)

// LimitNames lists the rows.
func LimitNames() (names []string) {
	for _, l := range limits {
		names = append(names, l.Workload)
	}
	return append(names, limitIdle)
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
		if err := load.OneOf("only", name, LimitNames()...); err != nil {
			return nil, err
		}
	}
	wanted := func(name string) bool { return len(l.Only) == 0 || slices.Contains(l.Only, name) }
	if l.Before != "" {
		o.Variants = append(o.Variants, sut.Variant{Name: BuildBefore, Path: l.Before})
	}
	for _, row := range limits {
		w, err := load.SelectWorkloads([]string{row.Workload})
		if err != nil {
			return nil, err
		}
		targets := slices.DeleteFunc(slices.Clone(row.Targets), func(t Target) bool { return t.Over == BuildBefore && l.Before == "" })
		servers := []string{sut.Uring}
		for _, t := range targets {
			servers = append(servers, t.Over)
		}
		if wanted(row.Workload) {
			plans = append(plans, limitPlan(row.Workload, w[0].Title, w[0], servers, targets, len(plans) > 0))
		}
	}
	if wanted(limitIdle) {
		p, err := l.idlePlan()
		if err != nil {
			return nil, err
		}
		plans = append(plans, p)
	}
	return plans, nil
}

// limitPlan is a row's plan.
func limitPlan(name, title string, w load.Workload, servers []string, targets []Target, noAA bool) *Plan {
	p := WorkloadsPlan(name, servers, []load.Workload{w})
	p.Experiment, p.Title, p.Reference, p.Syscalls, p.NoAA = "limits", title, "", false, noAA
	p.Points[0].Label, p.Points[0].Targets = name, targets
	return p
}

// idlePlan measures what connections cost that have sent a request and are idle since.
func (l *LimitsOptions) idlePlan() (*Plan, error) {
	if err := cmp.Or(load.InRange("idle-connections", l.Idle, 100, load.MaxConnections), load.InRange("idle-rounds", l.Turns, 1, 1000)); err != nil {
		return nil, err
	}
	if most := sut.ResourceLimit(syscall.RLIMIT_NOFILE); most >= 0 && most < int64(l.Idle+sut.OwnFiles) {
		return nil, fmt.Errorf("idle-connections: %d need a limit of %d open files, and it is %d (ulimit -n)", l.Idle, l.Idle+sut.OwnFiles, most)
	}
	w := load.DefaultWorkload()
	w.Connections, w.Keys = 10, 1000
	p := limitPlan(limitIdle, fmt.Sprintf("%d idle connections", l.Idle), w, []string{sut.Uring, sut.Epoll, sut.Memcached},
		[]Target{{Most: idleMost, Metric: MetricUserMemory}}, true)
	p.Mode, p.Shows, p.settle, p.MinTurns, p.MaxTurns, p.Weight = FreshProcesses, []Metric{MetricUserMemory}, settleFully, l.Turns, l.Turns, 8
	p.Points[0].Idle = l.Idle
	return p, nil
}
