package systemd

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"ringcached/internal/servertest"
)

// memcached is the unit that takes memcached's place.
const memcached = "memcached.service"

// exposureMost is what `systemd-analyze security` may say of a unit at most, in tenths.
const exposureMost = 24

// TestExposure: systemd counts what a unit leaves to whoever takes the server over.
func TestExposure(t *testing.T) {
	for _, unit := range []string{service, memcached} {
		out, err := exec.Command("systemd-analyze", "security", "--offline=true", "--no-pager", fmt.Sprint("--threshold=", exposureMost), shipped+"systemd/"+unit).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "Overall exposure level for "+unit) {
			t.Errorf("%s: %v\n%s", unit, err, out)
		}
	}
}

// debianLeast is what the unit of Debian's package memcached has against whoever takes the server over, and, with |, what is as strict.
var debianLeast = map[string]string{
	"PrivateTmp":              "yes",
	"ProtectSystem":           "full|strict",
	"NoNewPrivileges":         "yes",
	"PrivateDevices":          "yes",
	"CapabilityBoundingSet":   "", // Debian's has three capabilities, for root to become a user by
	"RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX|AF_INET AF_INET6 AF_UNIX AF_NETLINK",
	"MemoryDenyWriteExecute":  "yes",
	"ProtectKernelModules":    "yes",
	"ProtectKernelTunables":   "yes",
	"ProtectControlGroups":    "yes",
	"RestrictRealtime":        "yes",
	"RestrictNamespaces":      "yes",
}

// TestAsStrictAsDebian: who comes from Debian's memcached loses no protection.
func TestAsStrictAsDebian(t *testing.T) {
	for _, unit := range []string{service, memcached} {
		text, err := os.ReadFile(shipped + "systemd/" + unit)
		if err != nil {
			t.Fatal(err)
		}
		for name, least := range debianLeast {
			_, rest, found := strings.Cut(string(text), "\n"+name+"=")
			value, _, _ := strings.Cut(rest, "\n")
			if !found || !slices.Contains(strings.Split(least, "|"), value) {
				t.Errorf("%s: %s=%s, Debian's memcached has %s", unit, name, value, least)
			}
		}
	}
}

// sandboxOf are the lines of a unit from the one that says what follows is about rights.
func sandboxOf(t *testing.T, unit string) string {
	t.Helper()
	text, err := os.ReadFile(shipped + "systemd/" + unit)
	if err != nil {
		t.Fatal(err)
	}
	_, lines, found := strings.Cut(string(text), "\n# Least rights.")
	if !found {
		t.Fatalf("%s says nothing about rights", unit)
	}
	return lines
}

// TestSameRights: what holds for one unit holds for the other.
func TestSameRights(t *testing.T) {
	if sandboxOf(t, service) != sandboxOf(t, memcached) {
		t.Errorf("%s and %s differ after \"Least rights\"", service, memcached)
	}
}

// wantEngine asks a server in a sandbox for its engine: that of io_uring, wherever the kernel has it.
func (s *server) wantEngine() {
	s.t.Helper()
	engines := servertest.Engines()
	want := "STAT engine " + engines[len(engines)-1] + "\r\n"
	if got, err := s.ask("tcp", address, "stats batch\r\n"); err != nil || !strings.Contains(got, want) {
		s.t.Errorf("%v, want %q in\n%s\n%s", err, want, got, s.journal()[s.seen:])
	}
}

// metrics is where a server in a machine tells of its health.
const metrics = "127.0.0.1:9150"

// wantReady waits until the server says over HTTP that it is ready.
func (s *server) wantReady() {
	s.t.Helper()
	servertest.Eventually(s.t, patience, func() error {
		// What ask sends at the end is the body.
		got, err := s.ask("tcp", metrics, "GET /readyz HTTP/1.0\r\nContent-Length: 6\r\n\r\n")
		if err != nil || !strings.HasPrefix(got, "HTTP/1.0 200 ") {
			return fmt.Errorf("%v\n%s\n%s", err, got, s.journal()[s.seen:])
		}
		return nil
	})
}

// TestShipped runs the units as they are, with the settings that they name.
func TestShipped(t *testing.T) {
	s := install(t, boot(t))
	t.Run("ringcached", func(t *testing.T) {
		s.t = t
		s.asShipped(service, "/etc/ringcached.conf", "-e /dev/shm/ringcached\n-k\n-t 1\n--cpu-affinity\n--metrics "+metrics)
	})
	t.Run("in the place of memcached", func(t *testing.T) {
		s.t = t
		s.asShipped(memcached, "/etc/memcached.conf", "-e /var/lib/memcached/items\n--metrics "+metrics)
	})
}

// TestShippedWithTLS runs both units as they are, with -Z in their settings and a key that only root and the unit's group may read: at the socket that
// systemd passes, over hand-overs, and with certificates that are read again.
func TestShippedWithTLS(t *testing.T) {
	s := install(t, boot(t))
	certificate := servertest.NewCertificate(t, "server")
	for _, test := range []struct{ unit, settings, group, socket string }{
		{service, "/etc/ringcached.conf", "ringcached", "ringcached.socket"},
		{memcached, "/etc/memcached.conf", "memcache", ""},
	} {
		s.t = t
		s.writeCertificate(certificate, test.group)
		text, err := os.ReadFile(s.path(test.settings))
		if err != nil {
			t.Fatal(err)
		}
		s.write(test.settings, string(text)+"\n-v\n-Z\n-o ssl_chain_cert=/etc/cache/chain.pem\n-o ssl_key=/etc/cache/key.pem\n-e /dev/shm/"+test.group+"\n", 0o644)
		if test.socket != "" {
			s.run("systemctl", "start", test.socket) // the server starts with the first connection
		} else {
			s.run("systemctl", "start", test.unit)
		}
		wantSecure := func(request, want string) {
			t.Helper()
			if got, err := s.ask(overTLS, address, request); err != nil || got != want {
				t.Errorf("%s: %q over TLS: %q, %v, want %q\n%s", test.unit, request, got, err, want, s.journal()[s.seen:])
			}
		}
		wantSecure(setItem, stored)
		s.reloadUnit(test.unit)
		wantSecure(getItem+"refresh_certs\r\n", found+"OK\r\n")
		s.run("systemctl", "kill", "--signal=HUP", "--kill-who=main", test.unit)
		s.wantNews("SIGHUP")
		wantSecure(getItem, found)
		if got, err := s.ask("tcp", address, getItem); err == nil && got != "" {
			t.Errorf("%s: %q without TLS", test.unit, got)
		}
		if test.socket != "" {
			s.run("systemctl", "stop", test.socket, test.unit)
		} else {
			s.run("systemctl", "stop", test.unit)
		}
		said := s.news()
		for _, not := range []string{"peration not permitted", "ermission denied", "SIGSYS", "warning", "have the priority of requests"} {
			if strings.Contains(said, not) {
				t.Errorf("%s: %q in\n%s", test.unit, not, said)
			}
		}
	}
}

// writeCertificate puts the files of a certificate into /etc/cache. The group may read the key, and nobody but root else.
func (s *server) writeCertificate(c *servertest.Certificate, group string) {
	s.t.Helper()
	for name, from := range map[string]string{"chain.pem": c.Chain, "key.pem": c.Key} {
		text, err := os.ReadFile(from)
		if err != nil {
			s.t.Fatal(err)
		}
		s.write("/etc/cache/"+name, string(text), 0o640)
		s.run("chgrp", group, "/etc/cache/"+name)
	}
}

// asShipped starts, reloads and stops a unit: with its settings, then with more, by which items are kept.
func (s *server) asShipped(unit, settings, more string) {
	s.t.Helper()
	s.run("systemctl", "start", unit)
	s.wantEngine()
	s.exchange(setItem+getItem, stored+found)
	s.reloadUnit(unit)
	s.exchange(getItem, none)
	s.wantEngine()
	text, err := os.ReadFile(s.path(settings))
	if err != nil {
		s.t.Fatal(err)
	}
	s.write(settings, string(text)+"\n"+more+"\n", 0o644)
	s.run("systemctl", "restart", unit)
	s.exchange(setItem, stored)
	for range 2 {
		s.reloadUnit(unit)
		s.exchange(getItem, found)
	}
	s.run("systemctl", "restart", unit)
	s.exchange(getItem, found)
	s.wantReady()
	if strings.Contains(string(text), "/memcached.pid") {
		text, err := os.ReadFile(s.path("/run/memcached/memcached.pid"))
		if pid := s.property(unit, "MainPID"); err != nil || string(text) != pid+"\n" {
			s.t.Errorf("the pid file says %q, %v, want %s", text, err, pid)
		}
	}
	s.run("systemctl", "stop", unit)
	for name, want := range map[string]string{"ActiveState": "inactive", "Result": "success", "ExecMainStatus": "0"} {
		if got := s.property(unit, name); got != want {
			s.t.Errorf("%s is %s, want %s\n%s", name, got, want, s.journal()[s.seen:])
		}
	}
	if said := s.news(); strings.Contains(said, "Operation not permitted") || strings.Contains(said, "operation not permitted") || strings.Contains(said, "SIGSYS") {
		s.t.Error(said)
	}
}

// reloadUnit hands over, and waits until systemd knows the new process as the main one.
func (s *server) reloadUnit(unit string) {
	s.t.Helper()
	before := s.property(unit, "MainPID")
	s.run("systemctl", "reload", unit)
	servertest.Eventually(s.t, patience, func() error {
		if state, pid := s.property(unit, "SubState"), s.property(unit, "MainPID"); pid == before || state != "running" {
			return fmt.Errorf("the main process is %s, and it was %s before; it is %s\n%s", pid, before, state, s.journal()[s.seen:])
		}
		return nil
	})
}
