package packages

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
)

const (
	installed = "install ok installed"
	replaced  = "install ok config-files" // removed by dpkg for another package: nobody has asked for the removal

	setItem = "set k 0 0 1\r\nv\r\n"
	stored  = "STORED\n"
	getItem = "get k\r\n"
	found   = "VALUE k 0 1\nv\nEND\n"

	enabled = "/etc/systemd/system/multi-user.target.wants/"
)

// TestDebian is the life of the packages in a minimal Debian that has memcached: the parts build on each other.
func TestDebian(t *testing.T) {
	build(t)
	r := newRoot(t, "memcached")
	for _, part := range []struct {
		name string
		run  func(t *testing.T, r *root)
	}{
		{"needs nothing that a Debian may lack", needsLittle},
		{"install, run, upgrade", installAndUpgrade},
		{"take memcached's place", replaceMemcached},
		{"remove, and purge", removeAndPurge},
		{"without memcached", withoutMemcached},
	} {
		if !t.Run(part.name, func(t *testing.T) {
			r.t = t
			part.run(t, r)
		}) {
			return
		}
	}
}

// needsLittle: the server's package depends on what every Debian has.
func needsLittle(t *testing.T, r *root) {
	depends := strings.TrimSpace(output(t, "dpkg-deb", "--field", debian("ringcached", built.version), "Depends"))
	for name := range strings.SplitSeq(depends, ", ") {
		if priority := r.run("dpkg-query", "--show", "--showformat=${Priority}", name); priority != "required" {
			t.Errorf("%s is %s", name, priority)
		}
	}
}

// ownPort lets the settings ask for a port that is free, and for the log that tests read.
const ownPort = "\n-v\n-p -1\n"

func installAndUpgrade(t *testing.T, r *root) {
	r.install(debian("ringcached", built.version))
	r.wantStatus("ringcached", installed)
	r.wantThere(true, "/usr/bin/ringcached", "/etc/ringcached.conf", "/usr/share/man/man1/ringcached.1.gz", enabled+"ringcached.service")
	if said := r.run("ringcached", "-V"); !strings.HasPrefix(said, "ringcached "+built.version) {
		t.Errorf("it is version %q, and the package %s", said, built.version)
	}
	r.run("ringcached", "check", "--config", "/etc/ringcached.conf", "-u", "ringcached")
	settings := r.read("/etc/ringcached.conf") + ownPort + "-e /var/lib/ringcached/items\n"
	r.write("/etc/ringcached.conf", settings, 0o644)
	s := r.start(t, "ringcached.service")
	s.wantRights(t)
	s.want(t, setItem+getItem, stored+found)

	r.install(debian("ringcached", later))
	if version := r.run("dpkg-query", "--show", "--showformat=${Version}", "ringcached"); version != later+"-1" {
		t.Errorf("version %s is installed", version)
	}
	if got := r.read("/etc/ringcached.conf"); got != settings {
		t.Errorf("the upgrade has changed the settings:\n%s", got)
	}
	s.want(t, getItem, found) // it runs on
	s.reload(t)
	s.wantRights(t)
	s.want(t, getItem, found)
	s.stop()
	s = r.start(t, "ringcached.service")
	s.want(t, getItem, found)
	s.stop()
}

// hasIPv6 says whether ::1 can be listened on, as Debian's settings of memcached want.
func hasIPv6() bool {
	l, err := net.Listen("tcp", "[::1]:0")
	if err == nil {
		l.Close()
	}
	return err == nil
}

func replaceMemcached(t *testing.T, r *root) {
	r.wantStatus("memcached", installed)
	settings := strings.Replace(r.read("/etc/memcached.conf"), "\n-m 64", "\n-m 128", 1) + "\n-v\n-p -1\n-e /var/lib/memcached/items\n"
	if !hasIPv6() {
		settings = strings.Replace(settings, "\n-l ::1", "", 1)
	}
	r.write("/etc/memcached.conf", settings, 0o644)

	r.install(debian("ringcached", later), debian("ringcached-memcached", later))
	r.wantStatus("ringcached-memcached", installed)
	r.wantStatus("memcached", replaced)
	if got := r.read("/etc/memcached.conf"); got != settings {
		t.Errorf("the settings have changed:\n%s", got)
	}
	if to, err := os.Readlink(r.path("/usr/bin/memcached")); to != "ringcached" {
		t.Errorf("/usr/bin/memcached leads to %q, %v", to, err)
	}
	r.wantThere(true, enabled+"memcached.service", "/usr/share/man/man1/memcached.1.gz")
	if text := r.read("/usr/lib/systemd/system/memcached.service"); !strings.Contains(text, "ringcached") {
		t.Errorf("the unit is another's:\n%s", text)
	}
	if said := r.run("dpkg-divert", "--list"); strings.Contains(said, "memcached") {
		t.Errorf("a diversion is left: %s", said)
	}
	if said := r.run("dpkg", "--verify", "ringcached", "ringcached-memcached"); strings.Contains(said, "missing") {
		t.Error(said)
	}
	s := r.start(t, "memcached.service")
	s.wantRights(t)
	if said := s.ask(t, "stats\r\n"); !strings.Contains(said, fmt.Sprintf("STAT limit_maxbytes %d\n", 128<<20)) {
		t.Errorf("the settings are not those of /etc/memcached.conf:\n%s", said)
	}
	s.want(t, setItem, stored)
	r.install(debian("ringcached-memcached", later))
	s.reload(t)
	s.wantRights(t)
	s.want(t, getItem, found)
	if pid := r.read("/run/memcached/memcached.pid"); pid != fmt.Sprintln(s.PID) {
		t.Errorf("the pid file says %q, want %d", pid, s.PID)
	}
	s.stop()
}

func removeAndPurge(t *testing.T, r *root) {
	r.run("dpkg", "--remove", "ringcached-memcached", "ringcached")
	r.wantThere(false, "/usr/bin/ringcached", "/usr/bin/memcached", "/usr/lib/systemd/system/memcached.service", "/usr/lib/systemd/system/ringcached.service")
	r.wantThere(true, "/etc/ringcached.conf", "/etc/memcached.conf")
	r.run("dpkg", "--purge", "ringcached-memcached", "ringcached")
	r.wantThere(false, "/etc/ringcached.conf", "/var/lib/ringcached", enabled+"ringcached.service", enabled+"memcached.service")
	r.wantThere(true, "/etc/memcached.conf") // it is the package memcached's
	r.wantStatus("ringcached", "")
	r.wantStatus("ringcached-memcached", "")
	r.run("dpkg", "--purge", "memcached")
	r.wantThere(false, "/etc/memcached.conf")
	left := r.run("find", "/etc", "/usr", "/var", "-xdev", "-name", "*ringcached*")
	if left != "" {
		t.Errorf("this is left:\n%s", left)
	}
}

// withoutMemcached: where no memcached has been, the package makes settings, and removes them.
func withoutMemcached(t *testing.T, r *root) {
	r.install(debian("ringcached", built.version), debian("ringcached-memcached", built.version))
	if got, want := r.read("/etc/memcached.conf"), r.read("/usr/share/ringcached-memcached/memcached.conf"); got != want {
		t.Errorf("the settings are\n%s", got)
	}
	settings := strings.ReplaceAll(r.read("/etc/memcached.conf"), "\n-l ::1", "") + ownPort
	r.write("/etc/memcached.conf", settings, 0o644)
	s := r.start(t, "memcached.service")
	s.wantRights(t)
	s.want(t, setItem+getItem, stored+found)
	s.stop()
	r.run("dpkg", "--purge", "ringcached-memcached", "ringcached")
	r.wantThere(false, "/etc/memcached.conf", "/usr/bin/memcached", enabled+"memcached.service")
}
