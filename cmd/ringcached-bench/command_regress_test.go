package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ringcached/bench/report"
	"ringcached/bench/sut"
	"ringcached/bench/trial"
)

// result writes a report of some turns in which an operation cost that many microseconds, more or less.
func result(t *testing.T, cost float64, kernel string) string {
	t.Helper()
	return resultOf(t, cost, kernel, "", "get")
}

// resultOf writes one of several workloads, of which the last may have failed.
func resultOf(t *testing.T, cost float64, kernel, failure string, workloads ...string) string {
	t.Helper()
	p := &trial.Plan{Name: "workloads", Mode: trial.SideBySide, Servers: []trial.Server{{Name: "uring", Start: "uring"}}, Shows: []trial.Metric{trial.MetricCPU}}
	r := &trial.Report{Header: sut.Header{Format: sut.Format, Kind: "compare", Environment: sut.Environment{Kernel: kernel}}}
	r.Results = []*trial.Result{{Plan: p}}
	for i, name := range workloads {
		p.Points = append(p.Points, trial.Point{Label: name})
		row := trial.Row{Point: i, Server: "uring", Estimates: map[trial.Metric]trial.Estimate{}}
		for turn := range 12 {
			cpu := cost * (1 + 0.002*float64(turn%3))
			row.Samples = append(row.Samples, trial.Sample{Turn: turn + 1, Seconds: 0.06, Operations: 1000, CPUPerOp: cpu})
		}
		if failure != "" && i == len(workloads)-1 {
			r.Results[0].Problems = append(r.Results[0].Problems, trial.Problem{Point: name, Server: "uring", Text: failure, Failure: true})
		} else {
			row.Estimates[trial.MetricCPU] = trial.Estimate{Samples: len(row.Samples)}
			row.Estimates[trial.MetricCPU] = row.Middle(trial.MetricCPU, 0.025)
		}
		r.Results[0].Rows = append(r.Results[0].Rows, row)
	}
	path := filepath.Join(t.TempDir(), "result.json")
	if err := report.WriteJSON(path, r); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRegressExitCodes(t *testing.T) {
	usual, again, slower, elsewhere := result(t, 4, "6.18"), result(t, 4.001, "6.18"), result(t, 4.4, "6.18"), result(t, 4.4, "6.1")
	both, wrong := resultOf(t, 4, "6.18", "", "get", "set"), resultOf(t, 4, "6.18", "3 wrong replies", "get", "set")
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{both, wrong}, 2, "undecided: workloads set, uring: "},
		{[]string{"--force", both, wrong}, 2, "undecided: workloads set, uring: "},
		{[]string{wrong, both}, 0, ""},
		{[]string{usual, resultOf(t, 4, "6.18", "3 wrong replies", "get")}, 2, "3 wrong replies"},
		{[]string{both, usual}, 2, "undecided: 1 row of the old result without figures in the new one"},
		{[]string{"--force", both, usual}, 0, ""},
		{[]string{usual, both}, 0, ""},
		{[]string{"--workload", "get", usual, again}, 2, "--workload is for the measurement of two builds, not for two files"},
		{[]string{"--max-turns", "3", usual, again}, 2, "--max-turns is for"},
		{[]string{"--server-core", "1", usual, again}, 2, "--server-core is for"},
		{[]string{usual, again}, 0, ""},
		{[]string{slower, usual}, 0, ""},
		{[]string{usual, slower}, 1, "1 of the figures got worse"},
		{[]string{"--threshold", "0.2", usual, slower}, 0, ""},
		{[]string{usual, elsewhere}, 2, "kernel differs: 6.18 and 6.1"},
		{[]string{"--force", usual, elsewhere}, 1, "1 of the figures got worse"},
		{[]string{usual}, 2, "takes two files"},
		{[]string{usual, "/no/such/file"}, 2, "/no/such/file"},
		{[]string{"--threshold", "2", usual, usual}, 2, "threshold: 2"},
		{[]string{"--threshold", "much", usual, usual}, 2, `invalid value "much" for --threshold`},
		{[]string{"--old-server", "x"}, 2, "takes two files"},
		{[]string{"--revisions", "a..b", "--old-server", "x", "--new-server", "y"}, 2, "takes two files"},
		{[]string{"--revisions", "HEAD"}, 2, `"HEAD" is not of the form OLD..NEW`},
		{[]string{"--revisions", "no-such..HEAD"}, 2, "revision no-such: git rev-parse: "},
		{[]string{"--old-server", "/no/such/file", "--new-server", "/bin/true"}, 2, "/no/such/file"},
		{[]string{"--old-server", "x", "--new-server", "y", "--workload", "gte"}, 2, `"gte" is not one of common, get,`},
	} {
		code, stdout, stderr := call(t, append([]string{"regress"}, c.args...)...)
		if code != c.code || !strings.Contains(stderr, c.says) || code == 0 && stderr != "" {
			t.Errorf("%v: code %d, want %d\n%s%s", c.args, code, c.code, stdout, stderr)
		}
	}
	file := filepath.Join(t.TempDir(), "regress.json")
	if code, stdout, _ := call(t, "regress", "--json", file, usual, slower); code != 1 || strings.Count(stdout, "WORSE") != 1 {
		t.Errorf("code %d\n%s", code, stdout)
	}
	report := readReport(t, file)
	rows := report["regression"].(map[string]any)["rows"].([]any)
	if report["kind"] != "regress" || len(rows) != 1 || rows[0].(map[string]any)["change"] != "worse" {
		t.Errorf("%v", report)
	}
}

// TestRegressMeasuresTwoBuilds takes the same build twice. What it says of the figures is up to the machine.
func TestRegressMeasuresTwoBuilds(t *testing.T) {
	server := buildServer(t)
	file := filepath.Join(t.TempDir(), "regress.json")
	core := busyCore(t)
	code, stdout, stderr := call(t, "regress", "--old-server", server, "--new-server", server, "--workload", "mix", "--server-core", core,
		"--max-turns", "12", "--warmup", "10ms", "--json", file)
	if code == exitUnusable && !unlucky(stderr) || !strings.Contains(stdout, "mix") || !strings.Contains(stdout, "new/old") {
		t.Fatalf("code %d\n%s%s", code, stdout, stderr)
	}
	regression := readReport(t, file)["regression"].(map[string]any)
	if rows := regression["rows"].([]any); len(rows) == 0 || regression["paired"] != true {
		t.Errorf("%v", regression)
	}
	checkNoServerIsLeft(t, server)
}

// TestRevisionsAreBuilt makes a repository whose server tells its revision.
func TestRevisionsAreBuilt(t *testing.T) {
	dir := t.TempDir()
	command := func(args ...string) {
		t.Helper()
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	commit := func(name string) {
		t.Helper()
		command("git", "add", "-A")
		command("git", "-c", "user.name=test", "-c", "user.email=test@example.org", "commit", "-q", "-m", name)
		command("git", "tag", name)
	}
	command("git", "init", "-q")
	write("go.mod", "module example\n\ngo 1.26\n")
	program := "package main\n\nfunc main() { println(\"REVISION\") }\n"
	for _, name := range []string{"first", "second"} {
		write("cmd/ringcached/main.go", strings.Replace(program, "REVISION", name, 1))
		commit(name)
	}
	write("cmd/ringcached/main.go", "package main\n\nthis is no Go")
	commit("broken")
	t.Chdir(dir)

	built := t.TempDir()
	before, after, err := buildRevisions(t.Context(), "first..second", built, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	for r, want := range map[*revision]string{before: "first", after: "second"} {
		out, err := exec.Command(r.path).CombinedOutput()
		if err != nil || strings.TrimSpace(string(out)) != want || !strings.HasPrefix(r.String(), want+" (") {
			t.Errorf("%v: %q, %v", r, out, err)
		}
	}
	if left, err := filepath.Glob(filepath.Join(built, "source-*")); err != nil || len(left) > 0 {
		t.Errorf("%q is left: %v", left, err)
	}
	for names, says := range map[string]string{
		"first..broken": "building broken: ", "first..": "building HEAD: ", "first..none": "revision none: ",
		"..first": "not of the form", "first": "not of the form",
		"--all..first": "revision --all: ",
	} {
		if _, _, err := buildRevisions(t.Context(), names, built, func(string) {}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", names, err)
		}
	}
	out, err := exec.Command("git", "worktree", "list").Output()
	if err != nil || bytes.Count(out, []byte("\n")) != 1 {
		t.Errorf("worktrees are left: %v\n%s", err, out)
	}
	t.Chdir(t.TempDir())
	if _, _, err := buildRevisions(t.Context(), "a..b", built, func(string) {}); err == nil || !strings.Contains(err.Error(), "git repository") {
		t.Errorf("%v", err)
	}
}
