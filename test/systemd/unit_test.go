package systemd

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"ringcached/internal/servertest"
)

const (
	service = "ringcached.service"
	address = "127.0.0.1:11211"
)

// server is a unit in a machine, as packaging/systemd has it.
type server struct {
	*machine
	seen int // bytes of the journal that a test has looked at
}

// shipped is the folder of the units, and of the settings that they name.
const shipped = "../../packaging/"

// installedFiles are where packages put the files of packaging/.
var installedFiles = map[string]string{
	"systemd/ringcached.service":  "/etc/systemd/system/ringcached.service",
	"systemd/ringcached.socket":   "/etc/systemd/system/ringcached.socket",
	"systemd/ringcached.sysusers": "/etc/sysusers.d/ringcached.conf",
	"systemd/memcached.service":   "/etc/systemd/system/memcached.service",
	"systemd/memcached.sysusers":  "/etc/sysusers.d/ringcached-memcached.conf",
	"ringcached.conf":             "/etc/ringcached.conf",
	"memcached.conf":              "/etc/memcached.conf",
}

// install does what packages do, with other paths of the program: /usr is the host's.
func install(t *testing.T, m *machine) *server {
	t.Helper()
	s := &server{machine: m}
	s.restore()
	elsewhere := strings.NewReplacer("/usr/bin/ringcached", installed, "/usr/bin/memcached", installedAsMemcached)
	for name, path := range installedFiles {
		text, err := os.ReadFile(shipped + name)
		if err != nil {
			t.Fatal(err)
		}
		s.write(path, elsewhere.Replace(string(text)), 0o644)
	}
	if err := os.Symlink("ringcached", s.path(installedAsMemcached)); err != nil {
		t.Fatal(err)
	}
	s.run("systemd-sysusers")
	s.run("systemctl", "daemon-reload")
	s.run("systemctl", "cat", service, "ringcached.socket", memcached) // now they are read
	if said := s.news(); strings.Contains(said, "/etc/systemd/system/") {
		t.Error(said) // of what systemd does not understand
	}
	return s
}

// restore puts the program in its place.
func (s *server) restore() {
	s.t.Helper()
	program, err := os.ReadFile(servertest.Binary())
	if err != nil {
		s.t.Fatal(err)
	}
	s.write(installed, string(program), 0o755)
}

// override replaces the command line, and adds lines to the unit's section.
func (s *server) override(flags string, lines ...string) {
	s.t.Helper()
	text := "[Service]\nTimeoutStopSec=60s\nExecStart=\nExecStart=" + installed + " " + flags + "\n" + strings.Join(lines, "\n") + "\n"
	s.write("/etc/systemd/system/ringcached.service.d/override.conf", text, 0o644)
	s.run("systemctl", "daemon-reload")
}

// mainPID is the main process, as systemd knows it.
func (s *server) mainPID() int {
	s.t.Helper()
	pid, err := strconv.Atoi(s.property(service, "MainPID"))
	if err != nil {
		s.t.Fatal(err)
	}
	return pid
}

// news is what the journal says since the last call.
func (s *server) news() string {
	text := s.journal()
	defer func() { s.seen = len(text) }()
	return text[s.seen:]
}

// wantNews waits until the journal says something more.
func (s *server) wantNews(want string) {
	s.t.Helper()
	s.wantNewsTimes(1, want)
}

// wantNewsTimes waits until the journal says it n times more. What comes of one process comes in order, of systemd and of the server in any.
func (s *server) wantNewsTimes(n int, want string) {
	s.t.Helper()
	servertest.Eventually(s.t, patience, func() error {
		if text := s.journal()[s.seen:]; strings.Count(text, want) < n {
			return fmt.Errorf("not %d times %q in\n%s", n, want, text)
		}
		return nil
	})
}

// want waits until the unit has a property.
func (s *server) want(property, value string) {
	s.t.Helper()
	servertest.Eventually(s.t, patience, func() error {
		if got := s.property(service, property); got != value {
			return fmt.Errorf("%s is %s, want %s\n%s", property, got, value, s.journal()[s.seen:])
		}
		return nil
	})
}

// exchange asks the server, which has to answer.
func (s *server) exchange(request, want string) {
	s.t.Helper()
	got, err := s.ask("tcp", address, request)
	if err != nil || got != want {
		s.t.Errorf("%q: %q, %v, want %q\n%s", request, got, err, want, s.journal()[s.seen:])
	}
}

const (
	setItem = "set k 0 0 1\r\nv\r\n"
	stored  = "STORED\r\n"
	getItem = "get k\r\n"
	found   = "VALUE k 0 1\r\nv\r\nEND\r\n"
	none    = "END\r\n"
)

// reload hands over, and waits until systemd knows the new process as the main one.
func (s *server) reload() {
	s.t.Helper()
	before := s.mainPID()
	s.run("systemctl", "reload", service)
	s.wantNews("handed over to process ")
	servertest.Eventually(s.t, patience, func() error {
		if state, pid := s.property(service, "SubState"), s.mainPID(); pid == before || state != "running" {
			return fmt.Errorf("the main process is %d, and it was %d before; it is %s\n%s", pid, before, state, s.journal()[s.seen:])
		}
		return nil
	})
	if said := s.news(); strings.Contains(said, "not our child") || strings.Contains(said, "reception only permitted") {
		s.t.Error(said)
	}
}

// stopped wants a stop, of which more is said after what has been said, to have been a clean one.
func (s *server) wantCleanStop() {
	s.t.Helper()
	s.want("ActiveState", "inactive")
	s.wantNews("ringcached.service: Deactivated successfully.")
	s.wantNews("terminated: stopping")
	if said := s.news(); strings.Contains(said, "SIGKILL") || strings.Contains(said, "reception only permitted") {
		s.t.Error(said)
	}
}

func TestUnit(t *testing.T) {
	s := install(t, boot(t))
	const withFile = "-v -l 127.0.0.1 -m 64 -e /dev/shm/ringcached"
	t.Run("start, reload, stop", func(t *testing.T) {
		s.t = t
		s.override("-v -l 127.0.0.1 -m 64")
		s.run("systemctl", "start", service)
		s.exchange(setItem+getItem, stored+found)
		for range 3 {
			s.reload()
			s.exchange(getItem+setItem, none+stored)
		}
		s.run("systemctl", "stop", service)
		s.wantCleanStop()
	})
	t.Run("items", func(t *testing.T) {
		s.t = t
		s.override(withFile)
		s.run("systemctl", "start", service)
		s.exchange(setItem, stored)
		for range 2 {
			s.reload()
			s.exchange(getItem, found)
		}
		s.run("systemctl", "stop", service)
		s.wantCleanStop()
		s.run("systemctl", "start", service)
		s.exchange(getItem, found)
		s.run("systemctl", "restart", service)
		s.exchange(getItem, found)
		s.reload()
		s.run("systemctl", "restart", service)
		s.exchange(getItem, found)
		s.run("systemctl", "stop", service)
		s.wantCleanStop()
	})
	t.Run("crash after reload", func(t *testing.T) {
		s.t = t
		s.override(withFile)
		s.run("systemctl", "start", service)
		s.reload()
		before := s.mainPID()
		s.run("systemctl", "kill", "--signal=KILL", "--kill-who=main", service)
		s.want("NRestarts", "1")
		s.want("SubState", "running")
		if pid := s.mainPID(); pid == before {
			t.Errorf("the main process is %d still", pid)
		}
		s.exchange(getItem+setItem, none+stored)
		s.reload()
		s.exchange(getItem, found)
		s.run("systemctl", "stop", service)
		s.wantCleanStop()
	})
	t.Run("failing reload", func(t *testing.T) {
		s.t = t
		s.run("systemctl", "start", service)
		s.exchange(setItem, stored)
		before := s.mainPID()
		for _, script := range []string{"#!/bin/sh\nexit 3\n", "no program"} {
			s.write(installed, script, 0o755)
			s.run("systemctl", "reload", service)
			s.wantNews("hand-over failed, serving on: ")
			s.want("SubState", "running")
			if pid := s.mainPID(); pid != before {
				t.Errorf("the main process is %d, want %d", pid, before)
			}
			s.news()
		}
		s.restore()
		s.exchange(getItem, found)
		s.reload()
		s.run("systemctl", "stop", service)
		s.wantCleanStop()
	})
	t.Run("stop and crash while a reload is under way", func(t *testing.T) {
		s.t = t
		s.run("systemctl", "start", service)
		s.exchange(setItem, stored)
		s.write(installed, "#!/bin/sh\nexec sleep 600\n", 0o755)
		s.run("systemctl", "reload", service)
		s.wantNews("handing over: starting " + installed)
		s.run("systemctl", "stop", service)
		s.wantCleanStop()
		s.restore()
		s.run("systemctl", "start", service)
		s.exchange(getItem, found)
		s.write(installed, "#!/bin/sh\nexec sleep 600\n", 0o755)
		s.run("systemctl", "reload", service)
		s.wantNews("handing over: starting " + installed)
		s.restore()
		s.run("systemctl", "kill", "--signal=KILL", "--kill-who=main", service)
		s.wantNews("starting empty: the server that used it was not stopped")
		s.want("SubState", "running")
		s.exchange(getItem, none)
		s.reload()
		s.run("systemctl", "stop", service)
		s.wantCleanStop()
	})
	t.Run("places", func(t *testing.T) {
		s.t = t
		for _, test := range []struct{ flags, lines, want string }{
			{"-e /dev/shm/ringcached", "", ""},
			{"-e /var/lib/ringcached/items", "", ""},
			{"-e /dev/shm/dynamic", "User=dynamic\nDynamicUser=yes", "with DynamicUser= systemd removes what the user has in /dev/shm"},
			{"-e /tmp/items", "", "with PrivateTmp= (or DynamicUser=) the unit has this directory for as long as it runs"},
			{"-e /run/ringcached/items", "", "unless the unit has RuntimeDirectoryPreserve=yes"},
			{"-e /run/ringcached/items", "RuntimeDirectoryPreserve=yes", "unless the unit has RuntimeDirectoryPreserve=yes"},
		} {
			s.override("-v -l 127.0.0.1 -m 16 "+test.flags, test.lines)
			s.run("systemctl", "start", service)
			s.exchange(setItem, stored)
			s.run("systemctl", "restart", service)
			s.wantNewsTimes(2, "listening on ") // behind what is said of the place
			said := s.news()
			_, said, _ = strings.Cut(said, "-e ")
			if lost := strings.Contains(said, "will be lost"); lost != (test.want != "") || !strings.Contains(said, test.want) {
				t.Errorf("%s, %s: no %q in\n%s", test.flags, test.lines, test.want, said)
			}
			if kept := test.want == "" || strings.Contains(test.lines, "Preserve"); kept {
				s.exchange(getItem, found)
			} else {
				s.exchange(getItem, none)
			}
			s.run("systemctl", "stop", service)
			s.wantCleanStop()
		}
	})
	t.Run("unix socket", func(t *testing.T) {
		s.t = t
		s.override("-v -s /run/ringcached/socket -P /run/ringcached/pid")
		s.run("systemctl", "start", service)
		for range 2 {
			if got, err := s.ask("unix", s.path("/run/ringcached/socket"), "version\r\n"); err != nil || !strings.HasPrefix(got, "VERSION ") {
				t.Errorf("%q, %v", got, err)
			}
			s.reload()
			if text, err := os.ReadFile(s.path("/run/ringcached/pid")); string(text) != fmt.Sprintln(s.mainPID()) {
				t.Errorf("the pid file says %q, %v, want %d", text, err, s.mainPID())
			}
		}
		s.run("systemctl", "stop", service)
		s.wantCleanStop()
	})
	t.Run("not told", func(t *testing.T) {
		s.t = t
		s.override("-v -l 127.0.0.1", "Type=simple")
		s.run("systemctl", "start", service)
		s.wantNews("listening on")
		before := s.mainPID()
		s.run("systemctl", "reload", service)
		s.wantNews("hand-over failed, serving on: systemd would stop the new server")
		if pid := s.mainPID(); pid != before {
			t.Errorf("the main process is %d, want %d", pid, before)
		}
		s.exchange(setItem+getItem, stored+found)
		s.run("systemctl", "stop", service)
		s.wantCleanStop()
		s.override(withFile)
	})
	t.Run("socket", func(t *testing.T) {
		s.t = t
		s.run("systemctl", "start", "ringcached.socket")
		s.exchange(setItem, stored) // it starts with the first connection
		s.want("SubState", "running")
		for range 2 {
			s.reload()
			s.exchange(getItem, found)
		}
		s.run("systemctl", "restart", service)
		s.exchange(getItem, found)
		s.run("systemctl", "stop", service)
		s.wantCleanStop()
		s.exchange(getItem, found)
		s.run("systemctl", "stop", "ringcached.socket", service)
		s.wantCleanStop()
	})
}
