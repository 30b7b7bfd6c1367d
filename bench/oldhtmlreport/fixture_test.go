package htmlreport

import (
	"fmt"
	"math"
	"slices"
	"time"

	"ringcached/bench/load"
	trial "ringcached/bench/oldtrial"
	"ringcached/bench/sut"
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
	change       func(x float64, q *trial.Point)
}

// wobble is a disturbance of up to 3 %, the same for the same arguments.
func wobble(parts ...any) float64 {
	h := uint64(14695981039346656037)
	for _, b := range []byte(fmt.Sprint(parts...)) {
		h = (h ^ uint64(b)) * 1099511628211
	}
	h = (h ^ h>>32) * 0x9e3779b97f4a7c15 // or the last bytes would hardly count
	return 1 + 0.06*(float64(h>>11)/(1<<53)-0.5)
}

// estimate is what bench makes of the values of five rounds, or of one.
func estimate(values []float64) trial.Estimate {
	sorted := slices.Sorted(slices.Values(values))
	e := trial.Estimate{Median: sorted[len(sorted)/2], High: -1, Rounds: len(values)}
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
func point(part string, s *shaped, x float64, label string, cpu, latency float64, w load.Workload, rounds int) trial.Point {
	q := trial.Point{X: x, Label: label, Workload: w}
	var perSecond, cpus, p50, p99, p999 []float64
	for n := 1; n <= rounds; n++ {
		own := cpu * wobble(part, s.name, x, n) * wobble(part, x, n)
		rate := 0.98e6 / own
		if w.Rate > 0 {
			rate = w.Rate
		}
		r := trial.Round{
			Server: s.server, Number: n, Place: 1 + (n+len(s.name))%4, Seconds: 1, PerSecond: rate, CPUPerOp: own,
			CPUSeconds: own * rate / 1e6, Counts: load.Counts{Operations: int64(rate), Hits: int64(rate)},
			LoadBusy: 0.61, ServerCore: sut.CoreUse{Busy: 0.98, Softirq: 0.3},
		}
		r.Latency = load.Quantiles{P50: latency * wobble(n, x), P99: 2.7 * latency * wobble(n, x, s.name), P999: 6 * latency * wobble(x, n)}
		if w.Rate > 0 {
			r.LoadBusy, r.Open = 1, &load.OpenLoop{Arrived: int64(rate), Lateness: load.Quantiles{P50: 0.4, P99: 7.5}, LongestQueue: 3}
		}
		if w.Transport == load.TransportUDP {
			r.Lost = 40
		}
		q.Rounds = append(q.Rounds, r)
		perSecond, cpus = append(perSecond, r.PerSecond), append(cpus, own)
		p50, p99, p999 = append(p50, r.Latency.P50), append(p99, r.Latency.P99), append(p999, r.Latency.P999)
	}
	q.PerSecond, q.CPUPerOp, q.P50, q.P99, q.P999 = estimate(perSecond), estimate(cpus), estimate(p50), estimate(p99), estimate(p999)
	q.Summary = trial.Summary{
		Server: s.server, Rounds: rounds, PerSecond: q.PerSecond.Median, CPUPerOp: q.CPUPerOp.Median, Busy: 0.98, LoadBusy: q.Rounds[0].LoadBusy,
		P50: q.P50.Median, P99: q.P99.Median, Syscalls: &sut.SyscallCount{PerOperation: 0.06, Method: "stats batch"},
	}
	return q
}

// blank takes the numbers away, as bench does where a round failed or was limited by the load.
func blank(q *trial.Point) {
	none := trial.Estimate{High: -1}
	q.PerSecond, q.CPUPerOp, q.P50, q.P99, q.P999, q.CPURatio = none, none, none, none, none, nil
}

const fatal = `the server died: signal: killed <&"'>`

func failed(q *trial.Point) {
	q.Rounds[1].Problems = []string{fatal}
	q.Summary.Failed, q.Summary.FirstError = 1, fatal
	blank(q)
}

func saturated(q *trial.Point) {
	q.Summary.Saturated = 2
	for i := range 2 {
		q.Rounds[i].LoadBusy, q.Rounds[i].ServerCore.Busy = 0.99, 0.5
	}
	blank(q)
}

func overloaded(q *trial.Point) {
	q.Summary.Overloaded = 2
	blank(q)
}

// at applies a change to the point at one place only.
func at(place float64, change func(*trial.Point)) func(float64, *trial.Point) {
	return func(x float64, q *trial.Point) {
		if x == place {
			change(q)
		}
	}
}

func constant(v float64) func(float64) float64 { return func(float64) float64 { return v } }

// along fills a part with a point of each series at each place.
func along(p trial.Part, places []float64, label func(float64) string, set func(float64, *load.Workload), rounds int, series ...shaped) trial.Part {
	for _, s := range series {
		made := trial.Series{Name: s.name, Server: s.server, Args: s.args, Fixed: s.fixed}
		for _, x := range places {
			w := load.DefaultWorkload()
			set(x, &w)
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
func compareWithBaseline(p *trial.Part) {
	base := slices.IndexFunc(p.Series, func(s trial.Series) bool { return s.Name == p.Baseline })
	cpu := func(r *trial.Round) float64 { return r.CPUPerOp }
	for i := range p.Series {
		for j := range p.Series[i].Points {
			q := &p.Series[i].Points[j]
			if i != base && q.CPUPerOp.Rounds > 0 && j < len(p.Series[base].Points) {
				q.CPURatio = trial.CompareRounds(p.Series[i].Name, p.Baseline, q.Rounds, p.Series[base].Points[j].Rounds, cpu)
			}
		}
	}
}

// serverOf is what is known of one of our servers.
func serverOf(engine string, port int) sut.Server {
	return sut.Server{
		Version: "0.1.0", Command: fmt.Sprintf("bin/ringcached -l 127.0.0.1 -p %d -t 1 -m 256 --engine %s", port, engine), CPUFrom: "/proc/PID/schedstat",
	}
}

func fixture() *trial.Report {
	return &trial.Report{
		Header: sut.Header{
			Format: 1, Kind: "compare", Began: time.Date(2026, 3, 1, 12, 30, 0, 0, time.UTC), Seconds: 1502,
			Environment: sut.Environment{
				Kernel: "6.18.5", CPU: "Imaginary Processor 9000 at 3.0 GHz", Cores: 2, Go: "go1.26.0", Version: "0123456789abcdef",
				Congestion: "bbr", HugePages: "madvise", Mitigations: []string{"spectre_v1", "spectre_v2", "spec_store_bypass"},
				Command: []string{"bin/ringcached-bench", "compare", "--variant", "unbatched=--batch-depth 1", "--json", "report.json"},
			},
			Options: map[string]any{
				"rounds": fixtureRounds, "duration_ns": time.Second, "servers": map[string]any{"threads": 1, "memory_mb": 256},
				"cores": map[string]any{"server": []int{1}, "load": []int{0}},
			},
			Servers: map[string]sut.Server{
				"uring": serverOf("uring", 11400), "epoll": serverOf("epoll", 11401), "net": serverOf("net", 11402),
				"memcached":      {Version: "1.6.18", Command: "memcached -l 127.0.0.1 -p 11403 -t 1 -m 256", CPUFrom: "/proc/PID/schedstat"},
				"null":           {Command: "bin/ringcached-bench null 127.0.0.1:11404", CPUFrom: "/proc/PID/schedstat"},
				"10.0.0.1:11211": {Version: "1, from <b>elsewhere</b>"},
			},
		},
		Headroom: []trial.Headroom{
			{Workload: load.Workload{Name: "get"}, PerSecond: 392_000, LoadBusy: 0.83},
			{Workload: load.Workload{Name: "get-pipeline"}, PerSecond: 3.1e6, LoadBusy: 0.99, Saturated: true},
		},
		Experiments: []*trial.Experiment{
			batching(), messageSize(), connectionLength(), cores(), memcached(), idle(), pipeline(), transport(), ablation(),
			{
				Name: "absent", Title: "An experiment without results", Question: "What if nothing could be measured?",
				Problems: []string{"memcached is not installed"},
			},
		},
	}
}
