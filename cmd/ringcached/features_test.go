package main

import (
	"strings"
	"testing"

	"ringcached/internal/servertest"
)

// TestRingFeatures: --ring-features leaves the server no more than it names. On any kernel
// that is as new as the release all of them are left.
func TestRingFeatures(t *testing.T) {
	servertest.NeedURing(t)
	in60 := "multishot-recv,single-issuer"
	in61 := in60 + ",defer-taskrun,partial-send,sendmsg-zc"
	for _, test := range []struct{ chosen, most string }{
		{"none", ""},
		{"5.19", ""},
		{"6.0", in60},
		{"6.1", in61},
		{"multishot-recv,min-timeout", "multishot-recv,min-timeout"},
	} {
		t.Run(test.chosen, func(t *testing.T) {
			t.Parallel()
			server := servertest.Start(t, "uring", "--ring-features", test.chosen)
			used := server.Stats(t, "batch")["features"]
			for _, name := range strings.FieldsFunc(used, func(r rune) bool { return r == ',' }) {
				if !strings.Contains(","+test.most+",", ","+name+",") {
					t.Errorf("uses %s", name)
				}
			}
		})
	}
}
