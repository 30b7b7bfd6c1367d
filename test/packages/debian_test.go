package packages

import (
	"fmt"
	"net"
	"os"
	"regexp"
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
	r := newRoot(t)
	for _, part := range []struct {
		name string
		run  func(t *testing.T, r *root)
	}{
		{"needs nothing that a Debian may lack", needsLittle},
		{"install, run, upgrade", installAndUpgrade},
		{"take memcached's place", replaceMemcached},
		{"back to memcached", backToMemcached},
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
	for _, flag := range []string{"-V", "--version"} {
		if said, want := r.run("ringcached", flag), versionLine(built.version); said != want {
			t.Errorf("%s says %q, want %q", flag, said, want)
		}
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

// sandboxing is what a unit calls the things that a service may not do.
var sandboxing = regexp.MustCompile(`^(Private|Protect|Restrict|NoNew|Memory|Lock|Capability|SystemCall)`)

func replaceMemcached(t *testing.T, r *root) {
	r.wantStatus("memcached", installed)
	theirs := r.unit("memcached.service")
	asPackaged := r.read("/etc/memcached.conf")
	if !hasIPv6() {
		asPackaged = strings.Replace(asPackaged, "\n-l ::1", "", 1)
	}
	settings := strings.Replace(asPackaged, "\n-m 64", "\n-m 128", 1) + ownPort + "-e /var/lib/memcached/items\n"
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
	ours := r.unit("memcached.service")
	for name := range theirs {
		// How strict each is, test/systemd looks at.
		if sandboxing.MatchString(name) && ours[name] == "" && name != "CapabilityBoundingSet" {
			t.Errorf("Debian's unit has %s=%s, and ours has not", name, theirs[name])
		}
	}
	if said := r.run("dpkg-divert", "--list"); strings.Contains(said, "memcached") {
		t.Errorf("a diversion is left: %s", said)
	}
	if said := r.run("dpkg", "--verify", "ringcached", "ringcached-memcached"); strings.Contains(said, "missing") {
		t.Error(said)
	}
	r.wantThere(true, enabled+"ringcached.service") // its settings are the administrator's
	r.write("/etc/memcached.conf", asPackaged+ownPort, 0o644)
	s := r.start(t, "memcached.service")
	s.wantMegabytes(t, 64)
	s.stop()
	r.write("/etc/memcached.conf", settings, 0o644)
	s = r.start(t, "memcached.service")
	s.wantRights(t)
	s.wantMegabytes(t, 128)
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

// backToMemcached: Debian's package takes its place back, with the settings as they are, and no purge of ours takes anything from it.
func backToMemcached(t *testing.T, r *root) {
	settings := r.read("/etc/memcached.conf")
	r.installMemcached()
	r.wantStatus("memcached", installed)
	r.wantStatus("ringcached-memcached", "deinstall ok config-files")
	r.run("dpkg", "--purge", "ringcached-memcached")
	r.wantStatus("ringcached-memcached", "")
	r.wantThere(true, enabled+"memcached.service", "/usr/lib/systemd/system/memcached.service")
	if got := r.read("/etc/memcached.conf"); got != settings {
		t.Errorf("the settings have changed:\n%s", got)
	}
	if said := r.run("dpkg", "--verify", "memcached"); strings.Contains(said, "missing") {
		t.Error(said)
	}
	if said := r.run("/usr/bin/memcached", "-V"); !strings.HasPrefix(said, "memcached ") {
		t.Errorf("/usr/bin/memcached is %q", said)
	}
	r.install(debian("ringcached-memcached", later))
	r.wantStatus("memcached", replaced)
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

// withoutMemcached: where no memcached has been, the package makes settings, and removes them. systemd-sysusers is not there either.
func withoutMemcached(t *testing.T, r *root) {
	r.run("dpkg", "--purge", "systemd")
	r.run("userdel", "ringcached")
	r.install(debian("ringcached", built.version), debian("ringcached-memcached", built.version))
	if got, want := r.read("/etc/memcached.conf"), r.read("/usr/share/ringcached-memcached/memcached.conf"); got != want {
		t.Errorf("the settings are\n%s", got)
	}
	r.wantThere(false, enabled+"ringcached.service") // nobody has set it up, and it has the same port
	r.wantThere(true, enabled+"memcached.service")
	settings := strings.ReplaceAll(r.read("/etc/memcached.conf"), "\n-l ::1", "") + ownPort
	r.write("/etc/memcached.conf", settings, 0o644)
	s := r.start(t, "memcached.service")
	s.wantRights(t)
	s.want(t, setItem+getItem, stored+found)
	s.stop()
	r.run("dpkg", "--purge", "ringcached-memcached", "ringcached")
	r.wantThere(false, "/etc/memcached.conf", "/usr/bin/memcached", enabled+"memcached.service")

	// A memcached that comes later goes on with the settings that it finds, and a purge does not take them from it.
	r.install(debian("ringcached", built.version), debian("ringcached-memcached", built.version))
	settings = r.read("/etc/memcached.conf")
	r.write("/etc/apt/apt.conf.d/conffiles", `Dpkg::Options { "--force-confold"; };`+"\n", 0o644) // as an administrator answers
	r.installMemcached()
	r.run("dpkg", "--purge", "ringcached-memcached")
	r.wantStatus("memcached", installed)
	r.wantThere(true, "/etc/memcached.conf")
	if got := r.read("/etc/memcached.conf"); got != settings {
		t.Errorf("memcached's settings have changed:\n%s", got)
	}

	// A file system that the items have for themselves can't be removed.
	r.run("sh", "-c", "mkdir -p /var/lib/ringcached && mount -t tmpfs items /var/lib/ringcached && dpkg --purge ringcached")
	r.wantStatus("ringcached", "")
}
