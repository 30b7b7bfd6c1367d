package proto_test

import (
	"strings"
	"testing"
)

// kicker is an engine that closes idle connections.
type kicker struct{ engine }

func (k *kicker) Stats(add func(name, value string)) {
	add("idle_kicks", "3")
	k.engine.Stats(add)
}

// TestIdleKicks: they are shown where memcached shows them, once, and only where connections can be too idle.
func TestIdleKicks(t *testing.T) {
	w := newWorker(t, nil, nil)
	w.server.SetEngine(&engine{})
	if got := w.ask("stats\r\n"); strings.Contains(got, "idle_kicks") {
		t.Errorf("shown: %s", got)
	}
	w.server.SetEngine(&kicker{})
	got := w.ask("stats\r\n")
	if !strings.Contains(got, "STAT auth_errors 0\r\nSTAT idle_kicks 3\r\nSTAT bytes_read ") || strings.Count(got, "idle_kicks") != 1 {
		t.Errorf("not where it belongs: %s", got)
	}
}
