package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"ringcached/cmd/ringcached/process"
	"ringcached/internal/servertest"
)

// client sets and gets without a pause, and connects again when it is cut off.
type client struct {
	l       *lineage
	key     string
	counts  bool // also with incr, and what is counted survives
	counted int  // answered increments
	cuts    int  // connections that ended

	sessions atomic.Int32 // connections that did all that they were to do
}

// errCut is the end of a connection before any byte of an answer.
var errCut = errors.New("cut off")

// run works until done is closed. Its error is a connection that was refused, or an answer that was wrong or not whole.
func (c *client) run(done <-chan struct{}) error {
	for {
		conn, err := c.l.dial()
		if err != nil {
			return fmt.Errorf("connect: %w", err)
		}
		err = c.session(conn, bufio.NewReader(conn), done)
		conn.Close()
		select {
		case <-done:
			if err == nil || errors.Is(err, errCut) {
				return nil
			}
		default:
		}
		if err == nil {
			c.sessions.Add(1)
		} else if errors.Is(err, errCut) {
			c.cuts++
		} else {
			return err
		}
	}
}

// session makes some requests on one connection.
func (c *client) session(conn net.Conn, in *bufio.Reader, done <-chan struct{}) error {
	if c.counts {
		if err := c.count(conn, in); err != nil {
			return err
		}
	}
	for i := range 20 {
		select {
		case <-done:
			return nil
		default:
		}
		value := fmt.Sprint(c.key, " ", i)
		got, err := exchange(conn, in, fmt.Sprintf("set %s 0 0 %d\r\n%s\r\n", c.key, len(value), value))
		if err != nil {
			return err
		}
		if got != "STORED" {
			return fmt.Errorf("set: %q", got)
		}
		got, err = exchange(conn, in, "get "+c.key+"\r\n")
		for err == nil && !strings.HasSuffix(got, "END") {
			var line string
			line, err = in.ReadString('\n')
			got += "\n" + strings.TrimSuffix(line, "\r\n")
		}
		if err != nil {
			return err
		}
		if want := fmt.Sprintf("VALUE %s 0 %d\n%s\nEND", c.key, len(value), value); got != want {
			return fmt.Errorf("get: %q, want %q", got, want)
		}
	}
	return nil
}

// count looks whether every increment that was done has been answered, and does some.
func (c *client) count(conn net.Conn, in *bufio.Reader) error {
	got, err := exchange(conn, in, "incr "+c.key+"n 0\r\n")
	if err != nil {
		return err
	}
	if got == "NOT_FOUND" && c.counted == 0 {
		if got, err = exchange(conn, in, "set "+c.key+"n 0 0 1\r\n0\r\n"); err != nil || got != "STORED" {
			return errors.Join(err, fmt.Errorf("set: %q", got))
		}
	} else if got != strconv.Itoa(c.counted) {
		return fmt.Errorf("%q increments were done, %d were answered", got, c.counted)
	}
	for range 100 {
		got, err := exchange(conn, in, "incr "+c.key+"n 1\r\n")
		if err != nil {
			return err
		}
		if c.counted++; got != strconv.Itoa(c.counted) {
			return fmt.Errorf("incr: %q, want %d", got, c.counted)
		}
	}
	return nil
}

// exchange sends a request and returns the first line of the answer.
func exchange(conn net.Conn, in *bufio.Reader, request string) (string, error) {
	_, writing := io.WriteString(conn, request)
	line, err := in.ReadString('\n')
	if err != nil && line == "" && !os.IsTimeout(err) && !isAlert(err) {
		return "", errCut
	}
	if err != nil {
		return "", fmt.Errorf("%q: %w", line, errors.Join(err, writing))
	}
	return strings.TrimSuffix(line, "\r\n"), nil
}

// progress waits until the client has had n connections more.
func (c *client) progress(n int32) bool {
	c.l.t.Helper()
	n += c.sessions.Load()
	for end := time.Now().Add(patience); c.sessions.Load() < n; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			c.l.t.Errorf("%s: stuck", c.key)
			return false
		}
	}
	return true
}

// underLoad hands over n times while clients work. Each hand-over may end each connection that was there, and nothing else may happen to them.
func (l *lineage) underLoad(n int, counts bool, between func(i int)) {
	l.t.Helper()
	clients := make([]client, 8)
	done := make(chan struct{})
	var wg sync.WaitGroup
	for i := range clients {
		c := &clients[i]
		c.l, c.key, c.counts = l, fmt.Sprint("key", i, "."), counts
		wg.Go(func() {
			if err := c.run(done); err != nil {
				l.t.Errorf("%s: %v", c.key, err)
			}
		})
	}
	for i := range n {
		if between != nil {
			between(i)
		}
		l.handOver()
		// Each client connects so often that every socket has its turn.
		for k := range clients {
			if c := &clients[k]; !c.progress(10) {
				break
			}
		}
	}
	close(done)
	wg.Wait()
	for i := range clients {
		if c := &clients[i]; c.cuts > n {
			l.t.Errorf("%s: cut off %d times in %d hand-overs", c.key, c.cuts, n)
		}
	}
	if l.t.Failed() {
		l.t.Log(l.Said())
	}
}

func TestHandOver(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		t.Parallel()
		startLineage(t, engine, "-t", "2").underLoad(handOvers(t, 4), false, nil)
	})
	t.Run("direct", func(t *testing.T) {
		servertest.NeedURing(t)
		t.Parallel()
		startLineage(t, "uring", "-t", "2", "--direct-descriptors").underLoad(handOvers(t, 3), false, nil)
	})
	t.Run("polled", func(t *testing.T) {
		servertest.NeedURing(t)
		t.Parallel()
		startLineage(t, "uring", "-t", "2", "--sqpoll", "1ms").underLoad(handOvers(t, 3), false, nil)
	})
}

// TestHandOverToOther: the next server may have other threads and another engine. All sockets are accepted from, whoever has how many.
func TestHandOverToOther(t *testing.T) {
	servertest.NeedURing(t)
	l := startLineage(t, "epoll", "-t", "2")
	l.underLoad(5, false, func(i int) {
		l.addFlags([]string{"-t 5", "-t 1 --engine uring", "-t 3", "--engine epoll", "-t 2"}[i])
	})
	l.WantLog("engine uring (asked for), 1 thread (-t),", 1)
	l.WantLog("engine uring (asked for), 3 threads (-t),", 1)
}

// TestHandOverKeepsItems: with -e the next server has the items, and every change that was made was answered.
func TestHandOverKeepsItems(t *testing.T) {
	for place, file := range memoryFiles(t) {
		t.Run(place, func(t *testing.T) {
			servertest.EachEngine(t, func(t *testing.T, engine string) {
				t.Parallel()
				startLineage(t, engine, "-t", "2", "-m", "32", "-e", file+engine).underLoad(handOvers(t, 3), true, nil)
			})
		})
	}
}

// TestHandOverFails: whatever the next server dies of, this one serves on, with its connections and its files.
func TestHandOverFails(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		t.Parallel()
		dir := publicDir(t)
		pidFile := filepath.Join(dir, "pid")
		l := startLineage(t, engine, "-P", pidFile, "-s", filepath.Join(dir, "socket"))
		conn, err := l.dial()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		answer(t, conn, "set k 0 0 1\r\nv", 1)
		for i, test := range []struct{ script, want string }{
			{"exit 3", "exit status 3"},
			{"kill -9 $$", "signal: killed"},
			{fmt.Sprintf(`exec %s "$@" --no-such-flag`, servertest.Binary()), "exit status 1"},
			{fmt.Sprintf(`exec %s "$@" -u nobodyat -m 1`, servertest.Binary()), "exit status 1"},
			{"", "exit status 1"}, // no such file
		} {
			if l.replace(test.script); test.script == "" {
				if err := os.Remove(l.program); err != nil {
					t.Fatal(err)
				}
			}
			l.Signal(syscall.SIGUSR2)
			l.WantLog("hand-over failed, serving on: ", i+1)
			said := l.Said()
			if _, last, _ := strings.Cut(said[strings.LastIndex(said, "hand-over failed"):], ": "); !strings.Contains(last, test.want) {
				t.Errorf("%s: %s", test.script, last)
			}
			if got := answer(t, conn, "get k", 3); got != "VALUE k 0 1\r\nv\r\nEND\r\n" {
				t.Errorf("%s: %q", test.script, got)
			}
			if got := l.ask("version", 1); got != "VERSION "+memcachedVersion+"\r\n" {
				t.Errorf("%s: %q", test.script, got)
			}
			if text, err := os.ReadFile(pidFile); string(text) != fmt.Sprintln(l.PID) {
				t.Errorf("%s: the pid file says %q, %v", test.script, text, err)
			}
		}
		l.restore()
		l.handOver()
		if got := l.ask("get k", 1); got != "END\r\n" {
			t.Errorf("%q", got)
		}
	})
}

// TestHandOverTakesTooLong: a new server that is not ready in time is killed.
func TestHandOverTakesTooLong(t *testing.T) {
	l := startLineage(t, "epoll", "--handover-timeout", "1s")
	l.replace("exec sleep 600")
	late := regexp.MustCompile(`hand-over failed, serving on: process (\d+): not ready after 1s\n`)
	for end := time.Now().Add(patience); ; { // it may be too late before it is a process that we know
		failed := strings.Count(l.Said(), "hand-over failed, serving on: ")
		l.Signal(syscall.SIGUSR2)
		l.WantLog("hand-over failed, serving on: ", failed+1)
		if found := late.FindStringSubmatch(l.Said()); found != nil {
			pid, _ := strconv.Atoi(found[1])
			l.WantGone(pid)
			break
		}
		if time.Now().After(end) {
			t.Fatal(l.LastSaid())
		}
	}
	if got := l.ask("version", 1); got != "VERSION "+memcachedVersion+"\r\n" {
		t.Errorf("%q", got)
	}
}

// handOvers is how many times a test hands over: n, or as the environment says.
func handOvers(t *testing.T, n int) int {
	t.Helper()
	if text, given := os.LookupEnv("RINGCACHED_HANDOVERS"); given {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// TestHandOverManyTimes hands over in a row, in every manner. RINGCACHED_HANDOVERS=200 is how many times.
func TestHandOverManyTimes(t *testing.T) {
	times := handOvers(t, 3)
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		for name, flags := range map[string]func(dir string) []string{
			"tcp":   func(string) []string { return nil },
			"unix":  func(dir string) []string { return []string{"-s", filepath.Join(dir, "socket")} },
			"items": func(dir string) []string { return []string{"-m", "16", "-e", filepath.Join(dir, "items")} },
			"udp":   func(string) []string { return []string{"-U", "-1"} },
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				l := startLineage(t, engine, append([]string{"-t", "2"}, flags(publicDir(t))...)...)
				for i := range times {
					l.handOver()
					if got := l.ask("version", 1); got != "VERSION "+memcachedVersion+"\r\n" {
						t.Fatalf("after %d: %q", i+1, got)
					}
				}
				l.WantLog("listening on ", times+1)
			})
		}
	})
}

// successor is the process that a script has said to be.
func (l *lineage) successor() int {
	l.t.Helper()
	_, rest, _ := strings.Cut(l.Said(), "successor ")
	pid, err := strconv.Atoi(strings.SplitN(rest, "\n", 2)[0])
	if err != nil {
		l.t.Fatal(err)
	}
	return pid
}

// TestHandOverGoesBack: if the next server dies with the items, the program of the old one takes them up.
func TestHandOverGoesBack(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		t.Parallel()
		file := filepath.Join(publicDir(t), "items")
		l := startLineage(t, engine, "-t", "1", "-m", "32", "-e", file)
		// The socket is 3, the files are 4 and 5, and 6 is where servers talk.
		l.replace("printf f >&6; head -c 1 <&6; exit 3")
		l.underLoad(1, true, nil)
		l.WantLog("hand-over failed, going back to the old program: process ", 1)
		l.WantLog("exit status 3", 1)
		l.restore()
		l.underLoad(1, false, nil) // it knows what it was started as
	})
}

// TestHandOverFiles: the unix socket and the file with the process id are the next server's, and go away with the last.
func TestHandOverFiles(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		t.Parallel()
		dir := publicDir(t)
		pidFile, socket := filepath.Join(dir, "pid"), filepath.Join(dir, "socket")
		l := startLineage(t, engine, "-P", pidFile, "-s", socket, "-t", "2")
		l.underLoad(2, false, nil)
		if text, err := os.ReadFile(pidFile); string(text) != fmt.Sprintln(l.PID) {
			t.Errorf("the pid file says %q, %v; want %d", text, err, l.PID)
		}
		l.WantLog("listening on "+socket+"\n", 3)
		l.Signal(syscall.SIGTERM)
		l.WantGone(l.PID)
		for _, path := range []string{pidFile, socket} {
			if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s is still there: %v", path, err)
			}
		}
	})
}

// TestHandOverTwice: a signal while a new server starts is ignored, and SIGTERM ends both.
func TestHandOverTwice(t *testing.T) {
	l := startLineage(t, "epoll")
	l.replace("echo successor $$ >&2; exec sleep 600")
	l.Signal(syscall.SIGUSR2)
	l.WantLog("successor ", 1)
	l.Signal(syscall.SIGUSR2)
	l.WantLog("SIGUSR2 again: a new server is being started already", 1)
	if got := l.ask("version", 1); got != "VERSION "+memcachedVersion+"\r\n" {
		t.Errorf("%q", got)
	}
	l.Signal(syscall.SIGTERM)
	l.WantGone(l.PID)
	l.WantGone(l.successor())
	if said := l.Said(); strings.Count(said, "successor ") != 1 || strings.Contains(said, "failed") {
		t.Error(said)
	}
}

// TestHandOverStopped: SIGTERM while the next server has the items, and does not serve yet, stops both.
func TestHandOverStopped(t *testing.T) {
	l := startLineage(t, "epoll", "-t", "1", "-m", "32", "-e", filepath.Join(publicDir(t), "items"))
	// The socket is 3, the files are 4 and 5, and 6 is where servers talk.
	l.replace("printf f >&6; head -c 1 <&6; echo successor $$ >&2; exec sleep 600")
	l.Signal(syscall.SIGUSR2)
	l.WantLog("successor ", 1)
	l.Signal(syscall.SIGTERM)
	l.WantGone(l.PID)
	l.WantGone(l.successor())
	if said := l.Said(); !strings.Contains(said, "kept 0 items") || strings.Contains(said, "failed") {
		t.Error(said)
	}
	if state := l.Ended(); !state.Success() {
		t.Error(state)
	}
}

// TestHandOverDirectory: it matters little where the server was started.
func TestHandOverDirectory(t *testing.T) {
	for what, lose := range map[string]func(dir string) error{
		"gone":   os.Remove,
		"closed": func(dir string) error { return os.Chmod(dir, 0) },
	} {
		l := newLineage(t)
		dir := filepath.Join(l.dir, what)
		if err := os.Mkdir(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		l.start(exec.Command("/bin/sh", "-c", `cd "$0" && exec "$@"`, dir, l.program, "-l", "127.0.0.1", "-p", "-1", "-u", "nobody", "-v"))
		if err := lose(dir); err != nil {
			t.Fatal(err)
		}
		l.handOver()
		l.handOver()
		if got := l.ask("version", 1); got != "VERSION "+memcachedVersion+"\r\n" {
			t.Errorf("%s: %q", what, got)
		}
	}
}

// TestHandOverWhenFull: with as many connections as there may be, descriptors are left for a hand-over.
func TestHandOverWhenFull(t *testing.T) {
	const connections, threads = 50, 8
	limit := fmt.Sprintf(`ulimit -n %d && exec "$0" "$@"`, process.FilesNeeded(connections, threads, 0))
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		t.Parallel()
		l := newLineage(t)
		l.start(exec.Command("/bin/sh", "-c", limit, l.program, "-v", "-u", "nobody", "--engine", engine,
			"-t", fmt.Sprint(threads), "-c", fmt.Sprint(connections), "-l", "127.0.0.1,::1", "-p", "-1", "-U", "-1"))
		for range connections {
			conn, err := l.dial()
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			answer(t, conn, "version", 1)
		}
		l.handOver()
	})
}

// TestHandOverDatagrams: UDP sockets are handed over, too.
func TestHandOverDatagrams(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		t.Parallel()
		l := startLineage(t, engine, "-p", "0", "-U", "-1", "-t", "2")
		conn, err := net.Dial("udp", strings.TrimSuffix(l.addr, "/udp"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		for i, flags := range []string{"-t 3", "-t 1"} {
			id := uint16(10 * i)
			if got := ask(t, conn, id, "set k 0 0 1\r\nv\r\n"); got != "STORED\r\n" {
				t.Errorf("set: %q", got)
			}
			l.addFlags(flags)
			l.handOver()
			for client := range uint16(8) { // so that all sockets have their turn
				other, err := net.Dial("udp", strings.TrimSuffix(l.addr, "/udp"))
				if err != nil {
					t.Fatal(err)
				}
				if got := ask(t, other, client, "get k\r\n"); got != "END\r\n" {
					t.Errorf("%s: get: %q", flags, got)
				}
				other.Close()
			}
		}
	})
}

// TestHandOverOfDaemon: flags of -d mean what they meant when the user typed them.
func TestHandOverOfDaemon(t *testing.T) {
	dir := publicDir(t)
	said, pid := launchDaemon(t, dir, "-v", "--engine", "epoll")
	addr := listeningOn(t, said)[0]
	if err := syscall.Kill(pid, syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	next := pid
	servertest.Eventually(t, patience/servertest.Slow, func() error {
		text, err := os.ReadFile(filepath.Join(dir, "pid"))
		if err == nil {
			next, err = strconv.Atoi(strings.TrimSpace(string(text)))
		}
		if err == nil && next == pid {
			err = errors.New("it is the old process's")
		}
		return err
	})
	t.Cleanup(func() { _ = syscall.Kill(next, syscall.SIGTERM) })
	servertest.Eventually(t, patience/servertest.Slow, func() error {
		if cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", next)); cwd != "/" {
			return fmt.Errorf("its directory is %s, %v", cwd, err)
		}
		return nil
	})
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	answer(t, conn, "version", 1)
	endDaemon(t, next, filepath.Join(dir, "pid"))
	wantEnd(t, pid) // it may end after the next
	if said := readLog(t, dir); !strings.Contains(said, fmt.Sprint("handed over to process ", next, "\n")) {
		t.Error(said)
	}
}

// TestHandOverKeepsProtocols: what -l said of a listener's protocol holds for the servers that get it, with whatever threads, ports and engine.
func TestHandOverKeepsProtocols(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		l := startLineage(t, engine, "-t", "3", "-l", "proto[binary]:127.0.0.2;proto[ascii]:127.0.0.3")
		addrs := listeningOn(t, l.Said())
		for i, flags := range []string{"", "-t 1 --engine epoll", "-t 4 -B ascii"} {
			l.addFlags(flags)
			l.handOver()
			want := []string{"text binary", "binary", "text"}
			if i == 2 {
				want[0] = "text"
			}
			for k, addr := range addrs {
				if got := strings.Join(protocolsAt(t, addr), " "); got != want[k] {
					t.Errorf("after hand-over %d clients speak %q on %s, want %q", i+1, got, addr, want[k])
				}
			}
		}
	})
}

// TestHandOverStoppedEarly: SIGTERM before the next server is a process that the old one knows.
func TestHandOverStoppedEarly(t *testing.T) {
	for _, after := range []time.Duration{0, time.Millisecond, 4 * time.Millisecond, 16 * time.Millisecond, 64 * time.Millisecond} {
		l := startLineage(t, "epoll")
		l.replace("exec sleep 600")
		l.Signal(syscall.SIGUSR2)
		l.WantLog("handing over: starting ", 1)
		time.Sleep(after) // anything will do
		l.Signal(syscall.SIGTERM)
		l.WantGone(l.PID)
		if state := l.Ended(); !state.Success() || strings.Contains(l.Said(), "failed") {
			t.Errorf("%v\n%s", state, l.Said())
		}
	}
}

// TestHandOverRefused: where the end of this process would be the end of the next server, too.
func TestHandOverRefused(t *testing.T) {
	for want, start := range map[string]func(l *lineage) *exec.Cmd{
		"this is the first process of a container": func(l *lineage) *exec.Cmd {
			cmd := exec.Command(l.program, "-l", "127.0.0.1", "-p", "-1", "-u", "nobody", "-v")
			cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
			return cmd
		},
		"systemd would stop the new server": func(l *lineage) *exec.Cmd {
			return exec.Command("/bin/sh", "-c", `export SYSTEMD_EXEC_PID=$$; exec "$0" -l 127.0.0.1 -p -1 -u nobody -v`, l.program)
		},
	} {
		t.Run(want, func(t *testing.T) {
			l := newLineage(t)
			cmd := start(l)
			if cmd.SysProcAttr != nil {
				try := exec.Command("/bin/true")
				try.SysProcAttr = cmd.SysProcAttr
				if err := try.Run(); errors.Is(err, syscall.EPERM) {
					t.Skipf("no namespace of processes can be made, %v: run the test as root, with the capability CAP_SYS_ADMIN", err)
				}
			}
			l.start(cmd)
			l.Signal(syscall.SIGUSR2)
			l.WantLog("hand-over failed, serving on: "+want, 1)
			if got := l.ask("version", 1); got != "VERSION "+memcachedVersion+"\r\n" {
				t.Errorf("%q", got)
			}
		})
	}
}
