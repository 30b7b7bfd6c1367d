package bench

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// TestReadReport writes a report of every kind at once, and reads it.
func TestReadReport(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.json")
	r := newReport("compare", map[string]any{"rounds": 2.0})
	r.Servers["uring"] = Server{Version: "1", Command: "ringcached --engine uring", CPUFrom: "schedstat"}
	c := &Comparison{Rounds: []Round{round(1, "uring", 4, nil), round(1, "epoll", 5, nil), round(2, "epoll", 5, nil), round(2, "uring", 4, nil)}}
	table(c, "uring", "epoll")
	c.Workload.common = false // is not written: it matters where workloads are chosen
	r.Comparisons = []*Comparison{c}
	r.Limits = []*LimitRow{{Comparison: c, Workload: c.Workload.Name, Results: []LimitResult{{Ratio: &c.Ratios[0], Verdict: Met}}}}
	point := Point{X: 8, Label: "8", CPUPerOp: newEstimate([]float64{4, 4.5}), CPURatio: &c.Ratios[0], Memory: &ConnectionMemory{User: newEstimate([]float64{70, 71})}}
	point.Rounds = []Round{round(1, "uring", 4, nil)}
	r.Experiments = []*Experiment{{Name: "idle", Parts: []Part{{
		Name: "memory", Axis: Axis{Scale: ScaleLog}, Baseline: "epoll", Shows: []Metric{MetricUserMemory}, Series: []Series{{Name: "uring", Server: "uring", Points: []Point{point}}},
	}}}}
	r.Idle = &Idle{Connections: 5, Rows: []IdleRow{{"uring", []float64{70}}}}
	r.Run = &RunResult{PerSecond: 5}
	r.Store = map[string]StoreResult{
		"density": &Density{MemoryMB: 64}, "hit-ratio": &HitRatio{Rate: 1}, "pause": &Pause{}, "memory": &Memory{}, "eviction": &Eviction{Keys: 7},
	}
	r.finish()
	if err := r.WriteJSON(path); err != nil {
		t.Fatal(err)
	}
	back, err := ReadReport(path)
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
	if len(back.Store) != len(storeExperiments) {
		t.Errorf("%d experiments with the store, there are %d", len(back.Store), len(storeExperiments))
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
		`{"format": 1, "kind": "store", "store": {"density": []}}`: "a damaged result of experiment density",
		`{"format": 1, "kind": "store", "store": {"taste": {}}}`:   `experiment "taste"`,
	} {
		path := filepath.Join(dir, "in.json")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if r, err := ReadReport(path); err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, %v, want %q", text, r, err, says)
		}
	}
	if _, err := ReadReport(filepath.Join(dir, "none.json")); err == nil || !strings.Contains(err.Error(), "none.json") {
		t.Errorf("a file that is not there: %v", err)
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
