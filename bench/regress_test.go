package bench

import (
	"bytes"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestStudentTails compares with the tables of Student's t.
func TestStudentTails(t *testing.T) {
	for _, c := range []struct{ t, freedom, want float64 }{
		{12.706, 1, 0.05}, {4.303, 2, 0.05}, {2.228, 10, 0.05}, {2.042, 30, 0.05}, {1.9623, 1000, 0.05},
		{63.657, 1, 0.01}, {3.169, 10, 0.01}, {4.587, 10, 0.001}, {0, 5, 1}, {1, 1, 0.5}, {0.6998, 10, 0.5},
	} {
		if got := studentTails(c.t, c.freedom); !near(got, c.want, 2e-5+c.want*1e-3) {
			t.Errorf("t %v with %v degrees of freedom: %v, want %v", c.t, c.freedom, got, c.want)
		}
	}
}

func TestWelch(t *testing.T) {
	// Of logarithms 1, 2, 3 and 2, 4, 6: means 2 and 4, variances 1 and 4; by hand.
	e := math.Exp
	d := welch([]float64{e(1), e(2), e(3)}, []float64{e(2), e(4), e(6)})
	if !near(d.mean, 2, 1e-9) || !near(d.stderr, math.Sqrt(5./3), 1e-9) || !near(d.freedom, 25./9/(1./18+16./18), 1e-9) {
		t.Errorf("%+v", d)
	}
	d = paired([]float64{e(1), e(2), e(3)}, []float64{e(2), e(4), e(6)})
	if !near(d.mean, 2, 1e-9) || !near(d.stderr, math.Sqrt(1./3), 1e-9) || d.freedom != 2 {
		t.Errorf("%+v", d)
	}
	if low, high := d.interval(); !near(math.Log(low), 2-4.3027*math.Sqrt(1./3), 1e-3) || !near(math.Log(high), 2+4.3027*math.Sqrt(1./3), 1e-3) {
		t.Errorf("%v..%v", math.Log(low), math.Log(high))
	}
	// Of seven, the lowest and the highest are replaced by their neighbours for the variance and left out of the mean.
	m := trimLogs([]float64{e(90), e(1), e(2), e(3), e(4), e(5), e(-70)})
	if !near(m.mean, 3, 1e-9) || !near(m.square, (4+4+1+0+1+4+4)/(5.*4), 1e-9) || m.freedom != 4 {
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
	if want := []float64{0.03, 0.06, 0.06, 0.02}; !slices.EqualFunc(got, want, func(a, b float64) bool { return near(a, b, 1e-12) }) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := holm([]float64{0.5, 0.9}); got[0] != 1 || got[1] != 1 {
		t.Errorf("%v", got)
	}
}

// madeUpRow makes a comparison of some servers in rounds whose figures spread by a part, and are cost times the usual for each server.
func madeUpRow(src *rand.Rand, rounds int, spread float64, servers []string, cost func(server string) float64) *Comparison {
	c := &Comparison{Workload: Workloads()[0]}
	for n := range rounds {
		for _, s := range servers {
			cpu := 4 * cost(s) * math.Exp(spread*src.NormFloat64())
			c.Rounds = append(c.Rounds, round(n+1, s, cpu, func(r *Round) {
				r.Latency.P99 = 100 * cost(s) * math.Exp(spread*src.NormFloat64())
			}))
		}
	}
	c.summarise(servers)
	return c
}

// saved writes a report of the comparisons to a file.
func saved(t *testing.T, change func(*Report), rows ...*Comparison) string {
	t.Helper()
	r := newReport("compare", &CompareOptions{Rounds: 7, Threads: 1, Servers: ServerOptions{Threads: 1}})
	r.Comparisons = rows
	if change != nil {
		change(r)
	}
	path := filepath.Join(t.TempDir(), "report.json")
	if err := r.WriteJSON(path); err != nil {
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
				m := sample{where: where, server: SubjectUring}
				m.add(madeUpRow(src, 7, 0.05, []string{SubjectUring}, same).Rounds)
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
		servers := []string{SubjectUring, SubjectMemcached}
		before := saved(t, nil, madeUpRow(src, 7, c.spread, servers, same))
		after := saved(t, nil, madeUpRow(src, 7, c.spread, servers, func(s string) float64 {
			if s == SubjectUring {
				return c.cost
			}
			return 1
		}))
		r := regress(t, before, after)
		if len(r.Rows) != 6 || r.Rows[0].Change != c.cpu || r.Rows[1].Change != c.rate || len(r.Worse()) != c.worse || len(r.Warnings) > 0 {
			t.Errorf("%+v: %+v", c, r)
		}
		if r.Rows[0].Metric != MetricCPU || c.spread < 0.1 && !near(r.Rows[0].Ratio, c.cost, 0.05) {
			t.Errorf("%+v: %+v", c, r.Rows[0])
		}
	}
}

// TestDisturbedRoundsMatterLittle: one round of seven is five times as slow as the others.
func TestDisturbedRoundsMatterLittle(t *testing.T) {
	src := rand.New(rand.NewPCG(8, 8))
	disturbed := func(cost float64) *Comparison {
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
	servers := []string{SubjectUring, SubjectMemcached}
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
	if len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "1 new rounds failed") {
		t.Errorf("%+v", r)
	}
	var out bytes.Buffer
	PrintRegression(&out, r)
	for _, want := range []string{"get       uring   CPU us/op ", "not compared: get, a: only",
		"WARNING: get, uring: 0 old and 1 new", "corrected for 3 rows (Holm)", "5 % or more"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
}

func TestPointsOfExperimentsAreCompared(t *testing.T) {
	src := rand.New(rand.NewPCG(5, 5))
	experiment := func(cost float64) func(*Report) {
		return func(r *Report) {
			p := Point{Label: "64", Rounds: madeUpRow(src, 7, 0.01, []string{"uring"}, func(string) float64 { return cost }).Rounds}
			r.Experiments = []*Experiment{{Name: "batching", Parts: []Part{{Name: "depth", Series: []Series{{Name: "uring", Points: []Point{p}}}}}}}
		}
	}
	r := regress(t, saved(t, experiment(1)), saved(t, experiment(1.2)))
	if len(r.Rows) != 3 || r.Rows[0].Where != "batching/depth 64" || len(r.Worse()) != 3 {
		t.Errorf("%+v", r)
	}
}

func TestRunsSayNothing(t *testing.T) {
	one := func(perSecond float64) func(*Report) {
		return func(r *Report) {
			r.Run = &RunResult{Counts: Counts{Operations: 10}, PerSecond: perSecond, Latency: Quantiles{P99: 10}}
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
			r.Options = &CompareOptions{Rounds: 7, Threads: 1, Servers: ServerOptions{Threads: 4}}
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
		r.Options = &CompareOptions{Rounds: 9, Threads: 1, Duration: 5, Servers: ServerOptions{Threads: 1, Path: "x"}}
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
	c := &Comparison{Workload: Workloads()[0]}
	for n := range 8 {
		slow := math.Exp(src.NormFloat64())
		for _, s := range []string{SubjectOld, SubjectNew} {
			cpu := 4 * slow * math.Exp(0.01*src.NormFloat64())
			if s == SubjectNew {
				cpu *= 1.1
			}
			c.Rounds = append(c.Rounds, round(n+1, s, cpu, nil))
		}
	}
	c.Rounds[2].Broken = 1
	a, b := pairs(c)
	if len(a) != 7 || len(b) != 7 || a[1].Number != 3 || b[1].Number != 3 {
		t.Fatalf("%d and %d rounds", len(a), len(b))
	}
	r := Regression{Paired: true, Threshold: 0.05, Level: falseAlarms}
	r.compare([]sample{{where: "get", server: "ringcached", rounds: a}}, []sample{{where: "get", server: "ringcached", rounds: b}})
	if len(r.Worse()) != 2 {
		t.Errorf("paired: %+v", r.Rows)
	}
	r = Regression{Threshold: 0.05, Level: falseAlarms}
	r.compare([]sample{{where: "get", server: "ringcached", rounds: a}}, []sample{{where: "get", server: "ringcached", rounds: b}})
	if len(r.Worse()) != 0 {
		t.Errorf("not paired: %+v", r.Rows)
	}
}
