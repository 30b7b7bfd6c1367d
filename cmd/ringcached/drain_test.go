package main

import (
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"ringcached/internal/servertest"
)

// TestDrainingDoesNotHandOver: SIGUSR2 has no effect any more, and the second signal stops.
func TestDrainingDoesNotHandOver(t *testing.T) {
	socket := filepath.Join(publicDir(t), "http")
	l := startLineage(t, "epoll", "--metrics", socket, "--drain-delay", "1h")
	l.Signal(syscall.SIGTERM)
	l.WantLog("terminated: not ready any more, and stopping in 1h0m0s", 1)
	l.Signal(syscall.SIGUSR2)
	if got := l.ask("version", 1); got != "VERSION "+memcachedVersion+"\r\n" {
		t.Errorf("%q", got)
	}
	l.Signal(syscall.SIGTERM)
	l.WantGone(l.PID)
	if state := l.Ended(); !state.Success() || strings.Contains(l.Said(), "handing over") {
		t.Errorf("%v\n%s", state, l.Said())
	}
}

// TestDrainDelayEnds: the server stops by itself when the delay is over.
func TestDrainDelayEnds(t *testing.T) {
	l := startLineage(t, "epoll", "--drain-delay", "1s")
	l.Signal(syscall.SIGTERM)
	l.WantGone(l.PID)
	said := l.Said()
	first := strings.Index(said, "terminated: not ready any more, and stopping in 1s\n")
	if last := strings.Index(said, "terminated: stopping\n"); first < 0 || last < first || !l.Ended().Success() {
		t.Error(said)
	}
}

// TestDrainingGivesHandOverUp: the signal ends a hand-over that is not done, and the old server drains, serving, as without one.
func TestDrainingGivesHandOverUp(t *testing.T) {
	socket := filepath.Join(publicDir(t), "http")
	l := startLineage(t, "epoll", "--metrics", socket, "--drain-delay", "1h")
	l.replace("echo successor $$ >&2; exec sleep 600")
	l.Signal(syscall.SIGUSR2)
	l.WantLog("successor ", 1)
	l.Signal(syscall.SIGTERM)
	l.WantGone(l.successor())
	wantCode(t, socket, "/readyz", http.StatusServiceUnavailable)
	if got := l.ask("version", 1); got != "VERSION "+memcachedVersion+"\r\n" {
		t.Errorf("%q", got)
	}
	l.Signal(syscall.SIGTERM)
	l.WantGone(l.PID)
	if said := l.Said(); !l.Ended().Success() || strings.Contains(said, "failed") {
		t.Error(said)
	}
}

// TestNoDelayInHandOver: when the next server has the items, nobody is served whom a delay is for: the signal stops both at once.
func TestNoDelayInHandOver(t *testing.T) {
	l := startLineage(t, "epoll", "-t", "1", "-m", "32", "--drain-delay", "1h", "-e", filepath.Join(publicDir(t), "items"))
	// The socket is 3, the files are 4 and 5, and 6 is where servers talk.
	l.replace("printf f >&6; head -c 1 <&6; echo successor $$ >&2; exec sleep 600")
	l.Signal(syscall.SIGUSR2)
	l.WantLog("successor ", 1)
	l.Signal(syscall.SIGTERM)
	l.WantGone(l.PID)
	l.WantGone(l.successor())
	if said := l.Said(); !l.Ended().Success() || !strings.Contains(said, "kept 0 items") || strings.Contains(said, "failed") {
		t.Error(said)
	}
}

// TestSignalsAfterDraining: the signal that ends the delay counts as a first one, whatever came before: the next one ends the waiting for clients, and with -e
// the items are saved still.
func TestSignalsAfterDraining(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		t.Parallel()
		k := newKeeper(t, engine, "--drain-timeout", "1h", "--drain-delay", "1h")
		l := k.start()
		k.flags = k.flags[:len(k.flags)-2] // the next server stops at once
		leaveUnread(t, l)
		l.Signal(syscall.SIGTERM)
		l.WantLog("terminated: not ready any more, and stopping in 1h0m0s", 1)
		l.Signal(syscall.SIGINT)
		l.WantLog("interrupt: stopping", 1)
		l.Signal(syscall.SIGTERM)
		l.WantLog("terminated again: saving the items, and waiting no longer for clients; a third signal ends at once", 1)
		k.wantExit(l, 0)
		k.wantKept(true)
	})
}
