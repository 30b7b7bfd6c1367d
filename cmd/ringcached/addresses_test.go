package main

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"ringcached/internal/servertest"
)

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
