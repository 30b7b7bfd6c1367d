package bench

import (
	"fmt"
	"slices"
	"time"
)

// activeConnections are those that the load has among the idle ones.
const activeConnections = 10

// shownCaches is how many of the kernel's caches a result names.
const shownCaches = 8

// idle varies how many connections do nothing while a few are active.
func (p *planning) idle() ([]partPlan, []string) {
	var problems []string
	counts := []int{0}
	for _, n := range pick(p, []int{1024}, []int{1024, 4096, 16384}) {
		if n = min(n, p.host.idle); !slices.Contains(counts, n) {
			counts = append(counts, n)
		}
	}
	most := slices.Max(counts)
	if !p.options.Quick && most < mostIdle {
		problems = append(problems, fmt.Sprintf("no more than %d idle connections: this process may have no more files open (ulimit -n)", most))
	}
	shows := []Metric{MetricUserMemory, MetricKernelMemory, MetricP50, MetricP99}
	if p.host.slabs != "" {
		problems = append(problems, "kernel memory is unknown: "+p.host.slabs)
		shows = slices.DeleteFunc(shows, func(m Metric) bool { return m == MetricKernelMemory })
	}
	points := p.numbers(counts, nil, func(w *Workload, _ int) { w.Connections = activeConnections })
	for i := range points {
		points[i].idle = counts[i]
	}
	return []partPlan{{
		name: "connections", title: fmt.Sprintf("idle connections, and gets of 64 B over %d others", activeConnections),
		axis: Axis{Label: "idle connections", Scale: ScaleLinear}, baseline: SubjectEpoll, shows: shows, points: points, series: p.started(),
		mostRounds: pick(p, []int{1}, []int{3})[0],
		settle:     pick(p, []settle{{300 * time.Millisecond, time.Second}}, []settle{settleFully})[0],
		clients:    min(most, p.host.idle/2), // this process has both ends of them
	}}, problems
}

// memoryOf sums up what the turns of a point found, nil if none found anything.
func memoryOf(costs []idleCost) *ConnectionMemory {
	if len(costs) == 0 {
		return nil
	}
	var user, kernel []float64
	byCache := make(map[string]float64)
	for _, c := range costs {
		user = append(user, c.user)
		if len(c.caches) > 0 {
			kernel = append(kernel, sumOf(c.caches))
		}
		for _, one := range c.caches {
			byCache[one.Name] += one.Bytes / float64(len(costs))
		}
	}
	m := &ConnectionMemory{User: newEstimate(user), Kernel: newEstimate(kernel)}
	for name, bytes := range byCache {
		m.Caches = append(m.Caches, SlabCache{Name: name, Bytes: bytes})
	}
	slices.SortFunc(m.Caches, compareCaches)
	m.Caches = m.Caches[:min(len(m.Caches), shownCaches)]
	return m
}
