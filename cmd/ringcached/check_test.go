package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"
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
		if code, again, stderr := runCheck(settings...); code != 0 || again != stdout {
			t.Errorf("%s: what check printed is checked as %d, %s\n%s\nand not\n%s", test.args, code, stderr, again, stdout)
		}
	}
}

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
