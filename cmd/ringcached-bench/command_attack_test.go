package main

import (
	"bytes"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestCost measures a server with few items: every request has a line, and those of memcached's that name a class have an answer.
func TestCost(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_, port, _ := net.SplitHostPort(addr)
	l.Close()
	server := exec.Command(buildServer(t), "-u", "root", "-l", "127.0.0.1", "-p", port, "-t", "1", "-m", "64", "-o", "track_sizes")
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Process.Kill(); _ = server.Wait() }()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	var stdout, stderr bytes.Buffer
	args := []string{appName, "cost", "--pid", fmt.Sprint(server.Process.Pid), "--items", "2000", "--connections", "5", "--duration", "1ms", addr}
	if code := run(t.Context(), args, &stdout, &stderr); code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr.String())
	}
	out := stdout.String()
	for _, want := range []string{"stats conns ", "stats sizes ", "cachedump of all ", "metadump of none ", "crawl of a class ", "flush_all later "} {
		if !strings.Contains(out, "\n"+want) {
			t.Errorf("no line of %q in\n%s", want, out)
		}
	}
	if strings.Contains(out, "BADCLASS") || strings.Contains(out, "Illegal") {
		t.Errorf("a class that there is not:\n%s", out)
	}
	for _, args := range [][]string{{"cost", addr}, {"cost", "--pid", "1"}} {
		if code := run(t.Context(), append([]string{appName}, args...), &stdout, &stderr); code == 0 {
			t.Errorf("%q is accepted", args)
		}
	}
}
