package trial

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"ringcached/ring"

	"ringcached/bench/load"
	"ringcached/bench/sut"
	"ringcached/bench/tables"
)

// costs are the metrics of most plans.
var costs = []Metric{MetricCPU, MetricThroughput, MetricP99}

// costPlan compares what operations cost, with epoll as the reference.
func costPlan(name, title string, axis Axis, points []Point, servers []Server) *Plan {
	return &Plan{
		Name: name, Title: title, Mode: SideBySide, Axis: axis, Points: points, Servers: servers, Reference: sut.Epoll, Shows: costs,
	}
}

// note keeps why there is less of the experiment than was asked for.
func (p *planning) note(format string, args ...any) {
	p.problems = append(p.problems, fmt.Sprintf(format, args...))
}

// withFlag gives each point a flag of the servers that are not fixed.
func withFlag(points []Point, flag string, values []string) []Point {
	for i := range points {
		points[i].Args = []string{flag, values[i]}
	}
	return points
}

func labels(points []Point) (all []string) {
	for i := range points {
		all = append(all, points[i].Label)
	}
	return all
}

// batching varies --batch-depth. The other servers have no such flag, so each stands for all depths.
func (p *planning) batching() (plans []*Plan) {
	for _, connections := range []int{50, 1000} {
		points := p.numbers(pick(p, []int{1, 64}, []int{1, 2, 4, 8, 16, 32, 64, 128}), nil, func(w *load.Workload, _ int) { w.Connections = connections })
		plan := costPlan(
			fmt.Sprintf("connections-%d", connections), fmt.Sprintf("gets of 64 B, %d connections, one request each at a time", connections),
			Axis{Label: "operations gathered before a submission (--batch-depth)", Scale: ScaleLog}, withFlag(points, "--batch-depth", labels(points)),
			[]Server{
				{Name: sut.Uring, Start: sut.Uring},
				{Name: "uring, --batch-wait auto", Start: sut.Uring, Args: []string{"--batch-wait", "auto"}, Fixed: true},
				{Name: sut.Epoll, Start: sut.Epoll, Fixed: true},
				{Name: sut.Null, Start: sut.Null, Fixed: true},
			})
		plan.Syscalls = true
		plans = append(plans, plan)
	}
	return plans
}

// messageSize varies the length of values. A load has to look at each byte, so there are fewer keys as they get longer.
func (p *planning) messageSize() []*Plan {
	points := p.numbers(pick(p, []int{64, 64 << 10}, []int{64, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10}), byteLabel, func(w *load.Workload, n int) {
		w.ValueSize, w.Keys = n, min(w.Keys, max(1000, 16<<20/n))
	})
	return []*Plan{costPlan("get", "gets, 50 connections", Axis{Label: "value", Unit: "B", Scale: ScaleLog}, points, p.everybody())}
}

func byteLabel(n int) string {
	if n >= 1<<10 {
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d B", n)
}

// connectionLength varies how many requests a connection lives for, and switches on the parts of the design one after the other.
func (p *planning) connectionLength() []*Plan {
	points := func(few, all []int) []Point {
		return p.numbers(pick(p, few, all), nil, func(w *load.Workload, n int) { w.RequestsPerConnection = n })
	}
	axis := Axis{Label: "requests per connection", Scale: ScaleLog}
	steps := costPlan("steps", "gets of 64 B, 50 connections at a time, one part of the design after the other",
		axis, points([]int{1}, []int{1, 8, 32, 128}), p.designSteps())
	p.onOwnCores(steps)
	for i := range steps.Points {
		steps.Points[i].Threads = max(2, len(steps.Cores.Server)) // a single one has nobody to share a queue with
	}
	if len(steps.Cores.Server) == 1 {
		p.note("steps: the server's two threads have one core here. What a queue for each thread saves shows where each has its own")
	}
	whole := points([]int{4, 16}, []int{1, 2, 4, 8, 16, 32, 64, 128})
	return []*Plan{costPlan("get", "gets of 64 B, 50 connections at a time", axis, whole, p.realServers()), steps}
}

// designSteps are the servers that differ in one part of the design each, in the paper's order.
func (p *planning) designSteps() []Server {
	steps := []Server{
		{Name: "uring, one queue, unbatched", Start: sut.Uring, Args: []string{"--one-accept-queue", "--batch-depth", "1"}},
		{Name: "uring, unbatched", Start: sut.Uring, Args: []string{"--batch-depth", "1"}},
		{Name: sut.Uring, Start: sut.Uring},
		{Name: sut.Epoll, Start: sut.Epoll},
	}
	if p.features.Has(ring.DirectRelease) {
		return slices.Insert(steps, 3, Server{Name: "uring, direct descriptors", Start: sut.Uring, Args: []string{"--direct-descriptors"}})
	}
	p.note("direct descriptors, what MegaPipe calls lwsockets, need a kernel that releases them at once (6.13)")
	return steps
}

// pipeline varies how many requests a client sends at once.
func (p *planning) pipeline() []*Plan {
	points := p.numbers(pick(p, []int{1, 16}, []int{1, 2, 4, 8, 16, 32, 64}), nil, func(w *load.Workload, n int) { w.Pipeline = n })
	return []*Plan{costPlan("get", "gets of 64 B, 50 connections", Axis{Label: "requests at once", Scale: ScaleLog}, points, p.everybody())}
}

// transport varies what requests go over.
func (p *planning) transport() []*Plan {
	p.note("over UDP without net, which does not serve it")
	over := []string{load.TransportTCP, load.TransportUnix, load.TransportUDP}
	points := p.names(over, func(i int, w *load.Workload) { w.Transport = over[i] })
	return []*Plan{costPlan("get", "gets of 64 B, 50 connections", Axis{Label: "transport", Scale: ScaleNames}, points, p.realServers())}
}

// ablation takes abilities of the kernel away from the uring engine: those that came with each release, and some of them alone.
func (p *planning) ablation() (plans []*Plan) {
	var names, flags []string
	add := func(name, flag string, without ring.Feature) {
		if without != 0 && !p.features.Has(without) {
			p.note("not %s: this kernel has no more than that", name)
			return
		}
		names, flags = append(names, name), append(flags, flag)
	}
	add("all", "all", 0)
	add("6.1", "6.1", ring.NoSQArray)
	add("6.0", "6.0", ring.DeferTaskrun)
	add("5.19", "none", ring.MultishotRecv)
	if !p.e.Quick {
		for _, f := range []struct {
			name    string
			feature ring.Feature
		}{{"multishot-recv", ring.MultishotRecv}, {"defer-taskrun", ring.DeferTaskrun}, {"partial-send", ring.PartialSend}} {
			add("without "+f.name, cmp.Or(p.features.Only(^f.feature).String(), "none"), f.feature)
		}
	}
	for _, l := range []struct {
		name, title string
		pipeline    int
	}{{"get", "gets of 64 B, 50 connections", 1}, {"get-pipeline", "gets of 64 B, 50 connections, 16 at once", 16}} {
		points := withFlag(p.names(names, func(_ int, w *load.Workload) { w.Pipeline = l.pipeline }), "--ring-features", flags)
		plan := costPlan(l.name, l.title, Axis{Label: "features used (--ring-features)", Scale: ScaleNames}, points,
			[]Server{{Name: sut.Uring, Start: sut.Uring}, {Name: sut.Epoll, Start: sut.Epoll, Fixed: true}})
		plan.Syscalls = true
		plans = append(plans, plan)
	}
	return plans[:len(pick(p, plans[:1], plans))]
}

// onCores gives servers more and more cores. The load keeps half of them, as it takes about as much for a request as the server does.
func (p *planning) onCores() []*Plan {
	plan := costPlan("get", "gets of 64 B, 50 connections for each core of the server",
		Axis{Label: "threads of the server, each on a core", Scale: ScaleLinear}, nil,
		slices.DeleteFunc(p.realServers(), func(s Server) bool { return s.running() }))
	p.onOwnCores(plan)
	cores := len(plan.Cores.Server)
	if cores == 1 {
		p.note("this host has %s for servers and load: scaling needs at least four", tables.Plural(len(p.cores), "core"))
	}
	var counts []int
	for n := 1; n <= cores; n++ {
		if !p.e.Quick || n&(n-1) == 0 || n == cores {
			counts = append(counts, n)
		}
	}
	plan.Points = p.numbers(counts, nil, func(w *load.Workload, n int) { w.Connections = max(50*n, plan.LoadThreads) })
	for i := range plan.Points {
		plan.Points[i].Threads = counts[i]
	}
	plan.Shows = []Metric{MetricThroughput, MetricCPU, MetricP99}
	return []*Plan{plan}
}

// onOwnCores gives a plan all usable cores: those that the options name, otherwise half of them for the load.
func (p *planning) onOwnCores(plan *Plan) {
	server, load := divideCores(p.cores, &p.o.Cores)
	plan.Cores, plan.LoadThreads = &sut.Cores{Server: server, Load: load}, max(len(load), p.o.Threads)
}

func divideCores(usable []int, given *sut.Cores) (server, load []int) {
	server, load = given.Server, given.Load
	without := func(taken []int) []int {
		return slices.DeleteFunc(slices.Clone(usable), func(c int) bool { return slices.Contains(taken, c) })
	}
	if len(load) == 0 {
		if load = without(server); len(server) == 0 {
			load = load[:(len(load)+1)/2]
		}
	}
	if len(server) == 0 {
		server = without(load)
	}
	if len(server) == 0 { // a single core
		server = usable
	}
	if len(load) == 0 {
		load = usable
	}
	return server, load
}

// memcached runs mixes of commands as fast as the servers answer, and then gets at given rates.
func (p *planning) memcached() []*Plan {
	type mix struct {
		name   string
		change func(*load.Workload)
	}
	all := []mix{
		{"get", func(*load.Workload) {}},
		{"90:10", func(w *load.Workload) { w.Gets, w.Sets = 90, 10 }},
		{"50:50", func(w *load.Workload) { w.Gets, w.Sets = 50, 50 }},
		{"set", func(w *load.Workload) { w.Gets, w.Sets = 0, 1 }},
		{"multiget 100", func(w *load.Workload) { w.Multiget = 100 }},
		{"zipf 0.99", func(w *load.Workload) { w.KeyDist, w.ZipfS = load.Zipf, 0.99 }},
	}
	chosen := pick(p, []mix{all[0], all[2], all[4]}, all)
	var names []string
	for _, m := range chosen {
		names = append(names, m.name)
	}
	mixes := costPlan("mixes", "get:set mixes of 64 B, 50 connections", Axis{Label: "mix", Scale: ScaleNames},
		p.names(names, func(i int, w *load.Workload) { chosen[i].change(w) }), p.realServers())
	latency := &Plan{
		Name: "latency", Title: "gets of 64 B at given rates, 50 connections: up to 95 % of what the slowest server can take", Mode: FreshProcesses,
		Axis: Axis{Label: "offered rate", Unit: "requests/s", Scale: ScaleLinear}, Reference: sut.Epoll, NoAA: true,
		Shows: []Metric{MetricP50, MetricP99, MetricP999, MetricCPU}, Servers: p.realServers(), RateOf: &RateOf{Plan: mixes.Name, Point: names[0]},
	}
	latency.MinTurns = pick(p, []int{1}, []int{leastTurns})[0]
	for _, percent := range pick(p, []int{50, 90}, []int{10, 25, 50, 75, 85, 95}) {
		latency.Points = append(latency.Points, Point{
			X: float64(percent), Label: fmt.Sprintf("%d %%", percent), Share: float64(percent) / 100, Load: p.load(func(*load.Workload) {}),
		})
	}
	return []*Plan{mixes, latency}
}

// activeConnections are those that the load has among the idle ones.
const activeConnections = 10

// idle varies how many connections do nothing while a few are active.
func (p *planning) idle() []*Plan {
	counts := []int{0}
	for _, n := range pick(p, []int{256}, []int{1024, 4096, 16384}) {
		if n = min(n, p.mostIdle); !slices.Contains(counts, n) {
			counts = append(counts, n)
		}
	}
	most := slices.Max(counts)
	if !p.e.Quick && most < mostIdle {
		p.note("no more than %d idle connections: this process may have no more files open (ulimit -n)", most)
	}
	plan := costPlan("connections", fmt.Sprintf("idle connections, and gets of 64 B over %d others", activeConnections),
		Axis{Label: "idle connections", Scale: ScaleLinear},
		p.numbers(counts, nil, func(w *load.Workload, _ int) { w.Connections = activeConnections }), p.parking())
	for i := range plan.Points {
		plan.Points[i].Idle = counts[i]
	}
	plan.Mode, plan.NoAA, plan.MaxTurns, plan.Weight = FreshProcesses, true, pick(p, []int{1}, []int{3})[0], 12
	plan.settle = pick(p, []settle{{quiet: 300 * time.Millisecond, most: time.Second}}, []settle{settleFully})[0]
	plan.Shows = []Metric{MetricUserMemory, MetricKernelMemory, MetricP50, MetricP99}
	plan.clients = min(most, p.mostIdle/2) // this process has both ends of them
	if p.slabs != "" {
		plan.clients = 0
		p.note("kernel memory is unknown: %s", p.slabs)
		plan.Shows = slices.DeleteFunc(plan.Shows, func(m Metric) bool { return m == MetricKernelMemory })
	} else if most > mostParked {
		p.note("kernel memory of uring is unknown for more than %d connections: parking them takes too long", mostParked)
	}
	return []*Plan{plan}
}

// parking are the servers that are started here. By default uring parks a connection after 30 s, so that is what one costs: the engine's plain name
// stands for it. What those cost that are not parked is another server.
func (p *planning) parking() (all []Server) {
	for _, s := range p.started() {
		if s.Start == sut.Uring {
			s.Args, s.Parks = parkedArgs, true
			all = append(all, s)
			s = Server{Name: "uring, not parked", Start: sut.Uring, Args: []string{"--park-after", "0"}}
		}
		all = append(all, s)
	}
	if slices.Contains(p.e.Peers, sut.Valkey) {
		all = append(all, Server{Name: sut.Valkey, Start: sut.Valkey})
	}
	return all
}
