package bench

import "math"

// The part that measures throughput, and its point that is plain gets.
const (
	mixesPart = "mixes"
	plainGets = "get"
)

// memcached runs mixes of commands as fast as the servers answer, and then gets at given rates.
func (p *planning) memcached() ([]partPlan, []string) {
	type mix struct {
		name   string
		change func(*Workload)
	}
	all := []mix{
		{plainGets, func(*Workload) {}},
		{"90:10", func(w *Workload) { w.Gets, w.Sets = 90, 10 }},
		{"50:50", func(w *Workload) { w.Gets, w.Sets = 50, 50 }},
		{"set", func(w *Workload) { w.Gets, w.Sets = 0, 1 }},
		{"multiget 100", func(w *Workload) { w.Multiget = 100 }},
		{"zipf 0.99", func(w *Workload) { w.KeyDist, w.ZipfS = Zipf, 0.99 }},
	}
	mixes := pick(p, []mix{all[0], all[2], all[4]}, all)
	var names []string
	for _, m := range mixes {
		names = append(names, m.name)
	}
	latency := partPlan{
		name: "latency", title: "gets of 64 B at given rates, 50 connections: up to 95 % of what the slowest server can take",
		axis: Axis{Label: "offered rate", Unit: "requests/s", Scale: ScaleLinear}, baseline: SubjectEpoll,
		shows: []Metric{MetricP50, MetricP99, MetricP999, MetricCPU}, series: p.realServers(), rateOf: [2]string{mixesPart, plainGets},
	}
	for _, percent := range pick(p, []int{50, 90}, []int{10, 25, 50, 75, 85, 95}) {
		latency.points = append(latency.points, pointPlan{share: float64(percent) / 100, load: p.load(func(*Workload) {})})
	}
	return []partPlan{
		{
			name: mixesPart, title: "get:set mixes of 64 B, 50 connections", axis: Axis{Label: "mix", Scale: ScaleNames}, baseline: SubjectEpoll,
			shows: costs, points: p.names(names, func(i int, w *Workload) { mixes[i].change(w) }), series: p.realServers(),
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
