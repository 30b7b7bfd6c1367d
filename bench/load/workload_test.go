package load

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestNamedWorkloadsAreValid(t *testing.T) {
	names := make(map[string]bool)
	for _, w := range Workloads() {
		if err := w.Validate(); err != nil {
			t.Errorf("%s: %v", w.Name, err)
		}
		if names[w.Name] || w.Title == "" {
			t.Errorf("%q is not unique, or has no title", w.Name)
		}
		names[w.Name] = true
	}
}

// TestUnknownWordsAreMistakes: a workload with one would be another than its title says.
func TestUnknownWordsAreMistakes(t *testing.T) {
	for text, mistake := range map[string]bool{`{"pipeline": 16}`: false, `{"pipelines": 16}`: true, `{"pipeline": "16"}`: true, `{"pipeline": 16} {}`: true} {
		func() {
			defer func() {
				if panicked := recover() != nil; panicked != mistake {
					t.Errorf("%s: panicked: %v", text, panicked)
				}
			}()
			var w Workload
			Decode([]byte(text), &w)
		}()
	}
}

func TestSelectWorkloads(t *testing.T) {
	some, err := SelectWorkloads([]string{"set", "get"})
	if err != nil || len(some) != 2 || some[0].Name != "get" || some[1].Name != "set" {
		t.Errorf("%v, %v", some, err)
	}
	if _, err := SelectWorkloads([]string{"get", "gte"}); err == nil || !strings.Contains(err.Error(), `"gte" is not one of common, get,`) {
		t.Errorf("%v", err)
	}
	some, err = SelectWorkloads([]string{CommonWorkloads, "set-1m"})
	if err != nil || len(some) != 10 || some[0].Name != "get" || some[9].Name != "set-1m" {
		t.Errorf("%v, %v", some, err)
	}
}

func TestWorkloadsThatAreRefused(t *testing.T) {
	for says, change := range map[string]func(*Workload){
		"connections: 0":      func(w *Workload) { w.Connections = 0 },
		"pipeline: 5000":      func(w *Workload) { w.Pipeline = 5000 },
		"value-size: -1":      func(w *Workload) { w.ValueSize = -1 },
		"keys: 0":             func(w *Workload) { w.Keys = 0 },
		"key-size: 3":         func(w *Workload) { w.KeySize = 3 },
		"key-size: 251":       func(w *Workload) { w.KeySize = 251 },
		"multiget: 0":         func(w *Workload) { w.Multiget = 0 },
		"both 0":              func(w *Workload) { w.Gets = 0 },
		"key-dist":            func(w *Workload) { w.KeyDist = "normal" },
		"zipf-s":              func(w *Workload) { w.KeyDist, w.ZipfS = Zipf, 0 },
		"keys: 1000000000":    func(w *Workload) { w.Keys, w.KeySize = 1_000_000_000, 20 },
		"need more than":      func(w *Workload) { w.Sets, w.ValueSize, w.Connections = 1, 1<<20, 2000 },
		"requests-per-conne":  func(w *Workload) { w.RequestsPerConnection = -1 },
		"rate: -1":            func(w *Workload) { w.Rate = -1 },
		"rate: NaN":           func(w *Workload) { w.Rate = math.NaN() },
		"rate: 1000000000":    func(w *Workload) { w.Rate = 1e9 },
		"the pipeline is 1":   func(w *Workload) { w.Rate, w.Pipeline = 100, 2 },
		"rate: connections ":  func(w *Workload) { w.Rate, w.RequestsPerConnection = 100, 2 },
		"transport: \"sctp\"": func(w *Workload) { w.Transport = "sctp" },
		"over udp it is 1":    func(w *Workload) { w.Transport, w.Pipeline = TransportUDP, 2 },
		"are no connections":  func(w *Workload) { w.Transport, w.RequestsPerConnection = TransportUDP, 2 },
		"multiget: over udp":  func(w *Workload) { w.Transport, w.Multiget = TransportUDP, 2 },
		"does not fit into":   func(w *Workload) { w.Transport, w.Sets, w.ValueSize = TransportUDP, 1, 1400 },
		"the most over udp":   func(w *Workload) { w.Transport, w.ValueSize = TransportUDP, 65536 },
	} {
		w := DefaultWorkload()
		change(&w)
		if err := w.Validate(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("want %q, got %v", says, err)
		}
	}
}

// TestEveryKindOfRequestIsDrawn looks at the mix over many draws.
func TestEveryKindOfRequestIsDrawn(t *testing.T) {
	for _, c := range []struct{ gets, sets int }{{1, 0}, {0, 1}, {90, 10}, {1, 1}} {
		w := SmallWorkload(func(w *Workload) { w.Gets, w.Sets = c.gets, c.sets })
		g := newGenerator(&w, NewKeySpace(w.Keys, w.KeySize, w.ValueSize), 1, 0)
		const n = 20_000
		var p pending
		var buf []byte
		sets := 0
		for range n {
			buf = g.next(buf[:0], &p)
			if p.set {
				sets++
			}
			if len(buf) > w.groupMax() {
				t.Fatalf("a request of %d B, groupMax says %d", len(buf), w.groupMax())
			}
		}
		want := n * c.sets / (c.gets + c.sets)
		if sets < want-300 || sets > want+300 || (c.gets == 0 || c.sets == 0) && sets != want {
			t.Errorf("%d:%d: %d sets of %d requests, want about %d", c.gets, c.sets, sets, n, want)
		}
	}
}

// TestRangesAreSpelledAsFlags: a value and its limits are shown as a user writes them.
func TestRangesAreSpelledAsFlags(t *testing.T) {
	for want, err := range map[string]error{
		"rate: 1000000000 is not in 0..10000000": InRange("rate", 1e9, 0, 1e7),
		"duration: 30h is not in 1s..24h":        InRange("duration", 30*time.Hour, time.Second, 24*time.Hour),
		"slice: 5m is below 10m":                 AtLeast("slice", 5*time.Minute, 10*time.Minute),
	} {
		if err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
