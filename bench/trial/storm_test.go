package trial

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"ringcached/bench/load"
	"ringcached/bench/sut"
	"ringcached/internal/fakeserver"
	"ringcached/internal/servertest"
)

var errFew = errors.New("not yet as many as wanted")

func TestStormOpensConnections(t *testing.T) {
	s := fakeserver.Start(t, nil)
	one := startStorm(t.Context(), load.Endpoint{Addr: s.Addr()}, 500)
	servertest.Eventually(t, time.Minute, func() error {
		s.Mu.Lock()
		defer s.Mu.Unlock()
		if len(s.Used) < 20 {
			return errFew
		}
		return nil
	})
	if failure, _ := one.end(); failure != "" { // a busy machine may have fewer than it should
		t.Error(failure)
	}
	s.Mu.Lock()
	defer s.Mu.Unlock()
	for connection, requests := range s.Used {
		if requests > 1 {
			t.Errorf("connection %d made %d requests", connection, requests)
		}
	}
}

// TestStormTellsOfFailures: a server that refuses is a failure, and one that never answers makes the storm less than it should be.
func TestStormTellsOfFailures(t *testing.T) {
	s := fakeserver.Start(t, nil)
	s.Close()
	one := startStorm(t.Context(), load.Endpoint{Addr: s.Addr()}, 100)
	servertest.Eventually(t, time.Minute, func() error {
		if len(one.failed) == 0 {
			return errFew
		}
		return nil
	})
	if failure, _ := one.end(); !strings.Contains(failure, "beside the load") {
		t.Errorf("%q", failure)
	}
	silent := fakeserver.Start(t, func(int, []byte) ([]byte, bool) { return nil, false })
	one = startStorm(t.Context(), load.Endpoint{Addr: silent.Addr()}, 100_000)
	servertest.Eventually(t, time.Minute, func() error {
		if one.begun.Load() < mostStorming || time.Since(one.began) < 50*time.Millisecond {
			return errFew
		}
		return nil
	})
	if failure, less := one.end(); failure != "" || !strings.Contains(less, "of 100000 connections a second") {
		t.Errorf("%q, %q", failure, less)
	}
	if failure, less := (*storm)(nil).end(); failure+less != "" {
		t.Errorf("no storm: %q, %q", failure, less)
	}
}

// TestPlansOverTLS: all servers speak it that can, and what is left out is told.
func TestPlansOverTLS(t *testing.T) {
	p := testPlanning(t, true, 0, 1)
	p.e.TLS = true
	p.plain = map[string]string{sut.Memcached: "it was built without TLS"}
	var told []string
	for _, x := range experiments {
		for _, plan := range x.plans(p) {
			told = append(told, plan.Problems...)
			for _, s := range plan.Servers {
				if s.TLS && s.Start == sut.Memcached || sut.PlainOnly(s.Start) || !s.TLS && x.Name != "tls" {
					t.Errorf("%s has %+v", plan.FullName(), s)
				}
			}
			for i := range plan.Points {
				if !plan.Servers[0].serves(&plan.Points[i]) {
					t.Errorf("%s: nobody serves %s", plan.FullName(), plan.Points[i].Label)
				}
			}
			if x.Name == "tls" && !slices.ContainsFunc(plan.Servers, func(s Server) bool { return s.Start == sut.Memcached && !s.TLS }) {
				t.Errorf("%s has no plain memcached", plan.FullName())
			}
		}
	}
	all := strings.Join(told, "\n")
	for _, says := range []string{"without memcached: it was built without TLS", "without net: it does not speak TLS", "not udp: TLS is for TCP only", "not unix"} {
		if !strings.Contains(all, says) {
			t.Errorf("no %q in\n%s", says, all)
		}
	}
}
