package oldtrial

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ringcached/ring"

	"ringcached/bench/load"
	"ringcached/bench/sut"
)

// planOptions are those that the command line has without flags.
func planOptions(quick bool) ExperimentsOptions {
	return ExperimentsOptions{
		Quick: quick, Options: Options{Threads: 1, Servers: sut.ServerOptions{Threads: 1, MemoryMB: 256, User: "nobody"}},
	}
}

// hosts are those for which there must be plans.
func hosts(t *testing.T) map[string]host {
	features, err := ring.Probe()
	if err != nil {
		t.Fatal(err)
	}
	two := host{cores: []int{0, 1}, features: features, idle: mostIdle}
	one, eight, old, poor := two, two, two, two
	one.cores = []int{3}
	eight.cores = []int{0, 1, 2, 3, 4, 5, 6, 7}
	old.features = features.Only(0)
	poor.idle, poor.slabs = 256, "permission denied"
	poor.absent = map[string]string{sut.Memcached: "not found", sut.Net: "too old"}
	return map[string]host{"two cores": two, "one core": one, "eight cores": eight, "old kernel": old, "poor": poor}
}

// eachPlan calls f with the plans for each host, quick and full.
func eachPlan(t *testing.T, f func(t *testing.T, o *ExperimentsOptions, h *host, all []*experimentPlan)) {
	for name, h := range hosts(t) {
		for _, quick := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, quick %v", name, quick), func(t *testing.T) {
				o := planOptions(quick)
				f(t, &o, &h, (&planning{options: &o, host: &h}).plans())
			})
		}
	}
}

func TestPlans(t *testing.T) {
	eachPlan(t, func(t *testing.T, o *ExperimentsOptions, h *host, all []*experimentPlan) {
		var names []string
		for _, e := range all {
			names = append(names, e.name)
			if len(e.parts) == 0 || e.title == "" || e.question == "" {
				t.Errorf("%s: %d parts, title %q, question %q", e.name, len(e.parts), e.title, e.question)
			}
			for i := range e.parts {
				checkPart(t, e.name+"/"+e.parts[i].name, &e.parts[i], h)
			}
		}
		if !slices.Equal(names, ExperimentNames()) || len(names) != 9 {
			t.Errorf("%q", names)
		}
	})
}

// checkPart looks for what a part could not be measured or drawn with.
func checkPart(t *testing.T, name string, p *partPlan, h *host) {
	t.Helper()
	if p.title == "" || p.axis.Label == "" || len(p.shows) == 0 || len(p.points) == 0 {
		t.Errorf("%s: %+v", name, p)
	}
	for _, m := range p.shows {
		if metricColumns[m].show == nil {
			t.Errorf("%s: metric %q is not known", name, m)
		}
	}
	servers := []string{sut.Uring, sut.Epoll, sut.Net, sut.Memcached, sut.Null}
	seen := make(map[string]bool)
	baseline := false
	for i := range p.series {
		s := &p.series[i]
		if seen[s.name] || !slices.Contains(servers, s.server) || h.absent[s.server] != "" {
			t.Errorf("%s: series %q of %s", name, s.name, s.server)
		}
		seen[s.name] = true
		baseline = baseline || s.name == p.baseline
		if !slices.ContainsFunc(p.points, func(pt pointPlan) bool { return s.serves(&pt) }) {
			t.Errorf("%s: series %s has no point", name, s.name)
		}
	}
	if !baseline {
		t.Errorf("%s: no series is the baseline, %s", name, p.baseline)
	}
	if p.rateOf[0] != "" {
		p.offer(100_000)
	}
	for i := range p.points {
		pt := &p.points[i]
		l := load.Options{Workload: pt.load, Threads: max(p.loadThreads, 1)}
		if err := l.Validate(); err != nil {
			t.Errorf("%s at %s: %v", name, pt.label, err)
		}
		if (p.axis.Scale == ScaleLog && pt.x <= 0) || (i > 0 && pt.x <= p.points[i-1].x) || seen["label "+pt.label] {
			t.Errorf("%s: point %d is at %g, %q", name, i, pt.x, pt.label)
		}
		seen["label "+pt.label] = true
	}
}

// TestEveryCellHasATrial: in each round, once, and not always in the same place.
func TestEveryCellHasATrial(t *testing.T) {
	eachPlan(t, func(t *testing.T, _ *ExperimentsOptions, _ *host, all []*experimentPlan) {
		for _, e := range all {
			for i := range e.parts {
				p := &e.parts[i]
				first := p.cells(0)
				for round := range 4 {
					cells := p.cells(round)
					sorted := func(c []cell) []cell {
						return slices.SortedFunc(slices.Values(c), func(a, b cell) int { return (a.point-b.point)*1000 + a.series - b.series })
					}
					if once := slices.Compact(sorted(cells)); !slices.Equal(once, sorted(first)) || len(once) != len(cells) {
						t.Errorf("%s/%s, round %d: %v, the first has %v", e.name, p.name, round+1, cells, first)
					}
				}
				if len(first) > 1 && slices.Equal(first, p.cells(1)) {
					t.Errorf("%s/%s: the order does not change", e.name, p.name)
				}
			}
		}
	})
}

func TestPlansFitTheirBudgets(t *testing.T) {
	eachPlan(t, func(t *testing.T, o *ExperimentsOptions, h *host, all []*experimentPlan) {
		budget, rounds := FullBudget, 3
		if o.Quick {
			budget, rounds = QuickBudget, 1
		}
		if len(h.cores) == 2 {
			rounds++
		}
		s := o.chooseShape(all)
		var sum time.Duration
		for _, e := range all {
			sum += e.expected(s)
		}
		if sum > budget || s.rounds < rounds || s.duration < 100*time.Millisecond || s.warmup <= 0 {
			t.Errorf("%v for %+v", sum, s)
		}
	})
}

func TestWhatIsGivenIsObeyed(t *testing.T) {
	h := hosts(t)["two cores"]
	o := planOptions(true)
	o.Rounds, o.Duration = 9, 7*time.Second
	all := (&planning{options: &o, host: &h}).plans()
	if s := o.chooseShape(all); s.rounds != 9 || s.duration != 7*time.Second || s.warmup != quickShapes.warmup {
		t.Errorf("%+v", s)
	}
	o.Rounds, o.Warmup = 0, time.Second
	if s := o.chooseShape(all); s.rounds != 1 || s.duration != 7*time.Second || s.warmup != time.Second {
		t.Errorf("%+v", s)
	}
}

func TestWhatIsMissingIsTold(t *testing.T) {
	o := planOptions(true)
	problems := func(h host, name string) string {
		for _, e := range (&planning{options: &o, host: &h}).plans() {
			if e.name == name {
				return strings.Join(e.problems, "\n")
			}
		}
		return ""
	}
	all := hosts(t)
	for _, c := range []struct{ host, experiment, says string }{
		{"poor", "memcached", "without memcached: not found"},
		{"poor", "pipeline", "without net: too old"},
		{"poor", "idle", "kernel memory is unknown: permission denied"},
		{"old kernel", "connection-length", "direct descriptors"},
		{"old kernel", "ablation", "not 6.0: this kernel has no more than that"},
		{"two cores", "cores", "this host has 2 cores"},
		{"two cores", "connection-length", "two threads have one core"},
	} {
		if got := problems(all[c.host], c.experiment); !strings.Contains(got, c.says) {
			t.Errorf("%s, %s: no %q in %q", c.host, c.experiment, c.says, got)
		}
	}
	for _, none := range []struct{ host, experiment string }{{"two cores", "memcached"}, {"eight cores", "cores"}, {"eight cores", "connection-length"}, {"two cores", "idle"}} {
		if got := problems(all[none.host], none.experiment); got != "" {
			t.Errorf("%s, %s: %q", none.host, none.experiment, got)
		}
	}
}

func TestCoresAreDivided(t *testing.T) {
	for _, c := range []struct{ usable, server, load, wantServer, wantLoad string }{
		{"0-1", "", "", "1", "0"},
		{"5", "", "", "5", "5"},
		{"0-2", "", "", "2", "0-1"},
		{"0-7", "", "", "4-7", "0-3"},
		{"0-7", "", "7", "0-6", "7"},
		{"0-7", "2-3", "", "2-3", "0-1,4-7"},
		{"0-3", "0", "1", "0", "1"},
	} {
		parse := func(s string) (cores []int) {
			if s != "" {
				cores, _ = sut.ParseCores(s)
			}
			return cores
		}
		server, load := divideCores(parse(c.usable), &sut.Cores{Server: parse(c.server), Load: parse(c.load)})
		if !slices.Equal(server, parse(c.wantServer)) || !slices.Equal(load, parse(c.wantLoad)) {
			t.Errorf("%+v: server %v, load %v", c, server, load)
		}
	}
}

func TestIdleConnectionsFor(t *testing.T) {
	for limit, want := range map[uint64]int{1024: 512, 20_000: 16_384, 1 << 62: mostIdle} {
		if n, err := idleFor(limit); n != want || err != nil {
			t.Errorf("%d files: %d, %v", limit, n, err)
		}
	}
	if _, err := idleFor(300); err == nil || !strings.Contains(err.Error(), "ulimit -n") {
		t.Errorf("%v", err)
	}
}

func TestExperimentsOptionsThatAreRefused(t *testing.T) {
	for says, change := range map[string]func(*ExperimentsOptions){
		`experiment "core" is not one of batching,`: func(o *ExperimentsOptions) { o.Names = []string{"core"} },
		"experiment idle is named twice":            func(o *ExperimentsOptions) { o.Names = []string{"idle", "idle"} },
		`peer: "redis" is neither HOST:PORT`:        func(o *ExperimentsOptions) { o.Peers = []string{"redis"} },
		"threads: 60":                               func(o *ExperimentsOptions) { o.Threads = 60 },
		"rounds: 2000 is not in":                    func(o *ExperimentsOptions) { o.Rounds = 2000 },
		"duration: 1ms is not in":                   func(o *ExperimentsOptions) { o.Duration = time.Millisecond },
		"memory: 1 MB is below":                     func(o *ExperimentsOptions) { o.Servers.MemoryMB = 1 },
		"variant deep is named twice":               func(o *ExperimentsOptions) { o.Servers.Variants = []sut.Variant{{Name: "deep"}, {Name: "deep"}} },
		"no such file":                              func(o *ExperimentsOptions) { o.Servers.Path = "/no/such/server" },
	} {
		o := planOptions(true)
		change(&o)
		if r, err := Experiments(t.Context(), o, ExperimentsObserver{}); err == nil || !strings.Contains(err.Error(), says) || r != nil {
			t.Errorf("%v, want %s", err, says)
		}
	}
}
