package clients

import (
	"regexp"
	"strings"
	"testing"

	"ringcached/internal/servertest"
)

// memccapableCases is the number of cases that libmemcached's memccapable has in
// each protocol.
var memccapableCases = map[string]int{"ascii": 27, "binary": 27}

// memccapableRefuses are the ASCII cases that want an error for "delete a b c d e".
// memcached 1.6.45 ignores words behind the key; 1.6.18 did not.
var memccapableRefuses = map[string]bool{"delete": true, "delete noreply": true}

var memccapableResult = regexp.MustCompile(`(?m)(ascii|binary) ([^\[\]\n]*?)\s+\[(pass|FAIL)\]$`)

// TestMemccapable is libmemcached's own conformance test: all its cases, by name,
// must pass, except for two that a present memcached does not pass either.
func TestMemccapable(t *testing.T) {
	t.Parallel()
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		t.Parallel() // it mostly waits for delayed acknowledgements
		server := servertest.Start(t, engine)
		host, port := hostPort(t, server)
		out, _ := tryClient(t, "memccapable", "-h", host, "-p", port, "-t", "60", "-v")
		passed := map[string]int{}
		for _, result := range memccapableResult.FindAllStringSubmatch(out, -1) {
			if refuses := result[1] == "ascii" && memccapableRefuses[result[2]]; refuses == (result[3] == "FAIL") {
				passed[result[1]]++
			} else {
				t.Errorf("%s %s: %s", result[1], result[2], result[3])
			}
		}
		for protocol, cases := range memccapableCases {
			if passed[protocol] != cases {
				t.Errorf("%s: %d cases ended as they should, want %d", protocol, passed[protocol], cases)
			}
		}
		if !strings.Contains(out, "2 of 54 tests failed") || t.Failed() {
			t.Error(out)
		}
	})
}
