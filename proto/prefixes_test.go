package proto_test

import (
	"fmt"
	"strings"
	"testing"
)

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
