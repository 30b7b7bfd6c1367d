package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// startServer starts the server that was built on a unix socket, and returns the address.
func startServer(t *testing.T, program string) (addr string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "replay") // the path of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	args := []string{"-s", path, "-t", "1", "-m", "64"}
	if os.Geteuid() == 0 {
		args = append(args, "-u", "root")
	}
	cmd := exec.Command(program, args...)
	var out bytes.Buffer
	cmd.Stderr = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if c, err := net.Dial("unix", path); err == nil {
			_ = c.Close()
			return "unix:" + path
		}
	}
	_ = cmd.Process.Kill()
	t.Fatalf("the server does not listen:\n%s", &out)
	return ""
}

// call runs the program and returns what it printed.
func call(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), append([]string{appName}, args...), &out, &errs)
	return code, out.String(), errs.String()
}

// TestReplayAllOperations: every operation meets both outcomes, as a real server gives them.
func TestReplayAllOperations(t *testing.T) {
	var lines []string
	for _, r := range []string{
		"get a 100", "set a 100", "get a 100", "gets a 100", "cas a 50", "get a 50", "cas a 60", "cas none 60",
		"add a 10", "add b 10", "replace b 4", "replace none 4",
		"append b 30000", "prepend b 3", "get b 0", "append none 1", "prepend none 1", "delete b 0", "delete b 0", "set n 3",
		"incr n 0", "decr n 0", "get n 3", "incr a 0",
		"decr none 0", "gets none 10", "set large 300000", "get large 300000", "set empty 0", "get empty 0", "append empty 5", "get empty 0",
	} {
		f := strings.Fields(r)
		lines = append(lines, fmt.Sprintf("%d,%s,12,%s,1,%s,60", len(lines)/20, f[1], f[2], f[0]))
	}
	trace := filepath.Join(t.TempDir(), "all.csv")
	if err := os.WriteFile(trace, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "replay.json")
	server := buildServer(t)
	for _, more := range [][]string{{"--speed", "0"}, {"--speed", "50", "--pipeline", "8", "--connections", "3"}} {
		args := append([]string{"replay", "--addr", startServer(t, server), "--json", file}, more...)
		code, stdout, stderr := call(t, append(args, trace)...)
		if code != 0 {
			t.Fatalf("code %d\n%s%s", code, stdout, stderr)
		}
		// Done, not done, and errors. The second cas has the number of an older value.
		for _, want := range []string{
			`get +7 +1 +0 `, `gets +1 +1 +0 `, `set +4 +0 +0 `, `add +1 +1 +0 `, `replace +1 +1 +0 `, `cas +1 +2 +0 `,
			`append +2 +1 +0 `, `prepend +1 +1 +0 `,
			`delete +1 +1 +0 `, `incr +1 +0 +0 `, `1 values were no numbers`, `decr +1 +1 +0 `, `requests     32 in `, `hits         80\.00 %`,
			`memory       0 items before, 4 after`,
		} {
			if !regexp.MustCompile(want).MatchString(stdout) {
				t.Errorf("no %q in\n%s", want, stdout)
			}
		}
		report := readReport(t, file)
		if n := len(report["replay"].(map[string]any)["operations"].([]any)); n != 11 || report["kind"] != "replay" {
			t.Errorf("%d operations in a report of kind %v", n, report["kind"])
		}
	}
}

// TestGeneratedTraceIsReplayed: what fits into the cache is missed once for each key, and what does not is evicted.
func TestGeneratedTraceIsReplayed(t *testing.T) {
	dir := t.TempDir()
	small, large := filepath.Join(dir, "small.zst"), filepath.Join(dir, "large.gz")
	for _, args := range [][]string{
		{"gen", "--requests", "20000", "--keys", "1000", "--ratio", "1:0", "--out", small, "zipf"},
		{"gen", "--requests", "20000", "--keys", "20000", "--ratio", "1:0", "--zipf-s", "0.1", "--value-size", "5000-9000",
			"--out", large, "shifting"},
	} {
		if code, stdout, stderr := call(t, args...); code != 0 {
			t.Fatalf("%v: code %d\n%s%s", args, code, stdout, stderr)
		}
	}
	addr := startServer(t, buildServer(t))
	code, stdout, stderr := call(t, "replay", "--addr", addr, "--speed", "0", "--fill", "--connections", "1", small)
	if code != 0 {
		t.Fatalf("code %d\n%s%s", code, stdout, stderr)
	}
	figures := regexp.MustCompile(`(?s)get +(\d+) +(\d+) +0 .*fill +(\d+) +0 +0 .*memory +0 items before, (\d+) after; .*; 0 evictions`)
	m := figures.FindStringSubmatch(stdout)
	if m == nil || m[2] != m[3] || m[2] != m[4] {
		t.Errorf("misses, fills and items should be as many in\n%s", stdout)
	}
	code, stdout, stderr = call(t, "replay", "--addr", addr, "--speed", "0", "--fill", "--pipeline", "4", large)
	if code != 0 || strings.Contains(stdout, " 0 evictions") || !strings.Contains(stdout, "evictions") {
		t.Errorf("code %d\n%s%s", code, stdout, stderr)
	}
}

func TestReplayThatFails(t *testing.T) {
	trace := filepath.Join(t.TempDir(), "trace.csv")
	if err := os.WriteFile(trace, []byte("0,a,10,5000000,1,set,0\n0,a,10\n0,a,10,10,1,get,0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	addr := startServer(t, buildServer(t))
	code, stdout, stderr := call(t, "replay", "--addr", addr, "--speed", "0", trace)
	if code != 1 || !strings.Contains(stderr, trace+": line 2: 3 fields where 7 should be") || !strings.Contains(stdout, "requests     1 in ") {
		t.Errorf("code %d\n%s%s", code, stdout, stderr)
	}
	code, stdout, stderr = call(t, "replay", "--addr", addr, "--speed", "0", "--skip-bad", trace)
	if code != 1 || !strings.Contains(stderr, "1 error replies") {
		t.Errorf("code %d\n%s%s", code, stdout, stderr)
	}
	if !strings.Contains(stdout, "too large") || !strings.Contains(stdout, "skipped      1 malformed lines") {
		t.Errorf("%s", stdout)
	}
}

func TestGenAndBadOptions(t *testing.T) {
	file := filepath.Join(t.TempDir(), "trace.csv")
	if code, _, stderr := call(t, "gen", "--requests", "10", "--ttl", "9", "--ratio", "0:1", "-o", file, "etc"); code != 0 {
		t.Fatal(stderr)
	}
	text, err := os.ReadFile(file)
	if err != nil || bytes.Count(text, []byte(",set,9\n")) != 10 {
		t.Errorf("%v\n%s", err, text)
	}
	for args, says := range map[string]string{
		"gen":                                     "gen takes a kind or --from, and not both",
		"gen mixed":                               `kind: "mixed" is not one of zipf, scan, shifting, etc`,
		"gen --value-size 9-1 zipf":               "value-size",
		"gen --ratio 1 zipf":                      "not two numbers",
		"gen --keys 1 zipf":                       "keys: 1 is not in",
		"gen -o /no/such/file zipf":               "/no/such/file",
		"gen --format csv zipf":                   `format: "csv" is not twitter, meta, plain or oracleGeneral`,
		"gen --from x zipf":                       "a kind or --from, and not both",
		"gen --from /no/such/file":                "/no/such/file",
		"gen --from " + file + " -o " + file:      "cannot be converted into itself",
		"gen --from ../../go.mod":                 "../../go.mod: no trace: line 1 is \"module ringcached\", where there should be time,key,key size",
		"replay":                                  "replay takes TRACE",
		"replay --speed -1 x":                     "speed: -1",
		"replay --ttl never x":                    "ttl",
		"replay --addr 127.0.0.1:1 /no/such/file": "can't connect to 127.0.0.1:1: connect: connection refused",
	} {
		code, _, stderr := call(t, strings.Fields(args)...)
		if code != 1 || !strings.Contains(stderr, says) {
			t.Errorf("%s: code %d, %s", args, code, stderr)
		}
	}
}

// TestTracesOfOthersAreReplayed: each format gives the same hits, from a file and after each conversion.
func TestTracesOfOthersAreReplayed(t *testing.T) {
	dir := t.TempDir()
	meta := filepath.Join(dir, "kv.csv")
	text := "key,op,size,op_count,key_size\n1,GET,100,3,40\n2,GET,300,1,50\n1,GET_LEASE,100,2,40\n3,SET,20,1,16\n3,GET,20,2,16\n1,DELETE,0,1,40\n"
	if err := os.WriteFile(meta, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	server := buildServer(t)
	code, _, stderr := call(t, "replay", "--addr", startServer(t, server), meta)
	if code != 1 || !strings.Contains(stderr, "says no times: replay it with --speed 0, or give it times (gen --from "+meta) {
		t.Errorf("code %d, %s", code, stderr)
	}
	for _, c := range []struct{ file, leftOut, want string }{
		{meta, "", `(?s)requests     10 in .*get +6 +2 +0 .*set +1 +0 .*delete +1 +0 .*fill +2 `},
		{"kv.twitter.zst", "", `(?s)requests     10 in .*get +6 +2 +0 .*set +1 +0 .*delete +1 +0 .*fill +2 `},
		{"kv.meta.gz", "", `(?s)requests     10 in .*get +6 +2 +0 .*set +1 +0 .*delete +1 +0 .*fill +2 `},
		{"kv.plain", "left out 1 requests of 10", `(?s)requests     9 in .*get +6 +3 +0 .*fill +3 `},
		{"kv.oracleGeneral.bin.zst", "left out 1 requests of 10", `(?s)requests     9 in .*get +6 +3 +0 .*fill +3 `},
	} {
		if c.file != meta {
			from := c.file
			c.file = filepath.Join(dir, c.file)
			args := []string{"gen", "--from", meta, "--rate", "2", "-o", c.file, "--format", strings.Split(from, ".")[1]}
			if code, stdout, stderr := call(t, args...); code != 0 || stdout != "" || !strings.Contains(stderr, c.leftOut) || c.leftOut == "" && stderr != "" {
				t.Fatalf("%v: code %d\n%s%s", args, code, stdout, stderr)
			}
			code, stdout, stderr := call(t, "replay", "--addr", startServer(t, server), "--fill", "--speed", "50", c.file)
			if code != 0 || !regexp.MustCompile(`, [34] s of it at 50 times`).MatchString(stdout) {
				t.Errorf("%s: code %d\n%s%s", c.file, code, stdout, stderr)
			}
		}
		code, stdout, stderr := call(t, "replay", "--addr", startServer(t, server), "--fill", "--speed", "0", "--connections", "3", c.file)
		if code != 0 || !regexp.MustCompile(c.want).MatchString(stdout) {
			t.Errorf("%s: code %d, no %s in\n%s%s", c.file, code, c.want, stdout, stderr)
		}
	}
}

func TestConversionSkipsAndEnds(t *testing.T) {
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	if err := os.WriteFile(in, []byte("0,a,10\n1,b,20\n\n2,c\n3,a,10\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, stderr := call(t, "gen", "--from", in, "-o", out)
	if _, err := os.Stat(out); code != 1 || !strings.Contains(stderr, in+": line 3: 1 fields where 3 should be") || err == nil {
		t.Errorf("code %d, %s; %v", code, stderr, err)
	}
	for most, want := range map[string]string{"9": "0,a,10\n1,b,20\n3,a,10\n", "2": "0,a,10\n1,b,20\n"} {
		code, _, stderr = call(t, "gen", "--from", in, "-o", out, "--format", "plain", "--skip-bad", "--requests", most)
		if text, err := os.ReadFile(out); code != 0 || err != nil || string(text) != want || most == "9" && !strings.Contains(stderr, "skipped 2 ") {
			t.Errorf("code %d, %s; %s, %v", code, stderr, text, err)
		}
	}
}
