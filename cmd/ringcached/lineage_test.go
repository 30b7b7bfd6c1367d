package main

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"ringcached/internal/servertest"
)

// lineage is a server and those that it hands over to.
type lineage struct {
	*servertest.Lineage
	t       *testing.T
	dir     string
	program string // what the present server was started as: a symbolic link
	count   int    // of programs
	addr    string
	tls     *tls.Config // what dial speaks TLS with; nil: it does not
}

// patience is how long anything may take on a busy machine.
const patience = 60 * time.Second * servertest.Slow

// startLineage starts the first server. At the end of the test the last one must stop on SIGTERM, and none may have crashed.
func startLineage(t *testing.T, engine string, flags ...string) *lineage {
	t.Helper()
	l := newLineage(t)
	args := append([]string{"-l", "127.0.0.1", "-p", "-1", "-u", "nobody", "-v", "--engine", engine}, flags...)
	l.start(exec.Command(l.program, args...))
	return l
}

func newLineage(t *testing.T) *lineage {
	l := &lineage{t: t, dir: publicDir(t)}
	l.program = l.link()
	return l
}

func (l *lineage) start(cmd *exec.Cmd) {
	l.t.Helper()
	cmd.Dir = l.dir
	l.Lineage = servertest.StartLineage(l.t, cmd, filepath.Join(l.dir, "log"), patience/servertest.Slow)
	l.addr = regexp.MustCompile(`listening on ([^\s,]+)`).FindStringSubmatch(l.Said())[1]
}

// link makes a new name for the server's program.
func (l *lineage) link() string {
	l.count++
	path := filepath.Join(l.dir, fmt.Sprint("server", l.count))
	if err := os.Symlink(servertest.Binary(), path); err != nil {
		l.t.Fatal(err)
	}
	return path
}

// replace puts a shell script in the place of the program.
func (l *lineage) replace(script string) {
	l.t.Helper()
	aside := l.program + ".new"
	if err := servertest.WriteProgram(aside, "#!/bin/sh\n"+script+"\n", 0o755); err != nil {
		l.t.Fatal(err)
	}
	if err := os.Rename(aside, l.program); err != nil {
		l.t.Fatal(err)
	}
}

// restore puts the program in its place again.
func (l *lineage) restore() {
	l.t.Helper()
	if err := os.Remove(l.program); err != nil && !os.IsNotExist(err) {
		l.t.Fatal(err)
	}
	if err := os.Symlink(servertest.Binary(), l.program); err != nil {
		l.t.Fatal(err)
	}
}

// addFlags makes the next server one with further flags.
func (l *lineage) addFlags(flags string) {
	l.t.Helper()
	next := l.link()
	l.replace(fmt.Sprintf(`exec %s "$@" %s`, next, flags))
	l.program = next
}

// handOver makes the present server hand over, and waits until it is gone.
func (l *lineage) handOver() {
	l.t.Helper()
	const failure = "hand-over failed, serving on: "
	done, failed := l.HandOvers(), strings.Count(l.Said(), failure)
	l.Signal(syscall.SIGUSR2)
	servertest.Eventually(l.t, patience/servertest.Slow, func() error {
		gone := servertest.Gone(l.PID) // before the log is looked at
		switch {
		case l.HandOvers() > done:
			return nil
		case gone, strings.Count(l.Said(), failure) > failed:
			l.t.Fatalf("not handed over:\n%s", l.LastSaid())
		}
		return fmt.Errorf("not handed over:\n%s", l.LastSaid())
	})
	l.Follow()
}

func (l *lineage) dial() (net.Conn, error) {
	network := "tcp"
	if strings.HasPrefix(l.addr, "/") {
		network = "unix"
	}
	conn, err := net.DialTimeout(network, l.addr, patience)
	if err == nil {
		_ = conn.SetDeadline(time.Now().Add(patience))
		if l.tls != nil {
			conn = tls.Client(conn, l.tls)
		}
	}
	return conn, err
}

// ask sends a request on a connection of its own and returns n lines of the answer.
func (l *lineage) ask(request string, n int) string {
	l.t.Helper()
	conn, err := l.dial()
	if err != nil {
		l.t.Fatal(err)
	}
	defer conn.Close()
	return answer(l.t, conn, request, n)
}
