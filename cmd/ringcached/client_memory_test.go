package main

import (
	"io"
	"strings"
	"testing"
)

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
