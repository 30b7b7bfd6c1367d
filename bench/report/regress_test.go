package report

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ringcached/bench/sut"
	"ringcached/bench/trial"
)

// simplePlan has some servers at two points.
func simplePlan(servers ...trial.Server) *trial.Plan {
	return &trial.Plan{Experiment: "pipeline", Name: "get", Title: "gets", Mode: trial.SideBySide, Axis: trial.Axis{Label: "requests"},
		Servers: servers,
		Points:  points("1", "16"), Shows: []trial.Metric{trial.MetricCPU, trial.MetricThroughput}}
}

// stored writes a report of uring, memcached and a plan's results to a file: uring costs factor times the usual.
func stored(t *testing.T, u *madeUp, factor float64, change func(*trial.Report)) string {
	t.Helper()
	r := &trial.Report{Header: sut.Header{Format: sut.Format, Kind: "compare", Environment: sut.Environment{Kernel: "6.18", Cores: 2}}}
	r.Options = &trial.Options{Threads: 1}
	r.Results = []*trial.Result{u.result(simplePlan(servers("uring", "memcached")...), func(_ int, server string) float64 {
		return map[string]float64{"uring": 4 * factor, "memcached": 5}[server]
	})}
	if change != nil {
		change(r)
	}
	path := filepath.Join(t.TempDir(), "report.json")
	if err := WriteJSON(path, r); err != nil {
		t.Fatal(err)
	}
	return path
}

func regressed(t *testing.T, before, after string, force bool) *Regression {
	t.Helper()
	report, err := Regress(before, after, RegressOptions{Threshold: 0.05, Force: force})
	if err != nil {
		t.Fatal(err)
	}
	return report.Regression
}

// steady has no disturbance that all servers of a turn share: files are compared without pairs.
func steady(seed uint64) *madeUp {
	u := newMadeUp(seed)
	u.shared = 0.02
	return u
}

func TestFiles(t *testing.T) {
	u := steady(1)
	old := stored(t, u, 1, nil)
	for _, c := range []struct {
		factor float64
		want   Change
	}{{1, Unchanged}, {1.03, Slight}, {1.12, Worse}, {0.88, Better}} {
		r := regressed(t, old, stored(t, u, c.factor, nil), false)
		if len(r.Rows) != 8 || len(r.Doubts)+len(r.Missing)+len(r.Warnings) > 0 || r.Silent() {
			t.Fatalf("%+v", r)
		}
		worse := 0
		for _, row := range r.Rows {
			want := c.want
			if row.Control {
				want = Unchanged
			}
			if row.Change != want || row.Control != (row.Server == "memcached") {
				t.Errorf("%g: %+v", c.factor, row)
			}
			if row.Change == Worse {
				worse++
			}
			if truth := map[bool]float64{true: 1 / c.factor,
				false: c.factor}[row.Metric == trial.MetricThroughput]; !row.Control && (row.Ratio.Low > truth || row.Ratio.High < truth) {
				t.Errorf("%g: the interval is %v..%v", truth, row.Ratio.Low, row.Ratio.High)
			}
		}
		if len(r.Worse()) != worse {
			t.Errorf("%g: %d got worse, %d are listed", c.factor, worse, len(r.Worse()))
		}
	}
}

// TestFewSamples: eight trials of new processes are enough, whatever the number of rows; five are not.
func TestFewSamples(t *testing.T) {
	for turns, want := range map[int]Change{5: Unknown, 6: Worse, 8: Worse} {
		u := steady(8)
		u.turns = turns
		r := regressed(t, stored(t, u, 1, nil), stored(t, u, 1.5, nil), false)
		for _, row := range r.Rows {
			if !row.Control && row.Change != want {
				t.Errorf("%d turns: %+v", turns, row)
			}
			if row.Control && want == Worse && row.Change != Unchanged {
				t.Errorf("%d turns, the same: %+v", turns, row)
			}
		}
	}
}

// TestNoChangeIsNoAlarm makes up a hundred pairs of results that differ by noise only. Even with no threshold there is an alarm in few of them.
func TestNoChangeIsNoAlarm(t *testing.T) {
	u := newMadeUp(2)
	alarms := 0
	for range 100 {
		plan := simplePlan(trial.Server{Name: trial.BuildOld, Start: trial.BuildOld}, trial.Server{Name: trial.BuildNew, Start: trial.BuildNew})
		report := &trial.Report{Results: []*trial.Result{u.result(plan, func(int, string) float64 { return 4 })}}
		report.Results[0].AA = nil // which would widen the intervals
		if r := RegressBuilds(report, "a", "b", RegressOptions{}); len(r.Rows) != 4 || !r.Paired {
			t.Fatalf("%+v", r)
		} else if slices.ContainsFunc(r.Rows, func(row RegressionRow) bool { return row.Change != Unchanged }) {
			alarms++
		}
	}
	if alarms > 10 {
		t.Errorf("%d false alarms in 100", alarms)
	}
}

// TestBuilds: what disturbs both builds of a turn, by 10 % here, does not hide a difference of 3 %, but that processes differ by as much does.
func TestBuilds(t *testing.T) {
	plan := simplePlan(trial.Server{Name: trial.BuildOld, Start: trial.BuildOld}, trial.Server{Name: trial.BuildNew, Start: trial.BuildNew})
	report := &trial.Report{Results: []*trial.Result{newMadeUp(3).result(plan, func(_ int, server string) float64 {
		return map[string]float64{trial.BuildOld: 4, trial.BuildNew: 4.12}[server]
	})}}
	r := RegressBuilds(report, "v1", "v2", RegressOptions{Threshold: 0.01})
	if len(r.Worse()) != 4 || r.Rows[0].Server != "ringcached" {
		t.Errorf("%+v", r.Rows)
	}
	var b bytes.Buffer
	PrintRegression(&b, r)
	for _, want := range []string{"old: v1\nnew: v2\n", "pipeline/get 1   ringcached  CPU us/op", "WORSE",
		"samples of the same turns; the intervals of all 4 rows hold together at 95 %"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, &b)
		}
	}
	report.Results[0].AA[0].Value = 1.03
	if r := RegressBuilds(report, "v1", "v2", RegressOptions{Threshold: 0.01}); len(r.Worse()) != 0 {
		t.Errorf("A/A of 1.03: %+v", r.Rows)
	}
	row := report.Results[0].Row(1, trial.BuildNew)
	row.Estimates = nil
	report.Results[0].Problems = []trial.Problem{{Point: "16", Server: trial.BuildNew, Text: "it died", Failure: true}}
	if r := RegressBuilds(report, "v1", "v2", RegressOptions{Force: true}); len(r.Rows) != 2 || !slices.Equal(r.Doubts,
		[]string{"pipeline/get 16, ringcached: failed in the new result: it died"}) {
		t.Errorf("%+v", r)
	}
}

func TestWhatIsNotCompared(t *testing.T) {
	u := steady(4)
	const follows = "the new rate is another because it follows from what was measured"
	const lacks = "1 row of the old result without figures in the new one (--force compares the others)"
	for _, c := range []struct {
		name              string
		old, new          func(*trial.Report)
		rows              int
		missing, warnings string
		doubts, forced    string
	}{
		{name: "a failed row", rows: 6, missing: "pipeline/get 1, uring: no figures in the new result: 2 wrong replies",
			doubts: "pipeline/get 1, uring: failed in the new result: 2 wrong replies|" + lacks,
			forced: "pipeline/get 1, uring: failed in the new result: 2 wrong replies",
			new: func(r *trial.Report) {
				r.Results[0].Rows[0].Estimates = nil
				r.Results[0].Problems = []trial.Problem{{Point: "1", Server: "uring", Text: "2 wrong replies", Failure: true}}
			}},
		{name: "a row that failed before", rows: 6, warnings: "pipeline/get 1, uring: no figures in the old result: failed",
			old: func(r *trial.Report) { r.Results[0].Rows[0].Estimates = nil }},
		{name: "an overloaded row", rows: 6, missing: "pipeline/get 1, uring: no figures in the new result: overloaded", doubts: lacks,
			new: func(r *trial.Report) { r.Results[0].Rows[0].Estimates, r.Results[0].Rows[0].Overload = nil, true }},
		{name: "no throughput", rows: 7, missing: "pipeline/get 1, uring: no operations/s in the new result: load-bound", doubts: lacks,
			new: func(r *trial.Report) {
				delete(r.Results[0].Rows[0].Estimates, trial.MetricThroughput)
				r.Results[0].Rows[0].LoadBound = true
			}},
		{name: "fewer rows", rows: 6, missing: "pipeline/get 16, memcached: only in the old result", doubts: lacks,
			new: func(r *trial.Report) { r.Results[0].Rows = r.Results[0].Rows[:3] }},
		{name: "more rows", rows: 6, missing: "pipeline/get 16, memcached: only in the new result",
			old: func(r *trial.Report) { r.Results[0].Rows = r.Results[0].Rows[:3] }},
		{name: "another load", rows: 4,
			missing: "pipeline/get 16, uring: it was measured in another way|pipeline/get 16, memcached: it was measured in another way",
			doubts:  "2 rows of the old result without figures in the new one (--force compares the others)",
			new:     func(r *trial.Report) { r.Results[0].Plan.Points[1].Load.ValueSize++ }},
		{name: "a rate that follows", rows: 4, new: func(r *trial.Report) { r.Results[0].Plan.Points[1].Load.Rate = 2 },
			old:     func(r *trial.Report) { p := &r.Results[0].Plan.Points[1]; p.Share, p.Load.Rate = 0.5, 1 },
			missing: "pipeline/get 16, uring: " + follows + "|pipeline/get 16, memcached: " + follows},
		{name: "a fixed server", rows: 6, old: func(r *trial.Report) { r.Results[0].Plan.Servers[1].Fixed = true },
			new: func(r *trial.Report) { r.Results[0].Plan.Servers[1].Fixed = true }},
		{name: "another duration", rows: 8, warnings: "the option slice_ns differs: 0s and 60ms",
			new: func(r *trial.Report) { r.Options = &trial.Options{Threads: 1, Slice: 60e6} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			old, young := stored(t, u, 1, c.old), stored(t, u, 1, c.new)
			for _, force := range []bool{false, true} {
				r := regressed(t, old, young, force)
				doubts := map[bool]string{false: c.doubts, true: c.forced}[force]
				for what, pair := range map[string][2]string{"missing": {strings.Join(r.Missing, "|"), c.missing}, "warnings": {strings.Join(r.Warnings,
					"|"), c.warnings}, "doubts": {strings.Join(r.Doubts, "|"), doubts}} {
					if pair[0] != pair[1] {
						t.Errorf("force %v, %s: %q", force, what, pair[0])
					}
				}
				if len(r.Rows) != c.rows || len(r.Worse()) > 0 {
					t.Errorf("%d rows, %d worse", len(r.Rows), len(r.Worse()))
				}
			}
		})
	}
}

func TestResultsThatCannotBeCompared(t *testing.T) {
	u := steady(5)
	good := stored(t, u, 1, nil)
	for says, change := range map[string]func(*trial.Report){
		"its format is 7": func(r *trial.Report) { r.Format = 7 },
		"the machine's kernel differs: 6.18 and 2.6.32": func(r *trial.Report) { r.Environment.Kernel = "2.6.32" },
		"the machine's cpu differs: nothing and 6502":   func(r *trial.Report) { r.Environment.CPU = "6502" },
		"one is of kind compare, the other limits":      func(r *trial.Report) { r.Kind = "limits" },
		"the option servers: threads differs: 0 and 4": func(r *trial.Report) {
			r.Options = &trial.Options{Threads: 1,
				Servers: sut.ServerOptions{Threads: 4}}
		},
		"nothing in common": func(r *trial.Report) { r.Results[0].Plan.Name = "set" },
	} {
		if _, err := Regress(good, stored(t, u, 1, change), RegressOptions{Threshold: 0.05}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
	other := stored(t, u, 1, func(r *trial.Report) { r.Environment.Kernel = "2.6.32" })
	if r := regressed(t, good, other, true); len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "kernel") {
		t.Errorf("with force: %+v", r)
	}
	if _, err := Regress(good, good, RegressOptions{Threshold: 1}); err == nil || !strings.Contains(err.Error(), "threshold") {
		t.Errorf("%v", err)
	}
	single := steady(6)
	single.turns = 1
	if r := regressed(t, stored(t, single, 1, nil), stored(t, single, 2, nil), false); !r.Silent() || len(r.Worse()) > 0 {
		t.Errorf("one sample each: %+v", r)
	}
}

// TestMachineThatChanged: a control that changed is said.
func TestMachineThatChanged(t *testing.T) {
	u := steady(7)
	r := regressed(t, stored(t, u, 1, nil), stored(t, u, 1, func(r *trial.Report) {
		for i := range r.Results[0].Rows {
			for j := range r.Results[0].Rows[i].Samples {
				r.Results[0].Rows[i].Samples[j].CPUPerOp *= 1.2
			}
		}
	}), false)
	if len(r.Worse()) != 2 || !slices.Equal(r.Warnings, []string{"memcached changed too: part of what changed is the machine and not ringcached"}) {
		t.Errorf("%+v", r)
	}
	busy := stored(t, u, 1, func(r *trial.Report) { r.Results[0].Rows[2].Samples[1].Foreign = 0.5 })
	if r = regressed(t, stored(t, u, 1, nil), busy, false); len(r.Warnings) != 1 || !strings.HasPrefix(r.Warnings[0], busy+": the machine was busy") {
		t.Errorf("%q", r.Warnings)
	}
}
