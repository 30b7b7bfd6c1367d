package oldtrial

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"

	"ringcached/ring"

	"ringcached/bench/load"
	"ringcached/bench/sut"
	"ringcached/bench/tables"
)

// costs are the metrics of most parts.
var costs = []Metric{MetricCPU, MetricThroughput, MetricP99}

// batching varies --batch-depth. The other servers have no such flag, so each stands for all depths.
func (p *planning) batching() (parts []partPlan, _ []string) {
	for _, l := range []struct {
		name, title string
		change      func(*load.Workload)
	}{
		{"connections-50", "50 connections, one request each at a time", func(*load.Workload) {}},
		{"connections-1000", "1000 connections, one request each at a time", func(w *load.Workload) { w.Connections = 1000 }},
	} {
		points := p.numbers(pick(p, []int{1, 64}, []int{1, 2, 4, 8, 16, 32, 64, 128}), nil, func(w *load.Workload, _ int) { l.change(w) })
		for i := range points {
			points[i].args = []string{"--batch-depth", points[i].label}
		}
		parts = append(parts, partPlan{
			name: l.name, title: "gets of 64 B, " + l.title,
			axis:     Axis{Label: "operations gathered before a submission (--batch-depth)", Scale: ScaleLog},
			baseline: sut.Epoll, shows: costs, points: points, syscalls: true,
			series: []seriesPlan{
				{name: sut.Uring, server: sut.Uring},
				{name: "uring, --batch-wait auto", server: sut.Uring, args: []string{"--batch-wait", "auto"}, fixed: true},
				{name: sut.Epoll, server: sut.Epoll, fixed: true},
				{name: sut.Null, server: sut.Null, fixed: true},
			},
		})
	}
	return parts, nil
}

// messageSize varies the length of values. A load has to look at each byte, so there are fewer keys as they get longer.
func (p *planning) messageSize() ([]partPlan, []string) {
	sizes := pick(p, []int{64, 64 << 10}, []int{64, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10})
	points := p.numbers(sizes, byteLabel, func(w *load.Workload, n int) {
		w.ValueSize, w.Keys = n, min(w.Keys, max(1000, 16<<20/n))
	})
	return []partPlan{{
		name: "get", title: "gets, 50 connections", axis: Axis{Label: "value", Unit: "B", Scale: ScaleLog}, baseline: sut.Epoll, shows: costs,
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
		return p.numbers(pick(p, few, all), nil, func(w *load.Workload, n int) { w.RequestsPerConnection = n })
	}
	axis := Axis{Label: "requests per connection", Scale: ScaleLog}
	steps, problems := p.designSteps()
	steps.axis, steps.points = axis, points([]int{1}, []int{1, 8, 32, 128})
	for i := range steps.points {
		steps.points[i].threads = max(2, len(steps.cores.Server)) // a single one has nobody to share a queue with
	}
	return []partPlan{
		{
			name: "get", title: "gets of 64 B, 50 connections at a time", axis: axis, baseline: sut.Epoll, shows: costs,
			points: points([]int{4, 16}, []int{1, 2, 4, 8, 16, 32, 64, 128}), series: p.realServers(),
		},
		steps,
	}, problems
}

// designSteps are the servers that differ in one part of the design each, in the paper's order.
func (p *planning) designSteps() (steps partPlan, problems []string) {
	server, load := divideCores(p.host.cores, &p.options.Cores)
	steps = partPlan{
		name: "steps", title: "gets of 64 B, 50 connections at a time, one part of the design after the other", baseline: sut.Epoll, shows: costs,
		cores: &sut.Cores{Server: server, Load: load}, loadThreads: max(len(load), p.options.Threads),
		series: []seriesPlan{
			{name: "uring, one queue, unbatched", server: sut.Uring, args: []string{"--one-accept-queue", "--batch-depth", "1"}},
			{name: "uring, unbatched", server: sut.Uring, args: []string{"--batch-depth", "1"}},
			{name: sut.Uring, server: sut.Uring},
			{name: sut.Epoll, server: sut.Epoll},
		},
	}
	if len(server) == 1 {
		problems = append(problems, "steps: the server's two threads have one core here. What a queue for each thread saves shows where each has its own")
	}
	if p.host.features.Has(ring.DirectRelease) {
		direct := seriesPlan{name: "uring, direct descriptors", server: sut.Uring, args: []string{"--direct-descriptors"}}
		steps.series = slices.Insert(steps.series, 3, direct)
	} else {
		problems = append(problems, "direct descriptors, what MegaPipe calls lwsockets, need a kernel that releases them at once (6.13)")
	}
	return steps, problems
}

// pipeline varies how many requests a client sends at once.
func (p *planning) pipeline() ([]partPlan, []string) {
	return []partPlan{{
		name: "get", title: "gets of 64 B, 50 connections", axis: Axis{Label: "requests at once", Scale: ScaleLog}, baseline: sut.Epoll, shows: costs,
		points: p.numbers(pick(p, []int{1, 16}, []int{1, 2, 4, 8, 16, 32, 64}), nil, func(w *load.Workload, n int) { w.Pipeline = n }),
		series: p.everybody(),
	}}, nil
}

// transport varies what requests go over.
func (p *planning) transport() ([]partPlan, []string) {
	over := []string{load.TransportTCP, load.TransportUnix, load.TransportUDP}
	return []partPlan{{
		name: "get", title: "gets of 64 B, 50 connections", axis: Axis{Label: "transport", Scale: ScaleNames}, baseline: sut.Epoll, shows: costs,
		points: p.names(over, func(i int, w *load.Workload) { w.Transport = over[i] }), series: p.realServers(),
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
			add("without "+f.name, cmp.Or(p.host.features.Only(^f.feature).String(), "none"), f.feature)
		}
	}
	var parts []partPlan
	for _, l := range []struct {
		name, title string
		pipeline    int
	}{{"get", "gets of 64 B, 50 connections", 1}, {"get-pipeline", "gets of 64 B, 50 connections, 16 at once", 16}} {
		points := p.names(names, func(_ int, w *load.Workload) { w.Pipeline = l.pipeline })
		for i := range points {
			points[i].args = []string{"--ring-features", flags[i]}
		}
		parts = append(parts, partPlan{
			name: l.name, title: l.title, axis: Axis{Label: "features used (--ring-features)", Scale: ScaleNames}, baseline: sut.Epoll, shows: costs,
			points: points, syscalls: true,
			series: []seriesPlan{{name: sut.Uring, server: sut.Uring}, {name: sut.Epoll, server: sut.Epoll, fixed: true}},
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
			fmt.Sprintf("this host has %s for servers and load: scaling needs at least four", tables.Plural(len(p.host.cores), "core")))
	}
	var counts []int
	for n := 1; n <= len(cores); n++ {
		if !p.options.Quick || n&(n-1) == 0 || n == len(cores) {
			counts = append(counts, n)
		}
	}
	threads := max(len(loads), p.options.Threads)
	points := p.numbers(counts, nil, func(w *load.Workload, n int) { w.Connections = max(50*n, threads) })
	for i := range points {
		points[i].threads = counts[i]
	}
	series := slices.DeleteFunc(p.realServers(), func(s seriesPlan) bool { return s.running() })
	return []partPlan{{
		name: "get", title: "gets of 64 B, 50 connections for each core of the server",
		axis: Axis{Label: "threads of the server, each on a core", Scale: ScaleLinear}, baseline: sut.Epoll, shows: []Metric{MetricThroughput, MetricCPU, MetricP99}, points: points, series: series,
		cores: &sut.Cores{Server: cores, Load: loads}, loadThreads: threads,
	}}, problems
}

// divideCores divides the usable cores: those that the options name, otherwise half of them for the load.
func divideCores(usable []int, given *sut.Cores) (server, load []int) {
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

// The part that measures throughput, and its point that is plain gets.
const (
	mixesPart = "mixes"
	plainGets = "get"
)

// memcached runs mixes of commands as fast as the servers answer, and then gets at given rates.
func (p *planning) memcached() ([]partPlan, []string) {
	type mix struct {
		name   string
		change func(*load.Workload)
	}
	all := []mix{
		{plainGets, func(*load.Workload) {}},
		{"90:10", func(w *load.Workload) { w.Gets, w.Sets = 90, 10 }},
		{"50:50", func(w *load.Workload) { w.Gets, w.Sets = 50, 50 }},
		{"set", func(w *load.Workload) { w.Gets, w.Sets = 0, 1 }},
		{"multiget 100", func(w *load.Workload) { w.Multiget = 100 }},
		{"zipf 0.99", func(w *load.Workload) { w.KeyDist, w.ZipfS = load.Zipf, 0.99 }},
	}
	mixes := pick(p, []mix{all[0], all[2], all[4]}, all)
	var names []string
	for _, m := range mixes {
		names = append(names, m.name)
	}
	latency := partPlan{
		name: "latency", title: "gets of 64 B at given rates, 50 connections: up to 95 % of what the slowest server can take",
		axis: Axis{Label: "offered rate", Unit: "requests/s", Scale: ScaleLinear}, baseline: sut.Epoll,
		shows: []Metric{MetricP50, MetricP99, MetricP999, MetricCPU}, series: p.realServers(), rateOf: [2]string{mixesPart, plainGets},
	}
	for _, percent := range pick(p, []int{50, 90}, []int{10, 25, 50, 75, 85, 95}) {
		latency.points = append(latency.points, pointPlan{share: float64(percent) / 100, load: p.load(func(*load.Workload) {})})
	}
	return []partPlan{
		{
			name: mixesPart, title: "get:set mixes of 64 B, 50 connections", axis: Axis{Label: "mix", Scale: ScaleNames}, baseline: sut.Epoll,
			shows: costs, points: p.names(names, func(i int, w *load.Workload) { mixes[i].change(w) }), series: p.realServers(),
		},
		latency,
	}, nil
}

// offer makes rates of the points' shares of what the slowest server can take, in requests per second.
func (p *partPlan) offer(least float64) {
	for i := range p.points {
		pt := &p.points[i]
		pt.load.Rate = math.Round(pt.share * least)
		pt.x, pt.label = pt.load.Rate, rateLabel(pt.load.Rate)
	}
}
