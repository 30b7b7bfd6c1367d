package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"ringcached/bench/load"
	"ringcached/bench/report"
	"ringcached/bench/sut"
	"ringcached/bench/trial"
)

func TestArgumentsThatAreRefused(t *testing.T) {
	for _, c := range []struct {
		args string
		says string
	}{
		{"walk", `unknown command "walk"`},
		{"run --connections many", `invalid value "many" for --connections`},
		{"run --nonsense", "nonsense"},
		{"run --connections 0", "connections: 0"},
		{"run --ratio 9", `"9" is not two numbers such as 90:10`},
		{"run --ratio 0:0", "is not two numbers"},
		{"run --key-dist normal", "key-dist"},
		{"run --duration 0s", "duration"},
		{"run --driver fast", "driver"},
		{"run --threads 60", "threads"},
		{"run --rate -5", "rate: -5"},
		{"run --rate 5 --pipeline 2", "rate: requests arrive one by one"},
		{"run --transport sctp", `transport: "sctp" is not one of tcp, unix, udp`},
		{"run --transport udp --pipeline 2", "pipeline: over udp it is 1"},
		{"run --duration 100ms unix:/no/such/socket", "can't connect to unix:/no/such/socket: connect: no such file or directory"},
		{"run 127.0.0.1:1 127.0.0.1:2", `got "127.0.0.1:2" too`},
		{"run --duration 100ms 127.0.0.1:1", "can't connect to 127.0.0.1:1: connect: connection refused"},
		{"run --tls --transport udp", "tls: it is for tcp only, not for udp"},
		{"run --tls unix:/no/such/socket", "tls: it is for tcp only, not for unix"},
		{"run --tls --tls-version 1.1", `tls-version: "1.1" is not one of 1.2, 1.3`},
		{"run --tls --tls-ca /no/such/file", "tls-ca: open /no/such/file: no such file or directory"},
		{"run --tls --tls-ca file --tls-insecure", "tls-ca: with --tls-insecure no certificate is checked"},
		{"run --tls-insecure", "tls-version, tls-ca and tls-insecure need --tls"},
		{"run --resume", "resume: without --tls there are no sessions"},
		{"replay --tls-version 1.3 trace", "tls-version, tls-ca and tls-insecure need --tls"},
		{"compare --plain uring", `plain: "uring": it needs --tls and --workload`},
		{"compare --tls --workload get --engine net", "tls: server net: it does not speak TLS"},
		{"compare --tls --workload get --server /bin/true --peer memcached --memcached /bin/true", "tls: server memcached: /bin/true was built without TLS"},
		{"compare --tls-key dsa", `tls-key: "dsa" is not one of ecdsa, rsa`},
		{"top nowhere", `address: "nowhere" is neither host:port nor unix:PATH`},
		{"top --interval 1ms", "interval: 1ms is not in 100ms..1h"},
		{"top 127.0.0.1:1 127.0.0.1:2", `got "127.0.0.1:2" too`},
		{"top 127.0.0.1:1", "can't connect to 127.0.0.1:1: connect: connection refused"},
		{"compare extra", `experiment "extra" is not one of batching, message-size,`},
		{"compare batching batching", "experiment batching is named twice"},
		{"compare --workload get batching", `experiment "batching": with --workload there are none`},
		{"compare --engine epoll", "--engine needs --workload"},
		{"compare --duration 1ms", "duration: 1ms is not in 50ms..1h"},
		{"compare --workload gte", `"gte" is not one of common, get,`},
		{"compare --workload get --engine kqueue", "kqueue"},
		{"compare --peer redis", "redis"},
		{"compare --workload get --max-turns 1", "max-turns: 1"},
		{"compare --time 1ms", "time: 1ms"},
		{"compare --precision much", `"much" is no percentage such as 2%`},
		{"compare --precision 200%", "precision: 200 %"},
		{"compare --slice 1ms", "slice: 1ms"},
		{"compare --server /no/such/file", "/no/such/file"},
		{"compare --memcached /no/such/file pipeline", "server memcached: stat /no/such/file"},
		{"compare --server-core x", "server-core"},
		{"limits get", `takes no arguments, got "get"`},
		{"limits --only gte", `only: "gte" is not one of get,`},
		{"limits --max-turns 1", "max-turns: 1"},
		{"limits --precision 2", "precision: 200 %"},
		{"limits --idle-connections 9", "idle-connections: 9 is not in"},
		{"limits --server /no/such/file", "/no/such/file"},
		{"limits --server /bin/true --memcached /no/such/file", "scripts/install-peer memcached-1.6.45 unpacks it"},
		{"limits --server-core x", "server-core"},
		{"store dense", `experiment: "dense" is not one of density,`},
		{"store --trace zipf", `trace: "zipf" is not one of`},
		{"store --engine kqueue", "kqueue"},
		{"store --items 9", "items: 9 is not in"},
		{"store --quick --items 9", "items: 9 is not in"},
		{"store --seeds many", `invalid value "many" for --seeds`},
		{"store --server /no/such/file", "/no/such/file"},
		{"store --server /bin/true --memcached /no/such/file", "server memcached: stat /no/such/file"},
		{"store --server-core x", "server-core"},
		{"compare --json /no/such/directory/x.json", "x.json cannot be written: /no/such/directory: no such file"},
		{"limits --json /no/such/directory/x.json", "x.json cannot be written: /no/such/directory: no such file"},
		{"store --json /no/such/directory/x.json density", "x.json cannot be written: /no/such/directory: no such file"},
		{"attack 127.0.0.1:11211", `attack takes no arguments, got "127.0.0.1:11211"`},
		{"attack --load flood", `load: "flood" is not one of uploads-64,`},
		{"attack --engine 127.0.0.1:11211", "server 127.0.0.1:11211: attacks are for servers"},
		{"attack --duration 1ms", "duration: 1ms is not in"},
		{"attack --rate 0", "rate: 0 is not in"},
		{"attack --items 0", "items: 0 is not in"},
		{"attack --server /no/such/file", "/no/such/file"},
		{"attack --server /bin/true --before /no/such/file", "server before-uring: stat /no/such/file"},
		{"attack --json /no/such/directory/x.json", "x.json cannot be written: /no/such/directory: no such file"},
		{"report", "report takes FILE.json"},
		{"report a.json b.json", `got "b.json" too`},
		{"report a.json --html", "flag needs an argument: -html"},
		{"report a.json --html=b.html c.json", `got "c.json" too`},
		{"report --html a.json a.json", "html: a.json is the result itself"},
		{"report /no/such/file.json", "/no/such/file.json"},
		{"report /dev/null", "/dev/null: no result of ringcached-bench"},
	} {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), append([]string{appName}, strings.Fields(c.args)...), &stdout, &stderr)
		if code != 1 || !strings.Contains(stderr.String(), c.says) || strings.Count(stderr.String(), "\n") > 2 {
			t.Errorf("%s: code %d, stderr %q, want %q", c.args, code, &stderr, c.says)
		}
	}
}

func TestHelp(t *testing.T) {
	for args, says := range map[string]string{
		"--help": "compare", "run --help": "--requests-per-connection", "top --help": "--interval", "compare --help": "get-pipeline", "limits --help": "connection-100", "store --help": "hit-ratio",
		"report --help": "--html", "attack --help": "nonreaders-1k", "": "COMMANDS",
	} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), append([]string{appName}, strings.Fields(args)...), &stdout, &stderr); code != 0 || !strings.Contains(stdout.String(), says) {
			t.Errorf("%q: code %d, %s%s", args, code, &stdout, &stderr)
		}
	}
}

// TestHelpTextIsOfCommands: help.txt has nothing that no command has, and no name in braces that nobody fills in.
func TestHelpTextIsOfCommands(t *testing.T) {
	p := &program{stdout: &output{to: io.Discard}, stderr: io.Discard}
	sections, common := map[string]bool{"*": true}, map[string]bool{}
	for _, cmd := range p.commands() {
		made, said := cmd.cli(p), aboutCommand(cmd.name, strings.NewReplacer(cmd.facts...))
		own := map[string]bool{}
		for _, o := range cmd.options {
			own[o.name] = true
			common[o.name] = common[o.name] || said.flags[o.name].usage == ""
		}
		text := said.usage + said.description
		for name, flag := range said.flags {
			if text += flag.usage; !own[name] {
				t.Errorf("%s has no flag %s", cmd.name, name)
			}
		}
		if made.Usage == "" || strings.ContainsAny(text, "{}") {
			t.Errorf("%s: usage %q, of %s", cmd.name, made.Usage, text)
		}
		sections[cmd.name] = true
	}
	for name := range aboutCommand("*", strings.NewReplacer()).flags {
		if !common[name] {
			t.Errorf("no command leaves it to others to say what its flag %s is", name)
		}
	}
	for _, section := range regexp.MustCompile(`(?m)^# (.*)$`).FindAllStringSubmatch(helpText, -1) {
		if !sections[section[1]] {
			t.Errorf("there is no command %s", section[1])
		}
	}
}

// memcachedPath finds the peer that these tests need.
func memcachedPath(t *testing.T) string {
	t.Helper()
	path, err := sut.PeerProgram(sut.Peers[0])
	if err != nil {
		t.Fatalf("these tests need memcached (scripts/install-peer, or make test, unpacks it): %v", err)
	}
	return path
}

// TestResultsThatCannotBePrinted fail, since nobody sees them.
func TestResultsThatCannotBePrinted(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	same := result(t, 5, "6.18")
	for want, args := range map[int][]string{1: {"compare", "--help"}, exitUnusable: {"regress", same, same}} {
		var stderr bytes.Buffer
		code := run(t.Context(), append([]string{appName}, args...), full, &stderr)
		if code != want || stderr.String() != appName+": write /dev/full: no space left on device\n" {
			t.Errorf("%q: code %d, want %d; %s", args, code, want, &stderr)
		}
	}
}

func startMemcached(t *testing.T) (addr string) {
	t.Helper()
	number, err := load.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	port := strconv.Itoa(number)
	addr = net.JoinHostPort("127.0.0.1", port)
	cmd := exec.Command(memcachedPath(t), "-u", "nobody", "-l", "127.0.0.1", "-p", port, "-t", "1", "-m", "64")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if c, err := net.Dial("tcp", addr); err == nil {
			_ = c.Close()
			return addr
		}
	}
	t.Fatalf("memcached does not listen on %s", addr)
	return ""
}

func TestRunAgainstMemcached(t *testing.T) {
	addr := startMemcached(t)
	file := filepath.Join(t.TempDir(), "run.json")
	for _, c := range []struct{ driver, protocol, multiget string }{
		{"ring", "text", "3"}, {"epoll", "text", "3"}, {"ring", "meta", "1"}, {"ring", "binary", "3"}, {"epoll", "binary", "1"},
	} {
		driver := c.driver
		var stdout, stderr bytes.Buffer
		args := []string{
			appName, "run", "--driver", driver, "--duration", "500ms", "--warmup", "50ms", "--connections", "10", "--keys", "1000", "--ratio", "9:1",
			"--protocol", c.protocol, "--multiget", c.multiget, "--key-dist", "zipf", "--pipeline", "2", "--json", file, addr,
		}
		if code := run(t.Context(), args, &stdout, &stderr); code != 0 {
			t.Fatalf("%+v: code %d\n%s%s", c, code, &stdout, &stderr)
		}
		for _, want := range []string{"operations ", "p99.9", " 0 misses", "0 wrong replies, 0 error replies, 0 broken connections", "driver " + driver} {
			if !strings.Contains(stdout.String(), want) {
				t.Errorf("%+v: no %q in\n%s", c, want, &stdout)
			}
		}
		if report := readReport(t, file); report["kind"] != "run" {
			t.Errorf("%v", report)
		}
	}
}

// TestReport makes a page of a stored result, named in each way.
func TestReport(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "result.json")
	p := &trial.Plan{Experiment: "idle", Name: "idle", Title: "Idle connections", Mode: trial.SideBySide, Points: []trial.Point{{Label: "one"}}}
	p.Servers, p.Shows = []trial.Server{{Name: "uring"}}, []trial.Metric{trial.MetricCPU}
	r := &trial.Report{Header: sut.Header{Format: sut.Format, Kind: "compare"}, Results: []*trial.Result{{Plan: p}}}
	if err := report.WriteJSON(file, r); err != nil {
		t.Fatal(err)
	}
	for page, args := range map[string][]string{
		"result.html": {file}, "a.html": {"--html", filepath.Join(dir, "a.html"), file}, "b.html": {file, "--html", filepath.Join(dir, "b.html")},
		"c.html": {file, "--html=" + filepath.Join(dir, "c.html")},
	} {
		page = filepath.Join(dir, page)
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), append([]string{appName, "report"}, args...), &stdout, &stderr)
		text, err := os.ReadFile(page)
		if code != 0 || err != nil || !strings.Contains(string(text), "Idle connections") || !strings.Contains(stdout.String(), "wrote "+page) {
			t.Errorf("%q: code %d, %s%s, %d bytes, %v", args, code, &stdout, &stderr, len(text), err)
		}
	}
	r.Results = nil
	if err := report.WriteJSON(file, r); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{appName, "report", file}, &stdout, &stderr); code != 1 || !strings.Contains(stderr.String(), "a result of compare, without plans") {
		t.Errorf("code %d, %s", code, &stderr)
	}
}

// TestResultsOnStandardOutput: a file named - is the standard output, and nothing else is written there.
func TestResultsOnStandardOutput(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	same := result(t, 5, "6.18")
	for args, begins := range map[string]string{
		"report --html - " + same: "<!DOCTYPE html>", "report " + same + " --html=-": "<!DOCTYPE html>", "report - <" + same: "<!DOCTYPE html>",
		"regress --json - " + same + " " + same: "{\n \"format\"",
	} {
		args, stdin, _ := strings.Cut(args, " <")
		text, stderr := withStandardFiles(t, stdin, func(stdout, stderr *bytes.Buffer) {
			if code := run(t.Context(), append([]string{appName}, strings.Fields(args)...), stdout, stderr); code != 0 || stdout.Len() > 0 {
				t.Errorf("%s: code %d, text %q", args, code, stdout)
			}
		})
		if !strings.HasPrefix(text, begins) || strings.Contains(args, "--json") != strings.Contains(stderr, "\nnew: ") {
			t.Errorf("%s: on stdout %.80q, on stderr %q", args, text, stderr)
		}
	}
	if files, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(files) > 0 {
		t.Errorf("files %q, %v", files, err)
	}
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{appName, "compare", "--json", "-", "--html", "-"}, &stdout, &stderr)
	if code != 1 || stderr.String() != appName+": only one file can be -, the standard output\n" {
		t.Errorf("code %d, %s", code, &stderr)
	}
}

// withStandardFiles gives do a standard input from a file, if it has a name, and returns what it wrote to the standard output and what to stderr.
func withStandardFiles(t *testing.T, stdin string, do func(stdout, stderr *bytes.Buffer)) (text, errors string) {
	t.Helper()
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	in := os.Stdin
	if stdin != "" {
		if in, err = os.Open(stdin); err != nil {
			t.Fatal(err)
		}
		defer in.Close()
	}
	before, beforeIn := os.Stdout, os.Stdin
	defer func() { os.Stdout, os.Stdin = before, beforeIn }()
	os.Stdout, os.Stdin = out, in
	var stdout, stderr bytes.Buffer
	do(&stdout, &stderr)
	written, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(written), stderr.String()
}

func readReport(t *testing.T, file string) (report map[string]any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &report); err != nil {
		t.Fatal(err)
	}
	return report
}

// TestServerErrorsFailTheRun stores values that are too large for memcached.
func TestServerErrorsFailTheRun(t *testing.T) {
	addr := startMemcached(t)
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{appName, "run", "--duration", "30s", "--requests", "20", "--connections", "2", "--keys", "10", "--value-size", "2000000",
		"--ratio", "0:1", "--no-preload", addr}, &stdout, &stderr)
	if code != 1 || !strings.Contains(stdout.String(), "object too large for cache") || !strings.Contains(stderr.String(), "20 error replies") {
		t.Errorf("code %d\n%s%s", code, &stdout, &stderr)
	}
}

func TestInterruptedRunTellsItsResults(t *testing.T) {
	addr := startMemcached(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var stdout bytes.Buffer
	stderr := interrupter{on: regexp.MustCompile(` operations, [1-9]\d* in the last second`), cancel: cancel}
	code := run(ctx, []string{appName, "run", "--duration", "1m", "--warmup", "10ms", "--keys", "100", "--addr", addr}, &stdout, &stderr)
	if code != 0 || !strings.Contains(stdout.String(), "interrupted: these are the results so far") {
		t.Errorf("code %d\n%s%s", code, &stdout, &stderr)
	}
}

// interrupter keeps what is written, and cancels a context when that tells of something.
type interrupter struct {
	bytes.Buffer
	on     *regexp.Regexp
	cancel func()
}

func (i *interrupter) Write(p []byte) (int, error) {
	n, err := i.Buffer.Write(p)
	if i.on.Match(i.Bytes()) {
		i.cancel()
	}
	return n, err
}

// unlucky reports that the program failed for nothing but A/A: of intervals of 95 % one in twenty misses, and more where a machine is busy.
func unlucky(stderr string) bool {
	var failures []string
	for line := range strings.Lines(stderr) {
		if strings.HasPrefix(line, appName+": ") {
			failures = append(failures, line)
		}
	}
	return len(failures) > 0 && !slices.ContainsFunc(failures, func(line string) bool { return !strings.Contains(line, "A/A failed") })
}

// TestCompareThreeServers builds the server and goes through a comparison, shortly.
func TestCompareThreeServers(t *testing.T) {
	memcachedPath(t)
	server := buildServer(t)
	file := filepath.Join(t.TempDir(), "compare.json")
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{appName, "compare", "--server", server, "--server-core", busyCore(t), "--peer", "memcached",
		"--workload", "get", "--workload", "connection-10", "--max-turns", "12", "--warmup", "50ms", "--json", file}, &stdout, &stderr)
	if code != 0 && !unlucky(stderr.String()) {
		t.Fatalf("code %d\n%s%s", code, &stdout, &stderr)
	}
	for _, want := range []string{
		`(?m)^workloads: CPU time of single workloads, by workload \(side by side, \d+ turns, `, `(?m)^  Server CPU per operation, µs\n    workload +uring +epoll +memcached$`,
		`(?m)^    get +\d+\.\d{3} ±\S+ +\d+\.\d{3} ±\S+ +\d+\.\d{3} ±`, `(?m)^    connection-10 +\d+\.\d{3} `, `(?m)^  System calls`,
		`(?m)^memcached: version 1\.6\.45, CPU time from: process CPU clock$`,
	} {
		if !regexp.MustCompile(want).MatchString(stdout.String()) {
			t.Errorf("no %q in\n%s", want, &stdout)
		}
	}
	if !regexp.MustCompile(`(?m)^workloads at get: .*; \S+s left$`).MatchString(stderr.String()) {
		t.Errorf("progress:\n%s", &stderr)
	}
	r, err := report.Read(file)
	if err != nil || len(r.Results) != 1 || len(r.Results[0].Rows) != 6 || len(r.Results[0].AA) == 0 {
		t.Errorf("the report: %v, %+v", err, r)
	}
	checkNoServerIsLeft(t, server)
}

// TestCompareMakesExperiments goes through two of them, shortly. The program is one of its own, since the null server is started from it.
func TestCompareMakesExperiments(t *testing.T) {
	memcachedPath(t)
	server, dir := buildServer(t), t.TempDir()
	file, lines, page := filepath.Join(dir, "compare.json"), filepath.Join(dir, "bench.txt"), filepath.Join(dir, "page.html")
	cmd := exec.CommandContext(t.Context(), buildProgram(t, appName), "compare", "batching", "idle", "--quick", "--server", server, "--max-turns", "2",
		"--json", file, "--benchstat", lines, "--html", page)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		// On a busy machine load and servers may not get the time that they need. That must be told, and nothing else may have happened.
		busy := regexp.MustCompile(`^ringcached-bench: (headroom|batching|idle)\S*: `)
		for line := range strings.Lines(stderr.String()) {
			if strings.HasPrefix(line, appName+": ") && !busy.MatchString(line) {
				t.Fatalf("%v\n%s%s", err, &stdout, &stderr)
			}
		}
	}
	for _, want := range []string{
		`(?m)^batching/connections-1000: `, `(?m)^  What does it save`, `(?m)^    \S.* uring +uring, --batch-wait auto +epoll +null$`,
		`(?m)^idle\S*: `, `(?m)^  What does an idle`, `(?m)^    \S.* uring +uring, not parked +epoll +`, `(?m)^memcached: version 1`,
	} {
		if !regexp.MustCompile(want).MatchString(stdout.String()) {
			t.Errorf("no %q in\n%s", want, &stdout)
		}
	}
	if r, err := report.Read(file); err != nil || len(r.Results) < 3 || r.Kind != "compare" {
		t.Errorf("the report: %v, %+v", err, r)
	}
	if text, err := os.ReadFile(page); err != nil || !strings.Contains(string(text), "Idle connections") {
		t.Errorf("the page has %d bytes: %v", len(text), err)
	}
	if text, err := os.ReadFile(lines); err != nil || !regexp.MustCompile(`(?m)^Unit us-CPU/op better=lower(.*\n)+BenchmarkCompare/experiment=\w+/part=\S+/server=\S+-1\t\d+\t\d`).Match(text) {
		t.Errorf("%v\n%s", err, text)
	}
	checkNoServerIsLeft(t, server)
}

// TestLimits looks at some targets, shortly.
func TestLimits(t *testing.T) {
	memcachedPath(t)
	server := buildServer(t)
	file := filepath.Join(t.TempDir(), "limits.json")
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{appName, "limits", "--quick", "--server", server, "--only", "mix", "--only", "set-1m", "--only", "idle", "--max-turns", "12",
		"--warmup", "50ms", "--idle-connections", "200", "--before", server, "--json", file}, &stdout, &stderr)
	if code != 0 && !unlucky(stderr.String()) {
		t.Fatalf("code %d\n%s%s", code, &stdout, &stderr)
	}
	for _, want := range []string{
		`(?m)^    point +server +over +ratio +at most +verdict$`, `(?m)^    mix +uring +epoll +\d\.\d{3} \(`, `(?m)^    mix +uring +memcached +\d\.\d{3} \(\S+\) +0\.88 +\w`, `(?m)^    set-1m +uring +memcached `,
		`(?m)^limits/idle: 200 idle connections`, `(?m)^    idle +uring +own memory `,
	} {
		if !regexp.MustCompile(want).MatchString(stdout.String()) {
			t.Errorf("no %q in\n%s", want, &stdout)
		}
	}
	if r, err := report.Read(file); err != nil || len(r.Results) != 3 || r.Kind != "limits" {
		t.Errorf("the report: %v, %+v", err, r)
	}
	checkNoServerIsLeft(t, server)
}

// TestStoreExperiments goes through all of them with both servers, on a small scale.
func TestStoreExperiments(t *testing.T) {
	memcachedPath(t)
	server := buildServer(t)
	file := filepath.Join(t.TempDir(), "store.json")
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{appName, "store", "--quick", "--server", server, "--memory", "4", "--ratio-memory", "4", "--ratio-rate", "1000000",
		"--trace", "zipf-0.7", "--items", "5000", "--pause-rate", "1000000", "--sim-keys", "1000", "--json", file}, &stdout, &stderr)
	if code != 0 {
		t.Fatalf("code %d\n%s%s", code, &stdout, &stderr)
	}
	for _, want := range []string{
		`(?m)^density: `, `20\+32 +ringcached +\d{5} +\d+\.\d +-`, `30\+1000 +memcached +\d{4} +\d+\.\d +-`, `20\+200 +ringcached +\d+ +\d+ +4 +\d+ +\d+\.\d %`,
		`(?m)^hit-ratio: `, `Zipf 0\.7 +\d+ +\d+ +\d+ +\d+\.\d\d +\d+\.\d\d +\d+\.\d\d +\d+\.\d +\d+ \d+ +[+-]\d`,
		`(?m)^pause: `, `memcached +grows +\d`, `ringcached +stays +\d`, `ringcached: p99.9 while the index grows is `,
		`(?m)^memory: `, `5000 items of 20\+32 B, -m`, `ringcached: resident \d+ MB`,
		`(?m)^eviction: `, `Zipf 0\.7 +25% +\d+\.\d\d`,
		`ringcached: version`, `memcached: version`,
	} {
		if !regexp.MustCompile(want).MatchString(stdout.String()) {
			t.Errorf("no %q in\n%s", want, &stdout)
		}
	}
	report := readReport(t, file)
	if n := len(report["store"].(map[string]any)); n != 5 || report["kind"] != "store" {
		t.Errorf("%d experiments in the report, which is one of kind %v", n, report["kind"])
	}
	checkNoServerIsLeft(t, server)
}

// TestAttack puts a load to two builds and memcached, shortly.
func TestAttack(t *testing.T) {
	memcachedPath(t)
	server := buildServer(t)
	file := filepath.Join(t.TempDir(), "attack.json")
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{appName, "attack", "--server", server, "--before", server, "--engine", "epoll", "--load", "uploads-64", "--duration", "200ms",
		"--alone", "100ms", "--settle", "0s", "--items", "100", "--json", file}, &stdout, &stderr)
	if code != 0 {
		t.Fatalf("code %d\n%s%s", code, &stdout, &stderr)
	}
	const figures = `( +-?\d+\.\d+){6}( +\d+){3} +(\d+|-)( +[\d-]+){3}( +\d+){3} +-?\d+\.\d\d `
	for _, want := range []string{
		`(?m)^server on core [\d,]+ with 2 threads, `, `(?m)^uploads-64: 64 connections`, `(?m)^  before-epoll` + figures, `(?m)^  epoll` + figures, `(?m)^  memcached` + figures,
		`(?m)^versions: before-epoll \d.*, took \d+ s$`,
	} {
		if !regexp.MustCompile(want).MatchString(stdout.String()) {
			t.Errorf("no %q in\n%s", want, &stdout)
		}
	}
	report := readReport(t, file)
	if n := len(report["attacks"].([]any)); n != 1 || report["kind"] != "attack" {
		t.Errorf("%d attacks in the report, which is one of kind %v", n, report["kind"])
	}
	checkNoServerIsLeft(t, server)
}

func TestInterruptedStoreTellsItsResults(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stdout, stderr bytes.Buffer
	code := run(ctx, []string{appName, "store", "--alone", "--server", buildServer(t), "density"}, &stdout, &stderr)
	if code != 0 || !strings.Contains(stdout.String(), "interrupted: these are the results so far") {
		t.Errorf("code %d\n%s%s", code, &stdout, &stderr)
	}
}

// busyCore keeps the last core that this process may use busy, by what leaves it to others that want it. For a server there no load is too slow,
// on whichever machine: the load is the limit only where the server's core idles, and what it limits has no figures.
func busyCore(t *testing.T) (core string) {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(status), "\nCpus_allowed_list:\t")
	list, _, _ = strings.Cut(list, "\n")
	cores, err := sut.ParseCores(list)
	if err != nil || len(cores) == 0 {
		t.Fatalf("cores %q: %v", list, err)
	}
	core = strconv.Itoa(cores[len(cores)-1])
	spin := exec.Command("taskset", "-c", core, "nice", "-n", "19", "sh", "-c", "while kill -0 $PPID; do :; done")
	if err := spin.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = spin.Process.Kill()
		_ = spin.Wait()
	})
	return core
}

// buildServer builds ringcached, where no other test's servers are.
func buildServer(t *testing.T) (path string) { return buildProgram(t, "ringcached") }

func buildProgram(t *testing.T, name string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	if out, err := exec.Command("go", "build", "-o", path, "ringcached/cmd/"+name).CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v\n%s", name, err, out)
	}
	return path
}

// checkNoServerIsLeft looks for processes of the server's program.
func checkNoServerIsLeft(t *testing.T, server string) {
	t.Helper()
	procs, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range procs {
		if _, err := strconv.Atoi(p.Name()); err != nil {
			continue
		}
		if exe, err := os.Readlink(filepath.Join("/proc", p.Name(), "exe")); err == nil && exe == server {
			t.Errorf("process %s still runs %s", p.Name(), server)
		}
	}
}

// TestQuick: the flag changes defaults in each of its forms, and no other flag or argument does.
func TestQuick(t *testing.T) {
	for args, want := range map[string]bool{
		"store --quick": true, "store -quick --items 9": true, "store --quick=true": true, "store density --quick": true,
		"store": false, "store --quick=false": false, "store quick": false, "store --quickly": false,
	} {
		if got := asksQuick(strings.Fields(appName + " " + args)); got != want {
			t.Errorf("%s: %v", args, got)
		}
	}
}
