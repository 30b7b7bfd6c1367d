package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ringcached/bench/load"
	trial "ringcached/bench/oldtrial"
	"ringcached/bench/sut"
)

// TestMain makes this program a null server where a comparison starts it as one.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (os.Args[1] == sut.Null || os.Args[1] == sut.NetCommand) {
		main()
	}
	os.Exit(m.Run())
}

// TestTransportsOfRealServers compares over each transport, in a closed and in an open loop, shortly.
func TestTransportsOfRealServers(t *testing.T) {
	dir, err := os.MkdirTemp("/tmp", "transport-") // not t.TempDir, which the servers' user cannot enter
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	server := buildServer(t)
	t.Setenv("TMPDIR", dir)
	o := trial.CompareOptions{
		Subjects: []string{sut.Ringcached, sut.Memcached, sut.Null},
		Rounds:   1,
		Options: trial.Options{
			Duration: time.Second, Warmup: 20 * time.Millisecond, // a busy machine may leave a thread without time for long
			Servers: sut.ServerOptions{Path: server, Memcached: memcachedPath(t), Threads: 1, MemoryMB: 64, User: "nobody"},
		},
	}
	for _, transport := range []string{load.TransportTCP, load.TransportUnix, load.TransportUDP} {
		for _, rate := range []float64{0, 2000} {
			w := load.DefaultWorkload()
			w.Transport, w.Rate, w.Connections, w.Keys, w.ValueSize = transport, rate, 10, 1000, 5000
			o.Workloads = append(o.Workloads, w)
		}
	}
	report, err := trial.Compare(t.Context(), o, trial.Observer{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range report.Comparisons {
		servers := 0
		for _, r := range c.Rounds {
			servers++
			if r.Failed() || r.Hits != r.Operations {
				t.Errorf("%s over %s, rate %g: %+v %q", r.Server, c.Workload.Transport, c.Workload.Rate, r.Counts, r.Problems)
			}
			if (r.Open != nil) != (c.Workload.Rate > 0) || r.Open != nil && r.Open.Arrived == 0 {
				t.Errorf("%s over %s, rate %g: %+v", r.Server, c.Workload.Transport, c.Workload.Rate, r.Open)
			}
		}
		want := 3
		if c.Workload.Transport == load.TransportUDP {
			want = 2 // the null server knows no datagrams
		}
		if servers != want {
			t.Errorf("%d servers over %s, want %d", servers, c.Workload.Transport, want)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "ringcached-bench-*")); len(left) > 0 {
		t.Errorf("sockets are left behind: %q", left)
	}
	checkNoServerIsLeft(t, server)
}

// TestRunAtARate looks at what is printed. On a busy machine the run may fail: then it says why.
func TestRunAtARate(t *testing.T) {
	addr := startMemcached(t)
	for _, driver := range []string{"ring", "epoll"} {
		var stdout, stderr bytes.Buffer
		args := []string{appName, "run", "--driver", driver, "--rate", "2000", "--duration", "300ms", "--warmup", "10ms", "--keys", "1000", addr}
		code := run(t.Context(), args, &stdout, &stderr)
		why := stderr.String()
		if code != 0 && !strings.Contains(why, "the load generator was late") && !strings.Contains(why, "too slow for the rate") {
			t.Fatalf("%s: code %d\n%s%s", driver, code, &stdout, &stderr)
		}
		for _, want := range []string{"2000/s arrive", "us, from when requests arrived", "lateness     p50", "waited for a connection at most"} {
			if !strings.Contains(stdout.String(), want) {
				t.Errorf("%s: no %q in\n%s", driver, want, &stdout)
			}
		}
	}
}
