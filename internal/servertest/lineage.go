package servertest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Lineage is a server process, and those that it hands over to, known by the log that all of them write.
type Lineage struct {
	PID int // of the present server

	t     testing.TB
	log   string        // file
	limit time.Duration // for anything that a process does, see Eventually
	first *exec.Cmd
	ended chan struct{} // closed when the first process has ended
	known int           // hand-overs that Follow has followed
	dump  int           // where in the log a dump that was asked for begins; 0: none was
}

// disasters are what no log may tell of.
var disasters = []string{"panic", "fatal error", "DATA RACE", "invariant broken", "SIGABRT", "SIGSEGV", "SIGBUS", "SIGILL"}

var handedOver = regexp.MustCompile(`handed over to process (\d+)\n`)

// StartLineage starts a server, with -v among its flags, that writes its log to a file, and waits until it listens; limit is how long anything
// that it does may take, as Eventually counts. At the end of the test the last server must stop on SIGTERM, and none may have crashed.
func StartLineage(t testing.TB, cmd *exec.Cmd, log string, limit time.Duration) *Lineage {
	t.Helper()
	file, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	cmd.Stdout, cmd.Stderr = file, file
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	l := &Lineage{PID: cmd.Process.Pid, t: t, log: log, limit: limit, first: cmd, ended: make(chan struct{})}
	go func() {
		_ = cmd.Wait()
		close(l.ended)
	}()
	t.Cleanup(l.end)
	l.WantLog("listening on ", 1)
	return l
}

// Said returns the log.
func (l *Lineage) Said() string {
	text, err := os.ReadFile(l.log)
	if err != nil {
		l.t.Fatal(err)
	}
	return string(text)
}

// LastSaid returns the end of the log.
func (l *Lineage) LastSaid() string {
	const most = 4000
	said := l.Said()
	return said[max(len(said)-most, 0):]
}

// WantLog waits until a text stands in the log n times. There is nothing to wait for when the present server has ended.
func (l *Lineage) WantLog(want string, n int) {
	l.t.Helper()
	Eventually(l.t, l.limit, func() error {
		gone := Gone(l.PID) // before the log is looked at
		if strings.Count(l.Said(), want) >= n {
			return nil
		}
		if gone {
			l.t.Fatalf("process %d has ended, without %d times %q in\n%s", l.PID, n, want, l.LastSaid())
		}
		return fmt.Errorf("no %d times %q in\n%s", n, want, l.LastSaid())
	})
}

// Signal sends a signal to the present server.
func (l *Lineage) Signal(sig syscall.Signal) {
	l.t.Helper()
	if err := syscall.Kill(l.PID, sig); err != nil {
		l.t.Fatalf("%v to %d: %v\n%s", sig, l.PID, err, l.LastSaid())
	}
}

// HandOvers counts the hand-overs that the log tells of.
func (l *Lineage) HandOvers() int { return len(handedOver.FindAllString(l.Said(), -1)) }

// Follow waits until the log tells of one more hand-over and the old server is gone, and knows the new one from then on.
func (l *Lineage) Follow() {
	l.t.Helper()
	l.WantLog("handed over to process ", l.known+1)
	found := handedOver.FindAllStringSubmatch(l.Said(), -1)
	old := l.PID
	l.known = len(found)
	l.PID, _ = strconv.Atoi(found[l.known-1][1])
	l.WantGone(old)
}

// Ended waits until the first process has ended, and tells how.
func (l *Lineage) Ended() *os.ProcessState {
	<-l.ended
	return l.first.ProcessState
}

// Dump ends the present server with a dump of its goroutines, and returns that.
func (l *Lineage) Dump() string {
	l.t.Helper()
	l.dump = len(l.Said())
	l.Signal(syscall.SIGQUIT)
	l.WantGone(l.PID)
	return l.Said()[l.dump:]
}

// Gone reports that a process has ended.
func Gone(pid int) bool {
	state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || bytes.Contains(state, []byte(") Z "))
}

// WantGone waits until a process has ended.
func (l *Lineage) WantGone(pid int) {
	l.t.Helper()
	Eventually(l.t, l.limit, func() error {
		if !Gone(pid) {
			return fmt.Errorf("process %d has not ended\n%s", pid, l.LastSaid())
		}
		return nil
	})
}

// end stops the last server, if it has not ended.
func (l *Lineage) end() {
	if !Gone(l.PID) {
		_ = syscall.Kill(l.PID, syscall.SIGTERM)
	}
	l.WantGone(l.PID)
	<-l.ended
	said := l.Said()
	for _, bad := range disasters {
		if i := strings.Index(said, bad); i >= 0 {
			l.t.Errorf("%s", said[i:])
			return
		}
	}
	if l.dump > 0 {
		said = said[:l.dump]
	}
	if strings.Contains(said, "goroutine ") {
		l.t.Error(said)
	}
}
