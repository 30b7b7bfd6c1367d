package soak

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"ringcached/internal/servertest"
)

// patience is how long anything may take on a busy machine.
const patience = 60 * time.Second * servertest.Slow

// What the server has too little of.
const (
	files     = 160 // open files
	memory    = 24  // MB
	memoryMin = 8   // MB: the least that cache_memlimit takes
)

var flags = []string{
	"-l", "127.0.0.1", "-p", "-1", "-U", "-1", "-v", "-t", "2", "-c", strconv.Itoa(files), "-m", strconv.Itoa(memory), "--ring-buffers", "16",
	"--send-timeout", "10s", "-o", "watcher_logbuf_size=64",
}

// server is a server and those that it hands over to.
type server struct {
	t   *testing.T
	log string // file
	tcp string // address
	udp string
	pid int
	// generation is even while one process serves, and odd during a hand-over.
	generation atomic.Int64
	first      *exec.Cmd
	ended      chan struct{} // closed when the first has ended
}

// start starts the server with a limit on open files that it can't raise.
func start(t *testing.T, engine string) *server {
	t.Helper()
	s := &server{t: t, log: filepath.Join(servertest.PublicDir(t), "log"), ended: make(chan struct{})}
	log, err := os.Create(s.log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	script := fmt.Sprintf(`ulimit -n %d && exec "$0" "$@"`, files)
	args := append([]string{"-c", script, servertest.Binary(), "--engine", engine}, flags...)
	cmd := exec.Command("/bin/sh", append(args, strings.Fields(os.Getenv("RINGCACHED_TEST_FLAGS"))...)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = "/", log, log
	if os.Getuid() == 0 {
		const nobody = 65534
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.first, s.pid = cmd, cmd.Process.Pid
	go func() {
		_ = cmd.Wait()
		close(s.ended)
	}()
	t.Cleanup(s.end)
	s.wantLog("listening on ", 1)
	found := regexp.MustCompile(`listening on ([^\s,]+), ([^\s,]+)/udp`).FindStringSubmatch(s.said())
	if found == nil {
		t.Fatalf("no addresses in %s", s.said())
	}
	s.tcp, s.udp = found[1], found[2]
	return s
}

func (s *server) said() string {
	text, err := os.ReadFile(s.log)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}

// wantLog waits until a text stands in the log n times.
func (s *server) wantLog(want string, n int) {
	s.t.Helper()
	servertest.Eventually(s.t, patience/servertest.Slow, func() error {
		if said := s.said(); strings.Count(said, want) < n {
			return fmt.Errorf("no %d times %q in\n%s", n, want, lastLines(said))
		}
		return nil
	})
}

func lastLines(text string) string {
	const most = 4000
	return text[max(len(text)-most, 0):]
}

func (s *server) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := syscall.Kill(s.pid, sig); err != nil {
		s.t.Fatalf("%v to %d: %v\n%s", sig, s.pid, err, lastLines(s.said()))
	}
}

var (
	handedOver = regexp.MustCompile(`handed over to process (\d+)\n`)
	servesOn   = regexp.MustCompile(`hand-over failed, serving on: .*\n`)
)

// handOver makes the server hand over and waits until the old process is gone. A hand-over that fails because descriptors are short is tried
// again; it returns how many did.
func (s *server) handOver() (failed int) {
	s.t.Helper()
	s.generation.Add(1)
	defer s.generation.Add(1)
	said := s.said()
	done, undone := len(handedOver.FindAllString(said, -1)), len(servesOn.FindAllString(said, -1))
	s.signal(syscall.SIGUSR2)
	servertest.Eventually(s.t, patience/servertest.Slow, func() error {
		said := s.said()
		if bad := servesOn.FindAllString(said, -1); len(bad) > undone+failed {
			if failed++; !strings.Contains(bad[len(bad)-1], "too many open files") {
				s.t.Errorf("a hand-over failed: %s", bad[len(bad)-1])
			}
			s.signal(syscall.SIGUSR2)
		}
		found := handedOver.FindAllStringSubmatch(said, -1)
		if len(found) == done {
			return fmt.Errorf("not handed over:\n%s", lastLines(said))
		}
		old := s.pid
		s.pid, _ = strconv.Atoi(found[len(found)-1][1])
		s.wantGone(old)
		return nil
	})
	return failed
}

// gone reports that a process has ended.
func gone(pid int) bool {
	state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || bytes.Contains(state, []byte(") Z "))
}

func (s *server) wantGone(pid int) {
	s.t.Helper()
	servertest.Eventually(s.t, patience/servertest.Slow, func() error {
		if !gone(pid) {
			return fmt.Errorf("process %d has not ended\n%s", pid, lastLines(s.said()))
		}
		return nil
	})
}

// dead says that the server is not there any more, and why.
func (s *server) dead() error {
	if s.generation.Load()%2 == 0 && gone(s.pid) {
		return fmt.Errorf("the server died:\n%s", lastLines(s.said()))
	}
	return nil
}

// end stops the last process, if it has not ended.
func (s *server) end() {
	if !gone(s.pid) {
		_ = syscall.Kill(s.pid, syscall.SIGTERM)
	}
	s.wantGone(s.pid)
	<-s.ended
	for _, bad := range []string{"panic", "fatal error", "DATA RACE", "invariant broken"} {
		if said := s.said(); strings.Contains(said, bad) {
			s.t.Errorf("%s", said[strings.Index(said, bad):])
			return
		}
	}
}

var createdBy = regexp.MustCompile(`(?m)^created by ([^\s]+)`)

// goroutines ends the server with a dump of its goroutines and counts them, by what has started them. The runtime's own are left out.
func (s *server) goroutines() map[string]int {
	s.t.Helper()
	from := len(s.said())
	s.signal(syscall.SIGQUIT)
	s.wantGone(s.pid)
	counts := make(map[string]int)
	for _, found := range createdBy.FindAllStringSubmatch(s.said()[from:], -1) {
		if by := found[1]; !strings.HasPrefix(by, "runtime.") && !strings.HasPrefix(by, "runtime/") {
			counts[by]++
		}
	}
	return counts
}
