package report

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"ringcached/bench/attack"
	"ringcached/bench/load"
	trial "ringcached/bench/oldtrial"
	"ringcached/bench/storetest"
	"ringcached/bench/sut"
)

// TestReadReport writes a report of every kind at once, and reads it.
func TestReadReport(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.json")
	r := newReport("compare", map[string]any{"rounds": 2.0})
	r.Servers["uring"] = sut.Server{Version: "1", Command: "ringcached --engine uring", CPUFrom: "schedstat"}
	c := &trial.Comparison{Rounds: []trial.Round{madeUpRound(1, "uring", 4, nil), madeUpRound(1, "epoll", 5, nil), madeUpRound(2, "epoll", 5, nil), madeUpRound(2, "uring", 4, nil)}}
	c.Workload = load.Workloads()[0]
	c.Summarise([]string{"uring", "epoll"})
	c.Workload.Common = false // is not written: it matters where workloads are chosen
	r.Comparisons = []*trial.Comparison{c}
	r.Limits = []*trial.LimitRow{{Comparison: c, Workload: c.Workload.Name, Results: []trial.LimitResult{{Ratio: &c.Ratios[0], Verdict: trial.Met}}}}
	point := trial.Point{X: 8, Label: "8", CPUPerOp: trial.NewEstimate([]float64{4, 4.5}), CPURatio: &c.Ratios[0], Memory: &trial.ConnectionMemory{User: trial.NewEstimate([]float64{70, 71})}}
	point.Rounds = []trial.Round{madeUpRound(1, "uring", 4, nil)}
	r.Experiments = []*trial.Experiment{{Name: "idle", Parts: []trial.Part{{
		Name: "memory", Axis: trial.Axis{Scale: trial.ScaleLog}, Baseline: "epoll", Shows: []trial.Metric{trial.MetricUserMemory}, Series: []trial.Series{{Name: "uring", Server: "uring", Points: []trial.Point{point}}},
	}}}}
	r.Attacks = []*attack.Row{{Load: "churn", Results: []attack.Result{{Server: "uring", Polite: attack.PoliteResult{Operations: 7}}}}}
	r.Idle = &trial.Idle{Connections: 5, Rows: []trial.IdleRow{{Server: "uring", Rounds: []float64{70}}}}
	r.Run = &load.RunResult{PerSecond: 5}
	r.Store = map[string]*storetest.Result{
		"density": {Notes: []string{"-m 64"}, Tables: []*storetest.Table{{Columns: []storetest.Column{{Name: "items"}, {Name: "target"}}, Rows: [][]any{{7.0, nil}}}}},
	}
	r.Finish()
	if err := WriteJSON(path, r); err != nil {
		t.Fatal(err)
	}
	back, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if !back.Began.Equal(r.Began) {
		t.Errorf("began %v, read as %v", r.Began, back.Began)
	}
	r.Began = back.Began // its clock reading and location are not in the file
	if !reflect.DeepEqual(r, back) {
		was, _ := json.Marshal(r)
		is, _ := json.Marshal(back)
		t.Errorf("wrote\n%s\nread\n%s", was, is)
	}
}

func TestReadReportRefuses(t *testing.T) {
	dir := t.TempDir()
	for text, says := range map[string]string{
		"":                                    "no JSON",
		"hello":                               "no JSON",
		"[1]":                                 "no JSON of that form",
		`{"results": []}`:                     "no format and kind",
		`{"format": 1}`:                       "no format and kind",
		`{"format": 2, "kind": "compare"}`:    "newer ringcached-bench: its format is 2, this program reads 1",
		`{"format": 0, "kind": "compare"}`:    "its format is 0, this program reads 1",
		`{"format": 1, "kind": "compare"} {}`: "after top-level value",
		`{"format": 1, "kind": "compare", "run":7}`:                "a damaged result",
		`{"format": 1, "kind": "compare", "experiments": [null]}`:  "or limits is null",
		`{"format": 1, "kind": "compare", "comparisons": [null]}`:  "or limits is null",
		`{"format": 1, "kind": "limits", "limits": [null]}`:        "or limits is null",
		`{"format": 1, "kind": "store", "store": {"density": []}}`: "a damaged result",
	} {
		path := filepath.Join(dir, "in.json")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if r, err := Read(path); err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, %v, want %q", text, r, err, says)
		}
	}
	if _, err := Read(filepath.Join(dir, "none.json")); err == nil || !strings.Contains(err.Error(), "none.json") {
		t.Errorf("a file that is not there: %v", err)
	}
}

func TestReportFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.json")
	r := newReport("run", nil)
	r.Run = &load.RunResult{PerSecond: 5}
	r.Finish()
	if err := WriteJSON(path, r); err != nil {
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
	if err := WriteJSON("/no/such/directory/x.json", r); err == nil {
		t.Error("a file was written where there is no directory")
	}
}
