package proto_test

import (
	"fmt"
	"strings"
	"testing"
)

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
