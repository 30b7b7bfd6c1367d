package oldtrial

import (
	"bytes"
	"strings"
	"testing"

	"ringcached/bench/load"
	"ringcached/bench/sut"
)

func round(number int, server string, cpu float64, change func(*Round)) Round {
	r := Round{
		Number: number, Server: server, Seconds: 1, Counts: load.Counts{Operations: 1000}, PerSecond: 1000 / cpu, CPUPerOp: cpu, CPUSeconds: cpu / 1000,
		ServerCore: sut.CoreUse{Busy: 0.98}, LoadBusy: 0.5, ServerStarted: true,
	}
	if change != nil {
		change(&r)
	}
	return r
}

func table(c *Comparison, servers ...string) string {
	c.Workload = load.Workloads()[0]
	c.Summarise(servers)
	var b bytes.Buffer
	PrintComparison(&b, c)
	return b.String()
}

func TestTableStatesRatiosOfPairedRounds(t *testing.T) {
	c := Comparison{Rounds: []Round{
		round(1, "uring", 4, func(r *Round) { r.Syscalls = &sut.SyscallCount{PerOperation: 0.05, Method: sut.ByPerf} }),
		round(1, "epoll", 5, nil), round(1, "a:1", 0, func(r *Round) { r.ServerStarted, r.PerSecond, r.CPUSeconds = false, 500, 0 }),
		round(2, "epoll", 10, nil), round(2, "uring", 8, nil), // a slow round is slow for both
		round(3, "uring", 4, nil), round(3, "epoll", 5, nil),
	}}
	got := table(&c, "uring", "epoll", "a:1")
	for _, want := range []string{
		"get 64 B, 50 connections  (get)",
		"  uring         250      4.000        0.050 ",
		"  epoll         200      5.000            - ",
		"  a:1           500          -            - ",
		"CPU/op uring/epoll  0.800  95% interval 0.800..0.800, rounds 0.800..0.800  (20 % less CPU)",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "uring/a:1") {
		t.Errorf("a ratio over an unknown figure:\n%s", got)
	}
}

func TestTableMarksWhatCannotBeTrusted(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Round)
		want   string
	}{
		{"wrong reply", func(r *Round) { r.Wrong = 1 }, "uring  FAILED in 1 of 3 rounds: 1 wrong replies"},
		{"problem", func(r *Round) { r.Problems = []string{"the server died: oops"} }, "FAILED in 1 of 3 rounds: the server died: oops"},
		{"nothing", func(r *Round) { r.Operations = 0 }, "FAILED in 1 of 3 rounds: no operations"},
		{"saturated", func(r *Round) { r.LoadBusy, r.ServerCore.Busy = 0.97, 0.8 }, "LOAD-BOUND in 1 of 3 rounds"},
		{"saturated, server unknown", func(r *Round) { r.LoadBusy, r.ServerStarted = 0.97, false }, "LOAD-BOUND in 1 of 3 rounds"},
		{"late", func(r *Round) { r.Open = &load.OpenLoop{Lateness: load.Quantiles{P50: 1e6}} }, "LOAD-BOUND in 1 of 3 rounds"},
		{"too high a rate", func(r *Round) { r.Open = &load.OpenLoop{Short: true} }, "OVERLOADED in 1 of 3 rounds"},
		{"datagrams", func(r *Round) { r.Lost = 7 }, "LOST: 7 requests had no reply in time"},
		{"steal", func(r *Round) { r.LoadCore.Steal = 0.2 }, "NOISY: up to 20 % stolen"},
		{"foreign", func(r *Round) { r.Foreign = 0.3 }, "NOISY: other processes used up to 30 %"},
	} {
		rows := Comparison{Rounds: []Round{round(1, "uring", 4, c.change), round(2, "uring", 4, nil), round(3, "uring", 4, nil)}}
		if got := table(&rows, "uring"); !strings.Contains(got, c.want) {
			t.Errorf("%s: no %q in\n%s", c.name, c.want, got)
		}
	}
	both := round(1, "uring", 4, func(r *Round) { r.LoadBusy = 0.99 })
	if both.Saturated() {
		t.Error("load and server are both busy, which is as it should be")
	}
}

func TestFailuresAreTold(t *testing.T) {
	c := &Comparison{Rounds: []Round{round(1, "uring", 4, func(r *Round) { r.Broken = 2 }), round(1, "epoll", 4, nil)}}
	table(c, "uring", "epoll")
	r := Report{Comparisons: []*Comparison{c}}
	if got := r.Failures(); len(got) != 1 || !strings.Contains(got[0], "get, uring: 1 of 1 rounds failed: 0 wrong replies, 0 error replies, 2 broken connections") {
		t.Errorf("%q", got)
	}
	if len(c.Ratios) != 0 {
		t.Errorf("a failed round has a ratio: %+v", c.Ratios)
	}
}

// TestLoadBoundRowsHaveNoFigures: neither numbers nor a ratio, and the comparison fails, but for canned replies.
func TestLoadBoundRowsHaveNoFigures(t *testing.T) {
	limited := func(r *Round) { r.LoadBusy, r.ServerCore.Busy = 0.99, 0.5 }
	c := &Comparison{Rounds: []Round{
		round(1, "uring", 4, nil), round(1, "epoll", 5, limited), round(1, sut.Null, 2, limited), round(1, "net", 6, nil),
		round(2, "uring", 40, limited), round(2, "epoll", 5, limited), round(2, sut.Null, 2, limited), round(2, "net", 6, nil),
		round(3, "uring", 4, nil), round(3, "epoll", 5, nil), round(3, sut.Null, 2, limited), round(3, "net", 6, nil),
	}}
	got := table(c, "uring", "epoll", sut.Null, "net")
	for _, want := range []string{
		" 4.000 ", "  epoll  LOAD-BOUND: no figures: the load was the limit in 2 of 3 rounds, not the server\n", "LOAD-BOUND: no figures: the load was the limit in 3 of 3 rounds",
		"LOAD-BOUND in 1 of 3 rounds: left out\n", "CPU/op uring/net  0.667  95% interval 0.667..0.667, rounds 0.667..0.667",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "5.000") || strings.Contains(got, "uring/epoll") || strings.Contains(got, "uring/null") {
		t.Errorf("figures where there are none:\n%s", got)
	}
	r := NewReport("compare", nil)
	r.Comparisons = []*Comparison{c}
	if got := r.Failures(); len(got) != 1 || got[0] != "get, epoll: no figures: the load was the limit in 2 of 3 rounds, not the server" {
		t.Errorf("%q", got)
	}
	r.Kind = "limits" // judges by itself
	if got := r.Failures(); len(got) != 0 {
		t.Errorf("%q", got)
	}
}

func TestCompareRounds(t *testing.T) {
	cpu := func(r *Round) float64 { return r.CPUPerOp }
	a := []Round{
		round(1, "uring", 4, nil), round(2, "uring", 8, nil), round(3, "uring", 1, func(r *Round) { r.Broken = 1 }), round(4, "uring", 1, nil),
		round(5, "uring", 1, nil), round(6, "uring", 1, nil),
	}
	b := []Round{
		round(2, "epoll", 10, nil), round(1, "epoll", 5, nil), round(3, "epoll", 5, nil), round(5, "epoll", 5, func(r *Round) { r.LoadBusy, r.ServerCore.Busy = 1, 0.5 }),
		round(6, "epoll", 0, nil),
	}
	r := CompareRounds("uring", "epoll", a, b, cpu)
	if r == nil || len(r.Rounds) != 2 || r.Rounds[0] != 0.8 || r.Rounds[1] != 0.8 || r.Of != "uring" || r.Over != "epoll" {
		t.Errorf("%+v", r)
	}
	if r := CompareRounds("uring", "epoll", a[2:3], b, cpu); r != nil {
		t.Errorf("of failed rounds: %+v", r)
	}
}

// TestWhoIsTooSlowForARate: a late generator limits a round, and so does one whose server idles.
func TestWhoIsTooSlowForARate(t *testing.T) {
	for _, c := range []struct {
		name                  string
		open                  load.OpenLoop
		busy                  float64
		started               bool
		saturated, overloaded bool
	}{
		{"well", load.OpenLoop{}, 0.5, true, false, false},
		{"late", load.OpenLoop{Late: true, Lateness: load.Quantiles{P50: 100}}, 0.99, true, true, false},
		{"idle server", load.OpenLoop{Short: true}, 0.5, true, true, false},
		{"busy server", load.OpenLoop{Short: true}, 0.99, true, false, true},
		{"unknown server", load.OpenLoop{Short: true}, 0, false, true, false},
	} {
		r := Round{Server: "one", Open: &c.open, LoadBusy: 1, ServerStarted: c.started, ServerCore: sut.CoreUse{Busy: c.busy}}
		r.Operations = 1
		if r.Saturated() != c.saturated || r.Overloaded() != c.overloaded || r.Failed() {
			t.Errorf("%s: saturated %v, overloaded %v", c.name, r.Saturated(), r.Overloaded())
		}
		s := summaryOf("one", []Round{r})
		if strings.Contains(s.marks(), "LOAD-BOUND") != c.saturated || strings.Contains(s.marks(), "OVERLOADED") != c.overloaded {
			t.Errorf("%s: marked as %q", c.name, s.marks())
		}
	}
}
