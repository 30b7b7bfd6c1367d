package htmlreport

import (
	"strings"
	"testing"

	"ringcached/bench/load"
	trial "ringcached/bench/oldtrial"
	"ringcached/bench/sut"
)

// twoServers is a report of one part: CPU per operation of both servers, round by round, at each place.
func twoServers(uring, epoll [][]float64) *trial.Report {
	p := trial.Part{
		Name: "p", Title: "a part", Axis: trial.Axis{Label: "requests", Scale: trial.ScaleLog}, Baseline: "epoll", Shows: []trial.Metric{trial.MetricCPU},
	}
	for _, s := range []struct {
		name string
		cpu  [][]float64
	}{{"uring", uring}, {"epoll", epoll}} {
		series := trial.Series{Name: s.name, Server: s.name}
		for i, values := range s.cpu {
			q := trial.Point{X: float64(int(1) << i), CPUPerOp: estimate(values), PerSecond: estimate(values)}
			q.Summary.Rounds = len(values)
			for n, v := range values {
				r := trial.Round{Number: n + 1, CPUPerOp: v, CPUSeconds: 1, PerSecond: 1e6 / v, Counts: load.Counts{Operations: 1}}
				q.Rounds = append(q.Rounds, r)
			}
			series.Points = append(series.Points, q)
		}
		p.Series = append(p.Series, series)
	}
	return &trial.Report{Experiments: []*trial.Experiment{{Name: "e", Title: "An experiment", Parts: []trial.Part{p}}}}
}

// TestWhoWins has a place where each is ahead, one within noise and one of a single round.
func TestWhoWins(t *testing.T) {
	_, root := rendered(t, twoServers(
		[][]float64{{3, 3.01, 3.02}, {5, 5.01, 5.02}, {3, 4, 5}, {3}},
		[][]float64{{4, 4.01, 4.02}, {4, 4.01, 4.02}, {4, 4, 4}, {4}},
	))
	short := words(section(t, root, "short"))
	for _, want := range []string{
		"Beyond noise, an operation costs the io_uring server less CPU than epoll at 1 of 4 points and more at 1;" +
			" at 1 the difference is within noise, and of 1, of one round only, nothing can be said.",
		"Over epoll , Server CPU per operation: from 0.750 at 8 to 1.249 (1.248..1.251) at 2.",
		"less at 1", "more at 1", "within noise at 1", "one round only at 1",
		"Also: throughput higher at 1, lower at 1, within noise at 1, one round only at 1 of 4.",
	} {
		if !strings.Contains(short, want) {
			t.Errorf("no %q in %q", want, short)
		}
	}
	rivals := words(section(t, root, "rivals"))
	for _, want := range []string{
		"Where epoll wins Every point",
		"2 uring ▲ 25 % more 1.249 (1.248..1.251) ▼ 20 % lower 0.800 (0.799..0.801)",
		"Where memcached wins memcached was not compared", "CPU per operation, uring over epoll: at 4", "throughput, uring over epoll: at 4",
		"6 comparisons of io_uring",
	} {
		if !strings.Contains(rivals, want) {
			t.Errorf("no %q in %q", want, rivals)
		}
	}
	if strings.Contains(rivals, "1 uring") || strings.Contains(rivals, "8 uring") {
		t.Errorf("a win of io_uring's, or a single round, is called epoll's win: %q", rivals)
	}
	ratios := words(section(t, root, "e-p"))
	for _, want := range []string{
		"1 ▼ 25 % less 0.751 (", "2 ▲ 25 % more 1.249 (", "4 within noise 0.979 (", "8 one round only 0.750",
	} {
		if !strings.Contains(ratios, want) {
			t.Errorf("no %q in %q", want, ratios)
		}
	}
}

func TestNobodyWins(t *testing.T) {
	_, root := rendered(t, twoServers([][]float64{{3, 3.01, 3.02}}, [][]float64{{4, 4.01, 4.02}}))
	text := words(section(t, root, "rivals"))
	for _, want := range []string{
		"At no point did io_uring cost more than epoll, or serve less, beyond noise.", "No comparison of several rounds is within noise.",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %q", want, text)
		}
	}
	_, root = rendered(t, twoServers([][]float64{{3}}, [][]float64{{4}}))
	if text := words(section(t, root, "short")); !strings.Contains(text, "Over epoll: 1 point compared, in one round only, so nothing can be said of noise.") {
		t.Errorf("%q", text)
	}
	text = words(section(t, root, "rivals"))
	if n := strings.Count(text, "so differences cannot be told from noise"); n != 2 || strings.Contains(text, "At no point") || strings.Contains(text, "No comparison of") {
		t.Errorf("of one round: %q", text)
	}
	r := twoServers([][]float64{{3, 4, 5}}, [][]float64{{4, 4, 4}})
	net := &r.Experiments[0].Parts[0].Series[1]
	net.Name, net.Server = "net", "net"
	_, root = rendered(t, r)
	if text := words(section(t, root, "rivals")); !strings.Contains(text, "CPU per operation, uring over net: at 1") {
		t.Errorf("%q", text)
	}
	r = twoServers([][]float64{{3, 3}}, nil)
	_, root = rendered(t, r)
	if text := words(section(t, root, "short")); !strings.Contains(text, "No point was measured with both") {
		t.Errorf("%q", text)
	}
}

// TestRatesThatOnlyARivalTakes: a server that cannot keep up is behind one that can.
func TestRatesThatOnlyARivalTakes(t *testing.T) {
	_, root := rendered(t, fixture())
	table := ": where memcached is ahead"
	rivals := section(t, root, "rivals")
	if row := rowOfFirst(rivals, table, "118k/s uring"); !strings.HasSuffix(row, "too much for it") {
		t.Errorf("the row is %q", row)
	}
	if row := rowOfFirst(rivals, table, "105k/s uring"); strings.Contains(row, "too much") {
		t.Errorf("the row is %q", row)
	}
	r := twoServers([][]float64{{3, 3.01, 3.02}, {3, 3.01, 3.02}}, [][]float64{{4, 4.01, 4.02}, {4, 4.01, 4.02}})
	p := &r.Experiments[0].Parts[0]
	p.Series[0].Points[1].Summary.Overloaded = 2
	_, root = rendered(t, r)
	if row := rowOfFirst(section(t, root, "rivals"), ": where epoll is ahead", "2 uring"); row != "2 uring too much for it" {
		t.Errorf("the row is %q", row)
	}
	p.Series[1].Points[1].Summary.Overloaded = 2 // so it is for both
	_, root = rendered(t, r)
	if text := words(section(t, root, "rivals")); strings.Contains(text, "too much for it") {
		t.Errorf("%q", text)
	}
}

// rowOfFirst is the text of the row with a first cell, in a table.
func rowOfFirst(s *node, caption, first string) string {
	for _, box := range all(s, "div") {
		if !strings.HasSuffix(attribute(box, "aria-label"), caption) {
			continue
		}
		for _, tr := range all(box, "tr") {
			if th := all(tr, "th"); len(th) > 0 && words(th[0]) == first {
				return words(tr)
			}
		}
	}
	return ""
}

func TestFamilies(t *testing.T) {
	servers := map[string]sut.Server{
		"fast": {Command: "ringcached -t 1 --engine epoll --engine uring"}, "odd": {Command: "ringcached --engine=epoll"}, "uring": {Command: "ringcached"},
	}
	for _, c := range []struct {
		series trial.Series
		want   family
	}{
		{trial.Series{Name: "uring", Server: "uring"}, familyUring},
		{trial.Series{Name: "uring, unbatched", Server: "uring"}, familyUring},
		{trial.Series{Name: "x", Server: "fast"}, familyUring}, // the last flag counts
		{trial.Series{Name: "x", Server: "odd"}, familyEpoll},
		{trial.Series{Name: "uring", Server: "fast", Args: []string{"--engine", "net"}}, familyNet},
		{trial.Series{Name: "memcached-1.6", Server: "x"}, familyMemcached},
		{trial.Series{Name: "null", Server: "null"}, familyNull},
		{trial.Series{Name: "uringlike", Server: "127.0.0.1:1"}, familyOther},
		{trial.Series{}, familyOther},
	} {
		if got := familyOf(&c.series, servers); got != c.want {
			t.Errorf("%+v: %d, want %d", c.series, got, c.want)
		}
	}
}

// TestVariantsAreNoHeadline: where several series are of io_uring, the one with the plain name speaks for it.
func TestVariantsAreNoHeadline(t *testing.T) {
	p := &fixture().Experiments[2].Parts[0]
	if s := seriesOf(p, nil, familyUring); s == nil || s.Name != "uring" {
		t.Errorf("%+v", s)
	}
	p.Series = p.Series[2:]
	p.Series[0].Server = "uring"
	if s := seriesOf(p, nil, familyUring); s == nil || s.Name != "uring, direct descriptors" {
		t.Errorf("%+v", s)
	}
	if s := seriesOf(p, nil, familyNull); s != nil {
		t.Errorf("%+v", s)
	}
}

// TestLevels: a server that the axis does not vary is drawn and counted once.
func TestLevels(t *testing.T) {
	p := &fixture().Experiments[0].Parts[0]
	for i, want := range []bool{false, true, true, true} {
		if isLevel(&p.Series[i]) != want {
			t.Errorf("%s: %v", p.Series[i].Name, !want)
		}
	}
	cpu := metricOf(trial.MetricCPU)
	if all := findingsOf(p, &p.Series[1], &p.Series[2], cpu); len(all) != 1 || all[0].at.label != everyPlace {
		t.Errorf("%+v", all)
	}
	if all := findingsOf(p, &p.Series[0], &p.Series[2], cpu); len(all) != 8 {
		t.Errorf("%d findings", len(all))
	}
	if n := len(tried(&p.Series[2])); n != 1 {
		t.Errorf("trials of %d points", n)
	}
	p.Series[2].Points = p.Series[2].Points[:1] // another way to say so
	if all := findingsOf(p, &p.Series[0], &p.Series[2], cpu); len(all) != 8 || !isLevel(&p.Series[2]) {
		t.Errorf("%d findings", len(all))
	}
}

// TestOnePointIsNoLevel: a server that could not do the rest, or had no time for it, is compared only where it was measured.
func TestOnePointIsNoLevel(t *testing.T) {
	r := twoServers([][]float64{{3, 3.01, 3.02}, {4, 4.01, 4.02}}, [][]float64{{5, 5.01, 5.02}})
	p := &r.Experiments[0].Parts[0]
	for _, scale := range []trial.Scale{trial.ScaleLog, trial.ScaleNames} {
		p.Axis.Scale = scale
		all := findingsOf(p, &p.Series[0], &p.Series[1], metricOf(trial.MetricCPU))
		if len(all) != 1 || all[0].at.label != "1" {
			t.Errorf("%s: %+v", scale, all)
		}
		_, root := rendered(t, r)
		if text := words(section(t, root, "e-p")); strings.Contains(text, "everywhere") || !strings.Contains(text, "epoll: 5.01 µs at 1. ") {
			t.Errorf("%s: one point is drawn everywhere: %q", scale, text)
		}
	}
}

// TestMemoryRatios: the verdict is one of several rounds also where the rival may need nothing at all.
func TestMemoryRatios(t *testing.T) {
	m := metricOf(trial.MetricUserMemory)
	for _, c := range []struct {
		of, over []float64
		want     verdict
		says     string
	}{
		{[]float64{100, 101, 102}, []float64{10, 60, 110}, verdictNoise, "1.683 (0.709..∞)"},
		{[]float64{400, 401, 402}, []float64{10, 60, 110}, verdictWorse, "6.68 (2.85..∞)"},
		{[]float64{100, 101, 102}, []float64{200, 201, 202}, verdictBetter, "0.502 ("},
		{[]float64{100, 101, 102}, []float64{10}, verdictNone, "10.10"},
	} {
		r := ratioOfEstimates(estimate(c.of), estimate(c.over))
		f := finding{metric: m, ratio: *r}
		if text := interval(r); f.verdict() != c.want || !strings.HasPrefix(text, c.says) {
			t.Errorf("%v over %v: %s, verdict %d", c.of, c.over, text, f.verdict())
		}
	}
}
