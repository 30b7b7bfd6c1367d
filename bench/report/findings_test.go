package report

import (
	"bytes"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"ringcached/bench/sut"
	"ringcached/bench/trial"
)

// TestVerdicts: what the interval includes 1 of is noise, whichever way it leans; more is better of throughput only.
func TestVerdicts(t *testing.T) {
	for _, c := range []struct {
		metric           trial.Metric
		value, low, high float64
		samples          int
		want             Change
	}{
		{trial.MetricCPU, 0.9, 0.88, 0.92, 9, Better}, {trial.MetricCPU, 1.1, 1.001, 1.2, 9, Worse}, {trial.MetricCPU, 0.9, 0.7, 1.0, 9, Unchanged},
		{trial.MetricCPU, 1.2, 1, 1.4, 9, Unchanged}, {trial.MetricThroughput, 1.1, 1.05, 1.2, 9, Better}, {trial.MetricThroughput, 0.9, 0.8, 0.95, 9, Worse},
		{trial.MetricKernelMemory, 0.9, 0, -1, 1, Unknown}, {"new", 0.9, 0.88, 0.92, 9, Better},
	} {
		f := finding{nil, trial.Ratio{Metric: c.metric, Estimate: trial.Estimate{Value: c.value, Low: c.low, High: c.high, Samples: c.samples}}}
		if got := f.change(); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

// TestStatements: the sentences say what the made-up costs are.
func TestStatements(t *testing.T) {
	r := fixture()
	all := statements(r)
	if len(all) != 2 || all[0].Summary != "Against epoll, io_uring takes less CPU per operation at 11 of 13 points, more at 1; noise at 1." ||
		all[1].Summary != "Against memcached 1.6.45, io_uring takes less CPU per operation at 11 of 12 points, more at 1; noise at 0." {
		t.Fatalf("%+v", all)
	}
	if less := all[0].Less; len(less) != 2 || !strings.HasPrefix(less[0], "pipeline/get: 0.90") || !strings.HasSuffix(less[0],
		", 7 of 7 points") || !strings.HasSuffix(less[1], ", 4 of 6 points") {
		t.Errorf("%q", less)
	}
	if more := all[1].More; len(more) != 1 || !strings.HasPrefix(more[0], "memcached/mixes: 1.1") || !strings.HasSuffix(more[0],
		") at values of 64 KiB") {
		t.Errorf("%q", more)
	}
	older := "memcached-1.6.18"
	r.Results[1].Plan.Servers[3] = trial.Server{Name: older, Start: older}
	r.Servers[older] = sut.Server{Version: "1.6.18"}
	var names []string
	for _, over := range rivalsOf(r) {
		names = append(names, over.name)
	}
	if !slices.Equal(names, []string{"epoll", "memcached 1.6.45", "memcached 1.6.18"}) {
		t.Errorf("%q", names)
	}
	r.Results = r.Results[3:]
	if all := statements(r); len(all) > 0 {
		t.Errorf("of memory: %+v", all)
	}
}

func TestRingServer(t *testing.T) {
	unbatched := trial.Server{Name: "unbatched", Start: sut.Uring, Args: []string{"--batch-depth", "1"}}
	plain, epoll := trial.Server{Name: "uring", Start: sut.Uring}, trial.Server{Name: "epoll", Start: sut.Epoll}
	for _, c := range []struct {
		servers []trial.Server
		want    string
	}{
		{[]trial.Server{epoll, unbatched, plain}, "uring"},
		{[]trial.Server{epoll, unbatched}, "unbatched"},
		{[]trial.Server{{Name: "auto", Start: sut.Ringcached}, plain}, "uring"},
		{[]trial.Server{epoll}, ""},
	} {
		if got := ringServer(&trial.Plan{Servers: c.servers}); got != c.want {
			t.Errorf("%q stands for io_uring among %v, want %q", got, c.servers, c.want)
		}
	}
}

func TestAA(t *testing.T) {
	r := fixture()
	if text, failed := trustAA(r); failed || !strings.Contains(text, "at none of 13 points") {
		t.Errorf("%v: %s", failed, text)
	}
	r.Results[0].AA[0].Low, r.Results[0].AA[0].High = 0, -1 // too few samples say nothing
	if text, failed := trustAA(r); failed || !strings.Contains(text, "at none of 12 points") {
		t.Errorf("%v: %s", failed, text)
	}
	r.Results[0].AA[0].Low, r.Results[0].AA[0].High = 0.9, 1.1
	r.Results[1].AA[1].High, r.Results[1].AA[1].Value, r.Results[1].AA[1].Low = 0.99, 0.985, 0.98
	if text, failed := trustAA(r); !failed || !strings.Contains(text, "at 1 of 13 points") || !strings.Contains(text,
		"memcached/mixes 0.985 (0.980–0.990) at set") {
		t.Errorf("%v: %s", failed, text)
	}
	if text, failed := trustAA(&trial.Report{}); failed || !strings.Contains(text, "No server") {
		t.Errorf("%v: %s", failed, text)
	}
}

func TestText(t *testing.T) {
	r := fixture()
	r.Results[0].Ratios = []trial.Ratio{
		{Point: 2, Metric: trial.MetricCPU, Of: "uring", Over: "null", Estimate: trial.Estimate{Value: 1.5, Low: 1.4, High: 1.6, Samples: 9},
			Target: &trial.Target{Over: "null", Most: 1.1}, Verdict: trial.Missed},
		{Point: 2, Metric: trial.MetricUserMemory, Of: "uring", Estimate: trial.Estimate{Value: 80, High: -1, Samples: 1},
			Target: &trial.Target{Most: 90}, Verdict: trial.Met},
	}
	r.Results[0].Row(0, "uring").Syscalls = &sut.SyscallCount{PerOperation: 0.1234, Method: sut.ByStrace}
	r.Results[1].Rows[4].Samples[0].Foreign, r.Results[1].Rows[4].Samples[3].Foreign = 0.21, 0.3 // the latter does not count
	var b bytes.Buffer
	o := r.Options.(*trial.Options)
	o.Servers.Threads = 1
	PrintBegin(&b, r)
	for _, result := range r.Results {
		PrintResult(&b, result)
	}
	PrintEnd(&b, r)
	said := regexp.MustCompile(` +`).ReplaceAllString(b.String(), " ")
	for _, want := range []string{
		"Imaginary Processor 9000 at 3.0 GHz, kernel 6.18.5, go1.26; TCP congestion control bbr",
		"server on core 0 with 1 thread, load on core 1; 2m0s in all at most\n",
		"\npipeline/get: gets of 64 B, 50 connections, by requests at once (side by side, 280 turns, 0 samples dropped)\n What is left of it?\n",
		" Server CPU per operation, µs\n requests at once uring epoll net memcached null\n 1 3.", "failed", "overloaded", " set 1.000 (", ") noise ",
		"without valkey: it is not installed", "FAILED: memcached, get: 2 wrong replies",
		" 4 uring null 1.500 (1.400–1.600) 1.10 MISSED\n", " 4 uring own memory 80 90 met\n", "0.123+", "+ counted under strace",
		"uring, the kernel's caches: TCP 2304", "the machine was busy: others took much of a core from 1 of the 959 samples that count",
		"A/A holds", "Against epoll, io_uring takes less", " more CPU: memcached/mixes: 1.3", "memcached: version 1.6.45, CPU time from: schedstat\n",
		"null: version , CPU time from: unknown",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("no %q in %d bytes", want, len(said))
		}
	}
	for line := range strings.Lines(b.String()) {
		if strings.HasSuffix(line, " \n") {
			t.Errorf("blanks at the end of %q", line)
		}
	}
	b.Reset()
	o.Cores = sut.Cores{Server: []int{0}, Load: []int{0}}
	if PrintBegin(&b, r); !strings.Contains(b.String(), "WARNING: server and load share a core") {
		t.Errorf("%s", &b)
	}
}

func TestBenchstat(t *testing.T) {
	r := fixture()
	limited := r.Results[0].Row(6, "epoll")
	limited.LoadBound = true
	delete(limited.Estimates, trial.MetricThroughput)
	text := string(Benchstat(r))
	lines := map[string]int{}
	for line := range strings.Lines(text) {
		if name, _, ok := strings.Cut(line, "\t"); ok {
			lines[name]++
			bound := strings.HasPrefix(name, "BenchmarkCompare/experiment=pipeline/part=get/x=64/server=epoll")
			if bound == (strings.Contains(line, " op/s") || strings.Contains(line, " ns/op")) {
				t.Errorf("a row that is bound by its load has no pace, and others have: %s", line)
			}
		}
	}
	for name, want := range map[string]int{
		"BenchmarkCompare/experiment=pipeline/part=get/x=64/server=uring-1":             40,
		"BenchmarkCompare/experiment=memcached/part=mixes/x=get/server=memcached-1":     0,
		"BenchmarkCompare/experiment=memcached/part=mixes/x=set/server=uring-1":         39,
		"BenchmarkCompare/experiment=memcached/part=mixes/x=get_Zipf_0.99/server=net-1": 40,
		"BenchmarkCompare/experiment=memcached/part=latency/x=20.1k_s/server=epoll-1":   5,
		"BenchmarkCompare/experiment=idle/part=memory/x=16384/server=epoll-1":           1,
	} {
		if lines[name] != want {
			t.Errorf("%d lines of %s, want %d", lines[name], name, want)
		}
	}
	for _, want := range []string{"cpu: Imaginary Processor 9000", "Unit op/s better=higher\n", " us-CPU/op\t", " us-p99.9\t",
		"\t2970 B-own/conn\t6600 B-kernel/conn\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q", want)
		}
	}
	if path, err := exec.LookPath("benchstat"); err == nil {
		cmd := exec.Command(path, "-col", "/server", "-")
		cmd.Stdin = strings.NewReader(text)
		if out, err := cmd.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("uring")) {
			t.Errorf("%v\n%s", err, out)
		}
	}
}
