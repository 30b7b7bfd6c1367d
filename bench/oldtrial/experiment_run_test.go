package oldtrial

import (
	"bytes"
	"context"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ringcached/bench/fakeserver"
	"ringcached/bench/load"
	"ringcached/bench/sut"
)

// fakeExperiment has two points of fake servers.
func fakeExperiment(servers ...*fakeserver.Server) *experimentPlan {
	p := partPlan{
		name: "get", title: "gets", axis: Axis{Label: "requests at once", Scale: ScaleLog}, shows: []Metric{MetricThroughput, MetricCPU, MetricP50},
	}
	for _, n := range []int{1, 4} {
		label := map[int]string{1: "one", 4: "four"}[n]
		p.points = append(p.points, pointPlan{x: float64(n), label: label, load: smallLoad(func(w *load.Workload) { w.Pipeline = n })})
	}
	for _, s := range servers {
		p.series = append(p.series, seriesPlan{name: s.Addr(), server: s.Addr()})
	}
	p.baseline = p.series[0].name
	return &experimentPlan{name: "fake", title: "Fakes", question: "Does it work?", source: "a test", parts: []partPlan{p}}
}

// fakeRun is ready to make experiments with fake servers.
func fakeRun(t *testing.T, rounds int, watch ExperimentsObserver) *experimenting {
	t.Helper()
	o := planOptions(true)
	usable, err := o.Cores.Occupy(o.Threads)
	if err != nil {
		t.Fatal(err)
	}
	procs := runtime.GOMAXPROCS(0)
	t.Cleanup(func() {
		_ = sut.PinProcess(usable)
		runtime.GOMAXPROCS(procs)
	})
	return newExperimenting(&o, shape{rounds: rounds, duration: 150 * time.Millisecond, warmup: 5 * time.Millisecond}, watch)
}

// shown is what the command prints of the experiments.
func shown(r *Report) string {
	var out bytes.Buffer
	PrintExperimentsHeading(&out, r, time.Minute)
	for _, e := range r.Experiments {
		PrintExperiment(&out, e)
		for i := range e.Parts {
			PrintPart(&out, &e.Parts[i])
		}
		PrintProblems(&out, e)
	}
	PrintExperimentsEnd(&out, r)
	return out.String()
}

func wantLines(t *testing.T, text string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !regexp.MustCompile(w).MatchString(text) {
			t.Errorf("no %q in\n%s", w, text)
		}
	}
}

func TestExperiment(t *testing.T) {
	a, b := fakeserver.Start(t, nil), fakeserver.Start(t, nil)
	var order, told []string
	x := fakeRun(t, 2, ExperimentsObserver{
		Experiment: func(e *Experiment) { told = append(told, e.Name) },
		Trial: func(p ExperimentProgress) {
			order = append(order, p.Point+" "+p.Series)
			if p.Experiment != "fake" || p.Part != "get" || p.Rounds != 2 || p.Last == nil {
				t.Errorf("%+v", p)
			}
		},
		Part: func(p *Part) { told = append(told, p.Name) },
		End:  func(*Experiment) { told = append(told, "end") },
	})
	if err := x.run(t.Context(), []*experimentPlan{fakeExperiment(a, b)}); err != nil {
		t.Fatal(err)
	}
	one, two := a.Addr(), b.Addr()
	want := []string{"one " + one, "one " + two, "four " + one, "four " + two, "four " + two, "four " + one, "one " + two, "one " + one}
	if !slices.Equal(order, want) {
		t.Errorf("trials: %q, want %q", order, want)
	}
	if !slices.Equal(told, []string{"fake", "get", "end"}) {
		t.Errorf("%q", told)
	}
	r := x.report
	part := &r.Experiments[0].Parts[0]
	for _, s := range part.Series {
		for i, pt := range s.Points {
			if pt.X != []float64{1, 4}[i] || pt.Workload.Pipeline != int(pt.X) || len(pt.Rounds) != 2 || pt.CPURatio != nil || pt.Threads != 0 {
				t.Errorf("%s: %+v", s.Name, pt)
			}
			figures := pt.PerSecond.Rounds == 2 && pt.PerSecond.Median > 0 && pt.P50.Median > 0
			if figures != pt.whole() || pt.CPUPerOp.Rounds != 0 || pt.Summary.Failed != 0 {
				t.Errorf("%s: %+v", s.Name, pt)
			}
		}
	}
	if len(r.Servers) != 2 || r.Servers[one].Version != "fake" {
		t.Errorf("%+v", r.Servers)
	}
	wantLines(t, shown(r), `fake: Does it work\?\n  a test\n`, `(?m)^  get: gets, by requests at once$`, `(?m)^    operations/s +127`,
		`(?m)^    one  +(\d+ ±(>100|\d+)%|LOAD-BOUND)`, `version fake, CPU time from: unknown`)
}

// failuresOf makes the fake experiment and returns what failed in it, in a line each.
func failuresOf(t *testing.T, servers ...*fakeserver.Server) (*Report, string) {
	t.Helper()
	x := fakeRun(t, 2, ExperimentsObserver{})
	if err := x.run(t.Context(), []*experimentPlan{fakeExperiment(servers...)}); err != nil {
		t.Fatal(err)
	}
	return x.report, strings.Join(x.report.Failures(), "\n")
}

func TestWrongRepliesFailAnExperiment(t *testing.T) {
	good := fakeserver.Start(t, nil)
	bad := fakeserver.Start(t, func(n int, r []byte) ([]byte, bool) {
		if n == 105 { // soon after the keys of the first trial are stored
			r = bytes.ToLower(r)
		}
		return r, false
	})
	r, failures := failuresOf(t, good, bad)
	wantLines(t, failures, `(?m)^fake/get, `+bad.Addr()+` at one: 1 of 2 rounds failed: wrong reply`)
	wantLines(t, shown(r), ` FAILED\n`, bad.Addr()+` at one: 1 of 2 rounds failed`)
	if p := r.Experiments[0].Parts[0].series(bad.Addr()).at("one"); p.PerSecond.Rounds != 0 || p.PerSecond.Median != 0 {
		t.Errorf("a figure in spite of a wrong reply: %+v", p)
	}
}

func TestADeadServerFailsAnExperiment(t *testing.T) {
	good := fakeserver.Start(t, nil)
	dead := fakeserver.Start(t, nil)
	dead.Close()
	r, failures := failuresOf(t, good, dead)
	wantLines(t, failures, `(?m)^fake/get, `+dead.Addr()+` at one, four: 2 of 2 rounds failed: server .*connection refused$`)
	if regexp.MustCompile(good.Addr()+".* failed").MatchString(failures) || strings.Contains(string(r.Benchstat()), plain(dead.Addr())) {
		t.Errorf("%s\n%s", failures, r.Benchstat())
	}
}

func TestAServerThatDoesNotStartFailsAnExperiment(t *testing.T) {
	plan := fakeExperiment(fakeserver.Start(t, nil))
	plan.parts[0].series = append(plan.parts[0].series, seriesPlan{name: "broken", server: sut.Uring, args: []string{"--series"}})
	x := fakeRun(t, 1, ExperimentsObserver{})
	x.options.Servers.Path = "/bin/false"
	if err := x.run(t.Context(), []*experimentPlan{plan}); err != nil {
		t.Fatal(err)
	}
	wantLines(t, strings.Join(x.report.Failures(), "\n"), `(?m)^fake/get, broken at one, four: 1 of 1 rounds failed: server uring: /bin/false: exit status 1`)
}

func TestAnExperimentIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	trials := 0
	x := fakeRun(t, 50, ExperimentsObserver{Trial: func(ExperimentProgress) {
		if trials++; trials == 3 {
			cancel()
		}
	}})
	if err := x.run(ctx, []*experimentPlan{fakeExperiment(fakeserver.Start(t, nil))}); err == nil {
		t.Error("no error")
	}
	if !x.report.Interrupted {
		t.Error("the report does not say that it was interrupted")
	}
	p := x.report.Experiments[0].Parts[0].Series[0].Points
	if len(p) != 2 || len(p[0].Rounds)+len(p[1].Rounds) != 3 {
		t.Errorf("%+v", p)
	}
}

// TestRoundsAreLeftOutWhenTimeIsOver: all but the first.
func TestRoundsAreLeftOutWhenTimeIsOver(t *testing.T) {
	x := fakeRun(t, 3, ExperimentsObserver{})
	x.mayStop = true
	plan := fakeExperiment(fakeserver.Start(t, nil))
	e := &Experiment{}
	results := make(map[cell]*measured)
	x.began = time.Now().Add(-time.Hour)
	if err := x.rounds(t.Context(), e, &plan.parts[0], results); err != nil {
		t.Fatal(err)
	}
	if n := len(results[cell{0, 0}].rounds); n != 1 || !slices.Equal(e.Problems, []string{"get: only 1 of 3 rounds: trials took longer than planned"}) {
		t.Errorf("%d rounds, problems %q", n, e.Problems)
	}
}

// TestASilentServerFailsAnExperiment: what it had answered before is no figure, also if others' trials go well, and a window that is shorter than its
// silence does not hide it.
func TestASilentServerFailsAnExperiment(t *testing.T) {
	var until atomic.Int64 // when it answers again
	silent := fakeserver.Start(t, func(n int, reply []byte) ([]byte, bool) {
		if n == 300 {
			until.Store(load.Now() + int64(load.DefaultStall+time.Second))
		}
		if load.Now() < until.Load() && bytes.HasPrefix(reply, []byte("VALUE")) { // keys can still be stored
			return nil, false
		}
		return reply, false
	})
	r, failures := failuresOf(t, fakeserver.Start(t, nil), silent)
	if !strings.Contains(failures, silent.Addr()) || !strings.Contains(failures, "stopped answering") {
		t.Errorf("%q", failures)
	}
	failed := 0
	for _, pt := range r.Experiments[0].Parts[0].series(silent.Addr()).Points {
		failed += pt.Summary.Failed
		if pt.Summary.Failed > 0 && pt.PerSecond.Rounds != 0 {
			t.Errorf("%+v", pt)
		}
	}
	if failed == 0 {
		t.Error("no round failed")
	}
}
