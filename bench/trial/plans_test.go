package trial

import (
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"ringcached/ring"

	"ringcached/bench/load"
	"ringcached/bench/sut"
)

// testPlanning is what plans are made from on a host with these cores and features, where everything is installed.
func testPlanning(t *testing.T, quick bool, cores ...int) *planning {
	features, err := ring.Probe()
	if err != nil {
		t.Skipf("%v: run the test where io_uring is allowed", err)
	}
	o := DefaultOptions(quick)
	o.Servers = sut.ServerOptions{Path: "/bin/true", Memcached: "/bin/true", Threads: 1, MemoryMB: 64}
	return &planning{e: &ExperimentsOptions{Quick: quick}, o: &o, cores: cores, features: features, absent: map[string]string{}, mostIdle: mostIdle}
}

// TestPlansOfExperiments: each can be carried out, and is what its name says.
func TestPlansOfExperiments(t *testing.T) {
	for _, quick := range []bool{true, false} {
		p := testPlanning(t, quick, 0, 1, 2, 3)
		missing := 0
		for _, x := range experiments {
			for _, plan := range x.plans(p) {
				missing += len(plan.Problems)
				if plan.RateOf != nil { // its labels are the rates'
					continue
				}
				if err := plan.validate(p.o); err != nil {
					t.Errorf("%s: %v", plan.FullName(), err)
				}
				if plan.Mode == "" || plan.Title == "" || plan.Axis.Label == "" || plan.Axis.Scale == "" || len(plan.Shows) == 0 {
					t.Errorf("%s: something is empty: %+v", plan.FullName(), plan)
				}
				if !slices.ContainsFunc(plan.Servers, func(s Server) bool { return s.Name == plan.Reference }) {
					t.Errorf("%s: no server %q", plan.FullName(), plan.Reference)
				}
				seen := map[string]bool{}
				for _, pt := range plan.Points {
					l := pt.Label
					if seen[l] {
						t.Errorf("%s: two points %s", plan.FullName(), l)
					}
					seen[l] = true
				}
			}
		}
		if missing > 3 { // UDP without net, idle connections that are not parked, plain and over TLS
			t.Errorf("%d things are missing on a host that has everything", missing)
		}
	}
}

// TestWordsOfExperiments: those of experiments.json that the program does something about are words that it knows.
func TestWordsOfExperiments(t *testing.T) {
	for _, x := range experiments {
		for i := range x.Plans {
			o := &x.Plans[i]
			known := func(what, word string, words ...string) {
				if !slices.Contains(words, word) {
					t.Errorf("%s/%s: %s %q is not one of %q", x.Name, o.Name, what, word, words)
				}
			}
			feature := func(name string) {
				if _, err := ring.ParseFeatures(name); name != "" && err != nil {
					t.Errorf("%s/%s: %v", x.Name, o.Name, err)
				}
			}
			known("who", o.Who, "", "started", "real", "everybody", "parking", "tls", "tls, parking")
			known("fill", o.Fill, "", "steps", "cores", "idle", "storm")
			known("mode", string(o.Mode), "", string(SideBySide), string(FreshProcesses))
			known("scale", string(o.Axis.Scale), string(ScaleLinear), string(ScaleLog), string(ScaleNames))
			for _, m := range o.Shows {
				if metrics[m] == nil {
					t.Errorf("%s/%s shows %q", x.Name, o.Name, m)
				}
			}
			for _, s := range o.Servers {
				if feature(s.Needs); (s.Needs == "") != (s.Else == "") {
					t.Errorf("%s/%s: without %q it says %q", x.Name, o.Name, s.Needs, s.Else)
				}
			}
			for _, pt := range o.Points {
				known("when", pt.When, "", "quick", "always")
				if feature(pt.Needs); pt.Without && pt.Needs == "" {
					t.Errorf("%s/%s: %s is without nothing", x.Name, o.Name, pt.Label)
				}
			}
			there := o.RateOf == nil
			for _, before := range x.Plans[:i] {
				for _, pt := range before.Points {
					there = there || before.Name == o.RateOf.Plan && pt.Label == o.RateOf.Point && pt.When == "always"
				}
			}
			if !there {
				t.Errorf("%s/%s: no %v is always measured before", x.Name, o.Name, *o.RateOf)
			}
		}
	}
}

// TestWhatIsMissingIsTold: a server that is not installed, and abilities that the kernel lacks.
func TestWhatIsMissingIsTold(t *testing.T) {
	p := testPlanning(t, false, 0, 1)
	p.absent[sut.Memcached] = "it is not there"
	p.features, p.slabs, p.mostIdle = p.features.Only(0), "only root may", 1024
	var told []string
	for _, x := range experiments {
		for _, plan := range x.plans(p) {
			told = append(told, plan.Problems...)
			if slices.ContainsFunc(plan.Servers, func(s Server) bool { return s.Start == sut.Memcached }) {
				t.Errorf("%s has memcached", x.Name)
			}
		}
	}
	all := strings.Join(told, "\n")
	for _, says := range []string{
		"without memcached: it is not there", "direct descriptors", "not 6.1", "not 5.19", "not without multishot-recv", "kernel memory is unknown: only root may", "more than 1024 idle", "at least four",
	} {
		if !strings.Contains(all, says) {
			t.Errorf("no %q in\n%s", says, all)
		}
	}
}

func TestCoresAreDivided(t *testing.T) {
	for _, c := range []struct{ usable, server, load, wantServer, wantLoad []int }{
		{[]int{0, 1}, nil, nil, []int{1}, []int{0}},
		{[]int{3}, nil, nil, []int{3}, []int{3}},
		{[]int{0, 1, 2, 3, 4}, nil, nil, []int{3, 4}, []int{0, 1, 2}},
		{[]int{0, 1, 2, 3}, []int{0}, nil, []int{0}, []int{1, 2, 3}},
		{[]int{0, 1, 2, 3}, nil, []int{0}, []int{1, 2, 3}, []int{0}},
		{[]int{0, 1}, []int{0, 1}, nil, []int{0, 1}, []int{0, 1}},
	} {
		server, load := divideCores(c.usable, &sut.Cores{Server: c.server, Load: c.load})
		if !slices.Equal(server, c.wantServer) || !slices.Equal(load, c.wantLoad) {
			t.Errorf("%+v: %v and %v", c, server, load)
		}
	}
}

func TestIdleConnectionsFor(t *testing.T) {
	for limit, want := range map[int64]int{-1: mostIdle, 1 << 20: mostIdle, 1024: 512, 356: 256, 355: 0} {
		if got, err := idleFor(limit); got != want || (err == nil) != (want > 0) {
			t.Errorf("%d open files: %d, %v", limit, got, err)
		}
	}
}

// TestWhoServesWhat: the null server cannot answer mixes, and a running server has the transport of its address.
func TestWhoServesWhat(t *testing.T) {
	at := func(change func(*Point)) *Point {
		p := &Point{Load: load.DefaultWorkload()}
		change(p)
		return p
	}
	plain, mix := at(func(*Point) {}), at(func(p *Point) { p.Load.Sets = 1 })
	udp, unix := at(func(p *Point) { p.Load.Transport = load.TransportUDP }), at(func(p *Point) { p.Load.Transport = load.TransportUnix })
	threads, idle := at(func(p *Point) { p.Threads = 2 }), at(func(p *Point) { p.Idle = 5 })
	all := []*Point{plain, mix, udp, unix, threads, idle}
	for start, want := range map[string][]bool{
		sut.Null:      {true, false, false, true, false, false},
		sut.Net:       {true, true, false, true, true, true},
		sut.Uring:     {true, true, true, true, true, true},
		"127.0.0.1:1": {true, true, false, false, false, true},
		"unix:/s":     {false, false, false, true, false, false},
	} {
		var got []bool
		for _, p := range all {
			got = append(got, (&Server{Start: start}).serves(p))
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, want %v", start, got, want)
		}
	}
}

// TestPlansOfLimits: each row is a named workload with targets over servers of its plan.
func TestPlansOfLimits(t *testing.T) {
	o := sut.ServerOptions{Path: "/bin/true", Memcached: "/bin/true", Threads: 1, MemoryMB: 64}
	l := LimitsOptions{Idle: 100, Turns: 1, Before: "/bin/true"}
	plans, err := l.Plans(&o)
	if err != nil || len(plans) != len(LimitNames()) || o.Variant(BuildBefore) == nil {
		t.Fatalf("%d plans, %v", len(plans), err)
	}
	builds := 0
	for i, p := range plans {
		if err := p.validate(&Options{Servers: o, Threads: 1}); err != nil {
			t.Errorf("%s: %v", p.Name, err)
		}
		if p.Name != LimitNames()[i] || p.NoAA != (i > 0) || p.Servers[0].Name != sut.Uring || len(p.Points[0].Targets) == 0 {
			t.Errorf("%+v", p)
		}
		for _, target := range p.Points[0].Targets {
			there := slices.ContainsFunc(p.Servers, func(s Server) bool { return s.Name == target.Over })
			if !there && target.Metric != MetricUserMemory || target.Most <= 0 {
				t.Errorf("%s: %+v", p.Name, target)
			}
			if target.Over == BuildBefore {
				builds++
			}
		}
	}
	if builds < 3 {
		t.Errorf("%d targets over the build before", builds)
	}
	for says, l := range map[string]LimitsOptions{
		`only: "none"`:      {Only: []string{"none"}, Idle: 100, Turns: 1},
		"idle-connections:": {Only: []string{limitIdle}, Idle: 99, Turns: 1},
		"idle-rounds:":      {Only: []string{limitIdle}, Idle: 100},
	} {
		if _, err := l.Plans(&o); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", says, err)
		}
	}
}

func TestVerdicts(t *testing.T) {
	for _, c := range []struct {
		target    Target
		low, high float64
		want      Verdict
		settled   bool
	}{
		{Target{Most: 0.88}, 0.80, 0.82, Met, true},
		{Target{Most: 0.88}, 0.80, 0.88, Met, false},
		{Target{Most: 0.88}, 0.87, 0.89, Undecided, false},
		{Target{Most: 0.88}, 0.882, 0.90, Missed, false},
		{Target{Most: 0.88}, 0.95, 0.97, Missed, true},
		{Target{Most: 1, Slack: 0.05}, 0.99, 1.04, Met, false},
		{Target{Most: 1, Slack: 0.05}, 1.01, 1.04, Missed, false},
		{Target{Most: 1, Slack: 0.05}, 0.99, 1.06, Undecided, false},
	} {
		e := Estimate{Value: math.Sqrt(c.low * c.high), Low: c.low, High: c.high, Samples: 9}
		if got := c.target.judge(&e); got != c.want || c.target.settled(&e) != c.settled {
			t.Errorf("%+v: %s, settled %v", c, got, c.target.settled(&e))
		}
	}
	if got := (&Target{Most: 1}).judge(&Estimate{Value: 0.5, High: -1, Samples: 1}); got != Undecided {
		t.Errorf("of one sample: %s", got)
	}
}

// TestDisturbedSamplesAreDropped: those in the worst quarter, if others took more than the bound.
func TestDisturbedSamplesAreDropped(t *testing.T) {
	make4 := func(foreign ...float64) *spot {
		one := &track{}
		for i, f := range foreign {
			one.row.Samples = append(one.row.Samples, Sample{Turn: i + 1, Operations: 1, CPUPerOp: 1, Foreign: f})
		}
		return &spot{tracks: []*track{one}}
	}
	for _, c := range []struct {
		foreign []float64
		dropped int
		sliced  bool
	}{
		{[]float64{0, 0.01, 0.05, 0.19}, 0, true},
		{[]float64{0, 0, 0, 0, 0, 0, 0, 0.21}, 1, true},
		{[]float64{0.21, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9}, 1, true}, // never quiet
		{[]float64{0.9}, 0, false},
	} {
		s := make4(c.foreign...)
		s.drop(c.sliced)
		dropped := 0
		for _, m := range s.tracks[0].row.Samples {
			if m.Dropped != "" {
				dropped++
			}
		}
		if dropped != c.dropped || len(maps.Collect(s.tracks[0].row.figures(MetricCPU))) != len(c.foreign)-dropped {
			t.Errorf("%+v: %d dropped", c, dropped)
		}
	}
}
