package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"ringcached/internal/servertest"
)

// started returns the processes that have an argument.
func started(t *testing.T, argument string) (pids []int) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, _ := os.ReadFile(file) // it may have ended
		if bytes.Contains(text, []byte("\x00"+argument+"\x00")) {
			pid, _ := strconv.Atoi(strings.Split(file, "/")[2])
			pids = append(pids, pid)
		}
	}
	return pids
}

// TestHandOverLeavesNobody: a new server that is given up, fails, or is stopped before it serves, takes with it what it has started, wherever that
// has gone.
func TestHandOverLeavesNobody(t *testing.T) {
	const family = `sleep %[1]s & setsid sleep %[1]s & (sh -c 'sleep %[1]s & sleep %[1]s' &) & (setsid sh -c 'setsid sleep %[1]s & exit' &)
		until [ $(grep -lsz '^%[1]s$' /proc/[0-9]*/cmdline | wc -l) -ge 5 ]; do :; done; echo grown >&2; `
	long := patience.String()
	for i, test := range []struct{ name, script, limit, want string }{
		{"late", "exec sleep %[1]s", "2s", "not ready after 2s"},
		{"waits", "sleep %[1]s", "2s", "not ready after 2s"},
		{"failed", "exit 3", long, "exit status 3"},
		{"stopped", "exec sleep %[1]s", long, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			unique := fmt.Sprintf("%d.%09d", 600+i, os.Getpid())
			t.Cleanup(func() {
				for _, pid := range started(t, unique) {
					_ = syscall.Kill(pid, syscall.SIGKILL)
				}
			})
			l := startLineage(t, "epoll", "--handover-timeout", test.limit)
			l.replace(fmt.Sprintf(family+test.script, unique))
			l.Signal(syscall.SIGUSR2)
			if test.want == "" {
				l.WantLog("grown", 1)
				l.Signal(syscall.SIGTERM)
				l.WantGone(l.PID)
			} else {
				l.WantLog("hand-over failed, serving on: ", 1)
			}
			if said := l.Said(); !strings.Contains(said, test.want) {
				t.Error(said)
			}
			servertest.Eventually(t, patience/servertest.Slow, func() error {
				if left := started(t, unique); len(left) > 0 {
					return fmt.Errorf("processes %v are left\n%s", left, l.LastSaid())
				}
				return nil
			})
			if test.want == "" {
				return
			}
			if got := l.ask("version", 1); got != "VERSION "+memcachedVersion+"\r\n" {
				t.Errorf("%q", got)
			}
		})
	}
}
