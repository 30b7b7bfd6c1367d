package packages

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"ringcached/internal/servertest"
)

// patience is for anything that a server does.
const patience = 60 * time.Second

// unit is what an installed service asks systemd for, by name. Of lines of one name the last counts: none here that add up are used.
type unit map[string]string

func (r *root) unit(name string) unit {
	r.t.Helper()
	u := unit{}
	for line := range strings.Lines(r.read("/usr/lib/systemd/system/" + name)) {
		if key, value, isSetting := strings.Cut(strings.TrimSpace(line), "="); isSetting && line[0] != '#' {
			u[key] = value
		}
	}
	return u
}

// rlimitMemlock is RLIMIT_MEMLOCK of include/uapi/asm-generic/resource.h, which package syscall leaves out.
const rlimitMemlock = 8

// limit is what a unit has as a limit, or this process's, if that is lower: root may be forbidden to raise it, as in a container, and
// systemd takes the closest then.
func (u unit) limit(t *testing.T, name string, resource int) string {
	t.Helper()
	var own syscall.Rlimit
	if err := syscall.Getrlimit(resource, &own); err != nil {
		t.Fatal(err)
	}
	const unlimited = ^uint64(0)
	wanted := unlimited
	if value := u[name]; value != "infinity" {
		var err error
		if wanted, err = strconv.ParseUint(value, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	if wanted = min(wanted, own.Max); wanted == unlimited {
		return "unlimited"
	}
	return strconv.FormatUint(wanted, 10)
}

// service is a server that was started as its unit says.
type service struct {
	*servertest.Lineage
	r       *root
	unit    unit
	program string // in the root
}

// start does for a unit what systemd would: its directories, its user without capabilities, its limits, its command line.
func (r *root) start(t *testing.T, name string) *service {
	t.Helper()
	u := r.unit(name)
	uid, gid, err := r.ids(u["User"])
	if err != nil {
		t.Fatal(err)
	}
	for key, parent := range map[string]string{"RuntimeDirectory": "/run", "StateDirectory": "/var/lib"} {
		dir := r.path(filepath.Join(parent, u[key]))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(dir, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	words := strings.Fields(u["ExecStart"])
	args := []string{"prlimit", "--nofile=" + u.limit(t, "LimitNOFILE", syscall.RLIMIT_NOFILE), "--memlock=" + u.limit(t, "LimitMEMLOCK", rlimitMemlock),
		"setpriv", "--reuid=" + u["User"], "--regid=" + u["Group"], "--clear-groups", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs", "--"}
	cmd := r.command(append(args, words...)...)
	log := filepath.Join(t.TempDir(), "log")
	return &service{Lineage: servertest.StartLineage(t, cmd, log, patience), r: r, unit: u, program: words[0]}
}

var listening = regexp.MustCompile(`listening on (127\.0\.0\.1:\d+)`)

// ask sends requests, and returns the replies.
func (s *service) ask(t *testing.T, requests string) string {
	t.Helper()
	found := listening.FindStringSubmatch(s.Said())
	if found == nil {
		t.Fatalf("no address in\n%s", s.LastSaid())
	}
	conn, err := net.Dial("tcp", found[1])
	if err != nil {
		t.Fatalf("%v\n%s", err, s.LastSaid())
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := fmt.Fprint(conn, requests+"quit\r\n"); err != nil {
		t.Fatal(err)
	}
	var replies strings.Builder
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		fmt.Fprintln(&replies, lines.Text())
	}
	return replies.String()
}

// want fails unless requests have these replies.
func (s *service) want(t *testing.T, requests, replies string) {
	t.Helper()
	if got := s.ask(t, requests); got != replies {
		t.Errorf("%q: %q, want %q\n%s", requests, got, replies, s.LastSaid())
	}
}

// wantMegabytes fails unless the server has this much for items.
func (s *service) wantMegabytes(t *testing.T, n int) {
	t.Helper()
	if said := s.ask(t, "stats\r\n"); !strings.Contains(said, fmt.Sprintf("STAT limit_maxbytes %d\n", n<<20)) {
		t.Errorf("not %d megabytes:\n%s", n, said)
	}
}

// reload does what the unit's ExecReload does, and waits for the new server.
func (s *service) reload(t *testing.T) {
	t.Helper()
	if got := s.unit["ExecReload"]; got != `/bin/sh -c "kill -USR2 $MAINPID"` {
		t.Fatalf("a reload is %q", got)
	}
	s.Signal(syscall.SIGUSR2)
	s.Follow()
}

// stop does what systemd does.
func (s *service) stop() {
	s.Signal(syscall.SIGTERM)
	s.WantGone(s.PID)
}

// wantRights fails unless the server is the unit's user, without capabilities, and runs the program that is installed now.
func (s *service) wantRights(t *testing.T) {
	t.Helper()
	uid, _, err := s.r.ids(s.unit["User"])
	if err != nil {
		t.Fatal(err)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.PID))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{fmt.Sprintf("\nUid:\t%d\t%[1]d\t%[1]d\t%[1]d\n", uid), "\nCapEff:\t0000000000000000\n", "\nNoNewPrivs:\t1\n"} {
		if !strings.Contains(string(status), want) {
			t.Errorf("no %q in\n%s", want, status)
		}
	}
	running, err := os.Stat(fmt.Sprintf("/proc/%d/exe", s.PID))
	if err != nil {
		t.Fatal(err)
	}
	// A link of the root's is not to be followed outside of it.
	target := strings.TrimSpace(s.r.run("readlink", "--canonicalize", s.program))
	if present, err := os.Stat(s.r.path(target)); err != nil || !os.SameFile(running, present) {
		t.Errorf("the server does not run what is in %s now (%v)", target, err)
	}
}
