package oldtrial

import (
	"regexp"
	"strings"
	"testing"

	"ringcached/bench/load"
	"ringcached/bench/sut"
)

// madeUp is a part in which uring costs what the function says for each point and round, and epoll 5 us, one trial of which stands for all points.
func madeUp(rounds int, uring func(point, round int) float64, change func(server string, r *Round)) *Report {
	p := partPlan{
		name: "part", title: "a part", axis: Axis{Label: "depth", Scale: ScaleLog}, baseline: sut.Epoll, shows: []Metric{MetricCPU, MetricThroughput},
		points: []pointPlan{
			{x: 1, label: "1", args: []string{"--batch-depth", "1"}, load: load.DefaultWorkload()},
			{x: 8, label: "8 KiB", load: load.DefaultWorkload()},
		},
		series: []seriesPlan{
			{name: "uring, flags", server: sut.Uring, args: []string{"--flag"}},
			{name: sut.Epoll, server: sut.Epoll, fixed: true},
			{name: sut.Null, server: sut.Null},
		},
	}
	results := make(map[cell]*measured)
	for n := range rounds {
		for _, c := range p.cells(n) {
			cpu := 4.0
			switch p.series[c.series].server {
			case sut.Uring:
				cpu = uring(c.point, n)
			case sut.Epoll:
				cpu = 5
			}
			if results[c] == nil {
				results[c] = &measured{}
			}
			r := round(n+1, p.series[c.series].server, cpu, nil)
			if change != nil {
				change(r.Server, &r)
			}
			results[c].rounds = append(results[c].rounds, r)
		}
	}
	r := NewReport("compare", &ExperimentsOptions{})
	r.Experiments = []*Experiment{{Name: "made-up", Question: "Why?", Parts: []Part{p.result(results, 2)}}}
	return r
}

func TestPartStatesRatiosAndNoise(t *testing.T) {
	r := madeUp(3, func(point, round int) float64 { return [][]float64{{4, 4.001, 4.002}, {4, 5, 6}}[point][round] }, nil)
	p := &r.Experiments[0].Parts[0]
	uring, epoll := p.series("uring, flags"), p.series(sut.Epoll)
	if ratio := uring.Points[0].CPURatio; ratio == nil || !ratio.Certain() || ratio.Of != "uring, flags" || ratio.Over != sut.Epoll {
		t.Errorf("%+v", ratio)
	}
	if uring.Fixed || !epoll.Fixed {
		t.Error("what stands for all points is not marked as such")
	}
	if epoll.Points[0].CPURatio != nil || len(epoll.Points) != 2 || epoll.Points[1].X != 8 || epoll.Points[1].CPUPerOp.Median != 5 {
		t.Errorf("%+v", epoll)
	}
	if pt := uring.Points[0]; pt.Threads != 2 || len(pt.Args) != 2 || uring.Server != sut.Uring || uring.Args[0] != "--flag" {
		t.Errorf("%+v", pt)
	}
	if null := p.series(sut.Null).Points[0]; len(epoll.Points[0].Args) != 0 || null.Threads != 1 {
		t.Errorf("%+v, %+v", epoll.Points[0], null)
	}
	wantLines(t, shown(r), `(?m)^    CPU us/op +uring, flags +epoll +null$`, `(?m)^    1 +4\.001 ±0% +5\.000 ±0% +4\.000 ±0%$`, `(?m)^    8 KiB +5\.000 ±\d+% `,
		`(?m)^    uring, flags against epoll: less CPU at 1 \(20 %, 0\.80\.\.0\.80\); within noise at 8 KiB$`,
		`(?m)^    null against epoll: less CPU at 1 \(20 %`)
	lines := regexp.MustCompile(`(?m)^Benchmark.*$`).FindAllString(string(r.Benchstat()), -1)
	want := "BenchmarkCompare/experiment=made-up/part=part/x=8_KiB/server=uring_flags-2\t1000\t4000000.0 ns/op\t250 op/s\t4.0000 us-CPU/op" +
		"\t0.0 us-p50\t0.0 us-p99\t0.0 us-p99.9"
	if len(lines) != 18 || lines[3] != want {
		t.Errorf("%d lines:\n%s\nwant\n%s", len(lines), strings.Join(lines, "\n"), want)
	}
}

func TestASaturatedLoadFailsAnExperiment(t *testing.T) {
	limited := func(server string) func(string, *Round) {
		return func(s string, r *Round) {
			if s == server && r.Number == 2 {
				r.LoadBusy, r.ServerCore.Busy = 0.97, 0.8
			}
		}
	}
	r := madeUp(2, func(int, int) float64 { return 4 }, limited(sut.Uring))
	pt := &r.Experiments[0].Parts[0].Series[0].Points[0]
	if pt.CPUPerOp.Rounds != 0 || pt.CPURatio != nil || pt.Summary.Saturated != 1 {
		t.Errorf("%+v", pt)
	}
	wantLines(t, strings.Join(r.Failures(), "\n"), `^made-up/part, uring, flags at 1, 8 KiB: no figures: the load was the limit in 1 of 2 rounds, not the server$`)
	wantLines(t, shown(r), `(?m)^    1 +LOAD-BOUND +5\.000`)
	if text := string(r.Benchstat()); strings.Contains(text, "uring") || !strings.Contains(text, "epoll") {
		t.Errorf("%s", text)
	}

	// The load may be slower than canned replies come: no figure, and no failure.
	r = madeUp(2, func(int, int) float64 { return 4 }, limited(sut.Null))
	if f := r.Failures(); len(f) != 0 {
		t.Errorf("%q", f)
	}
	wantLines(t, shown(r), `(?m)^    1 +4\.000 ±0% +5\.000 ±0% +LOAD-BOUND`, `    null at 1, 8 KiB: no figures: the load was the limit`)
}

// TestFewRoundsMayBeLeftOut: one of three or four that the load limited is left out and told of, two are too many. What was too much for a server counts.
func TestFewRoundsMayBeLeftOut(t *testing.T) {
	disturb := func(rounds int, change func(*Round)) *Report {
		return madeUp(4, func(_, round int) float64 { return float64(round + 1) }, func(s string, r *Round) {
			if s == sut.Uring && r.Number > 4-rounds {
				change(r)
			}
		})
	}
	busy := func(r *Round) { r.LoadBusy, r.ServerCore.Busy = 0.97, 0.8 }
	late := func(r *Round) { r.Open = &load.OpenLoop{Lateness: load.Quantiles{P50: 100}} }
	short := func(r *Round) { r.Open = &load.OpenLoop{Short: true} }
	for _, c := range []struct {
		rounds   int
		change   func(*Round)
		counted  int
		fails    bool
		mentions string
	}{
		{1, busy, 3, false, "1 of 4 rounds left out because the load was the limit"},
		{1, late, 3, false, "1 of 4 rounds left out because the load was the limit"},
		{2, busy, 0, true, "no figures: the load was the limit in 2 of 4 rounds"},
		{1, func(r *Round) { short(r); r.LoadBusy, r.ServerCore.Busy = 0.97, 0.99 }, 4, false, "in 1 of 4 rounds more arrived than the server could take"},
	} {
		r := disturb(c.rounds, c.change)
		pt := &r.Experiments[0].Parts[0].Series[0].Points[0]
		if pt.CPUPerOp.Rounds != c.counted || pt.P50.Rounds > c.counted || (len(r.Failures()) > 0) != c.fails {
			t.Errorf("%q: estimate of %d rounds, want %d; failures %q", c.mentions, pt.CPUPerOp.Rounds, c.counted, r.Failures())
		}
		told := r.Experiments[0].Parts[0].failures(!c.fails)
		if !strings.Contains(strings.Join(told, "\n"), c.mentions) {
			t.Errorf("no %q in %q", c.mentions, told)
		}
		lines := regexp.MustCompile(`(?m)^Benchmark.*x=1/server=uring.*$`).FindAllString(string(r.Benchstat()), -1)
		if len(lines) != c.counted {
			t.Errorf("%q: %d lines for benchstat, want %d", c.mentions, len(lines), c.counted)
		}
	}
}

// TestALateLoadHasNoHighQuantiles: what the load was seldom late for tells nothing of the server's high quantiles, and its median all the same.
func TestALateLoadHasNoHighQuantiles(t *testing.T) {
	r := madeUp(3, func(_, round int) float64 { return float64(round + 1) }, func(_ string, r *Round) {
		r.Latency = load.Quantiles{P50: 50, P99: 1000, P999: 3000}
		r.Open = &load.OpenLoop{Late: true, Lateness: load.Quantiles{P50: 1, P99: 600, P999: 700}}
	})
	pt := &r.Experiments[0].Parts[0].Series[0].Points[0]
	if pt.P50.Rounds != 3 || pt.P50.Median != 50 || pt.P99.Rounds != 0 || pt.P999.Rounds != 3 || len(r.Failures()) != 0 {
		t.Errorf("%+v, %q", pt, r.Failures())
	}
}

func TestRatesFollowFromTheSlowestServer(t *testing.T) {
	r := madeUp(2, func(int, int) float64 { return 8 }, nil)
	e := r.Experiments[0]
	least, why := e.leastThroughput("part", "1")
	if least != 125 || why != "" {
		t.Errorf("%g, %q", least, why)
	}
	p := partPlan{points: []pointPlan{{share: 0.1}, {share: 0.95}}}
	p.offer(123_456)
	if pt := p.points[1]; pt.load.Rate != 117_283 || pt.x != 117_283 || pt.label != "117k/s" || p.points[0].label != "12.3k/s" {
		t.Errorf("%+v", p.points)
	}
	if _, why := e.leastThroughput("part", "2"); !strings.Contains(why, "uring, flags, on which rates depend, is unknown") {
		t.Errorf("%q", why)
	}
	if _, why := e.leastThroughput("other", "1"); why == "" {
		t.Error("a part that was not measured has a throughput")
	}
}

func TestMemoryOfConnections(t *testing.T) {
	m := memoryOf([]idleCost{
		{user: 70, caches: []sut.SlabCache{{Name: "TCP", Bytes: 2048}, {Name: "filp", Bytes: 192}}}, {user: 72, caches: []sut.SlabCache{{Name: "TCP", Bytes: 2048}, {Name: "eventpoll_epi", Bytes: 128}}}, {user: 71},
	})
	if m.User.Median != 71 || m.Kernel.Median != (2240+2176)/2. || m.Kernel.Rounds != 2 || m.Caches[0].Name != "TCP" || len(m.Caches) != 3 {
		t.Errorf("%+v", m)
	}
	if memoryOf(nil) != nil {
		t.Error("memory of nothing")
	}
}

func TestEstimate(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   Estimate
	}{
		{nil, Estimate{High: -1}},
		{[]float64{3}, Estimate{Median: 3, High: -1, Rounds: 1}},
		{[]float64{2, 2, 2}, Estimate{Median: 2, Low: 2, High: 2, Rounds: 3}},
		{[]float64{1, 2, 3, 4, 5, 6}, Estimate{Median: 3.5, Low: 1, High: 6, Rounds: 6}},
	} {
		if got := NewEstimate(c.values); got != c.want {
			t.Errorf("%v: %+v, want %+v", c.values, got, c.want)
		}
	}
}
