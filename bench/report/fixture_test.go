package report

import (
	"math"
	"math/rand/v2"
	"time"

	"ringcached/bench/load"
	"ringcached/bench/sut"
	"ringcached/bench/trial"
)

// madeUp makes results whose true ratios are known, and whose samples scatter as measured ones do.
type madeUp struct {
	src    *rand.Rand
	spread float64 // of the logarithm of a sample
	shared float64 // of that of all samples of a turn together
	turns  int
}

func newMadeUp(seed uint64) *madeUp {
	return &madeUp{src: rand.New(rand.NewPCG(seed, seed)), spread: 0.02, shared: 0.1, turns: 40}
}

// servers of most plans.
func servers(names ...string) (all []trial.Server) {
	for _, name := range names {
		all = append(all, trial.Server{Name: name, Start: name})
	}
	return all
}

// result measures a plan: cost is the true CPU time for an operation of a server at a point, 0 where it does not take part.
func (u *madeUp) result(p *trial.Plan, cost func(point int, server string) float64) *trial.Result {
	r := &trial.Result{Plan: p, Turns: u.turns * len(p.Points), Seconds: 60}
	for i := range p.Points {
		turns := make([]float64, u.turns) // what disturbs all servers of a turn
		for t := range turns {
			turns[t] = math.Exp(u.shared * u.src.NormFloat64())
		}
		for _, s := range p.Servers {
			if c := cost(i, s.Name); c > 0 {
				r.Rows = append(r.Rows, u.row(i, s.Name, c, turns))
			}
		}
		if len(p.Servers) > 1 && !p.NoAA {
			e := trial.Estimate{Value: 1.002, Low: 0.99, High: 1.014, Samples: u.turns}
			r.AA = append(r.AA, trial.Ratio{Point: i, Metric: trial.MetricCPU, Of: p.Servers[0].Name, Over: p.Servers[0].Name, Estimate: e})
		}
	}
	return r
}

func (u *madeUp) row(point int, server string, cost float64, turns []float64) trial.Row {
	row := trial.Row{Point: point, Server: server, Threads: 1, Busy: 0.98, LoadBusy: 0.5, Estimates: map[trial.Metric]trial.Estimate{}}
	row.Latency = load.Quantiles{P50: 50 * cost, P99: 80 * cost, P999: 100 * cost, Max: 200 * cost}
	for t, slow := range turns {
		cpu := cost * slow * math.Exp(u.spread*u.src.NormFloat64())
		s := trial.Sample{Turn: t + 1, Seconds: 0.06, CPUPerOp: cpu, Operations: int64(0.06 * 1e6 / cpu), UserMemory: 900 * cost,
			KernelMemory: 2000 * cost}
		s.Latency = load.Quantiles{P50: 50 * cpu, P99: 80 * cpu, P999: 100 * cpu, Max: 200 * cpu}
		row.Operations += s.Operations
		row.Samples = append(row.Samples, s)
	}
	for m := range quantities {
		row.Estimates[m] = trial.Estimate{Samples: len(turns)}
		row.Estimates[m] = row.Middle(m, 0.025)
	}
	return row
}

// points are places with these labels.
func points(labels ...string) (all []trial.Point) {
	for i, label := range labels {
		all = append(all, trial.Point{X: float64(i), Label: label, Load: load.DefaultWorkload()})
	}
	return all
}

// fixture is a report of some experiments in which everything occurs that a page shows.
func fixture() *trial.Report {
	u := newMadeUp(1)
	r := &trial.Report{Header: sut.Header{Format: sut.Format, Kind: "compare", Began: time.Date(2026, 3, 1, 12, 30, 0, 0, time.UTC), Seconds: 130}}
	r.Environment = sut.Environment{Kernel: "6.18.5", CPU: "Imaginary Processor 9000 at 3.0 GHz", Cores: 2, Go: "go1.26", Congestion: "bbr",
		HugePages: "madvise", Ring: "multishot", Counters: "none",
		Mitigations: []string{"spectre_v1", "spectre_v2"}, Command: []string{"bin/ringcached-bench", "compare", "--variant", "unbatched=--batch-depth 1"}}
	r.Options = &trial.Options{Time: 2 * time.Minute, Precision: 0.02, Cores: sut.Cores{Server: []int{0}, Load: []int{1}}}
	r.Servers = map[string]sut.Server{
		"uring": {Version: "2.0", Command: "bin/ringcached --engine uring -p 1", CPUFrom: "schedstat"}, "epoll": {Version: "2.0", CPUFrom: "schedstat"},
		"memcached": {Version: "1.6.45", Command: "memcached -l 127.0.0.1", CPUFrom: "schedstat"}, "null": {},
	}
	everybody := []string{"uring", "epoll", "net", "memcached", "null"}
	costs := map[string]float64{"uring": 3, "epoll": 3.3, "net": 6, "memcached": 4, "null": 2, "unbatched": 3.1}
	pipeline := &trial.Plan{Experiment: "pipeline", Name: "get", Heading: "Pipelining", Title: "gets of 64 B, 50 connections",
		Question: "What is left of it?",
		Source:   "a paper of 2012", Mode: trial.SideBySide, Axis: trial.Axis{Label: "requests at once", Scale: trial.ScaleLog},
		Servers: servers(everybody...),
		Points:  points("1", "2", "4", "8", "16", "32", "64"), Reference: "epoll", Shows: []trial.Metric{trial.MetricCPU, trial.MetricThroughput}}
	r.Results = append(r.Results, u.result(pipeline, func(point int, server string) float64 { return costs[server] / (1 + float64(point)) }))
	mixes := &trial.Plan{Experiment: "memcached", Name: "mixes", Heading: "Real workloads", Title: "mixes of commands, 50 connections",
		Question: "What do mixes cost?",
		Mode:     trial.SideBySide, Axis: trial.Axis{Label: "mix", Scale: trial.ScaleNames}, Servers: servers(everybody[:4]...),
		Points:    points("get", "set", "9 gets for each set", "multiget 100", "get, Zipf 0.99", "values of 64 KiB"),
		Reference: "epoll", Shows: []trial.Metric{trial.MetricCPU, trial.MetricP99}, Problems: []string{"without valkey: it is not installed"}}
	r.Results = append(r.Results, u.result(mixes, func(point int, server string) float64 {
		if point == 5 && server == "uring" {
			return 4.4 // epoll and memcached are ahead
		}
		return costs[server]
	}))
	noisy, like := r.Results[1].Row(1, "uring"), r.Results[1].Row(1, "epoll")
	for i := range noisy.Samples { // one per cent more and less than epoll's, in turn
		noisy.Samples[i].CPUPerOp = like.Samples[i].CPUPerOp * math.Exp(0.01*float64(1-2*(i%2)))
	}
	failed := &r.Results[1].Rows[3]
	failed.Estimates = nil
	r.Results[1].Problems = []trial.Problem{{Point: "get", Server: "memcached", Text: "2 wrong replies", Failure: true}}
	r.Results[1].Rows[4].Samples[3].Dropped, r.Results[1].Dropped = "the host took 12 % of a core", 1
	latency := &trial.Plan{Experiment: "memcached", Name: "latency", Title: "latency at a rate", Mode: trial.FreshProcesses, NoAA: true,
		Axis: trial.Axis{Label: "requests per second", Scale: trial.ScaleLinear}, Servers: servers(everybody[:2]...), Points: points("20.1k/s",
			"62k/s", "118k/s"),
		Reference: "epoll", Shows: []trial.Metric{trial.MetricP50, trial.MetricP99, trial.MetricP999}}
	u.turns = 5
	r.Results = append(r.Results, u.result(latency, func(_ int, server string) float64 { return costs[server] }))
	overloaded := r.Results[2].Row(2, "uring")
	overloaded.Overload, overloaded.Estimates = true, nil
	idle := &trial.Plan{Experiment: "idle", Name: "memory", Heading: "Idle connections", Title: "memory of idle connections",
		Mode: trial.FreshProcesses, NoAA: true,
		Axis: trial.Axis{Label: "idle connections", Scale: trial.ScaleLog}, Servers: servers("uring", "epoll", "memcached"),
		Points: points("0", "16384"), Reference: "epoll", Shows: []trial.Metric{trial.MetricUserMemory, trial.MetricKernelMemory}}
	u.turns = 1
	r.Results = append(r.Results, u.result(idle, func(_ int, server string) float64 { return costs[server] }))
	for i := range 3 { // without idle connections they cost nothing, so there is one point less
		delete(r.Results[3].Rows[i].Estimates, trial.MetricKernelMemory)
	}
	r.Results[3].Rows[3].Caches = []sut.SlabCache{{Name: "TCP", Bytes: 2304}}
	return r
}
