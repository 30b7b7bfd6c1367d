package main

import (
	"bytes"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"ringcached/internal/servertest"
)

func TestCheck(t *testing.T) {
	for _, test := range []struct{ args, want string }{ // want: lines, separated by ;
		{"", "--port=11211;--udp-port=0;--memory-limit=64;--unix-mask=700;--protocol=auto;--max-item-size=1m"},
		{"-vvm128", "--memory-limit=128;--verbose"},
		{"-l 127.0.0.1 -l [::1]:12", "--listen=127.0.0.1,[::1]:12;# listens on 127.0.0.1:11211, [::1]:12"},
		{"-U 11300 -l 127.0.0.1", "--port=11300;--udp-port=11300;# listens on 127.0.0.1:11300, 127.0.0.1:11300/udp"},
		{"-U 11300 -p 0 -l 127.0.0.1", "--port=0;--udp-port=11300;# listens on 127.0.0.1:11300/udp"},
		{"-s /tmp/ringcached-check -a 0770 -p 4", "--unix-socket=/tmp/ringcached-check;--unix-mask=770;--port=0;--udp-port=0;# listens on /tmp/ringcached-check"},
		{"-Y testdata/users", "# clients authenticate as one of 3 users"},
		{"-o idle_timeout=5,hashpower=3", "--extended=idle_timeout=5,hashpower=3;# -o hashpower has no effect here: the index grows by itself, bucket by bucket"},
		{"-AFXWCLMdrk -D : -R 5", "--enable-shutdown;--disable-flush-all;--disable-dumping;--disable-watch;--disable-cas;--enable-largepages;" +
			"--disable-evictions;--daemon;--enable-coredumps;--lock-memory;--prefix-delimiter=:;--max-reqs-per-event=5"},
		{"--engine epoll", "--engine=epoll;# engine epoll: asked for"},
	} {
		code, stdout, stderr := runCheck(strings.Fields(test.args)...)
		if code != 0 || stderr != "" {
			t.Errorf("%s: exit code %d, %q", test.args, code, stderr)
		}
		lines := strings.Split(stdout, "\n")
		for want := range strings.SplitSeq(test.want, ";") {
			if !slices.Contains(lines, want) {
				t.Errorf("%s: no line %q in\n%s", test.args, want, stdout)
			}
		}
		var settings []string
		for _, line := range lines {
			if strings.HasPrefix(line, "-") {
				settings = append(settings, line)
			}
		}
		same := func(a, b string) bool { // but for where the number of threads comes from, which is -t the second time
			return threadsNote.ReplaceAllString(a, "") == threadsNote.ReplaceAllString(b, "")
		}
		if code, again, stderr := runCheck(settings...); code != 0 || !same(again, stdout) || !strings.Contains(again, ": -t\n") {
			t.Errorf("%s: what check printed is checked as %d, %s\n%s\nand not\n%s", test.args, code, stderr, again, stdout)
		}
	}
}

// threadsNote is the line about them.
var threadsNote = regexp.MustCompile(`(?m)^# \d+ threads?: .*$`)

func runCheck(args ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	code = run(append([]string{appName, "check", "-u", "nobody"}, args...), &out, &err)
	return code, out.String(), err.String()
}

func TestCheckRefusesFlagsBefore(t *testing.T) {
	var stdout, stderr bytes.Buffer
	code := run([]string{appName, "-m", "64", "check"}, &stdout, &stderr)
	if want := "ringcached: the flags to check come behind the word check\n"; code != 1 || stderr.String() != want {
		t.Errorf("exit code %d, %q", code, stderr.String())
	}
}

// checked is what the command check prints.
func checked(t *testing.T, flags ...string) string {
	t.Helper()
	out, err := exec.Command(servertest.Binary(), append([]string{"check", "-u", "nobody"}, flags...)...).CombinedOutput()
	if err != nil {
		t.Errorf("%q: %v, %s", flags, err, out)
	}
	return string(out)
}

// TestCheckOfPlaces: check tells what the words before an address do, and what they do not.
func TestCheckOfPlaces(t *testing.T) {
	for list, wants := range map[string][]string{
		"127.0.0.1:1;127.0.0.2:2":                   {"# listens on 127.0.0.1:1, 127.0.0.2:2\n"},
		"proto[ascii]:127.0.0.1:1,127.0.0.1:2":      {"# listens on 127.0.0.1:1 (ascii), 127.0.0.1:2\n"},
		"proto[nonsense]:tag[services]:127.0.0.1:1": {"# listens on 127.0.0.1:1\n", "the tag has no effect", `no protocol "nonsense" (ascii, binary, negotiating): served as -B says`},
	} {
		out := checked(t, "-l", list)
		for _, want := range append(wants, fmt.Sprintf("--listen=%s\n", list)) {
			if !strings.Contains(out, want) {
				t.Errorf("%s: no %q in\n%s", list, want, out)
			}
		}
	}
}

// TestClientMemoryDefault: it follows -m and -c, between a least and a quarter of -m, unless it was given.
func TestClientMemoryDefault(t *testing.T) {
	for args, want := range map[string]string{
		"-m 64":                              "32m",
		"-m 1024":                            "64m",
		"-m 1024 -c 5000":                    "256m",
		"-m 1024 --client-memory 0":          "0",
		"-m 1024 --client-memory 5m -c 2000": "5m",
	} {
		if _, got, _ := runCheck(strings.Fields(args)...); !strings.Contains(got, "--client-memory="+want+"\n") {
			t.Errorf("%s: no %s in\n%s", args, want, got)
		}
	}
	if code := run([]string{appName, "check", "-u", "nobody", "--client-memory", "1m"}, io.Discard, io.Discard); code != 1 {
		t.Error("1m is taken")
	}
}
