package proto_test

import (
	"fmt"
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

// TestCachedumpLimit: of more items than fit, those are shown that were stored last, the last first.
func TestCachedumpLimit(t *testing.T) {
	w := newWorker(t, nil, nil)
	const keys, newest = 35_000, 2000
	for i := range keys {
		if i%newest == 0 {
			w.store.SetNow(w.store.Now() + 1)
		}
		w.ask(fmt.Sprintf("set key%055d 0 0 1 noreply\r\n1\r\n", i))
	}
	class := w.store.Classes()[0].ID
	for w.store.Classes()[class-1].Items == 0 {
		class++
	}
	got := w.ask(fmt.Sprintf("stats cachedump %d 0\r\n", class))
	if len(got) > 2<<20 || len(got) < 2<<20-100 || !strings.HasSuffix(got, "\r\nEND\r\n") {
		t.Errorf("%d bytes, which end in %q", len(got), got[max(0, len(got)-100):])
	}
	lines := strings.Split(got, "\r\n")
	for i, line := range lines[:newest] {
		if want := fmt.Sprintf("ITEM key%055d [1 b; 0 s]", keys-1-i); line != want {
			t.Fatalf("line %d is %q, want %q", i, line, want)
		}
	}
	if got := w.ask(fmt.Sprintf("stats cachedump %d 3\r\n", class)); got != strings.Join(lines[:3], "\r\n")+"\r\nEND\r\n" {
		t.Errorf("three: %q", got)
	}
}

// TestPrefixesOfWorkers: the counts of all workers are shown as one.
func TestPrefixesOfWorkers(t *testing.T) {
	w := newWorker(t, nil, nil)
	o := w.second()
	w.wantReply("stats detail on\r\n", "OK\r\n")
	w.ask("get a:1 b:1\r\n")
	o.ask("get a:2\r\nset a:3 0 0 1\r\n1\r\ndelete c:1\r\n")
	w.wantReply("stats detail dump\r\n",
		"PREFIX a get 2 hit 0 set 1 del 0\r\nPREFIX b get 1 hit 0 set 0 del 0\r\nPREFIX c get 0 hit 0 set 0 del 1\r\nEND\r\n")
	o.ask("stats detail off\r\n")
	w.ask("get a:1\r\n")
	w.wantReply("stats detail dump\r\n",
		"PREFIX a get 2 hit 0 set 1 del 0\r\nPREFIX b get 1 hit 0 set 0 del 0\r\nPREFIX c get 0 hit 0 set 0 del 1\r\nEND\r\n")
}

// TestPrefixesAreBounded: those that are known go on being counted, others are not.
func TestPrefixesAreBounded(t *testing.T) {
	w := newWorker(t, nil, nil)
	w.ask("stats detail on\r\n")
	for i := range 5000 {
		w.ask(fmt.Sprintf("get prefix-%04d:x\r\n", i))
	}
	w.ask("get prefix-0000:x\r\n")
	got := w.ask("stats detail dump\r\n")
	if n := strings.Count(got, "PREFIX"); n != 4096 {
		t.Errorf("%d prefixes", n)
	}
	if !strings.HasPrefix(got, "PREFIX prefix-0000 get 2 ") {
		t.Errorf("got %.60q", got)
	}
}
