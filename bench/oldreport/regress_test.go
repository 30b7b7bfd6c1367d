package report

import (
	"bytes"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ringcached/bench/load"
	trial "ringcached/bench/oldtrial"
	"ringcached/bench/sut"
)

// TestStudentTails compares with the tables of Student's t.
func TestStudentTails(t *testing.T) {
	for _, c := range []struct{ t, freedom, want float64 }{
		{12.706, 1, 0.05}, {4.303, 2, 0.05}, {2.228, 10, 0.05}, {2.042, 30, 0.05}, {1.9623, 1000, 0.05},
		{63.657, 1, 0.01}, {3.169, 10, 0.01}, {4.587, 10, 0.001}, {0, 5, 1}, {1, 1, 0.5}, {0.6998, 10, 0.5},
	} {
		if got := studentTails(c.t, c.freedom); !isNear(got, c.want, 2e-5+c.want*1e-3) {
			t.Errorf("t %v with %v degrees of freedom: %v, want %v", c.t, c.freedom, got, c.want)
		}
	}
}

func TestWelch(t *testing.T) {
	// Of logarithms 1, 2, 3 and 2, 4, 6: means 2 and 4, variances 1 and 4; by hand.
	e := math.Exp
	d := welch([]float64{e(1), e(2), e(3)}, []float64{e(2), e(4), e(6)})
	if !isNear(d.mean, 2, 1e-9) || !isNear(d.stderr, math.Sqrt(5./3), 1e-9) || !isNear(d.freedom, 25./9/(1./18+16./18), 1e-9) {
		t.Errorf("%+v", d)
	}
	d = paired([]float64{e(1), e(2), e(3)}, []float64{e(2), e(4), e(6)})
	if !isNear(d.mean, 2, 1e-9) || !isNear(d.stderr, math.Sqrt(1./3), 1e-9) || d.freedom != 2 {
		t.Errorf("%+v", d)
	}
	if low, high := d.interval(); !isNear(math.Log(low), 2-4.3027*math.Sqrt(1./3), 1e-3) || !isNear(math.Log(high), 2+4.3027*math.Sqrt(1./3), 1e-3) {
		t.Errorf("%v..%v", math.Log(low), math.Log(high))
	}
	// Of seven, the lowest and the highest are replaced by their neighbours for the variance and left out of the mean.
	m := trimLogs([]float64{e(90), e(1), e(2), e(3), e(4), e(5), e(-70)})
	if !isNear(m.mean, 3, 1e-9) || !isNear(m.square, (4+4+1+0+1+4+4)/(5.*4), 1e-9) || m.freedom != 4 {
		t.Errorf("trimmed: %+v", m)
	}
	if p := welch([]float64{5, 5, 5}, []float64{5, 5}).p(); p != 1 {
		t.Errorf("no difference at all: p %v", p)
	}
	if p := welch([]float64{5, 5, 5}, []float64{6, 6}).p(); p != 0 {
		t.Errorf("no spread at all: p %v", p)
	}
}

func TestHolm(t *testing.T) {
	got := holm([]float64{0.01, 0.04, 0.03, 0.005})
	if want := []float64{0.03, 0.06, 0.06, 0.02}; !slices.EqualFunc(got, want, func(a, b float64) bool { return isNear(a, b, 1e-12) }) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := holm([]float64{0.5, 0.9}); got[0] != 1 || got[1] != 1 {
		t.Errorf("%v", got)
	}
}

// madeUpRow makes a comparison of some servers in rounds whose figures spread by a part, and are cost times the usual for each server.
func madeUpRow(src *rand.Rand, rounds int, spread float64, servers []string, cost func(server string) float64) *trial.Comparison {
	c := &trial.Comparison{Workload: load.Workloads()[0]}
	for n := range rounds {
		for _, s := range servers {
			cpu := 4 * cost(s) * math.Exp(spread*src.NormFloat64())
			c.Rounds = append(c.Rounds, madeUpRound(n+1, s, cpu, func(r *trial.Round) {
				r.Latency.P99 = 100 * cost(s) * math.Exp(spread*src.NormFloat64())
			}))
		}
	}
	c.Summarise(servers)
	return c
}

// saved writes a report of the comparisons to a file.
func saved(t *testing.T, change func(*Report), rows ...*trial.Comparison) string {
	t.Helper()
	r := newReport("compare", &trial.CompareOptions{Rounds: 7, Options: trial.Options{Threads: 1, Servers: sut.ServerOptions{Threads: 1}}})
	r.Comparisons = rows
	if change != nil {
		change(r)
	}
	path := filepath.Join(t.TempDir(), "report.json")
	if err := WriteJSON(path, r); err != nil {
		t.Fatal(err)
	}
	return path
}

func regress(t *testing.T, before, after string) *Regression {
	t.Helper()
	report, err := Regress(before, after, RegressOptions{Threshold: 0.05})
	if err != nil {
		t.Fatal(err)
	}
	return report.Regression
}

func same(string) float64 { return 1 }

// TestNoChangeIsNoAlarm makes up a hundred pairs of results that differ by noise only. More false alarms than one in twenty would be too many;
// there are fewer, for a change must be above the threshold too.
func TestNoChangeIsNoAlarm(t *testing.T) {
	src := rand.New(rand.NewPCG(1, 1))
	alarms := 0
	for range 100 {
		r := Regression{Threshold: 0.001, Level: falseAlarms}
		var a, b []sample
		for _, where := range []string{"get", "set", "mix"} {
			for _, all := range []*[]sample{&a, &b} {
				m := sample{where: where, server: sut.Uring}
				m.add(madeUpRow(src, 7, 0.05, []string{sut.Uring}, same).Rounds)
				*all = append(*all, m)
			}
		}
		r.compare(a, b)
		if len(r.Rows) != 9 {
			t.Fatalf("%d rows", len(r.Rows))
		}
		if len(r.Worse()) > 0 {
			alarms++
		}
	}
	if alarms > 5 {
		t.Errorf("%d of 100 gave an alarm", alarms)
	}
}

func TestChangesAreSeen(t *testing.T) {
	for _, c := range []struct {
		cost   float64
		spread float64
		cpu    Change
		rate   Change
		worse  int
	}{
		{1, 0.02, Unchanged, Unchanged, 0},
		{1.1, 0.01, Worse, Worse, 3},
		{1 / 1.1, 0.01, Better, Better, 0},
		{1.1, 0.5, Unchanged, Unchanged, 0},
		{1.02, 0.001, Slight, Slight, 0},
	} {
		src := rand.New(rand.NewPCG(2, 2))
		servers := []string{sut.Uring, sut.Memcached}
		before := saved(t, nil, madeUpRow(src, 7, c.spread, servers, same))
		after := saved(t, nil, madeUpRow(src, 7, c.spread, servers, func(s string) float64 {
			if s == sut.Uring {
				return c.cost
			}
			return 1
		}))
		r := regress(t, before, after)
		if len(r.Rows) != 6 || r.Rows[0].Change != c.cpu || r.Rows[1].Change != c.rate || len(r.Worse()) != c.worse || len(r.Warnings) > 0 {
			t.Errorf("%+v: %+v", c, r)
		}
		if r.Rows[0].Metric != trial.MetricCPU || c.spread < 0.1 && !isNear(r.Rows[0].Ratio, c.cost, 0.05) {
			t.Errorf("%+v: %+v", c, r.Rows[0])
		}
	}
}

// TestDisturbedRoundsMatterLittle: one round of seven is five times as slow as the others.
func TestDisturbedRoundsMatterLittle(t *testing.T) {
	src := rand.New(rand.NewPCG(8, 8))
	disturbed := func(cost float64) *trial.Comparison {
		c := madeUpRow(src, 7, 0.01, []string{"uring"}, func(string) float64 { return cost })
		r := &c.Rounds[3]
		r.CPUPerOp, r.PerSecond, r.Latency.P99 = 5*r.CPUPerOp, r.PerSecond/5, 5*r.Latency.P99
		return c
	}
	usual := saved(t, nil, disturbed(1))
	if r := regress(t, usual, saved(t, nil, disturbed(1.1))); len(r.Worse()) != 3 {
		t.Errorf("10 %% more: %+v", r.Rows)
	}
	if r := regress(t, usual, saved(t, nil, disturbed(1))); len(r.Worse()) != 0 {
		t.Errorf("no more: %+v", r.Rows)
	}
}

func TestControlsTellOfTheMachine(t *testing.T) {
	src := rand.New(rand.NewPCG(3, 3))
	slower := func(string) float64 { return 1.3 }
	servers := []string{sut.Uring, sut.Memcached}
	r := regress(t, saved(t, nil, madeUpRow(src, 7, 0.01, servers, same)), saved(t, nil, madeUpRow(src, 7, 0.01, servers, slower)))
	if len(r.Warnings) != 1 || !strings.HasPrefix(r.Warnings[0], "memcached changed too") || len(r.Worse()) != 3 {
		t.Errorf("%q, %+v", r.Warnings, r.Worse())
	}
}

func TestWhatIsNotInBothIsTold(t *testing.T) {
	src := rand.New(rand.NewPCG(4, 4))
	before := madeUpRow(src, 3, 0.01, []string{"uring", "a"}, same)
	after := madeUpRow(src, 3, 0.01, []string{"uring", "b"}, same)
	after.Rounds[0].Wrong = 1
	other := madeUpRow(src, 3, 0.01, []string{"uring"}, same)
	other.Workload.Name = "other"
	changed := *other
	changed.Workload.Keys++
	r := regress(t, saved(t, nil, before, other), saved(t, nil, after, &changed))
	want := []string{"get, a: only in the old result", "other, uring: the workloads of that name differ", "get, b: only in the new result"}
	if !slices.Equal(r.Missing, want) {
		t.Errorf("%q", r.Missing)
	}
	if len(r.Rows) != 3 || r.Rows[0].OldRounds != 3 || r.Rows[0].NewRounds != 2 {
		t.Errorf("%+v", r)
	}
	doubts := []string{
		"get, uring: 1 of 3 new rounds failed: 1 wrong replies, 0 error replies, 0 broken connections",
		"2 rows of the old result without figures in the new one (--force compares the others)",
	}
	if len(r.Warnings) > 0 || !slices.Equal(r.Doubts, doubts) {
		t.Errorf("%q, %q", r.Warnings, r.Doubts)
	}
	var out bytes.Buffer
	PrintRegression(&out, r)
	for _, want := range []string{"get       uring   CPU us/op ", "not compared: get, a: only",
		"WARNING: get, uring: 1 of 3 new rounds failed: 1 wrong", "corrected for 3 rows (Holm)", "5 % or more"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
}

func TestPointsOfExperimentsAreCompared(t *testing.T) {
	src := rand.New(rand.NewPCG(5, 5))
	experiment := func(cost float64) func(*Report) {
		return func(r *Report) {
			p := trial.Point{Label: "64", Rounds: madeUpRow(src, 7, 0.01, []string{"uring"}, func(string) float64 { return cost }).Rounds}
			r.Experiments = []*trial.Experiment{{Name: "batching", Parts: []trial.Part{{Name: "depth", Series: []trial.Series{{Name: "uring", Points: []trial.Point{p}}}}}}}
		}
	}
	r := regress(t, saved(t, experiment(1)), saved(t, experiment(1.2)))
	if len(r.Rows) != 3 || r.Rows[0].Where != "batching/depth 64" || len(r.Worse()) != 3 {
		t.Errorf("%+v", r)
	}
}

// TestFailedRounds: a server that answers wrongly is no better for it, and the old one's failures are no doubt about the new one.
func TestFailedRounds(t *testing.T) {
	src := rand.New(rand.NewPCG(9, 9))
	good := saved(t, nil, madeUpRow(src, 7, 0.01, []string{"uring", "epoll"}, same))
	row := madeUpRow(src, 7, 0.01, []string{"uring", "epoll"}, same)
	for i := range row.Rounds {
		if r := &row.Rounds[i]; r.Server == "uring" {
			r.Wrong = 5
		}
	}
	bad := saved(t, nil, row)
	r := regress(t, good, bad)
	if len(r.Rows) != 3 || len(r.Doubts) != 2 || !strings.HasPrefix(r.Doubts[0], "get, uring: 7 of 7 new rounds failed: 5 wrong replies") {
		t.Errorf("new: %+v", r)
	}
	r = regress(t, bad, good)
	if len(r.Rows) != 3 || len(r.Doubts) > 0 || len(r.Warnings) != 1 || !slices.Equal(r.Missing, []string{"get, uring: of 7 old rounds 0 count, of 7 new ones 7"}) {
		t.Errorf("old: %+v", r)
	}
	r = regress(t, saved(t, nil, madeUpRow(src, 7, 0.01, []string{"epoll"}, same)), bad)
	if len(r.Doubts) != 1 || !strings.HasPrefix(r.Doubts[0], "get, uring: 7 of 7 new rounds failed") {
		t.Errorf("only in the new result: %+v", r)
	}
	// Force does not make wrong replies right.
	report, err := Regress(good, bad, RegressOptions{Threshold: 0.05, Force: true})
	if err != nil || len(report.Regression.Doubts) != 1 {
		t.Errorf("with force: %v, %+v", err, report)
	}
}

// TestPairsOfTheLoadAreLeftOut: a trial that does not count leaves out the other build's next to it.
func TestPairsOfTheLoadAreLeftOut(t *testing.T) {
	c := madeUpRow(rand.New(rand.NewPCG(14, 14)), 8, 0.01, []string{SubjectOld, SubjectNew}, same)
	saturate := func(i int) { c.Rounds[i].LoadBusy, c.Rounds[i].ServerCore.Busy = 1, 0.5 }
	saturate(0) // the old one's trial in round 1
	saturate(3) // the new one's in round 2
	saturate(4) // and both in round 3
	saturate(5)
	a, b := pairs(c)
	if len(a.rounds) != 5 || len(b.rounds) != 5 || a.rounds[0].Number != 4 || b.rounds[0].Number != 4 {
		t.Errorf("%+v and %+v", a.rounds, b.rounds)
	}
	if a.saturated != 2 || a.usable != 6 || b.saturated != 2 || b.usable != 6 {
		t.Errorf("old %d and %d, new %d and %d", a.saturated, a.usable, b.saturated, b.usable)
	}
}

// TestRoundsOfTheLoadAreLeftOut: where the load was the limit, or a rate was too much, the figures are not the server's.
func TestRoundsOfTheLoadAreLeftOut(t *testing.T) {
	saturate := func(r *trial.Round) { r.LoadBusy, r.ServerCore.Busy, r.CPUPerOp = 1, 0.5, 2*r.CPUPerOp }
	overload := func(r *trial.Round) { r.Open, r.CPUPerOp = &load.OpenLoop{Short: true}, 2*r.CPUPerOp }
	const lacks = "1 row of the old result without figures in the new one (--force compares the others)"
	for _, c := range []struct {
		name     string
		server   string
		change   func(*trial.Round)
		old, new int // rounds that are changed
		rows     int
		doubts   []string
	}{
		{"saturated", "uring", saturate, 2, 4, 3, nil},
		{"all saturated", "uring", saturate, 0, 7, 0, []string{lacks}},
		{"one left", "uring", saturate, 0, 6, 3, []string{lacks}},
		{"the old one all saturated", "uring", saturate, 7, 0, 0, nil},
		{"canned replies", sut.Null, saturate, 0, 7, 0, nil},
		{"overloaded", "uring", overload, 0, 2, 3, nil},
		{"often overloaded", "uring", overload, 0, 4, 3,
			[]string{"get, uring: in 4 of 7 new rounds more arrived than the server could take, in 0 of 7 old ones"}},
	} {
		src := rand.New(rand.NewPCG(10, 10))
		measured := func(changed int) sample {
			m := sample{where: "get", server: c.server}
			all := madeUpRow(src, 7, 0.01, []string{c.server}, same).Rounds
			for i := range changed {
				c.change(&all[i])
			}
			m.add(all)
			return m
		}
		r := Regression{Threshold: 0.05, Level: falseAlarms}
		r.compare([]sample{measured(c.old)}, []sample{measured(c.new)})
		if len(r.Rows) != c.rows || !slices.Equal(r.Doubts, c.doubts) || len(r.Worse()) > 0 || len(r.Warnings) != 1 {
			t.Errorf("%s: %+v", c.name, r)
		}
		if c.rows > 0 && (r.Rows[0].OldRounds != 7-c.old || r.Rows[0].NewRounds != 7-c.new) {
			t.Errorf("%s: %+v", c.name, r.Rows[0])
		}
		if c.rows == 0 && len(r.Missing) != 1 {
			t.Errorf("%s: not told of: %q", c.name, r.Missing)
		}
	}
}

// madeUpExperiments makes a report of some, each with a part of two points.
func madeUpExperiments(src *rand.Rand, names ...string) func(*Report) {
	return func(r *Report) {
		r.Options = &trial.ExperimentsOptions{Names: names}
		for _, name := range names {
			s := trial.Series{Name: "uring"}
			for _, label := range []string{"1", "64"} {
				s.Points = append(s.Points, trial.Point{Label: label, Rounds: madeUpRow(src, 7, 0.01, []string{"uring"}, same).Rounds})
			}
			r.Experiments = append(r.Experiments, &trial.Experiment{Name: name, Parts: []trial.Part{{Name: "part", Series: []trial.Series{s}}}})
		}
	}
}

func TestFewerExperiments(t *testing.T) {
	src := rand.New(rand.NewPCG(11, 11))
	all, one := saved(t, madeUpExperiments(src, "batching", "files", "accept")), saved(t, madeUpExperiments(src, "batching"))
	missing := []string{"experiment files, 2 rows: only in the old result", "experiment accept, 2 rows: only in the old result"}
	r := regress(t, all, one)
	if len(r.Rows) != 6 || !slices.Equal(r.Missing, missing) ||
		!slices.Equal(r.Doubts, []string{"4 rows of the old result without figures in the new one (--force compares the others)"}) {
		t.Errorf("%+v", r)
	}
	report, err := Regress(all, one, RegressOptions{Threshold: 0.05, Force: true})
	if err != nil || len(report.Regression.Doubts) > 0 || !slices.Equal(report.Regression.Missing, missing) {
		t.Errorf("with force: %v, %+v", err, report)
	}
	if r := regress(t, one, all); len(r.Rows) != 6 || len(r.Doubts) > 0 || len(r.Missing) != 2 {
		t.Errorf("more experiments: %+v", r)
	}
}

// TestRepeatedPointsCountOnce: trials that stand for all points are one row, so that Holm's correction is not for more.
func TestRepeatedPointsCountOnce(t *testing.T) {
	src := rand.New(rand.NewPCG(12, 12))
	repeated := func(r *Report) {
		madeUpExperiments(src, "batching")(r)
		p := &r.Experiments[0].Parts[0]
		fixed := trial.Series{Fixed: true, Name: "epoll", Points: slices.Clone(p.Series[0].Points)}
		fixed.Points[1].Rounds = fixed.Points[0].Rounds
		p.Series = append(p.Series, fixed)
	}
	r := regress(t, saved(t, repeated), saved(t, repeated))
	var where []string
	for _, row := range r.Rows {
		if row.Metric == trial.MetricCPU {
			where = append(where, row.Where+" "+row.Server)
		}
	}
	want := []string{"batching/part 1 uring", "batching/part 64 uring", "batching/part (all points) epoll"}
	if !slices.Equal(where, want) || len(r.Rows) != 9 || len(r.Doubts)+len(r.Missing) > 0 {
		t.Errorf("%+v", r)
	}
}

// TestRatesThatFollowFromFigures differ from result to result: that is reported, and no doubt.
func TestRatesThatFollowFromFigures(t *testing.T) {
	src := rand.New(rand.NewPCG(13, 13))
	atRate := func(label string, rate float64) string {
		return saved(t, func(r *Report) {
			madeUpExperiments(src, "mixes")(r)
			p := &r.Experiments[0].Parts[0].Series[0].Points[1]
			p.Label, p.Workload.Rate = label, rate
		})
	}
	for _, other := range []string{atRate("12.3k/s", 12_345), atRate("11.9k/s", 11_870)} {
		r := regress(t, atRate("12.3k/s", 12_311), other)
		if len(r.Rows) != 3 || len(r.Doubts) > 0 || len(r.Missing) == 0 || !strings.Contains(r.Missing[0], "part 12.3k/s, uring: the new rate") {
			t.Errorf("%+v", r)
		}
	}
}

func TestRunsSayNothing(t *testing.T) {
	one := func(perSecond float64) func(*Report) {
		return func(r *Report) {
			r.Run = &load.RunResult{Counts: load.Counts{Operations: 10}, PerSecond: perSecond, Latency: load.Quantiles{P99: 10}}
		}
	}
	if r := regress(t, saved(t, one(1000)), saved(t, one(500))); !r.Silent() || len(r.Rows) != 2 || len(r.Worse()) > 0 {
		t.Errorf("%+v", r)
	}
}

func TestResultsThatCannotBeCompared(t *testing.T) {
	src := rand.New(rand.NewPCG(6, 6))
	row := madeUpRow(src, 3, 0.01, []string{"uring"}, same)
	good := saved(t, nil, row)
	for says, path := range map[string]string{
		"no such file":                             filepath.Join(t.TempDir(), "none"),
		"no result of ringcached-bench":            "regress_test.go",
		"its format is 2":                          saved(t, func(r *Report) { r.Format = 2 }, row),
		"not the same kernel: ":                    saved(t, func(r *Report) { r.Environment.Kernel = "2.6.32" }, row),
		"not the same CPU: ":                       saved(t, func(r *Report) { r.Environment.CPU = "6502" }, row),
		"one is of kind compare, the other limits": saved(t, func(r *Report) { r.Kind = "limits" }, row),
		"the option servers.threads differs: 1 and 4": saved(t, func(r *Report) {
			r.Options = &trial.CompareOptions{Rounds: 7, Options: trial.Options{Threads: 1, Servers: sut.ServerOptions{Threads: 4}}}
		}, row),
		"nothing in common": saved(t, nil),
	} {
		if _, err := Regress(good, path, RegressOptions{Threshold: 0.05}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
	other := saved(t, func(r *Report) { r.Environment.Kernel = "2.6.32" }, row)
	report, err := Regress(good, other, RegressOptions{Force: true})
	if err != nil || len(report.Regression.Warnings) != 1 || !strings.Contains(report.Regression.Warnings[0], "kernel") {
		t.Errorf("with force: %v, %+v", err, report)
	}
	slower := saved(t, func(r *Report) {
		r.Options = &trial.CompareOptions{Rounds: 9, Options: trial.Options{Threads: 1, Duration: 5, Servers: sut.ServerOptions{Threads: 1, Path: "x"}}}
	}, row)
	report, err = Regress(good, slower, RegressOptions{})
	if err != nil || len(report.Regression.Warnings) != 1 || !strings.Contains(report.Regression.Warnings[0], "duration_ns differs: 0 and 5") {
		t.Errorf("of another duration: %v, %+v", err, report)
	}
	if _, err := Regress(good, good, RegressOptions{Threshold: 1}); err == nil || !strings.Contains(err.Error(), "threshold") {
		t.Errorf("%v", err)
	}
}

// TestBuildsArePaired compares builds over rounds that disturb both.
func TestBuildsArePaired(t *testing.T) {
	src := rand.New(rand.NewPCG(7, 7))
	// The rounds differ by far more than the builds do.
	c := &trial.Comparison{Workload: load.Workloads()[0]}
	for n := range 8 {
		slow := math.Exp(src.NormFloat64())
		for _, s := range []string{SubjectOld, SubjectNew} {
			cpu := 4 * slow * math.Exp(0.01*src.NormFloat64())
			if s == SubjectNew {
				cpu *= 1.1
			}
			c.Rounds = append(c.Rounds, madeUpRound(n+1, s, cpu, nil))
		}
	}
	c.Rounds[2].Broken = 1
	a, b := pairs(c)
	if len(a.rounds) != 7 || len(b.rounds) != 7 || a.rounds[1].Number != 3 || b.rounds[1].Number != 3 {
		t.Fatalf("%+v and %+v", a, b)
	}
	r := Regression{Paired: true, Threshold: 0.05, Level: falseAlarms}
	r.compare([]sample{a}, []sample{b})
	if len(r.Worse()) != 2 {
		t.Errorf("paired: %+v", r.Rows)
	}
	r = Regression{Threshold: 0.05, Level: falseAlarms}
	r.compare([]sample{a}, []sample{b})
	if len(r.Worse()) != 0 {
		t.Errorf("not paired: %+v", r.Rows)
	}
}

func madeUpRound(number int, server string, cpu float64, change func(*trial.Round)) trial.Round {
	r := trial.Round{
		Number: number, Server: server, Seconds: 1, Counts: load.Counts{Operations: 1000}, PerSecond: 1000 / cpu, CPUPerOp: cpu, CPUSeconds: cpu / 1000,
		ServerCore: sut.CoreUse{Busy: 0.98}, LoadBusy: 0.5, ServerStarted: true,
	}
	if change != nil {
		change(&r)
	}
	return r
}

func isNear(a, b, most float64) bool { return math.Abs(a-b) <= most }
