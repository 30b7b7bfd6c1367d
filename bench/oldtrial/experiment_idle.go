package oldtrial

import (
	"context"
	"fmt"
	"slices"
	"time"

	"ringcached/bench/load"
	"ringcached/bench/sut"
)

// activeConnections are those that the load has among the idle ones.
const activeConnections = 10

// shownCaches is how many of the kernel's caches a result names.
const shownCaches = 8

// mostParked is how many idle connections are waited for until all are parked: that takes half a minute, and two for the most there are.
const mostParked = 1 << 12

// idle varies how many connections do nothing while a few are active.
func (p *planning) idle() ([]partPlan, []string) {
	var problems []string
	counts := []int{0}
	for _, n := range pick(p, []int{256}, []int{1024, 4096, 16384}) {
		if n = min(n, p.host.idle); !slices.Contains(counts, n) {
			counts = append(counts, n)
		}
	}
	most := slices.Max(counts)
	if !p.options.Quick && most < mostIdle {
		problems = append(problems, fmt.Sprintf("no more than %d idle connections: this process may have no more files open (ulimit -n)", most))
	}
	clients := min(most, p.host.idle/2) // this process has both ends of them
	shows := []Metric{MetricUserMemory, MetricKernelMemory, MetricP50, MetricP99}
	if p.host.slabs != "" {
		clients = 0
		problems = append(problems, "kernel memory is unknown: "+p.host.slabs)
		shows = slices.DeleteFunc(shows, func(m Metric) bool { return m == MetricKernelMemory })
	} else if most > mostParked {
		problems = append(problems, fmt.Sprintf("kernel memory of uring is unknown for more than %d connections: parking them takes too long", mostParked))
	}
	points := p.numbers(counts, nil, func(w *load.Workload, _ int) { w.Connections = activeConnections })
	for i := range points {
		points[i].idle = counts[i]
	}
	return []partPlan{{
		name: "connections", title: fmt.Sprintf("idle connections, and gets of 64 B over %d others", activeConnections),
		axis: Axis{Label: "idle connections", Scale: ScaleLinear}, baseline: sut.Epoll, shows: shows, points: points, series: p.parking(),
		mostRounds: pick(p, []int{1}, []int{3})[0],
		settle:     pick(p, []settle{{quiet: 300 * time.Millisecond, most: time.Second}}, []settle{settleFully})[0],
		clients:    clients,
	}}, problems
}

// parking are the servers that are started here. By default uring parks a connection after 30 s, so that is what one costs: the engine's plain name
// stands for it. What those cost that are not parked is another series.
func (p *planning) parking() (all []seriesPlan) {
	for _, s := range p.started() {
		if s.server == sut.Uring {
			s.args, s.parks = parkedArgs, true
			all = append(all, s)
			s = seriesPlan{name: "uring, not parked", server: sut.Uring, args: []string{"--park-after", "0"}}
		}
		all = append(all, s)
	}
	return all
}

// settleFor is what is waited for in a cell's trial.
func (p *partPlan) settleFor(c cell) settle {
	s := p.settle
	s.parked = p.series[c.series].parks && p.points[c.point].idle <= mostParked
	return s
}

// measureClients finds out what the load's ends of connections cost the kernel. Without that the servers' ends are unknown.
func (x *experimenting) measureClients(ctx context.Context, e *Experiment, plan *partPlan) {
	var err error
	if x.clients, err = clientEnds(ctx, plan.clients); err != nil {
		e.Problems = append(e.Problems, fmt.Sprintf("%s: kernel memory is unknown, as is what of it is the load's: %v", plan.name, err))
	}
}

// memoryOf sums up what the trials of a point found, nil if none found anything.
func memoryOf(costs []idleCost) *ConnectionMemory {
	if len(costs) == 0 {
		return nil
	}
	var user, kernel []float64
	byCache := make(map[string]float64)
	for _, c := range costs {
		user = append(user, c.user)
		if len(c.caches) > 0 {
			kernel = append(kernel, sut.SumCaches(c.caches))
		}
		for _, one := range c.caches {
			byCache[one.Name] += one.Bytes / float64(len(costs))
		}
	}
	m := &ConnectionMemory{User: NewEstimate(user), Kernel: NewEstimate(kernel)}
	for name, bytes := range byCache {
		m.Caches = append(m.Caches, sut.SlabCache{Name: name, Bytes: bytes})
	}
	slices.SortFunc(m.Caches, sut.CompareCaches)
	m.Caches = m.Caches[:min(len(m.Caches), shownCaches)]
	return m
}
