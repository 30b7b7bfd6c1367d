package htmlreport

import (
	"fmt"
	"strconv"

	"ringcached/bench/load"
	trial "ringcached/bench/oldtrial"
	"ringcached/bench/sut"
)

// The experiments of the fixture, with the questions and axes that those of package bench have.

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

func plainLoad(float64, *load.Workload) {}

var costs = []trial.Metric{trial.MetricCPU, trial.MetricThroughput, trial.MetricP99}

// server is a series of a server with its usual flags.
func server(name string, cpu func(float64) float64) shaped {
	return shaped{name: name, server: name, cpu: cpu}
}

// costing is a server whose operations cost a, and b more for each x-th.
func costing(name string, a, b float64) shaped {
	return server(name, func(x float64) float64 { return a + b/x })
}

// with lets something befall the points.
func (s shaped) with(change func(float64, *trial.Point)) shaped {
	s.change = change
	return s
}

// flagged gives a series a name and flags of its own.
func (s shaped) flagged(name string, args ...string) shaped {
	s.name, s.args = name, args
	return s
}

// everywhere makes the axis about the other servers' flags.
func (s shaped) everywhere() shaped {
	s.fixed = true
	return s
}

func batching() *trial.Experiment {
	e := &trial.Experiment{
		Name: "batching", Title: "Batching of submissions",
		Question: "What does it save to gather operations before they are submitted, and how many should be gathered?",
		Source:   "MegaPipe (OSDI 2012): batching amortises the cost of system calls, most where messages are small",
	}
	for _, connections := range []int{50, 1000} {
		p := trial.Part{
			Name: fmt.Sprintf("connections-%d", connections), Baseline: "epoll", Shows: costs,
			Title: fmt.Sprintf("gets of 64 B, %d connections, one request each at a time", connections),
			Axis:  trial.Axis{Label: "operations gathered before a submission (--batch-depth)", Scale: trial.ScaleLog},
		}
		load := func(_ float64, w *load.Workload) { w.Connections = connections }
		depth := func(x float64, q *trial.Point) { q.Args = []string{"--batch-depth", digits(x)} }
		e.Parts = append(e.Parts, along(p, []float64{1, 2, 4, 8, 16, 32, 64, 128}, digits, load, fixtureRounds,
			costing("uring", 3.7, 1.5).with(depth),
			server("uring", constant(3.9)).flagged("uring, --batch-wait auto", "--batch-wait", "auto").everywhere(),
			server("epoll", constant(4.2)).everywhere(), server("null", constant(2.6)).everywhere(),
		))
	}
	return e
}

func messageSize() *trial.Experiment {
	p := trial.Part{
		Name: "get", Title: "gets, 50 connections", Axis: trial.Axis{Label: "value", Unit: "B", Scale: trial.ScaleLog}, Baseline: "epoll", Shows: costs,
	}
	growing := func(name string, message, perByte float64) shaped {
		return server(name, func(x float64) float64 { return message + x*perByte })
	}
	load := func(x float64, w *load.Workload) { w.ValueSize = int(x) }
	return &trial.Experiment{
		Name: "message-size", Title: "Message size", Question: "What does a message cost, and from which size on do its bytes count?",
		Source: "MegaPipe (OSDI 2012): the gain is in the cost per message, so it shrinks as messages grow",
		Parts: []trial.Part{along(p, []float64{64, 256, 1 << 10, 4 << 10, 1 << 14, 1 << 16}, size, load, fixtureRounds,
			growing("uring", 3.8, 17e-5), growing("epoll", 4, 16.6e-5), growing("net", 6.9, 20e-5),
			growing("memcached", 4.8, 18e-5).with(at(1<<16, failed)), growing("null", 2.4, 11e-5).with(at(64, saturated)),
		)},
	}
}

func connectionLength() *trial.Experiment {
	p := trial.Part{
		Name: "get", Title: "gets of 64 B, 50 connections at a time", Axis: trial.Axis{Label: "requests per connection", Scale: trial.ScaleLog},
		Baseline: "epoll", Shows: costs,
	}
	load := func(x float64, w *load.Workload) { w.RequestsPerConnection = int(x) }
	return &trial.Experiment{
		Name: "connection-length", Title: "Requests per connection",
		Question: "What do short connections cost, and which part of the design makes them cheaper?",
		Source:   "MegaPipe (OSDI 2012), 64 B messages, 8 cores: +29 % throughput over baseline Linux for long connections, +582 % for short ones",
		Problems: []string{"uring, direct descriptors: not on this kernel"},
		Parts: []trial.Part{along(p, []float64{1, 2, 4, 8, 16, 32, 64, 128}, digits, load, fixtureRounds,
			costing("uring", 4.9, 17).flagged("uring, unbatched", "--batch-depth", "1"), costing("uring", 3.8, 15).with(at(4, saturated)),
			costing("uring", 3.8, 13).flagged("uring, direct descriptors", "--direct-descriptors"), costing("epoll", 4.1, 13.8).with(at(16, failed)),
			costing("net", 6.9, 21), costing("memcached", 4.9, 17.5),
		)},
	}
}

// cores is what a host with two of them can show: a single place, in a single round.
func cores() *trial.Experiment {
	p := trial.Part{
		Name: "get", Title: "gets of 64 B, 50 connections for each core of the server", Baseline: "epoll",
		Axis:  trial.Axis{Label: "threads of the server, each on a core", Scale: trial.ScaleLinear},
		Shows: []trial.Metric{trial.MetricThroughput, trial.MetricCPU},
	}
	return &trial.Experiment{
		Name: "cores", Title: "Cores", Question: "How does throughput grow with the cores of the server?",
		Problems: []string{"this host has 2 cores for servers and load: scaling needs at least four"},
		Parts: []trial.Part{along(p, []float64{1}, digits, plainLoad, 1,
			server("uring", constant(3.8)), server("epoll", constant(4)), server("net", constant(6.9)), server("memcached", constant(4.8)),
		)},
	}
}

func memcached() *trial.Experiment {
	mixes := []string{"get", "90:10", "50:50", "set", "multiget 100", "zipf 0.99"}
	mixed := func(name string, base float64) shaped {
		return server(name, func(x float64) float64 { return base * []float64{1, 1.01, 1.04, 1.1, 7.2, 0.98}[int(x)] })
	}
	throughput := trial.Part{
		Name: "mixes", Title: "get:set mixes of 64 B, 50 connections", Axis: trial.Axis{Label: "mix", Scale: trial.ScaleNames},
		Baseline: "epoll", Shows: costs,
	}
	latency := trial.Part{
		Name: "latency", Title: "gets of 64 B at given rates, 50 connections: up to 95 % of what the slowest server can take", Baseline: "epoll",
		Axis:  trial.Axis{Label: "offered rate", Unit: "requests/s", Scale: trial.ScaleLinear},
		Shows: []trial.Metric{trial.MetricP50, trial.MetricP99, trial.MetricP999, trial.MetricCPU},
	}
	rates := []float64{12_000, 31_000, 62_000, 93_000, 105_000, 118_000}
	label := func(x float64) string { return fmt.Sprintf("%.0fk/s", x/1e3) }
	return &trial.Experiment{
		Name: "memcached", Title: "Real workloads", Question: "What do mixes of commands cost, and what is latency at loads below saturation?",
		Source: "MegaPipe (OSDI 2012): +15 to +320 % throughput for a modified memcached",
		Parts: []trial.Part{
			along(throughput, upTo(len(mixes)), named(mixes...), plainLoad, fixtureRounds,
				mixed("uring", 3.9), mixed("epoll", 4).with(at(3, saturated)), mixed("net", 6.8), mixed("memcached", 4.9).with(at(4, failed))),
			along(latency, rates, label, func(x float64, w *load.Workload) { w.Rate = x }, fixtureRounds,
				server("uring", constant(5.2)).with(at(118_000, overloaded)),
				server("epoll", constant(5)), server("net", constant(8.3)), server("memcached", constant(6.3))),
		},
	}
}

// held is what idle connections cost a server, in bytes. With none there is nothing to divide by.
func held(user, kernel float64) func(float64, *trial.Point) {
	return func(x float64, q *trial.Point) {
		if x == 0 {
			return
		}
		var users, kernels []float64
		for n := range 3 {
			users, kernels = append(users, user*wobble(x, n)), append(kernels, kernel*wobble(n, x))
		}
		q.Memory = &trial.ConnectionMemory{
			User: estimate(users), Kernel: estimate(kernels),
			Caches: []sut.SlabCache{{Name: "TCP", Bytes: 2432}, {Name: "io_kiocb", Bytes: kernel - 2432}},
		}
	}
}

func idle() *trial.Experiment {
	p := trial.Part{
		Name: "connections", Title: "idle connections, and gets of 64 B over 10 others", Baseline: "epoll",
		Axis:  trial.Axis{Label: "idle connections", Scale: trial.ScaleLinear},
		Shows: []trial.Metric{trial.MetricUserMemory, trial.MetricKernelMemory, trial.MetricP50, trial.MetricP99},
	}
	return &trial.Experiment{
		Name: "idle", Title: "Idle connections",
		Question: "What does an idle connection cost in memory of the process and of the kernel, and do many slow down a few that are active?",
		Source:   "AIO versus network servers (2008): a read that is queued ahead of its data ties up a buffer",
		Parts: []trial.Part{along(p, []float64{0, 1024, 4096, 16384}, digits, plainLoad, 3,
			server("uring", constant(4)).with(held(73, 4448)), server("epoll", constant(4.2)).with(held(71, 3792)),
			server("net", constant(7)).with(held(9300, 3790)), server("memcached", constant(5)).with(held(573, 3800)),
		)},
	}
}

func pipeline() *trial.Experiment {
	p := trial.Part{
		Name: "get", Title: "gets of 64 B, 50 connections", Axis: trial.Axis{Label: "requests at once", Scale: trial.ScaleLog},
		Baseline: "epoll", Shows: costs,
	}
	load := func(x float64, w *load.Workload) { w.Pipeline = int(x) }
	return &trial.Experiment{
		Name: "pipeline", Title: "Pipelining", Question: "What is left of the difference when each client sends many requests at once?",
		Parts: []trial.Part{along(p, []float64{1, 2, 4, 8, 16, 32, 64}, digits, load, fixtureRounds,
			costing("uring", 0.33, 3.6), costing("epoll", 0.33, 3.8), costing("net", 0.4, 6.5), costing("memcached", 3.2, 1.7), costing("null", 0.05, 2.5),
		)},
	}
}

// transport has a server that cannot do all: net has no UDP.
func transport() *trial.Experiment {
	p := trial.Part{
		Name: "get", Title: "gets of 64 B, 50 connections", Axis: trial.Axis{Label: "transport", Scale: trial.ScaleNames}, Baseline: "epoll", Shows: costs,
	}
	over := []string{load.TransportTCP, load.TransportUnix, load.TransportUDP}
	load := func(x float64, w *load.Workload) { w.Transport = over[int(x)] }
	each := func(name string, costs ...float64) shaped {
		return server(name, func(x float64) float64 { return costs[int(x)] })
	}
	return &trial.Experiment{
		Name: "transport", Title: "Transports", Question: "What do TCP, unix sockets and UDP cost?",
		Source:   "memcached, CPU efficiency, UDP support (Facebook, 2006): UDP for many clients",
		Problems: []string{"over UDP without net, which does not serve it"},
		Parts: []trial.Part{along(p, upTo(3), named(over...), load, fixtureRounds,
			each("uring", 4, 2.2, 4.4), each("epoll", 4.2, 2.1, 4.4), each("net", 7, 5, 0), each("memcached", 5, 3, 5.4),
		)},
	}
}

func ablation() *trial.Experiment {
	p := trial.Part{
		Name: "get", Title: "gets of 64 B, 50 connections", Axis: trial.Axis{Label: "features used (--ring-features)", Scale: trial.ScaleNames},
		Baseline: "epoll", Shows: costs,
	}
	features := []string{"all", "6.1", "6.0", "5.19", "without multishot-recv", "without defer-taskrun", "without partial-send"}
	cost := []float64{3.9, 3.92, 4.3, 4.9, 4.5, 4.25, 3.95}
	return &trial.Experiment{
		Name: "ablation", Title: "Kernel features", Question: "Which of the kernel's newer abilities does the advantage rest on?",
		Parts: []trial.Part{along(p, upTo(len(features)), named(features...), plainLoad, fixtureRounds,
			server("uring", func(x float64) float64 { return cost[int(x)] }), server("epoll", constant(4.2)).everywhere(),
		)},
	}
}
