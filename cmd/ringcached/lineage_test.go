package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"ringcached/internal/servertest"
)

// lineage is a server and those that it hands over to.
type lineage struct {
	t       *testing.T
	dir     string
	program string // what the present server was started as: a symbolic link
	count   int    // of programs
	log     string
	addr    string
	pid     int // of the present server
	first   *exec.Cmd
	ended   chan struct{} // closed when the first has ended
}

const patience = 20 * time.Second * servertest.Slow

// startLineage starts the first server. At the end of the test the last one must stop when it is told to, and none may have crashed.
func startLineage(t *testing.T, engine string, flags ...string) *lineage {
	t.Helper()
	l := newLineage(t)
	args := append([]string{"-l", "127.0.0.1", "-p", "-1", "-u", "nobody", "-v", "--engine", engine}, flags...)
	l.start(exec.Command(l.program, args...))
	return l
}

func newLineage(t *testing.T) *lineage {
	l := &lineage{t: t, dir: publicDir(t), ended: make(chan struct{})}
	l.log = filepath.Join(l.dir, "log")
	l.program = l.link()
	return l
}

func (l *lineage) start(cmd *exec.Cmd) {
	l.t.Helper()
	log, err := os.Create(l.log)
	if err != nil {
		l.t.Fatal(err)
	}
	defer log.Close()
	cmd.Dir, cmd.Stdout, cmd.Stderr = l.dir, log, log
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	l.first, l.pid = cmd, cmd.Process.Pid
	go func() {
		_ = cmd.Wait()
		close(l.ended)
	}()
	l.t.Cleanup(l.end)
	l.wantLog("listening on ", 1)
	l.addr = regexp.MustCompile(`listening on ([^\s,]+)`).FindStringSubmatch(l.said())[1]
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
	if err := os.WriteFile(aside, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
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

func (l *lineage) said() string {
	text, err := os.ReadFile(l.log)
	if err != nil {
		l.t.Fatal(err)
	}
	return string(text)
}

// wantLog waits until a text stands in the log n times.
func (l *lineage) wantLog(want string, n int) {
	l.t.Helper()
	servertest.Eventually(l.t, patience, func() error {
		if said := l.said(); strings.Count(said, want) < n {
			return fmt.Errorf("no %d times %q in\n%s", n, want, said)
		}
		return nil
	})
}

func (l *lineage) signal(sig syscall.Signal) {
	l.t.Helper()
	if err := syscall.Kill(l.pid, sig); err != nil {
		l.t.Fatalf("%v to %d: %v\n%s", sig, l.pid, err, l.said())
	}
}

var handedOver = regexp.MustCompile(`handed over to process (\d+)\n`)

// handOver makes the present server hand over, and waits until it is gone.
func (l *lineage) handOver() {
	l.t.Helper()
	before := len(handedOver.FindAllString(l.said(), -1))
	l.signal(syscall.SIGUSR2)
	l.follow(before)
}

// follow waits until another hand-over than so many is through.
func (l *lineage) follow(before int) {
	l.t.Helper()
	l.wantLog("handed over to process ", before+1)
	old := l.pid
	found := handedOver.FindAllStringSubmatch(l.said(), -1)
	l.pid, _ = strconv.Atoi(found[len(found)-1][1])
	l.wantGone(old)
}

// wantGone waits until a process has ended.
func (l *lineage) wantGone(pid int) {
	l.t.Helper()
	servertest.Eventually(l.t, patience, func() error {
		if state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil && !bytes.Contains(state, []byte(") Z ")) {
			return fmt.Errorf("process %d has not ended\n%s", pid, l.said())
		}
		return nil
	})
}

// end stops the last server.
func (l *lineage) end() {
	_ = syscall.Kill(l.pid, syscall.SIGTERM)
	l.wantGone(l.pid)
	<-l.ended
	for _, bad := range []string{"panic", "fatal error", "DATA RACE", "goroutine "} {
		if said := l.said(); strings.Contains(said, bad) {
			l.t.Error(said)
		}
	}
}

func (l *lineage) dial() (net.Conn, error) {
	network := "tcp"
	if strings.HasPrefix(l.addr, "/") {
		network = "unix"
	}
	conn, err := net.DialTimeout(network, l.addr, patience)
	if err == nil {
		_ = conn.SetDeadline(time.Now().Add(patience))
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
