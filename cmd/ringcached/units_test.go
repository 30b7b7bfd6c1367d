package main

import (
	"os"
	"strings"
	"testing"
)

// TestUnits: the flags in the example unit are those of this server.
func TestUnits(t *testing.T) {
	text, err := os.ReadFile("../../docs/systemd/ringcached.service")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "\nExecStart=/usr/bin/ringcached ")
	flags, _, found := strings.Cut(rest, "\n")
	if !found {
		t.Fatal("no ExecStart")
	}
	args := append(strings.Fields(flags), "-u", "nobody") // the tests may run as root
	if code, stdout, stderr := runCheck(args...); code != 0 || !strings.Contains(stdout, "# listens on 127.0.0.1:11211\n") {
		t.Errorf("exit code %d, %s\n%s", code, stderr, stdout)
	}
}

// TestUnitUser: there is a user for the unit.
func TestUnitUser(t *testing.T) {
	unit, err := os.ReadFile("../../docs/systemd/ringcached.service")
	if err != nil {
		t.Fatal(err)
	}
	users, err := os.ReadFile("../../docs/systemd/ringcached.sysusers")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(unit), "\nUser=")
	if user, _, _ := strings.Cut(rest, "\n"); user == "" || !strings.Contains(string(users), "\nu "+user+" ") {
		t.Errorf("no user %q in\n%s", user, users)
	}
}
