package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// packaging is the folder of what packages consist of beside the program.
const packaging = "../../packaging/"

// shippedUnit is a service, and what its files here are called.
type shippedUnit struct{ unit, settings, users, program string }

var shippedUnits = []shippedUnit{
	{"systemd/ringcached.service", "ringcached.conf", "systemd/ringcached.sysusers", "/usr/bin/ringcached"},
	{"systemd/memcached.service", "memcached.conf", "systemd/memcached.sysusers", "/usr/bin/memcached"},
}

func readPackaging(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(packaging + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestUnits: the flags in the units, and in the settings that they name, are those of this server.
func TestUnits(t *testing.T) {
	for _, u := range shippedUnits {
		_, rest, _ := strings.Cut(readPackaging(t, u.unit), "\nExecStart="+u.program+" ")
		flags, _, _ := strings.Cut(rest, "\n")
		if flags != "--config /etc/"+u.settings {
			t.Fatalf("%s: the flags are %q", u.unit, flags)
		}
		flags = strings.ReplaceAll(flags, "/etc/", packaging)
		args := append(strings.Fields(flags), "-u", "nobody") // the tests may run as root
		code, stdout, stderr := runCheck(args...)
		if code != 0 || stderr != "" || !strings.Contains(stdout, "# listens on 127.0.0.1:11211") {
			t.Errorf("%s: exit code %d, %s\n%s", u.unit, code, stderr, stdout)
		}
	}
}

// TestSettingsOfUnits: lines of the settings that are commented out are flags, too.
func TestSettingsOfUnits(t *testing.T) {
	offered := regexp.MustCompile(`(?m)^#(-\S.*)$`)
	text := readPackaging(t, "ringcached.conf")
	lines := offered.FindAllStringSubmatch(text, -1)
	if len(lines) == 0 {
		t.Fatalf("no flag is offered in\n%s", text)
	}
	for _, line := range lines {
		args := append(strings.Fields(line[1]), "-u", "nobody")
		if code, _, stderr := runCheck(args...); code != 0 {
			t.Errorf("%s: exit code %d, %s", line[1], code, stderr)
		}
	}
}

// TestUnitUser: there is a user for each unit.
func TestUnitUser(t *testing.T) {
	for _, u := range shippedUnits {
		users := readPackaging(t, u.users)
		_, rest, _ := strings.Cut(readPackaging(t, u.unit), "\nUser=")
		if user, _, _ := strings.Cut(rest, "\n"); user == "" || !strings.Contains(users, "\nu "+user+" ") {
			t.Errorf("%s: no user %q in\n%s", u.unit, user, users)
		}
	}
}
