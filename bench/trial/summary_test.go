package trial

import (
	"strings"
	"testing"

	"ringcached/bench/load"
	"ringcached/bench/sut"
)

// measuredPlan is a plan with a point of two servers and the twin of the first, each with as many samples as there are figures.
func measuredPlan(cpu ...[]float64) *measuring {
	p := &Plan{Name: "get", Mode: SideBySide, Reference: "b", Points: []Point{{Label: "one"}}}
	p.Servers = []Server{{Name: "a", Start: sut.Uring}, {Name: "b", Start: sut.Epoll}}
	o := DefaultOptions(true)
	o.Servers.Threads = 1
	m := &measuring{runner: &runner{o: &o, aaLevel: level}, plan: p, o: o, result: &Result{Plan: p}}
	m.open()
	for i, t := range m.spots[0].tracks {
		for turn, c := range cpu[i] {
			t.row.Samples = append(t.row.Samples, Sample{Turn: turn + 1, Seconds: 0.1, Operations: 1000, CPUPerOp: c, busy: 0.99, loadBusy: 0.5})
		}
		t.row.Operations, t.row.Hits = 1000, 1000
	}
	return m
}

var steady = []float64{5, 5.1, 4.9, 5, 5.05, 4.95, 5.02, 4.98, 5, 5.1}

func times(factor float64, values []float64) (all []float64) {
	for _, v := range values {
		all = append(all, factor*v)
	}
	return all
}

// problems are what the plan's result says, failures with an exclamation mark.
func problems(m *measuring) string {
	var all []string
	for i := range m.result.Problems {
		text := m.result.Problems[i].String()
		if m.result.Problems[i].Failure {
			text += "!"
		}
		all = append(all, text)
	}
	return strings.Join(all, "\n")
}

func TestASteadyPlanHasARatio(t *testing.T) {
	m := measuredPlan(steady, times(2, steady), steady)
	m.summarise()
	r := ratioOf(m.result, 0, "a")
	if r == nil || r.Value != 0.5 || !r.Certain() || r.Samples != len(steady) || ratioOf(m.result, 0, "b") != nil {
		t.Errorf("%+v", r)
	}
	row := m.result.Row(0, "a")
	if len(m.result.Rows) != 2 || row.Estimates[MetricThroughput].Value < 9999 || row.Estimates[MetricCPU].Value < 4.9 || row.Busy < 0.98 {
		t.Errorf("%+v", m.result.Rows)
	}
	if len(m.result.AA) != 1 || m.result.AA[0].Value != 1 || problems(m) != "" {
		t.Errorf("A/A %+v, problems %q", m.result.AA, problems(m))
	}
}

// TestWhatCannotBeTrustedIsTold: the rows that a summary is for.
func TestWhatCannotBeTrustedIsTold(t *testing.T) {
	both := []Metric{MetricCPU, MetricThroughput}
	for name, c := range map[string]struct {
		change func(m *measuring, a *track)
		says   string
		known  []Metric // of the first server
	}{
		"A/A":          {func(m *measuring, _ *track) { scale(m.spots[0].tracks[2], 1.1) }, "a, one: A/A failed: the same server twice gives a ratio of 1.100 (1.1", both},
		"wrong":        {func(_ *measuring, a *track) { a.row.Wrong = 3 }, "a, one: 3 wrong replies, 0 error replies, 0 broken connections!", nil},
		"dead":         {func(_ *measuring, a *track) { a.fail("the server died") }, "a, one: the server died!", nil},
		"missing keys": {func(_ *measuring, a *track) { a.row.Misses = 10 }, "a, one: 10 of 1010 keys were missing", nil},
		"lost":         {func(_ *measuring, a *track) { a.row.Lost = 7 }, "a, one: 7 requests over UDP had no reply in time", both},
		"load-bound": {func(_ *measuring, a *track) {
			each(a, func(s *Sample) { s.loadBusy, s.busy = 0.97, 0.6 })
		}, "a, one: the load was the limit", []Metric{MetricCPU}},
		"overloaded": {func(_ *measuring, a *track) {
			each(a, func(s *Sample) { s.open = &load.OpenLoop{Short: true} })
		}, "a, one: requests arrived faster than the server could answer", nil},
		"silent": {func(_ *measuring, a *track) {
			each(a, func(s *Sample) { s.Operations = 0 })
		}, "a, one: no operation was completed!", nil},
	} {
		m := measuredPlan(steady, times(2, steady), steady)
		c.change(m, m.spots[0].tracks[0])
		m.summarise()
		if got := problems(m); !strings.Contains(got, c.says) {
			t.Errorf("%s: %q, want %q", name, got, c.says)
		}
		known := m.result.Row(0, "a").Estimates
		for _, metric := range c.known {
			if known[metric].Samples == 0 {
				t.Errorf("%s: %s is unknown", name, metric)
			}
		}
		if len(known) != len(c.known) {
			t.Errorf("%s: %d figures, want %d: %+v", name, len(known), len(c.known), known)
		}
		if r := ratioOf(m.result, 0, "a"); (r != nil) != (len(c.known) > 0) || (len(m.result.AA) > 0) != (len(c.known) > 0) {
			t.Errorf("%s: the ratio is %+v, A/A %+v", name, r, m.result.AA)
		}
	}
}

// TestThreadsThatWaitForEachOther are no disturbance: others had no more than the process left.
func TestThreadsThatWaitForEachOther(t *testing.T) {
	for _, c := range []struct{ waited, used, lost float64 }{
		{0.3, 0.7, 0.3}, {0.9, 1, 0}, {0.9, 1.01, 0}, {1.5, 0.6, 0.4}, {0.05, 0.5, 0.05}, {-0.2, 0.5, 0},
	} {
		if lost := lostToOthers(c.waited, c.used); lost < c.lost-1e-9 || lost > c.lost+1e-9 {
			t.Errorf("waited for %g, used %g: lost %g, want %g", c.waited, c.used, lost, c.lost)
		}
	}
}

func each(t *track, f func(*Sample)) {
	for i := range t.row.Samples {
		f(&t.row.Samples[i])
	}
}

func scale(t *track, factor float64) { each(t, func(s *Sample) { s.CPUPerOp *= factor }) }

// TestMemoryOfIdleConnections is judged by its worst sample.
func TestMemoryOfIdleConnections(t *testing.T) {
	for want, bytes := range map[Verdict][]float64{Met: {60, 99}, Missed: {101, 150}, Undecided: {60, 101}} {
		m := measuredPlan(steady[:2], steady[:2], steady[:2])
		m.spots[0].point.Targets = []Target{{Most: 100, Metric: MetricUserMemory}}
		m.plan.Mode = FreshProcesses
		for _, one := range m.spots[0].tracks[:1] {
			for i, b := range bytes {
				one.row.Samples[i].UserMemory = b
			}
		}
		m.summarise()
		last := m.result.Ratios[len(m.result.Ratios)-1]
		if last.Metric != MetricUserMemory || last.Of != "a" || last.Verdict != want || last.Low != bytes[0] || last.High != bytes[1] {
			t.Errorf("%v: %+v", bytes, last)
		}
	}
}

// ratioOf is that of a server over the plan's reference at a point, nil if there is none.
func ratioOf(r *Result, point int, server string) *Ratio {
	for i := range r.Ratios {
		if q := &r.Ratios[i]; q.Point == point && q.Of == server && q.Over == r.Plan.Reference && q.Metric == MetricCPU {
			return q
		}
	}
	return nil
}
