package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"ringcached/internal/servertest"
)

// keeper is a row of servers with one file of -e.
type keeper struct {
	t     *testing.T
	dir   string
	flags []string
}

func newKeeper(t *testing.T, engine string, flags ...string) *keeper {
	dir := publicDir(t)
	flags = append([]string{"-l", "127.0.0.1", "-p", "-1", "-u", "nobody", "-v", "-m", "64", "--engine", engine, "-e", filepath.Join(dir, "items")}, flags...)
	return &keeper{t, dir, flags}
}

// start starts a server; a wrapper starts the program that is its first argument, in its own process.
func (k *keeper) start(wrapper ...string) *lineage {
	k.t.Helper()
	l := newLineage(k.t)
	args := append(append(wrapper, l.program), k.flags...)
	l.start(exec.Command(args[0], args[1:]...))
	return l
}

// underStrace makes system calls of a kind slow, so that a signal comes while they go on.
func underStrace(inject string) []string {
	call, _, _ := strings.Cut(inject, ":")
	return []string{"strace", "-f", "-D", "-qq", "-o", "/dev/null", "-e", "trace=" + call, "-e", "inject=" + inject}
}

// slowSave is three calls of fsync of four seconds.
const slowSave = "fsync:delay_enter=4000000"

func (k *keeper) store(l *lineage) {
	k.t.Helper()
	if got := l.ask("set k 0 0 1\r\nv", 1); got != "STORED\r\n" {
		k.t.Fatalf("%q", got)
	}
}

// wantKept looks whether the next server has the item.
func (k *keeper) wantKept(kept bool) {
	k.t.Helper()
	l := k.start()
	want := map[bool]string{true: "took up 1 item from ", false: "starting empty: the server that used it was not stopped, but ended otherwise"}[kept]
	if said := l.Said(); !strings.Contains(said, want) {
		k.t.Errorf("no %q in\n%s", want, said)
	}
	l.Signal(syscall.SIGTERM)
	l.WantGone(l.PID)
}

// wantExit waits for the server's end.
func (k *keeper) wantExit(l *lineage, code int) {
	k.t.Helper()
	l.WantGone(l.PID)
	if state := l.Ended(); state.ExitCode() != code {
		k.t.Errorf("%v, want exit code %d\n%s", state, code, l.Said())
	}
}

// wantSaving waits until the snapshot is being written.
func (k *keeper) wantSaving() {
	k.t.Helper()
	servertest.Eventually(k.t, patience, func() error {
		info, err := os.Stat(filepath.Join(k.dir, "items.meta"))
		if err == nil && info.Size() == 0 {
			err = errors.New("nothing is being saved")
		}
		return err
	})
}

// leaveUnread is a client that asks for 50 MB and reads none of it: a server that stops waits for it. It returns when the server has begun to answer.
func leaveUnread(t *testing.T, l *lineage) {
	t.Helper()
	conn, err := l.dial()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	fmt.Fprintf(conn, "set k 0 0 1000000\r\n%s\r\n", strings.Repeat("x", 1000000))
	expectLine(t, bufio.NewReader(conn), "STORED")
	_, _ = io.WriteString(conn, strings.Repeat("get k\r\n", 50))
	servertest.Eventually(t, patience, func() error {
		if got := l.ask("stats", 40); !strings.Contains(got, "STAT cmd_get ") || strings.Contains(got, "STAT cmd_get 0\r\n") {
			return errors.New("no get yet")
		}
		return nil
	})
}

// TestSecondSignalWithItems: who does not want to wait for clients that do not read their answers waits for the items still.
func TestSecondSignalWithItems(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		t.Parallel()
		for _, second := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
			k := newKeeper(t, engine, "--drain-timeout", "1h")
			l := k.start()
			leaveUnread(t, l)
			l.Signal(syscall.SIGTERM)
			l.WantLog("terminated: stopping", 1)
			l.Signal(syscall.SIGUSR1) // this is no sign of impatience
			l.WantLog("user defined signal 1: stopping already", 1)
			if said := l.Said(); strings.Contains(said, "kept ") {
				t.Error(said)
			}
			l.Signal(second)
			l.WantLog(fmt.Sprintf("%v again: saving the items, and waiting no longer for clients; a third signal ends at once", second), 1)
			k.wantExit(l, 0)
			k.wantKept(true)
		}
	})
}

// TestSignalsWhileSavingUnderStrace: a save is finished after a second signal, and not after a third.
func TestSignalsWhileSavingUnderStrace(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		for third, code := range map[bool]int{false: 0, true: 1} {
			t.Run(fmt.Sprint("third: ", third), func(t *testing.T) {
				t.Parallel()
				k := newKeeper(t, engine)
				l := k.start(underStrace(slowSave)...)
				k.store(l)
				l.Signal(syscall.SIGINT)
				k.wantSaving()
				l.Signal(syscall.SIGTERM)
				l.WantLog("terminated again: items are being saved: finishing; a third signal ends at once", 1)
				if third {
					l.Signal(syscall.SIGTERM)
					l.WantLog("terminated again: exiting at once", 1)
				}
				k.wantExit(l, code)
				k.wantKept(!third)
			})
		}
	})
}

// TestSignalsWhileTakingUpUnderStrace: a server that gets SIGTERM, twice, before it serves keeps what it takes up.
func TestSignalsWhileTakingUpUnderStrace(t *testing.T) {
	k := newKeeper(t, "epoll")
	l := k.start()
	k.store(l)
	l.Signal(syscall.SIGTERM)
	l.WantGone(l.PID)

	args := append(append(underStrace("pread64:delay_enter=4000000:when=1..2"), servertest.Binary()), k.flags...)
	cmd := exec.Command(args[0], args[1:]...)
	log, err := os.Create(filepath.Join(k.dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	servertest.Eventually(t, patience, func() error {
		fds, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", cmd.Process.Pid))
		for _, fd := range fds {
			if to, _ := os.Readlink(fd); to == filepath.Join(k.dir, "items.meta") {
				return nil
			}
		}
		return errors.New("the files are not open yet")
	})
	_ = cmd.Process.Signal(syscall.SIGTERM)
	servertest.Eventually(t, patience/servertest.Slow, func() error { // two at once would be one
		if said := readLog(t, k.dir); !strings.Contains(said, "terminated: stopping") {
			return fmt.Errorf("the signal has not come: %s", said)
		}
		return nil
	})
	_ = cmd.Process.Signal(syscall.SIGTERM)
	<-ended
	said := readLog(t, k.dir)
	for _, want := range []string{"terminated: stopping", "terminated again: saving the items", "took up 1 item", "kept 1 item"} {
		if !strings.Contains(said, want) {
			t.Errorf("no %q in\n%s", want, said)
		}
	}
	k.wantKept(true)
}

// TestHandOverStoppedTwiceUnderStrace: the next server has the items, and is slow to save them again when both get SIGTERM. The old one
// waits for it, although its three calls of fsync take longer than a hand-over may, and whoever is impatient.
func TestHandOverStoppedTwiceUnderStrace(t *testing.T) {
	k := newKeeper(t, "epoll", "--handover-timeout", "11s") // the next server has to be ready in that time
	l := k.start()
	k.store(l)
	next := l.link()
	slow := strings.Join(underStrace(slowSave), " ")
	// The files come while it waits to be ready: nothing listens where it would write its process id.
	l.replace(fmt.Sprintf(`echo successor $$ >&2; exec %s %s "$@" -P /dev/null/pid`, slow, next))
	l.Signal(syscall.SIGUSR2)
	l.WantLog("successor ", 1)
	l.WantLog("kept 1 item", 1)
	l.Signal(syscall.SIGTERM)
	l.WantLog("terminated: stopping", 1) // two at once would be one
	l.Signal(syscall.SIGTERM)
	k.wantExit(l, 0)
	l.WantGone(l.successor())
	k.wantKept(true)
}
