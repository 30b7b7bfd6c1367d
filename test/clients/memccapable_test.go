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

var memccapableResult = regexp.MustCompile(`(?m)^(ascii|binary) (.*?)\s+\[(.*)\]$`)

// TestMemccapable is libmemcached's own conformance test: all its cases, by name,
// must pass.
func TestMemccapable(t *testing.T) {
	t.Parallel()
	servertest.EachEngineAndNet(t, func(t *testing.T, engine string) {
		t.Parallel() // it mostly waits for delayed acknowledgements
		server := servertest.Start(t, engine)
		host, port := hostPort(t, server)
		out := runClient(t, "memccapable", "-h", host, "-p", port, "-t", "60", "-v")
		passed := map[string]int{}
		for _, result := range memccapableResult.FindAllStringSubmatch(out, -1) {
			if result[3] == "pass" {
				passed[result[1]]++
			} else {
				t.Errorf("%s %s: %s", result[1], result[2], result[3])
			}
		}
		for protocol, cases := range memccapableCases {
			if passed[protocol] != cases {
				t.Errorf("%s: %d cases passed, want %d", protocol, passed[protocol], cases)
			}
		}
		if !strings.Contains(out, "All tests passed") || t.Failed() {
			t.Error(out)
		}
	})
}
