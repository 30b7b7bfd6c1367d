package packages

import (
	"fmt"
	"strings"
	"testing"

	"ringcached/internal/servertest"
)

// memcachedPort is where both services listen as their packages set them up. The machine has a network of its own.
const memcachedPort = "11211"

// ask sends requests to the server in a machine, and returns the replies.
func (r *root) ask(requests string) (string, error) {
	const client = `exec 3<>/dev/tcp/127.0.0.1/$1 && printf %s "$0" >&3 && exec cat <&3`
	out, err := r.command("bash", "-c", client, requests+"quit\r\n", memcachedPort).CombinedOutput()
	return strings.ReplaceAll(string(out), "\r\n", "\n"), err
}

// wantReplies waits until requests have these replies: a service that is being restarted, or reloaded, may refuse or reset connections.
func (r *root) wantReplies(requests, want string) {
	r.t.Helper()
	servertest.Eventually(r.t, patience, func() error {
		if got, err := r.ask(requests); err != nil || got != want {
			return fmt.Errorf("%q: %q, %v, want %q\n%s", requests, got, err, want, r.run("journalctl", "--no-pager", "--lines=50"))
		}
		return nil
	})
}

// wantProgram waits until the main process of a service runs a program, and is another than before. It returns its id.
func (r *root) wantProgram(unit, program, before string) (pid string) {
	r.t.Helper()
	servertest.Eventually(r.t, patience, func() error {
		state := r.run("systemctl", "show", "--value", "--property=ActiveState", unit)
		pid = strings.TrimSpace(r.run("systemctl", "show", "--value", "--property=MainPID", unit))
		if runs, err := r.command("readlink", "/proc/"+pid+"/exe").Output(); err != nil || strings.TrimSpace(string(runs)) != program || pid == before || state != "active\n" {
			return fmt.Errorf("%s is %q, and its main process, %s, runs %q; want %s, and another than %q\n%s",
				unit, state, pid, runs, program, before, r.run("journalctl", "--no-pager", "--lines=50"))
		}
		return nil
	})
	return pid
}

// wantState fails unless a unit is, or is not, active and enabled.
func (r *root) wantState(unit, active, enabled string) {
	r.t.Helper()
	for question, want := range map[string]string{"is-active": active, "is-enabled": enabled} {
		said, _ := r.command("systemctl", question, unit).Output() // by its exit code it says no, too
		if got := strings.TrimSpace(string(said)); got != want {
			r.t.Errorf("%s %s: %q, want %q", question, unit, got, want)
		}
	}
}

// wantNeverStarted fails if the journal knows of a start of a unit; it has to know of one of another unit.
func (r *root) wantNeverStarted(unit, other string) {
	r.t.Helper()
	r.run("journalctl", "--sync")
	journal := r.run("journalctl", "--no-pager", "--output=cat", "_PID=1")
	if !strings.Contains(journal, "Started "+other+".service") || strings.Contains(journal, "Starting "+unit+".service") {
		r.t.Errorf("%s has been started, or %s has not:\n%s", unit, other, journal)
	}
}

const (
	ringcachedProgram = "/usr/bin/ringcached"
	memcachedProgram  = "/usr/bin/memcached"
)

// TestUnderSystemd is a Debian that runs memcached, with the settings of Debian's package, and moves to ringcached, there and back: what is
// installed starts, what is upgraded keeps its items, and what is removed stops.
func TestUnderSystemd(t *testing.T) {
	build(t)
	r := newRoot(t)
	if !hasIPv6() {
		r.write("/etc/memcached.conf", strings.Replace(r.read("/etc/memcached.conf"), "\n-l ::1", "", 1), 0o644)
	}
	r.boot(t)
	r.wantProgram("memcached", memcachedProgram, "")
	r.wantReplies(setItem+getItem, stored+found)

	r.install(debian("ringcached", built.version), debian("ringcached-memcached", built.version))
	first := r.wantProgram("memcached", ringcachedProgram, "")
	r.wantReplies(getItem, "END\n") // it is another cache
	r.wantState("memcached", "active", "enabled")
	r.wantState("ringcached", "inactive", "disabled")
	r.wantNeverStarted("ringcached", "memcached") // it would have had the port, and lost what clients stored

	r.write("/etc/memcached.conf", r.read("/etc/memcached.conf")+"\n-e /dev/shm/items\n", 0o644)
	r.run("systemctl", "restart", "memcached")
	before := r.wantProgram("memcached", ringcachedProgram, first)
	r.wantReplies(setItem, stored)
	r.install(debian("ringcached", later), debian("ringcached-memcached", later))
	r.wantProgram("memcached", ringcachedProgram, before)
	r.wantReplies(getItem, found)
	r.wantState("ringcached", "inactive", "disabled")

	// A stopped service stays so in an upgrade.
	r.run("systemctl", "stop", "memcached")
	r.install(debian("ringcached", later), debian("ringcached-memcached", later))
	r.wantState("memcached", "inactive", "enabled")

	// Back, and forth again.
	r.write("/etc/memcached.conf", strings.Replace(r.read("/etc/memcached.conf"), "\n-e /dev/shm/items\n", "", 1), 0o644)
	r.installMemcached()
	r.wantProgram("memcached", memcachedProgram, "")
	r.install(debian("ringcached-memcached", later))
	r.wantProgram("memcached", ringcachedProgram, "")

	r.run("dpkg", "--purge", "ringcached-memcached", "ringcached", "memcached")
	r.wantState("memcached", "inactive", "")
	if said, err := r.ask(getItem); err == nil {
		t.Errorf("after the purge a server says %q", said)
	}
}

// TestServiceUnderSystemd is a Debian that gets the server's own package alone: beside no memcached.
func TestServiceUnderSystemd(t *testing.T) {
	build(t)
	r := newRoot(t)
	r.run("dpkg", "--purge", "memcached")
	r.boot(t)
	r.install(debian("ringcached", built.version))
	first := r.wantProgram("ringcached", ringcachedProgram, "")
	r.wantState("ringcached", "active", "enabled")
	r.write("/etc/ringcached.conf", r.read("/etc/ringcached.conf")+"-e /dev/shm/ringcached\n", 0o644)
	r.run("systemctl", "restart", "ringcached")
	before := r.wantProgram("ringcached", ringcachedProgram, first)
	r.wantReplies(setItem, stored)
	r.install(debian("ringcached", later))
	r.wantProgram("ringcached", ringcachedProgram, before)
	r.wantReplies(getItem, found)

	r.run("dpkg", "--remove", "ringcached")
	r.wantState("ringcached", "inactive", "")
	r.install(debian("ringcached", later))
	r.wantProgram("ringcached", ringcachedProgram, "")
	r.wantReplies(getItem, found)

	r.run("dpkg", "--purge", "ringcached")
	r.wantState("ringcached", "inactive", "")
	r.wantThere(false, "/etc/ringcached.conf", "/var/lib/ringcached", enabled+"ringcached.service")
}
