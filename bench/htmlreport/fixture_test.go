package htmlreport

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"ringcached/bench"
)

// A report as an experiment makes it: the shapes of all nine, with points that failed, that the load limited, that are missing, that have one
// round only, and that stand for a whole axis.

const fixtureRounds = 5

// shaped is a series: what an operation costs it, in microseconds of CPU, and what befalls its points.
type shaped struct {
	name, server string
	args         []string
	fixed        bool
	cpu          func(x float64) float64
	change       func(x float64, q *bench.Point)
}

// wobble is a disturbance of about a hundredth, the same for the same arguments.
func wobble(parts ...any) float64 {
	h := uint64(14695981039346656037)
	for _, b := range []byte(fmt.Sprint(parts...)) {
		h = (h ^ uint64(b)) * 1099511628211
	}
	return 1 + 0.03*(float64(h>>11)/(1<<53)-0.5)
}

// estimate is what bench makes of the values of five rounds, or of one.
func estimate(values []float64) bench.Estimate {
	sorted := slices.Sorted(slices.Values(values))
	e := bench.Estimate{Median: sorted[len(sorted)/2], High: -1, Rounds: len(values)}
	if len(values) > 1 {
		var sum, squares float64
		for _, v := range values {
			sum += v
		}
		mean := sum / float64(len(values))
		for _, v := range values {
			squares += (v - mean) * (v - mean)
		}
		half := 2.776 * math.Sqrt(squares/float64(len(values)-1)/float64(len(values)))
		e.Low, e.High = mean-half, mean+half
	}
	return e
}

// point has the rounds of a server that an operation costs so much.
func point(part string, s *shaped, x float64, label string, cpu, latency float64, w bench.Workload, rounds int) bench.Point {
	q := bench.Point{X: x, Label: label, Workload: w}
	var perSecond, cpus, p50, p99, p999 []float64
	for n := 1; n <= rounds; n++ {
		own := cpu * wobble(part, s.name, x, n) * wobble(part, x, n)
		rate := 0.98e6 / own
		if w.Rate > 0 {
			rate = w.Rate * wobble(n, s.name)
		}
		r := bench.Round{
			Server: s.server, Number: n, Place: 1 + (n+len(s.name))%4, Seconds: 1, PerSecond: rate, CPUPerOp: own, CPUSeconds: own * rate / 1e6,
			Counts: bench.Counts{Operations: int64(rate), Hits: int64(rate), BytesIn: int64(100 * rate), BytesOut: int64(30 * rate)}, LoadCPUPerOp: 2.1,
			LoadBusy: 0.61, ServerCore: bench.CoreUse{Busy: 0.98, Softirq: 0.3},
		}
		r.Latency = bench.Quantiles{P50: latency * wobble(n, x), P99: 2.7 * latency * wobble(n, x, s.name), P999: 6 * latency * wobble(x, n), Max: 11 * latency}
		q.Rounds = append(q.Rounds, r)
		perSecond, cpus = append(perSecond, r.PerSecond), append(cpus, own)
		p50, p99, p999 = append(p50, r.Latency.P50), append(p99, r.Latency.P99), append(p999, r.Latency.P999)
	}
	q.PerSecond, q.CPUPerOp, q.P50, q.P99, q.P999 = estimate(perSecond), estimate(cpus), estimate(p50), estimate(p99), estimate(p999)
	q.Summary = bench.Summary{
		Server: s.server, Rounds: rounds, PerSecond: q.PerSecond.Median, CPUPerOp: q.CPUPerOp.Median, Busy: 0.98, LoadBusy: 0.61, P50: q.P50.Median, P99: q.P99.Median,
		Syscalls: &bench.SyscallCount{PerOperation: 0.06, Method: "stats batch"},
	}
	return q
}

// blank takes the numbers away, as bench does where a round failed or was limited by the load.
func blank(q *bench.Point) {
	none := bench.Estimate{High: -1}
	q.PerSecond, q.CPUPerOp, q.P50, q.P99, q.P999, q.CPURatio = none, none, none, none, none, nil
}

const fatal = `the server died: signal: killed <&"'>`

func failed(q *bench.Point) {
	q.Rounds[1].Problems = []string{fatal}
	q.Summary.Failed, q.Summary.FirstError = 1, fatal
	blank(q)
}

func saturated(q *bench.Point) {
	q.Summary.Saturated = 2
	for i := range 2 {
		q.Rounds[i].LoadBusy, q.Rounds[i].ServerCore.Busy = 0.99, 0.5
	}
	blank(q)
}

// at applies a change to the point at one place only.
func at(place float64, change func(*bench.Point)) func(float64, *bench.Point) {
	return func(x float64, q *bench.Point) {
		if x == place {
			change(q)
		}
	}
}

func constant(v float64) func(float64) float64 { return func(float64) float64 { return v } }

// along fills a part with a point of each series at each place.
func along(p bench.Part, places []float64, label func(float64) string, load func(float64, *bench.Workload), rounds int, series ...shaped) bench.Part {
	for _, s := range series {
		made := bench.Series{Name: s.name, Server: s.server, Args: s.args}
		for _, x := range places {
			w := bench.DefaultWorkload()
			load(x, &w)
			ask := x
			if s.fixed {
				ask = places[0]
			}
			cpu := s.cpu(ask)
			if cpu == 0 {
				continue // it cannot do that
			}
			latency := 50 * cpu
			if w.Rate > 0 {
				latency = 20 * cpu / max(1.02-w.Rate*cpu/1e6, 0.02)
			}
			q := point(p.Name, &s, ask, label(x), cpu, latency, w, rounds)
			q.X = x
			if s.change != nil {
				s.change(x, &q)
			}
			made.Points = append(made.Points, q)
		}
		p.Series = append(p.Series, made)
	}
	compareWithBaseline(&p)
	return p
}

// compareWithBaseline fills in the ratios.
func compareWithBaseline(p *bench.Part) {
	for i := range p.Series {
		for j := range p.Series[i].Points {
			for k := range p.Series {
				if q := &p.Series[i].Points[j]; p.Series[k].Name == p.Baseline && k != i && q.CPUPerOp.Rounds > 0 && j < len(p.Series[k].Points) {
					q.CPURatio = bench.CompareRounds(p.Series[i].Name, p.Baseline, q.Rounds, p.Series[k].Points[j].Rounds, func(r *bench.Round) float64 { return r.CPUPerOp })
				}
			}
		}
	}
}

func digits(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }

func size(x float64) string { return bytesUnit.text(x) }

func named(names ...string) func(float64) string {
	return func(x float64) string { return names[int(x)] }
}

func upTo(n int) (all []float64) {
	for i := range n {
		all = append(all, float64(i))
	}
	return all
}

func plainLoad(float64, *bench.Workload) {}

var costs = []bench.Metric{bench.MetricCPU, bench.MetricThroughput, bench.MetricP99}

func fixture() *bench.Report {
	return &bench.Report{
		Format: 1, Kind: "compare", Began: time.Date(2026, 3, 1, 12, 30, 0, 0, time.UTC), Seconds: 1502,
		Environment: bench.Environment{
			Kernel: "6.18.5", CPU: "Imaginary Processor 9000 at 3.0 GHz", Cores: 2, Go: "go1.26.0", Version: "0123456789abcdef", Congestion: "bbr", HugePages: "madvise",
			Mitigations: []string{"spectre_v1", "spectre_v2", "spec_store_bypass"},
			Command:     []string{"bin/ringcached-bench", "compare", "--variant", "unbatched=--batch-depth 1", "--json", "report.json"},
		},
		Options: map[string]any{"rounds": fixtureRounds, "duration_ns": time.Second, "servers": map[string]any{"threads": 1, "memory_mb": 256}, "cores": map[string]any{"server": []int{1}, "load": []int{0}}},
		Servers: map[string]bench.Server{
			"uring":     {Version: "0.1.0", Command: "bin/ringcached -l 127.0.0.1 -p 11400 -t 1 -m 256 --engine uring", CPUFrom: "/proc/PID/schedstat"},
			"epoll":     {Version: "0.1.0", Command: "bin/ringcached -l 127.0.0.1 -p 11401 -t 1 -m 256 --engine epoll", CPUFrom: "/proc/PID/schedstat"},
			"net":       {Version: "0.1.0", Command: "bin/ringcached -l 127.0.0.1 -p 11402 -t 1 -m 256 --engine net", CPUFrom: "/proc/PID/schedstat"},
			"memcached": {Version: "1.6.18", Command: "memcached -l 127.0.0.1 -p 11403 -t 1 -m 256", CPUFrom: "/proc/PID/schedstat"},
			"null":      {Version: "", Command: "bin/ringcached-bench null 127.0.0.1:11404", CPUFrom: "/proc/PID/schedstat"},
			"10.0.0.1:11211, a server with a name that is long and <b>bold</b>": {Version: "1"},
		},
		Experiments: []*bench.Experiment{
			batching(), messageSize(), connectionLength(), cores(), memcached(), idle(), pipeline(), transport(), ablation(),
			{Name: "absent", Title: "An experiment without results", Question: "What if nothing could be measured?", Problems: []string{"memcached is not installed"}},
		},
	}
}

func batching() *bench.Experiment {
	e := &bench.Experiment{
		Name: "batching", Title: "Batching of submissions", Question: "What does it save to gather operations before they are submitted, and how many are worth gathering?",
		Source: "MegaPipe (OSDI 2012): batching amortises the cost of system calls, most where messages are small",
	}
	for _, connections := range []int{50, 1000} {
		e.Parts = append(e.Parts, along(bench.Part{
			Name: fmt.Sprintf("connections-%d", connections), Title: fmt.Sprintf("gets of 64 B, %d connections, one request each at a time", connections),
			Axis: bench.Axis{Label: "operations gathered before a submission (--batch-depth)", Scale: bench.ScaleLog}, Baseline: "epoll", Shows: costs,
		}, []float64{1, 2, 4, 8, 16, 32, 64, 128}, digits, func(_ float64, w *bench.Workload) { w.Connections = connections }, fixtureRounds,
			shaped{name: "uring", server: "uring", cpu: func(x float64) float64 { return 3.7 + 1.5/x }},
			shaped{name: "uring, --batch-wait auto", server: "uring", args: []string{"--batch-wait", "auto"}, fixed: true, cpu: constant(3.9)},
			shaped{name: "epoll", server: "epoll", fixed: true, cpu: constant(4.2)},
			shaped{name: "null", server: "null", fixed: true, cpu: constant(2.6)},
		))
	}
	return e
}

func everybody() []shaped {
	return []shaped{
		{name: "uring", server: "uring", cpu: func(x float64) float64 { return 3.8 + x/5800 }},
		{name: "epoll", server: "epoll", cpu: func(x float64) float64 { return 4.0 + x/6000 }},
		{name: "net", server: "net", cpu: func(x float64) float64 { return 6.9 + x/5000 }},
		{name: "memcached", server: "memcached", cpu: func(x float64) float64 { return 4.8 + x/5500 }, change: at(1<<16, failed)},
		{name: "null", server: "null", cpu: func(x float64) float64 { return 2.4 + x/9000 }, change: at(64, saturated)},
	}
}

func messageSize() *bench.Experiment {
	return &bench.Experiment{
		Name: "message-size", Title: "Message size", Question: "What does a message cost, and from which size on do its bytes count?",
		Source: "MegaPipe (OSDI 2012): the gain is in the cost per message, so it shrinks as messages grow",
		Parts: []bench.Part{along(bench.Part{
			Name: "get", Title: "gets, 50 connections", Axis: bench.Axis{Label: "value", Unit: "B", Scale: bench.ScaleLog}, Baseline: "epoll", Shows: costs,
		}, []float64{64, 256, 1 << 10, 4 << 10, 1 << 14, 1 << 16}, size, func(x float64, w *bench.Workload) { w.ValueSize = int(x) }, fixtureRounds, everybody()...)},
	}
}

func connectionLength() *bench.Experiment {
	return &bench.Experiment{
		Name: "connection-length", Title: "Requests per connection", Question: "What do short connections cost, and which part of the design makes them cheaper?",
		Source:   "MegaPipe (OSDI 2012), 64 B messages, 8 cores: +29 % throughput over baseline Linux for long connections, +582 % for short ones",
		Problems: []string{"one listening socket for all threads, MegaPipe's baseline, cannot be chosen: each thread has its own in every engine but net"},
		Parts: []bench.Part{along(bench.Part{
			Name: "get", Title: "gets of 64 B, 50 connections at a time", Axis: bench.Axis{Label: "requests per connection", Scale: bench.ScaleLog}, Baseline: "epoll", Shows: costs,
		}, []float64{1, 2, 4, 8, 16, 32, 64, 128}, digits, func(x float64, w *bench.Workload) { w.RequestsPerConnection = int(x) }, fixtureRounds,
			shaped{name: "uring, unbatched", server: "uring", args: []string{"--batch-depth", "1"}, cpu: func(x float64) float64 { return 4.9 + 17/x }},
			shaped{name: "uring", server: "uring", cpu: func(x float64) float64 { return 3.8 + 15/x }, change: at(4, saturated)},
			shaped{name: "uring, direct descriptors", server: "uring", args: []string{"--direct-descriptors"}, cpu: func(x float64) float64 { return 3.8 + 13/x }},
			shaped{name: "epoll", server: "epoll", cpu: func(x float64) float64 { return 4.1 + 13.8/x }, change: at(16, failed)},
			shaped{name: "net", server: "net", cpu: func(x float64) float64 { return 6.9 + 21/x }},
			shaped{name: "memcached", server: "memcached", cpu: func(x float64) float64 { return 4.9 + 17.5/x }},
		)},
	}
}

// cores is what a host with two of them can show: a single place, in a single round.
func cores() *bench.Experiment {
	return &bench.Experiment{
		Name: "cores", Title: "Cores", Question: "How does throughput grow with the cores of the server?",
		Problems: []string{"this host has 2 cores for servers and load: how throughput grows needs four at least"},
		Parts: []bench.Part{along(bench.Part{
			Name: "get", Title: "gets of 64 B, 50 connections for each core of the server", Axis: bench.Axis{Label: "threads of the server, each on a core", Scale: bench.ScaleLinear},
			Baseline: "epoll", Shows: []bench.Metric{bench.MetricThroughput, bench.MetricCPU},
		}, []float64{1}, digits, plainLoad, 1, everybody()[:4]...)},
	}
}

func memcached() *bench.Experiment {
	mixes := []string{"get", "90:10", "50:50", "set", "multiget 100", "zipf 0.99"}
	shares := []float64{12_000, 31_000, 62_000, 93_000, 105_000, 118_000}
	mixCost := func(base float64) func(float64) float64 {
		return func(x float64) float64 { return base * []float64{1, 1.01, 1.04, 1.1, 7.2, 0.98}[int(x)] }
	}
	return &bench.Experiment{
		Name: "memcached", Title: "Real workloads", Question: "What do mixes of commands cost, and what is latency at loads below saturation?",
		Source: "MegaPipe (OSDI 2012): +15 to +320 % throughput for a modified memcached",
		Parts: []bench.Part{
			along(bench.Part{
				Name: "mixes", Title: "get:set mixes of 64 B, 50 connections", Axis: bench.Axis{Label: "mix", Scale: bench.ScaleNames}, Baseline: "epoll", Shows: costs,
			}, upTo(len(mixes)), named(mixes...), plainLoad, fixtureRounds,
				shaped{name: "uring", server: "uring", cpu: mixCost(3.9)}, shaped{name: "epoll", server: "epoll", cpu: mixCost(4.0), change: at(3, saturated)},
				shaped{name: "net", server: "net", cpu: mixCost(6.8)}, shaped{name: "memcached", server: "memcached", cpu: mixCost(4.9), change: at(4, failed)}),
			along(bench.Part{
				Name: "latency", Title: "gets of 64 B at given rates, 50 connections: up to 95 % of what the slowest server can take",
				Axis: bench.Axis{Label: "offered rate", Unit: "requests/s", Scale: bench.ScaleLinear}, Baseline: "epoll",
				Shows: []bench.Metric{bench.MetricP50, bench.MetricP99, bench.MetricP999, bench.MetricCPU},
			}, shares, func(x float64) string { return fmt.Sprintf("%.0fk/s", x/1e3) }, func(x float64, w *bench.Workload) { w.Rate = x }, fixtureRounds,
				shaped{name: "uring", server: "uring", cpu: constant(5.2)}, shaped{name: "epoll", server: "epoll", cpu: constant(5.0)},
				shaped{name: "net", server: "net", cpu: constant(8.3)}, shaped{name: "memcached", server: "memcached", cpu: constant(6.3)}),
		},
	}
}

func idle() *bench.Experiment {
	costs := func(user, kernel float64) func(float64, *bench.Point) {
		return func(x float64, q *bench.Point) {
			if x == 0 {
				return // nothing idle, nothing to divide by
			}
			var users, kernels []float64
			for n := range 3 {
				users, kernels = append(users, user*wobble(x, n)), append(kernels, kernel*wobble(n, x))
			}
			q.Memory = &bench.ConnectionMemory{User: estimate(users), Kernel: estimate(kernels), Caches: []bench.SlabCache{{Name: "TCP", Bytes: 2432}, {Name: "io_kiocb", Bytes: kernel - 2432}}}
		}
	}
	return &bench.Experiment{
		Name: "idle", Title: "Idle connections", Question: "What does an idle connection cost in memory of the process and of the kernel, and do many slow down a few that are active?",
		Source: "AIO versus network servers (2008): a read that is queued ahead of its data ties up a buffer",
		Parts: []bench.Part{along(bench.Part{
			Name: "connections", Title: "idle connections, and gets of 64 B over 10 others", Axis: bench.Axis{Label: "idle connections", Scale: bench.ScaleLinear}, Baseline: "epoll",
			Shows: []bench.Metric{bench.MetricUserMemory, bench.MetricKernelMemory, bench.MetricP50, bench.MetricP99},
		}, []float64{0, 1024, 4096, 16384}, digits, plainLoad, 3,
			shaped{name: "uring", server: "uring", cpu: constant(4), change: costs(73, 4448)}, shaped{name: "epoll", server: "epoll", cpu: constant(4.2), change: costs(71, 3792)},
			shaped{name: "net", server: "net", cpu: constant(7), change: costs(9300, 3790)}, shaped{name: "memcached", server: "memcached", cpu: constant(5), change: costs(573, 3800)})},
	}
}

func pipeline() *bench.Experiment {
	return &bench.Experiment{
		Name: "pipeline", Title: "Pipelining", Question: "What is left of the difference when each client sends many requests at once?",
		Parts: []bench.Part{along(bench.Part{
			Name: "get", Title: "gets of 64 B, 50 connections", Axis: bench.Axis{Label: "requests at once", Scale: bench.ScaleLog}, Baseline: "epoll", Shows: costs,
		}, []float64{1, 2, 4, 8, 16, 32, 64}, digits, func(x float64, w *bench.Workload) { w.Pipeline = int(x) }, fixtureRounds,
			shaped{name: "uring", server: "uring", cpu: func(x float64) float64 { return 0.33 + 3.6/x }}, shaped{name: "epoll", server: "epoll", cpu: func(x float64) float64 { return 0.33 + 3.8/x }},
			shaped{name: "net", server: "net", cpu: func(x float64) float64 { return 0.4 + 6.5/x }}, shaped{name: "memcached", server: "memcached", cpu: func(x float64) float64 { return 3.2 + 1.7/x }},
			shaped{name: "null", server: "null", cpu: func(x float64) float64 { return 0.05 + 2.5/x }})},
	}
}

func transport() *bench.Experiment {
	over := []string{"tcp", "unix", "udp"}
	return &bench.Experiment{
		Name: "transport", Title: "Transports", Question: "What do TCP, unix sockets and UDP cost?", Source: "memcached, CPU efficiency, UDP support (Facebook, 2006): UDP for many clients",
		Problems: []string{"over UDP without net, which does not serve it"},
		Parts: []bench.Part{along(bench.Part{
			Name: "get", Title: "gets of 64 B, 50 connections", Axis: bench.Axis{Label: "transport", Scale: bench.ScaleNames}, Baseline: "epoll", Shows: costs,
		}, upTo(3), named(over...), func(x float64, w *bench.Workload) { w.Transport = over[int(x)] }, fixtureRounds,
			shaped{name: "uring", server: "uring", cpu: func(x float64) float64 { return []float64{4, 2.2, 4.4}[int(x)] }},
			shaped{name: "epoll", server: "epoll", cpu: func(x float64) float64 { return []float64{4.2, 2.1, 4.4}[int(x)] }},
			shaped{name: "net", server: "net", cpu: func(x float64) float64 { return []float64{7, 5, 0}[int(x)] }},
			shaped{name: "memcached", server: "memcached", cpu: func(x float64) float64 { return []float64{5, 3, 5.4}[int(x)] }})},
	}
}

func ablation() *bench.Experiment {
	features := []string{"all", "6.1", "6.0", "5.19", "without multishot-recv", "without defer-taskrun", "without partial-send"}
	return &bench.Experiment{
		Name: "ablation", Title: "Kernel features", Question: "Which of the kernel's newer abilities does the advantage rest on?",
		Parts: []bench.Part{along(bench.Part{
			Name: "get", Title: "gets of 64 B, 50 connections", Axis: bench.Axis{Label: "features used (--ring-features)", Scale: bench.ScaleNames}, Baseline: "epoll", Shows: costs,
		}, upTo(len(features)), named(features...), plainLoad, fixtureRounds,
			shaped{name: "uring", server: "uring", cpu: func(x float64) float64 { return []float64{3.9, 3.92, 4.3, 4.9, 4.5, 4.25, 3.95}[int(x)] }},
			shaped{name: "epoll", server: "epoll", fixed: true, cpu: constant(4.2)})},
	}
}
