package bench

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func round(number int, server string, cpu float64, change func(*Round)) Round {
	r := Round{
		Number: number, Server: server, Seconds: 1, Counts: Counts{Operations: 1000}, PerSecond: 1000 / cpu, CPUPerOp: cpu, CPUSeconds: cpu / 1000,
		ServerCore: CoreUse{Busy: 0.98}, LoadBusy: 0.5, serverStarted: true,
	}
	if change != nil {
		change(&r)
	}
	return r
}

func table(c *Comparison, servers ...string) string {
	c.Workload = Workloads()[0]
	c.summarise(servers)
	var b bytes.Buffer
	PrintComparison(&b, c)
	return b.String()
}

func TestTableStatesRatiosOfPairedRounds(t *testing.T) {
	c := Comparison{Rounds: []Round{
		round(1, "uring", 4, func(r *Round) { r.Syscalls = &SyscallCount{PerOperation: 0.05, Method: byPerf} }),
		round(1, "epoll", 5, nil), round(1, "a:1", 0, func(r *Round) { r.serverStarted, r.PerSecond, r.CPUSeconds = false, 500, 0 }),
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
		{"saturated, server unknown", func(r *Round) { r.LoadBusy, r.serverStarted = 0.97, false }, "LOAD-BOUND in 1 of 3 rounds"},
		{"late", func(r *Round) { r.Open = &OpenLoop{Lateness: Quantiles{P50: 1e6}} }, "LOAD-BOUND in 1 of 3 rounds"},
		{"too high a rate", func(r *Round) { r.Open = &OpenLoop{Short: true} }, "OVERLOADED in 1 of 3 rounds"},
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
		round(1, "uring", 4, nil), round(1, "epoll", 5, limited), round(1, SubjectNull, 2, limited), round(1, "net", 6, nil),
		round(2, "uring", 40, limited), round(2, "epoll", 5, limited), round(2, SubjectNull, 2, limited), round(2, "net", 6, nil),
		round(3, "uring", 4, nil), round(3, "epoll", 5, nil), round(3, SubjectNull, 2, limited), round(3, "net", 6, nil),
	}}
	got := table(c, "uring", "epoll", SubjectNull, "net")
	for _, want := range []string{
		" 4.000 ", "  epoll  LOAD-BOUND: no figures, as the load was the limit in 2 of 3 rounds, not the server\n", "LOAD-BOUND: no figures, as the load was the limit in 3 of 3 rounds",
		"LOAD-BOUND in 1 of 3 rounds: left out\n", "CPU/op uring/net  0.667  95% interval 0.667..0.667, rounds 0.667..0.667",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "5.000") || strings.Contains(got, "uring/epoll") || strings.Contains(got, "uring/null") {
		t.Errorf("figures where there are none:\n%s", got)
	}
	r := newReport("compare", nil)
	r.Comparisons = []*Comparison{c}
	if got := r.Failures(); len(got) != 1 || got[0] != "get, epoll: no figures, as the load was the limit in 2 of 3 rounds, not the server" {
		t.Errorf("%q", got)
	}
	r.Kind = "limits" // judges by itself
	if got := r.Failures(); len(got) != 0 {
		t.Errorf("%q", got)
	}
}

func TestReportFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.json")
	r := newReport("run", nil)
	r.Run = &RunResult{PerSecond: 5}
	r.finish()
	if err := r.WriteJSON(path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var back struct {
		Format      int
		Kind        string
		Environment map[string]any
		Run         map[string]any
	}
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if back.Format != 1 || back.Kind != "run" || back.Run["ops_per_second"] != 5.0 {
		t.Errorf("%+v", back)
	}
	for _, name := range []string{"kernel", "cpu", "go", "cores", "tcp_congestion_control", "mitigations", "command"} {
		if _, ok := back.Environment[name]; !ok {
			t.Errorf("the environment has no %s", name)
		}
	}
	if err := r.WriteJSON("/no/such/directory/x.json"); err == nil {
		t.Error("a file was written where there is no directory")
	}
}
