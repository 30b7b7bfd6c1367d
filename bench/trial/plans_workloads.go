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

// limits are the targets: the most that CPU per operation over io_uring may be of memcached's, the null server's and an earlier build's, 0: no target.
// Over epoll it is 1, which slack lets equals meet; not where it is strict.
var limits = []struct {
	workload               string
	memcached, null, build float64
	strict                 bool
}{
	{"get", 0.88, 1.10, 1.00, false},
	{"get-1000", 0.88, 1.10, 0, false},
	{"get-pipeline", 0.50, 1.15, 0.85, false},
	{"mix", 0.88, 0, 0, false},
	{"mix-1000", 0.88, 0, 0, false},
	{"set", 0.88, 0, 0, false},
	{"multiget", 0.75, 0, 0.70, false},
	{"meta-pipeline", 0.50, 0, 0.85, false},
	{"binary-16", 0.75, 0, 0.85, false},
	{"binary-100", 0.75, 0, 0.70, false},
	{"connection-1", 0.80, 0, 0, false},
	{"connection-10", 0.80, 0, 0, false},
	{"connection-100", 0.80, 0, 0, false},
	{"get-64k", 1.00, 0, 0, false},
	{"set-64k", 1.00, 0, 0, true},
	{"get-1m", 1.00, 0, 0, false},
	{"set-1m", 1.00, 0, 0, false},
}

// slack is how far io_uring may be behind an equal, as long as that is within noise.
const slack = 0.05

const (
	limitIdle = "idle" // the row of idle connections
	idleMost  = 100    // bytes of memory of its own that an idle connection may cost a server
)

// LimitNames lists the rows.
func LimitNames() (names []string) {
	for _, l := range limits {
		names = append(names, l.workload)
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
		names, targets := []string{sut.Uring}, []Target(nil)
		add := func(over string, most, slack float64) {
			if most > 0 {
				names, targets = append(names, over), append(targets, Target{Over: over, Most: most, Slack: slack})
			}
		}
		if add(sut.Epoll, 1, slack); row.strict {
			targets[0].Slack = 0
		}
		add(sut.Memcached, row.memcached, 0)
		add(sut.Null, row.null, 0)
		if l.Before != "" {
			add(BuildBefore, row.build, 0)
		}
		plans = append(plans, limitPlan(row.workload, w[0].Title, w[0], names, targets, len(plans) > 0))
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
	w.Connections, w.Keys = 10, 1000
	p := limitPlan(limitIdle, fmt.Sprintf("%d idle connections", l.Idle), w, []string{sut.Uring, sut.Epoll, sut.Memcached},
		[]Target{{Most: idleMost, Metric: MetricUserMemory}}, true)
	p.Mode, p.Shows, p.settle, p.MinTurns, p.MaxTurns, p.Weight = FreshProcesses, []Metric{MetricUserMemory}, settleFully, l.Turns, l.Turns, 8
	p.Points[0].Idle = l.Idle
	return p, nil
}
