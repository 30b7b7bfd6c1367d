package main

import (
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"ringcached/internal/seccomp"
	"ringcached/internal/servertest"
	"ringcached/ring"
)

// Operations of io_uring_register(2).
const (
	registerRestrictions = 11
	registerEnableRings  = 12
)

const unrestrictedWarning = "warning: rings are not restricted to what the server does, "

// TestRingsAreRestricted: they are without any flag, and probe and `stats batch` tell.
func TestRingsAreRestricted(t *testing.T) {
	servertest.NeedURing(t)
	if fs, err := ring.Probe(); err != nil || !fs.Has(ring.Restrictions) {
		t.Skipf("rings cannot be restricted here: %v, %v", err, fs.WhyNot(ring.Restrictions))
	}
	for flag, want := range map[string]bool{"--ring-features=all": true, "--ring-features=5.19": true, "--ring-features=all,-restrictions": false, "--ring-features=none": false} {
		server := servertest.Start(t, "uring", flag)
		features := "," + server.Stats(t, "batch")["features"] + ","
		if got := strings.Contains(features, ",restrictions,"); got != want {
			t.Errorf("%s: features %s", flag, features)
		}
		if strings.Contains(server.Log(), unrestrictedWarning) {
			t.Errorf("%s: the server warns of what was asked for, or is not so: %s", flag, server.Log())
		}
	}
	out, err := exec.Command(servertest.Binary(), "probe").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "\nrestrictions ") || strings.Contains(string(out), "denied") {
		t.Errorf("probe: %v\n%s", err, out)
	}
}

// TestRestrictionsRefused: where rings cannot be restricted the server serves all the same, with io_uring, and says so once; probe and check tell.
func TestRestrictionsRefused(t *testing.T) {
	servertest.NeedURing(t)
	for name, test := range map[string]struct {
		operation uint32
		errno     syscall.Errno
		why       string
	}{
		"restricting EPERM":  {registerRestrictions, syscall.EPERM, "denied (restricting a ring: operation not permitted)"},
		"restricting EACCES": {registerRestrictions, syscall.EACCES, "denied (restricting a ring: permission denied)"},
		"restricting EBUSY":  {registerRestrictions, syscall.EBUSY, "denied (restricting a ring: device or resource busy)"},
		"restricting EINVAL": {registerRestrictions, syscall.EINVAL, "not supported (requires >= 5.10)"},
		"restricting ENOSYS": {registerRestrictions, syscall.ENOSYS, "not supported (requires >= 5.10)"},
		"enabling EPERM":     {registerEnableRings, syscall.EPERM, "denied (enabling a ring: operation not permitted)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			under := func(args ...string) *exec.Cmd {
				rule := seccomp.Rule{Call: ioURingRegister, Arg: 1, Value: test.operation, Errno: test.errno}
				return seccomp.Command([]seccomp.Rule{rule}, servertest.Binary(), args...)
			}
			server := servertest.StartCommand(t, "auto", func(args []string) *exec.Cmd { return under(args...) }, "-t", "2")
			if got := server.Stats(t, "batch"); got["engine"] != "uring" || strings.Contains(got["features"], "restrictions") {
				t.Errorf("engine %s, features %s", got["engine"], got["features"])
			}
			if err := server.Stop(); err != nil {
				t.Error(err)
			}
			if said := server.Log(); strings.Count(said, unrestrictedWarning) != 1 || !strings.Contains(said, test.why) || !strings.Contains(said, ": engine uring (") {
				t.Errorf("the server says %q, no %q", said, test.why)
			}
			for _, command := range []string{"probe", "check"} {
				args := []string{command}
				if command == "check" {
					args = []string{"check", "-u", "nobody", "-l", "127.0.0.1"}
				}
				if out, err := under(args...).CombinedOutput(); err != nil || !strings.Contains(string(out), test.why) {
					t.Errorf("%s: %v, no %q in\n%s", command, err, test.why, out)
				}
			}
		})
	}
}
