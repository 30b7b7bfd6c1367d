package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"ringcached/cmd/ringcached/process"
	"ringcached/internal/servertest"
)

// startFiles are the files of -P and of MEMCACHED_PORT_FILENAME in a folder.
func startFiles(t *testing.T, dir string) (pid, ports string) {
	ports = filepath.Join(dir, "ports")
	t.Setenv(process.PortFileVariable, ports)
	return filepath.Join(dir, "pid"), ports
}

// wantStartFiles expects them to be a server's.
func wantStartFiles(t *testing.T, server *servertest.Server, pid, ports string) {
	t.Helper()
	if text, err := os.ReadFile(pid); string(text) != fmt.Sprintln(server.PID) {
		t.Errorf("the process id: %q, %v; want %d", text, err, server.PID)
	}
	if strings.HasPrefix(server.Addr, "/") {
		return // a unix socket
	}
	if text, err := os.ReadFile(ports); !strings.HasPrefix(string(text), "TCP INET: ") {
		t.Errorf("the ports: %q, %v", text, err)
	}
}

// TestFilesThatCannotBe: a server whose files can't be written warns, and serves.
func TestFilesThatCannotBe(t *testing.T) {
	missing := filepath.Join(publicDir(t), "missing")
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		pid, _ := startFiles(t, missing)
		for name, flags := range map[string][]string{"tcp": nil, "unix": {"-s", filepath.Join(publicDir(t), "socket")}} {
			server := servertest.Start(t, engine, append(flags, "-P", pid)...)
			server.Stats(t)
			wants := []string{"warning: -P, --pidfile: open " + pid}
			if name == "tcp" {
				wants = append(wants, "warning: MEMCACHED_PORT_FILENAME: open "+missing)
			}
			for _, want := range wants {
				if !strings.Contains(server.Log(), want) {
					t.Errorf("%s: no %q in\n%s", name, want, server.Log())
				}
			}
		}
	})
}

// TestFilesThatAreNone: what is no plain file is not replaced, not even behind a symbolic link: root would take /dev/null away.
func TestFilesThatAreNone(t *testing.T) {
	dir := publicDir(t)
	pipe, link := filepath.Join(dir, "pipe"), filepath.Join(dir, "link")
	if err := errors.Join(syscall.Mkfifo(pipe, 0o666), os.Symlink(pipe, link)); err != nil {
		t.Fatal(err)
	}
	t.Setenv(process.PortFileVariable, link)
	server := servertest.Start(t, "epoll", "-P", pipe)
	for _, want := range []string{"-P, --pidfile: " + pipe + " is not a regular file", process.PortFileVariable + ": " + link + " is not a regular file"} {
		if !strings.Contains(server.Log(), want) {
			t.Errorf("no %q in\n%s", want, server.Log())
		}
	}
	for path, want := range map[string]fs.FileMode{pipe: fs.ModeNamedPipe, link: fs.ModeSymlink} {
		if info, err := os.Lstat(path); err != nil || info.Mode().Type() != want {
			t.Errorf("%s: %v, %v", path, info, err)
		}
	}
}

// TestFilesOfWhoMay: what root may not write, for want of CAP_DAC_OVERRIDE, the user of -u writes, and removes; and the other way round.
func TestFilesOfWhoMay(t *testing.T) {
	needRoot(t)
	const nobody = 65534
	powerless := through("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search")
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		for name, test := range map[string]struct {
			owner int // of the folder
			by    func(args []string) *exec.Cmd
			unix  bool
			stays bool // the user may not remove it
		}{
			"user's":       {owner: nobody, by: powerless},
			"user's, unix": {owner: nobody, by: powerless, unix: true},
			"root's":       {owner: 0, by: powerless, stays: true},
		} {
			dir := publicDir(t)
			if err := errors.Join(os.Chown(dir, test.owner, test.owner), os.Chmod(dir, 0o755)); err != nil {
				t.Fatal(err)
			}
			pid, ports := startFiles(t, dir)
			flags := []string{"-P", pid}
			if test.unix {
				flags = append(flags, "-s", filepath.Join(dir, "socket"))
			}
			server := servertest.StartCommand(t, engine, test.by, flags...)
			wantStartFiles(t, server, pid, ports)
			if strings.Contains(server.Log(), process.PortFileVariable) || strings.Contains(server.Log(), "--pidfile") {
				t.Errorf("%s: %s", name, server.Log())
			}
			if err := server.Stop(); err != nil {
				t.Error(err)
			}
			if _, err := os.Lstat(pid); errors.Is(err, fs.ErrNotExist) == test.stays {
				t.Errorf("%s: the file with the process id at the end: %v", name, err)
			}
		}
	})
}

// TestDaemonFilesOfWhoMay: a daemon does so too, and a server that is handed over to.
func TestDaemonFilesOfWhoMay(t *testing.T) {
	needRoot(t)
	dir := publicDir(t)
	if err := errors.Join(os.Chown(dir, 65534, 65534), os.Chmod(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	pid, ports := startFiles(t, dir)
	powerless := []string{"setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search"}
	l := newLineage(t)
	l.start(exec.Command(powerless[0], powerless[1], powerless[2], l.program, "-l", "127.0.0.1", "-p", "-1", "-u", "nobody", "-v", "-P", pid))
	for range 2 {
		if text, err := os.ReadFile(pid); string(text) != fmt.Sprintln(l.PID) {
			t.Errorf("the process id: %q, %v; want %d", text, err, l.PID)
		}
		if text, err := os.ReadFile(ports); !strings.HasPrefix(string(text), "TCP INET: ") {
			t.Errorf("the ports: %q, %v", text, err)
		}
		l.handOver()
	}
	daemon := through(powerless...)([]string{"-d", "-l", "127.0.0.1", "-p", "-1", "-u", "nobody", "-P", pid + "d"})
	if out, err := daemon.CombinedOutput(); err != nil || strings.Contains(string(out), "--pidfile") {
		t.Errorf("%v, %s", err, out)
	}
	var id int
	text, err := os.ReadFile(pid + "d")
	if _, err2 := fmt.Sscan(string(text), &id); err != nil || err2 != nil {
		t.Fatalf("%q, %v", text, errors.Join(err, err2))
	}
	endDaemon(t, id, pid+"d")
}
