package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ringcached/bench/load"
	"ringcached/bench/report"
	"ringcached/bench/sut"
	"ringcached/bench/trial"
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
	o := trial.DefaultOptions(true)
	o.Time, o.Slice, o.Warmup = time.Minute, 500*time.Millisecond, 20*time.Millisecond // a busy machine may leave a thread without time for long
	o.Servers = sut.ServerOptions{Path: server, Memcached: memcachedPath(t), Threads: 1, MemoryMB: 64, User: "nobody"}
	for _, transport := range []string{load.TransportTCP, load.TransportUnix, load.TransportUDP} {
		var workloads []load.Workload
		for _, rate := range []float64{0, 2000} {
			w := load.DefaultWorkload()
			w.Name, w.Transport, w.Rate, w.Connections, w.Keys, w.ValueSize = fmt.Sprintf("%s-%g", transport, rate), transport, rate, 10, 1000, 5000
			workloads = append(workloads, w)
		}
		servers := []string{sut.Ringcached, sut.Memcached, sut.Null}
		if transport == load.TransportUDP {
			servers = servers[:2] // the null server knows no datagrams
		}
		closed, open := trial.WorkloadsPlan("closed", servers, workloads[:1]), trial.WorkloadsPlan("open", servers[:2], workloads[1:]) // canned replies have no rate
		open.Mode = trial.FreshProcesses
		for _, plan := range []*trial.Plan{closed, open} {
			plan.MinTurns, plan.MaxTurns, plan.NoAA, plan.Syscalls = 2, 2, true, false
		}
		report, err := trial.Run(t.Context(), "compare", []*trial.Plan{closed, open}, o, trial.Observer{})
		if err != nil {
			t.Fatal(err)
		}
		for _, result := range report.Results {
			if n := len(result.Rows); n != len(result.Plan.Servers) {
				t.Errorf("%s: %d rows over %s", result.Plan.Name, n, transport)
			}
			for _, r := range result.Rows {
				if r.Errors() > 0 || r.Operations == 0 || r.Hits != r.Operations {
					t.Errorf("%s, %s over %s: %+v, %v", result.Plan.Name, r.Server, transport, r.Counts, result.Problems)
				}
			}
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "ringcached-bench-*")); len(left) > 0 {
		t.Errorf("sockets are left behind: %q", left)
	}
	checkNoServerIsLeft(t, server)
}

// TestTLSOfRealServers compares them over TLS and plain, with connections that stay and short ones, shortly.
func TestTLSOfRealServers(t *testing.T) {
	server, memcached := buildServer(t), memcachedPath(t)
	file := filepath.Join(t.TempDir(), "tls.json")
	for _, flags := range []string{"--tls-version 1.2 --tls-key rsa", "--tls-version 1.3 --driver epoll"} {
		var stdout, stderr bytes.Buffer
		args := []string{
			appName, "compare", "--tls", "--workload", "get-pipeline", "--workload", "connection-10", "--engine", "uring", "--engine", "epoll", "--plain", "uring",
			"--peer", "memcached", "--server", server, "--memcached", memcached, "--max-turns", "2", "--aa=false", "--slice", "200ms", "--warmup", "20ms",
			"--time", "2m", "--json", file,
		}
		if code := run(t.Context(), append(args, strings.Fields(flags)...), &stdout, &stderr); code != 0 {
			t.Fatalf("%s: code %d\n%s%s", flags, code, &stdout, &stderr)
		}
		r, err := report.Read(file)
		if err != nil {
			t.Fatal(err)
		}
		result := r.Results[0]
		if len(result.Rows) != 2*4 {
			t.Errorf("%s: %d rows", flags, len(result.Rows))
		}
		for _, row := range result.Rows {
			if row.Errors() > 0 || row.Operations == 0 || row.Hits != row.Operations {
				t.Errorf("%s: %s: %+v, %v", flags, row.Server, row.Counts, result.Problems)
			}
		}
		for name, s := range r.Servers {
			secure := strings.HasSuffix(name, ", TLS")
			if secure != strings.HasPrefix(s.TLS, "TLS "+strings.Fields(flags)[1]) || secure != strings.Contains(s.Command, " -Z ") {
				t.Errorf("%s: %s: %+v", flags, name, s)
			}
		}
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
