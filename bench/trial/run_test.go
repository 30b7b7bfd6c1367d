package trial

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"ringcached/bench/load"
	"ringcached/bench/sut"
	"ringcached/internal/fakeserver"
)

// TestMain makes this program a null server where a plan starts it as one.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == sut.Null {
		flags := flag.NewFlagSet(sut.Null, flag.ExitOnError)
		var n load.NullServer
		flags.IntVar(&n.Request, "request", 0, "")
		flags.IntVar(&n.Reply, "reply", 0, "")
		_ = flags.Parse(os.Args[2:])
		fmt.Println(n.Run(context.Background(), flags.Arg(0), func(net.Addr) {}))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func testOptions(t *testing.T, d time.Duration) Options {
	o := DefaultOptions(true)
	o.Time, o.Slice, o.Trial, o.Warmup = d, 10*time.Millisecond, 50*time.Millisecond, 5*time.Millisecond
	o.Servers = sut.ServerOptions{Threads: 1, MemoryMB: 64, User: "nobody"}
	return o
}

func smallLoad(change func(*load.Workload)) load.Workload {
	w := load.DefaultWorkload()
	w.Keys, w.Connections = 100, 4
	change(&w)
	return w
}

// testPlan compares servers at two points.
func testPlan(starts ...string) *Plan {
	p := &Plan{
		Experiment: "fake", Name: "get", Title: "gets", Mode: SideBySide, Axis: Axis{Label: "requests at once", Scale: ScaleLog},
		Shows: []Metric{MetricCPU}, Reference: "server 1",
	}
	for i, s := range starts {
		p.Servers = append(p.Servers, Server{Name: fmt.Sprintf("server %d", i+1), Start: s})
	}
	for _, n := range []int{1, 4} {
		p.Points = append(p.Points, Point{X: float64(n), Label: fmt.Sprint(n), Load: smallLoad(func(w *load.Workload) { w.Pipeline = n })})
	}
	return p
}

// TestServersStandSideBySide compares the null server with itself and with one that is started alike.
func TestServersStandSideBySide(t *testing.T) {
	p := testPlan(sut.Null, sut.Null)
	p.MaxTurns = 16
	var told []string
	o := testOptions(t, time.Minute)
	o.Precision = 0.5
	r, err := Run(t.Context(), "compare", []*Plan{p}, o, Observer{
		Begin:    func(*Report) { told = append(told, "begin") },
		Progress: func(Progress) {},
		Result:   func(r *Result) { told = append(told, r.Plan.FullName()) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"begin", "fake/get"}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
	one := r.Results[0]
	if len(one.Rows) != 4 || len(one.Ratios) != 2 || len(one.AA) != 1 {
		t.Fatalf("%d rows, %d ratios, %d A/A: %v", len(one.Rows), len(one.Ratios), len(one.AA), one.Problems)
	}
	for _, row := range one.Rows {
		cpu, throughput := row.Estimates[MetricCPU], row.Estimates[MetricThroughput]
		if cpu.Value <= 0 || cpu.Value > 1000 || throughput.Value <= 0 || row.Threads != 1 || row.Errors() > 0 || len(row.Samples) < 4 {
			t.Errorf("%+v", row)
		}
	}
	for _, ratio := range append(one.Ratios, one.AA...) { // the machine may be busy with other tests
		if ratio.Value < 0.4 || ratio.Value > 2.5 || ratio.Samples < 2 {
			t.Errorf("%+v", ratio)
		}
	}
	mirrored(t, one)
	if text, err := json.Marshal(r); err != nil || !strings.Contains(string(text), `"mode":"side-by-side"`) {
		t.Errorf("%s, %v", text, err)
	}
}

// mirrored looks whether samples of both servers come in the same turns.
func mirrored(t *testing.T, r *Result) {
	t.Helper()
	for i := range r.Plan.Points {
		a, b := r.Row(i, "server 1"), r.Row(i, "server 2")
		if a == nil || b == nil || len(a.Samples) != len(b.Samples) || len(a.Samples)%2 != 0 {
			t.Fatalf("point %d: unequal rows", i)
		}
		for j := range a.Samples {
			if a.Samples[j].Turn != j+1 || b.Samples[j].Turn != j+1 {
				t.Errorf("point %d: sample %d is of turns %d and %d", i, j, a.Samples[j].Turn, b.Samples[j].Turn)
			}
		}
	}
}

// TestAWrongServerHasNoFigures: one that answers wrongly is a failure, and the others go on.
func TestAWrongServerHasNoFigures(t *testing.T) {
	for _, mode := range []Mode{SideBySide, FreshProcesses} {
		right := fakeserver.Start(t, nil)
		wrong := fakeserver.Start(t, func(n int, reply []byte) ([]byte, bool) {
			if n > 300 && len(reply) > 20 {
				reply[len(reply)-10] ^= 1
			}
			return reply, false
		})
		p := testPlan(right.Addr(), wrong.Addr())
		p.Mode, p.MaxTurns = mode, 4
		r, err := Run(t.Context(), "compare", []*Plan{p}, testOptions(t, time.Minute), Observer{})
		if err != nil {
			t.Fatal(err)
		}
		one := r.Results[0]
		if good := one.Row(0, "server 1"); good == nil || good.Estimates[MetricP50].Value <= 0 || good.Estimates[MetricCPU].Samples > 0 {
			t.Errorf("%s: the right one: %+v", mode, good)
		}
		if bad := one.Row(1, "server 2"); bad == nil || len(bad.Estimates) > 0 || bad.Wrong == 0 {
			t.Errorf("%s: the wrong one: %+v", mode, bad)
		}
		if lines := r.Failures(); len(lines) == 0 || !strings.HasPrefix(lines[0], "fake/get: server 2, ") {
			t.Errorf("%s: failures %q", mode, lines)
		}
	}
}

// TestAServerThatIsNotThere has no figures, and is a failure.
func TestAServerThatIsNotThere(t *testing.T) {
	right := fakeserver.Start(t, nil)
	p := testPlan(right.Addr(), "127.0.0.1:1")
	p.MaxTurns = 4
	r, err := Run(t.Context(), "compare", []*Plan{p}, testOptions(t, time.Minute), Observer{})
	if err != nil {
		t.Fatal(err)
	}
	if lines := r.Failures(); len(lines) != 2 || !strings.Contains(lines[0], "127.0.0.1:1") {
		t.Errorf("%q", lines)
	}
	if good := r.Results[0].Row(0, "server 1"); good == nil || good.Estimates[MetricThroughput].Value <= 0 {
		t.Errorf("%+v", good)
	}
}

// TestNoMoreTurnsThanAskedFor: also fewer than a point has otherwise, and an odd number.
func TestNoMoreTurnsThanAskedFor(t *testing.T) {
	for _, turns := range []int{3, 4, 9} {
		p := testPlan(fakeserver.Start(t, nil).Addr())
		p.MaxTurns = turns
		r, err := Run(t.Context(), "compare", []*Plan{p}, testOptions(t, time.Minute), Observer{})
		if err != nil {
			t.Fatal(err)
		}
		for i := range p.Points {
			if row := r.Results[0].Row(i, "server 1"); row == nil || len(row.Samples) > turns || len(row.Samples) == 0 {
				t.Errorf("at most %d turns: %+v", turns, row)
			}
		}
	}
}

// TestARunIsInterrupted: what was measured until then is in the report.
func TestARunIsInterrupted(t *testing.T) {
	right := fakeserver.Start(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	p := testPlan(right.Addr())
	r, err := Run(ctx, "compare", []*Plan{p}, testOptions(t, time.Minute), Observer{Progress: func(Progress) { cancel() }})
	if err == nil || r == nil || !r.Interrupted || len(r.Results) != 1 || len(r.Results[0].Rows) != 1 {
		t.Errorf("%v, %+v", err, r)
	}
}

// TestRatesFollowFromTheSlowestServer: the points of a plan are shares of an earlier one's throughput.
func TestRatesFollowFromTheSlowestServer(t *testing.T) {
	a := fakeserver.Start(t, nil)
	first, second := testPlan(a.Addr()), testPlan(a.Addr())
	first.MaxTurns, second.MaxTurns = 4, 1
	second.Name, second.Mode, second.RateOf = "latency", FreshProcesses, &RateOf{Plan: "get", Point: "1"}
	second.Points = []Point{{Label: "10 %", Share: 0.1, Load: smallLoad(func(*load.Workload) {})}}
	lost := testPlan(a.Addr())
	lost.Name, lost.RateOf = "lost", &RateOf{Plan: "nothing", Point: "1"}
	r, err := Run(t.Context(), "compare", []*Plan{first, second, lost}, testOptions(t, time.Minute), Observer{})
	if err != nil {
		t.Fatal(err)
	}
	throughput := r.Results[0].Row(0, "server 1").Estimates[MetricThroughput].Value
	pt := &second.Points[0]
	if pt.Load.Rate < 0.09*throughput || pt.Load.Rate > 0.11*throughput || pt.X != pt.Load.Rate || !strings.HasSuffix(pt.Label, "/s") {
		t.Errorf("10 %% of %.0f/s is %+v", throughput, pt)
	}
	if row := r.Results[1].Row(0, "server 1"); row == nil || row.Samples[0].Operations == 0 {
		t.Errorf("%+v", row)
	}
	if problems := r.Results[2].Problems; len(problems) != 1 || !strings.Contains(problems[0].Text, "no nothing was measured") || problems[0].Failure {
		t.Errorf("%+v", problems)
	}
}

// TestOptionsThatAreRefused names the flag.
func TestOptionsThatAreRefused(t *testing.T) {
	for says, change := range map[string]func(*Options, *Plan){
		"time: ":                  func(o *Options, _ *Plan) { o.Time = 0 },
		"precision: 0 %":          func(o *Options, _ *Plan) { o.Precision = 0 },
		"slice: ":                 func(o *Options, _ *Plan) { o.Slice = time.Millisecond },
		"duration: ":              func(o *Options, _ *Plan) { o.Trial = 0 },
		"warmup: ":                func(o *Options, _ *Plan) { o.Warmup = -1 },
		"server-threads: ":        func(o *Options, _ *Plan) { o.Servers.Threads = 0 },
		"memory: ":                func(o *Options, _ *Plan) { o.Servers.MemoryMB = 0 },
		"variant a is":            func(o *Options, _ *Plan) { o.Servers.Variants = []sut.Variant{{Name: "a"}, {Name: "a"}} },
		"driver: ":                func(o *Options, _ *Plan) { o.Driver = "disk" },
		"threads: ":               func(o *Options, _ *Plan) { o.Threads = 100 },
		"pipeline: ":              func(_ *Options, p *Plan) { p.Points[0].Load.Pipeline = 0 },
		"server server 1 is":      func(_ *Options, p *Plan) { p.Servers = append(p.Servers, p.Servers[0]) },
		"nothing to measure":      func(_ *Options, p *Plan) { p.Points = nil },
		"server nowhere: not one": func(_ *Options, p *Plan) { p.Servers[0].Start = "nowhere" },
	} {
		o, p := testOptions(t, time.Second), testPlan(sut.Null)
		change(&o, p)
		if r, err := Run(t.Context(), "compare", []*Plan{p}, o, Observer{}); r != nil || err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", says, err)
		}
	}
}
