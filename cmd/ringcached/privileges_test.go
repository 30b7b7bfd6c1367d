package main

import (
	"bytes"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"ringcached/internal/servertest"
)

// needRoot skips what only root can do.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can become somebody else: run the test as root")
	}
}

// through starts the server by another program that then becomes it.
func through(program ...string) func(args []string) *exec.Cmd {
	return func(args []string) *exec.Cmd {
		line := append(append(program[1:len(program):len(program)], servertest.Binary()), args...)
		return exec.Command(program[0], line...)
	}
}

// wantIDs expects a server to be a user and a group.
func wantIDs(t *testing.T, server *servertest.Server, uid, gid string) {
	t.Helper()
	server.Stats(t) // it serves
	for name, want := range map[string]string{"Uid": uid, "Gid": gid, "Groups": gid} {
		got := strings.Fields(server.Status(t, name))
		for _, id := range got {
			if id != want {
				t.Errorf("%s: %v, want %s", name, got, want)
				break
			}
		}
	}
}

// TestUserByNumber: -u takes a number, whether or not it has a name. Its group is that of the name, or else the same number.
func TestUserByNumber(t *testing.T) {
	needRoot(t)
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		wantIDs(t, servertest.Start(t, engine, "-u", nobody.Uid), nobody.Uid, nobody.Gid)
		wantIDs(t, servertest.Start(t, engine, "-u", "54321"), "54321", "54321")
	})
	for _, wrong := range []string{"4294967295", "4294967296", "-1", "0x10", "65534:65534", "1 ", ""} {
		var stdout, stderr bytes.Buffer
		if code := run([]string{appName, "check", "-u", wrong}, &stdout, &stderr); code != 1 || strings.Count(stderr.String(), "\n") != 1 {
			t.Errorf("-u %q: exit code %d, %s", wrong, code, &stderr)
		}
	}
}

// emptyRoot is a folder with the server and nothing else, linked so that it needs nothing else.
func emptyRoot(t *testing.T) string {
	t.Helper()
	root := publicDir(t)
	build := exec.Command("go", "build", "-buildvcs=false", "-o", filepath.Join(root, "ringcached"), "ringcached/cmd/ringcached")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return root
}

// TestEmptyContainer: where there is no /etc/passwd, nor anything else, numbers and root work, and another name is an error that says so.
func TestEmptyContainer(t *testing.T) {
	needRoot(t)
	root := emptyRoot(t)
	inside := func(args []string) *exec.Cmd {
		cmd := exec.Command("/ringcached", args...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root}
		return cmd
	}
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		for name, id := range map[string]string{"65534": "65534", "11211": "11211", "root": "0", "0": "0"} {
			wantIDs(t, servertest.StartCommand(t, engine, inside, "-u", name), id, id)
		}
	})
	out, err := inside([]string{"check", "-u", "65534", "-l", "localhost"}).CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("127.0.0.1:11211")) {
		t.Errorf("-l localhost: %v, %s", err, out)
	}
	out, err = inside([]string{"-u", "memcache", "-p", "-1"}).CombinedOutput()
	if err == nil || bytes.Count(out, []byte("\n")) != 1 || !bytes.Contains(out, []byte("can't find the user memcache to switch to: ")) ||
		!bytes.Contains(out, []byte("as in -u 65534")) {
		t.Errorf("%v, %s", err, out)
	}
}

// TestGroupsThatStay: root that may not drop its groups warns, and serves.
func TestGroupsThatStay(t *testing.T) {
	needRoot(t)
	for name, line := range map[string][]string{
		"user namespace":  {"unshare", "-r"},
		"no capabilities": {"setpriv", "--bounding-set=-all", "--inh-caps=-all"},
		"no CAP_SETGID":   {"setpriv", "--bounding-set=-setgid", "--inh-caps=-setgid"},
	} {
		t.Run(name, func(t *testing.T) {
			if out, err := exec.Command(line[0], append(line[1:], "true")...).CombinedOutput(); err != nil {
				t.Skipf("this system forbids it: %v, %s", err, out)
			}
			servertest.EachEngine(t, func(t *testing.T, engine string) {
				server := servertest.StartCommand(t, engine, through(line...), "-u", "root")
				server.Stats(t)
				if !strings.Contains(server.Log(), "warning: can't drop supplementary groups, keeping [") {
					t.Errorf("no warning: %s", server.Log())
				}
			})
		})
	}
}

// TestUserRefused: a server that can't become the user of -u ends: it would have the rights of root instead. The error says what mends it.
func TestUserRefused(t *testing.T) {
	needRoot(t)
	for name, test := range map[string]struct {
		line []string
		want string
	}{
		"all":    {[]string{"setpriv", "--bounding-set=-all", "--inh-caps=-all"}, "setgid: operation not permitted (it takes CAP_SETUID"},
		"setgid": {[]string{"setpriv", "--bounding-set=-setgid", "--inh-caps=-setgid"}, "setgid: operation not permitted (it takes CAP_SETUID"},
		"setuid": {[]string{"setpriv", "--bounding-set=-setuid", "--inh-caps=-setuid"}, "setuid: operation not permitted (it takes CAP_SETUID"},
	} {
		out, err := through(test.line...)([]string{"-u", "nobody", "-l", "127.0.0.1", "-p", "-1"}).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "can't become user nobody: "+test.want) {
			t.Errorf("%s: %v, %s", name, err, out)
		}
	}
}
