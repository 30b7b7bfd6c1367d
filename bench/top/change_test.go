package top

import (
	"maps"
	"math"
	"testing"
	"time"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// reading makes one of a server that has run for some seconds, with lines of several groups.
func reading(uptime int, groups map[group]map[string]string) *Reading {
	r := &Reading{At: start.Add(time.Duration(uptime) * time.Second), Took: 400 * time.Microsecond, Version: "1.6.45"}
	r.groups[general] = map[string]string{"pid": "7", "uptime": count(float64(uptime))}
	for g, lines := range groups {
		if r.groups[g] == nil {
			r.groups[g] = map[string]string{}
		}
		maps.Copy(r.groups[g], lines)
	}
	return r
}

func wantNumber(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.IsNaN(want) != math.IsNaN(got) || math.Abs(got-want) > 1e-9 {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

func stats(lines map[string]string) map[group]map[string]string {
	return map[group]map[string]string{general: lines}
}

func TestRates(t *testing.T) {
	unknown := math.NaN()
	before := reading(100, stats(map[string]string{"cmd_get": "1000", "cmd_set": "10", "get_hits": "900", "get_misses": "100", "rusage_user": "1.5", "rusage_system": "0.5"}))
	after := reading(102, stats(map[string]string{"cmd_get": "1600", "cmd_set": "30", "get_hits": "1350", "get_misses": "250", "rusage_user": "2.5", "rusage_system": "1.5"}))
	c := since(before, after)
	wantNumber(t, "gets per second", c.rate(general, "cmd_get"), 300)
	wantNumber(t, "gets and sets per second", c.rate(general, "cmd_get", "cmd_set"), 310)
	wantNumber(t, "gets and what there is not", c.rate(general, "cmd_get", "cmd_none"), 300)
	wantNumber(t, "what there is not", c.rate(general, "cmd_none"), unknown)
	wantNumber(t, "requests", c.requests(), 310)
	wantNumber(t, "cores", c.cores(), 1)
	now, always := c.hitRatio()
	wantNumber(t, "hit ratio", now, 0.75)
	wantNumber(t, "hit ratio of all time", always, 1350.0/1600)

	c = since(nil, after)
	wantNumber(t, "the first rate", c.requests(), unknown)
	now, always = c.hitRatio()
	wantNumber(t, "the first hit ratio", now, unknown)
	wantNumber(t, "that of all time", always, 1350.0/1600)
	now, _ = since(after, reading(103, stats(map[string]string{"get_hits": "1350", "get_misses": "250"}))).hitRatio()
	wantNumber(t, "hit ratio without gets", now, unknown)
}

// TestCountersThatBeginAnew: no rate is below 0, whatever a server says.
func TestCountersThatBeginAnew(t *testing.T) {
	before := reading(100, stats(map[string]string{"cmd_get": "1000", "cmd_set": "5"}))
	reset := since(before, reading(101, stats(map[string]string{"cmd_get": "40", "cmd_set": "9"})))
	wantNumber(t, "gets after stats reset", reset.rate(general, "cmd_get"), 40)
	wantNumber(t, "sets after stats reset", reset.rate(general, "cmd_set"), 4)

	restarted := reading(101, stats(map[string]string{"cmd_get": "2000", "pid": "8"}))
	wantNumber(t, "gets of another process", since(before, restarted).rate(general, "cmd_get"), math.NaN())
	again := reading(102, stats(map[string]string{"cmd_get": "2000", "uptime": "1"}))
	wantNumber(t, "gets of a younger process", since(before, again).rate(general, "cmd_get"), math.NaN())
	wantNumber(t, "gets at the same moment", since(before, before).rate(general, "cmd_get"), math.NaN())
	for _, bad := range []string{"-5", "NaN", "Inf", "1e999", "x", ""} {
		wantNumber(t, "gets "+bad, since(before, reading(101, stats(map[string]string{"cmd_get": bad}))).rate(general, "cmd_get"), math.NaN())
	}
	wantNumber(t, "gets after nonsense", since(reading(99, stats(map[string]string{"cmd_get": "x"})), before).rate(general, "cmd_get"), 1000)
}

// TestNewClasses: a slab class that was not there before has had nothing; a group that was not there says nothing.
func TestNewClasses(t *testing.T) {
	class := map[group]map[string]string{slabs: {"3:chunk_size": "152", "3:get_hits": "30", "1:chunk_size": "96", "x:chunk_size": "1", "-1:chunk_size": "1"}}
	after := reading(102, class)
	c := since(reading(100, map[group]map[string]string{slabs: {}}), after)
	wantNumber(t, "hits of a new class", c.rate(slabs, "3:get_hits"), 15)
	wantNumber(t, "hits without a group before", since(reading(100, nil), after).rate(slabs, "3:get_hits"), math.NaN())
	if got := after.classes(); len(got) != 2 || got[0] != 1 || got[1] != 3 {
		t.Errorf("classes %v", got)
	}
}

func TestHistogram(t *testing.T) {
	before := reading(100, map[group]map[string]string{batch: {"cqes_per_batch_1": "10", "cqes_per_batch_2": "10"}})
	after := reading(101, map[group]map[string]string{batch: {
		"cqes_per_batch_1": "10", "cqes_per_batch_2": "13", "cqes_per_batch_16": "4", "cqes_per_batch_more": "1", "cqes_per_batch_x": "9", "batches": "3",
	}})
	want := []step{{"up to 2", 0.375}, {"up to 16", 0.5}, {"more", 0.125}}
	got := since(before, after).histogram("cqes_per_batch_")
	if len(got) != len(want) {
		t.Fatalf("%v, want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%v, want %v", got[i], want[i])
		}
	}
	if all := since(nil, after).histogram("cqes_per_batch_"); len(all) != 4 || all[0] != (step{"up to 1", 10.0 / 28}) {
		t.Errorf("of all time: %v", all)
	}
	if none := since(nil, reading(1, nil)).histogram("cqes_per_batch_"); none != nil {
		t.Errorf("of memcached: %v", none)
	}
}
