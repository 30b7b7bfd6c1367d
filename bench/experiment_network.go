package bench

import (
	"fmt"
	"slices"
	"strconv"

	"ringcached/ring"
)

// costs are the metrics of most parts.
var costs = []Metric{MetricCPU, MetricThroughput, MetricP99}

// batching varies --batch-depth. The other servers have no such flag, so each stands for all depths.
func (p *planning) batching() (parts []partPlan, _ []string) {
	for _, l := range []struct {
		name, title string
		change      func(*Workload)
	}{
		{"connections-50", "50 connections, one request each at a time", func(*Workload) {}},
		{"connections-1000", "1000 connections, one request each at a time", func(w *Workload) { w.Connections = 1000 }},
	} {
		points := p.numbers(pick(p, []int{1, 64}, []int{1, 2, 4, 8, 16, 32, 64, 128}), nil, func(w *Workload, _ int) { l.change(w) })
		for i := range points {
			points[i].args = []string{"--batch-depth", points[i].label}
		}
		parts = append(parts, partPlan{
			name: l.name, title: "gets of 64 B, " + l.title,
			axis:     Axis{Label: "operations gathered before a submission (--batch-depth)", Scale: ScaleLog},
			baseline: SubjectEpoll, shows: costs, points: points, syscalls: true,
			series: []seriesPlan{
				{name: SubjectUring, server: SubjectUring},
				{name: "uring, --batch-wait auto", server: SubjectUring, args: []string{"--batch-wait", "auto"}, fixed: true},
				{name: SubjectEpoll, server: SubjectEpoll, fixed: true},
				{name: SubjectNull, server: SubjectNull, fixed: true},
			},
		})
	}
	return parts, nil
}

// messageSize varies the length of values. A load has to look at each byte, so there are fewer keys as they get longer.
func (p *planning) messageSize() ([]partPlan, []string) {
	sizes := pick(p, []int{64, 64 << 10}, []int{64, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10})
	points := p.numbers(sizes, byteLabel, func(w *Workload, n int) {
		w.ValueSize, w.Keys = n, min(w.Keys, max(1000, 16<<20/n))
	})
	return []partPlan{{
		name: "get", title: "gets, 50 connections", axis: Axis{Label: "value", Unit: "B", Scale: ScaleLog}, baseline: SubjectEpoll, shows: costs,
		points: points, series: p.everybody(),
	}}, nil
}

func byteLabel(n int) string {
	if n >= 1<<10 {
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d B", n)
}

// connectionLength varies how many requests a connection lives for, and switches on the parts of the design one after the other.
func (p *planning) connectionLength() ([]partPlan, []string) {
	points := func(few, all []int) []pointPlan {
		return p.numbers(pick(p, few, all), nil, func(w *Workload, n int) { w.RequestsPerConnection = n })
	}
	axis := Axis{Label: "requests per connection", Scale: ScaleLog}
	steps, problems := p.designSteps()
	steps.axis, steps.points = axis, points([]int{1}, []int{1, 8, 32, 128})
	for i := range steps.points {
		steps.points[i].threads = max(2, len(steps.cores.Server)) // a single one has nobody to share a queue with
	}
	return []partPlan{
		{
			name: "get", title: "gets of 64 B, 50 connections at a time", axis: axis, baseline: SubjectEpoll, shows: costs,
			points: points([]int{4, 16}, []int{1, 2, 4, 8, 16, 32, 64, 128}), series: p.realServers(),
		},
		steps,
	}, problems
}

// designSteps are the servers that differ in one part of the design each, in the paper's order.
func (p *planning) designSteps() (steps partPlan, problems []string) {
	server, load := divideCores(p.host.cores, &p.options.Cores)
	steps = partPlan{
		name: "steps", title: "gets of 64 B, 50 connections at a time, one part of the design after the other", baseline: SubjectEpoll, shows: costs,
		cores: &Cores{Server: server, Load: load}, loadThreads: max(len(load), p.options.Threads),
		series: []seriesPlan{
			{name: "uring, one queue, unbatched", server: SubjectUring, args: []string{"--one-accept-queue", "--batch-depth", "1"}},
			{name: "uring, unbatched", server: SubjectUring, args: []string{"--batch-depth", "1"}},
			{name: SubjectUring, server: SubjectUring},
			{name: SubjectEpoll, server: SubjectEpoll},
		},
	}
	if len(server) == 1 {
		problems = append(problems, "steps: the server's two threads have one core here. What a queue for each thread saves shows where each has its own")
	}
	if p.host.features.Has(ring.DirectRelease) {
		direct := seriesPlan{name: "uring, direct descriptors", server: SubjectUring, args: []string{"--direct-descriptors"}}
		steps.series = slices.Insert(steps.series, 3, direct)
	} else {
		problems = append(problems, "direct descriptors, what MegaPipe calls lwsockets, need a kernel that releases them at once (6.13)")
	}
	return steps, problems
}

// pipeline varies how many requests a client sends at once.
func (p *planning) pipeline() ([]partPlan, []string) {
	return []partPlan{{
		name: "get", title: "gets of 64 B, 50 connections", axis: Axis{Label: "requests at once", Scale: ScaleLog}, baseline: SubjectEpoll, shows: costs,
		points: p.numbers(pick(p, []int{1, 16}, []int{1, 2, 4, 8, 16, 32, 64}), nil, func(w *Workload, n int) { w.Pipeline = n }),
		series: p.everybody(),
	}}, nil
}

// transport varies what requests go over.
func (p *planning) transport() ([]partPlan, []string) {
	over := []string{TransportTCP, TransportUnix, TransportUDP}
	return []partPlan{{
		name: "get", title: "gets of 64 B, 50 connections", axis: Axis{Label: "transport", Scale: ScaleNames}, baseline: SubjectEpoll, shows: costs,
		points: p.names(over, func(i int, w *Workload) { w.Transport = over[i] }), series: p.realServers(),
	}}, []string{"over UDP without net, which does not serve it"}
}

// ablation takes abilities of the kernel away from the uring engine: those that came with each release, and some of them alone.
func (p *planning) ablation() ([]partPlan, []string) {
	var names, flags, problems []string
	add := func(name, flag string, without ring.Feature) {
		if without != 0 && !p.host.features.Has(without) {
			problems = append(problems, "not "+name+": this kernel has no more than that")
			return
		}
		names, flags = append(names, name), append(flags, flag)
	}
	add("all", "all", 0)
	add("6.1", "6.1", ring.NoSQArray)
	add("6.0", "6.0", ring.DeferTaskrun)
	add("5.19", "none", ring.MultishotRecv)
	if !p.options.Quick {
		for _, f := range []struct {
			name    string
			feature ring.Feature
		}{{"multishot-recv", ring.MultishotRecv}, {"defer-taskrun", ring.DeferTaskrun}, {"partial-send", ring.PartialSend}} {
			add("without "+f.name, orDefault(p.host.features.Only(^f.feature).String(), "none"), f.feature)
		}
	}
	var parts []partPlan
	for _, l := range []struct {
		name, title string
		pipeline    int
	}{{"get", "gets of 64 B, 50 connections", 1}, {"get-pipeline", "gets of 64 B, 50 connections, 16 at once", 16}} {
		points := p.names(names, func(_ int, w *Workload) { w.Pipeline = l.pipeline })
		for i := range points {
			points[i].args = []string{"--ring-features", flags[i]}
		}
		parts = append(parts, partPlan{
			name: l.name, title: l.title, axis: Axis{Label: "features used (--ring-features)", Scale: ScaleNames}, baseline: SubjectEpoll, shows: costs,
			points: points, syscalls: true,
			series: []seriesPlan{{name: SubjectUring, server: SubjectUring}, {name: SubjectEpoll, server: SubjectEpoll, fixed: true}},
		})
	}
	return parts[:len(pick(p, parts[:1], parts))], problems
}

// onCores gives servers more and more cores. The load keeps half of them, as it takes about as much for a request as the server does.
func (p *planning) onCores() ([]partPlan, []string) {
	cores, loads := divideCores(p.host.cores, &p.options.Cores)
	var problems []string
	if len(cores) == 1 {
		problems = append(problems,
			fmt.Sprintf("this host has %s for servers and load: how throughput grows needs four at least", plural(len(p.host.cores), "core")))
	}
	var counts []int
	for n := 1; n <= len(cores); n++ {
		if !p.options.Quick || n&(n-1) == 0 || n == len(cores) {
			counts = append(counts, n)
		}
	}
	threads := max(len(loads), p.options.Threads)
	points := p.numbers(counts, nil, func(w *Workload, n int) { w.Connections = max(50*n, threads) })
	for i := range points {
		points[i].threads = counts[i]
	}
	series := slices.DeleteFunc(p.realServers(), func(s seriesPlan) bool { return s.running() })
	return []partPlan{{
		name: "get", title: "gets of 64 B, 50 connections for each core of the server",
		axis: Axis{Label: "threads of the server, each on a core", Scale: ScaleLinear}, baseline: SubjectEpoll, shows: []Metric{MetricThroughput, MetricCPU, MetricP99}, points: points, series: series,
		cores: &Cores{Server: cores, Load: loads}, loadThreads: threads,
	}}, problems
}

// divideCores divides the usable cores: those that the options name, otherwise half of them for the load.
func divideCores(usable []int, given *Cores) (server, load []int) {
	server, load = given.Server, given.Load
	if len(load) == 0 {
		free := slices.DeleteFunc(slices.Clone(usable), func(c int) bool { return slices.Contains(server, c) })
		if len(server) == 0 {
			free = free[:(len(free)+1)/2]
		}
		load = free
	}
	if len(server) == 0 {
		server = slices.DeleteFunc(slices.Clone(usable), func(c int) bool { return slices.Contains(load, c) })
	}
	if len(server) == 0 { // a single core
		server = usable
	}
	if len(load) == 0 {
		load = usable
	}
	return server, load
}

// rateLabel tells a rate in a few characters.
func rateLabel(perSecond float64) string {
	switch {
	case perSecond >= 1e5:
		return fmt.Sprintf("%.0fk/s", perSecond/1e3)
	case perSecond >= 1e3:
		return fmt.Sprintf("%.1fk/s", perSecond/1e3)
	}
	return strconv.Itoa(int(perSecond)) + "/s"
}
