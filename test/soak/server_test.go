package soak

import (
	"crypto/tls"
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
	"-l", "notls:127.0.0.1,127.0.0.2", "-p", "-1", "-U", "-1", "--udp-amplification", "1000", "-v", "-t", "2", "-c", strconv.Itoa(files), "-m", strconv.Itoa(memory), "--ring-buffers", "16",
	"--send-timeout", "10s", "--tls-handshake-timeout", fmt.Sprint(patience), "-o", "watcher_logbuf_size=64",
}

// server is a server and those that it hands over to.
type server struct {
	*servertest.Lineage
	t      *testing.T
	tcp    string // address
	secure string // the one with TLS
	udp    string
	trust  *tls.Config // of clients over TLS
	// generation is even while one process serves, and odd during a hand-over.
	generation atomic.Int64
}

// start starts the server with a limit on open files that it can't raise.
func start(t *testing.T, engine string) *server {
	t.Helper()
	script := fmt.Sprintf(`ulimit -n %d && exec "$0" "$@"`, files)
	certificate := servertest.NewCertificate(t, "ringcached")
	args := append([]string{"-c", script, servertest.Binary(), "--engine", engine}, certificate.Flags(flags...)...)
	cmd := exec.Command("/bin/sh", append(args, strings.Fields(os.Getenv("RINGCACHED_TEST_FLAGS"))...)...)
	cmd.Dir = "/"
	if os.Getuid() == 0 {
		const nobody = 65534
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	s := &server{t: t, Lineage: servertest.StartLineage(t, cmd, filepath.Join(servertest.PublicDir(t), "log"), patience/servertest.Slow)}
	found := regexp.MustCompile(`listening on ([^\s,]+), ([^\s,]+) \(TLS\), ([^\s,]+)/udp`).FindStringSubmatch(s.Said())
	if found == nil {
		t.Fatalf("no addresses in %s", s.Said())
	}
	s.tcp, s.secure, s.udp = found[1], found[2], found[3]
	s.trust = certificate.Client(false)
	s.trust.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	return s
}

var servesOn = regexp.MustCompile(`hand-over failed, serving on: .*\n`)

// handOver makes the server hand over and waits until the old process is gone. A hand-over that fails because descriptors are short is tried
// again; it returns how many did.
func (s *server) handOver() (failed int) {
	s.t.Helper()
	s.generation.Add(1)
	defer s.generation.Add(1)
	done, undone := s.HandOvers(), len(servesOn.FindAllString(s.Said(), -1))
	s.Signal(syscall.SIGUSR2)
	servertest.Eventually(s.t, patience/servertest.Slow, func() error {
		if bad := servesOn.FindAllString(s.Said(), -1); len(bad) > undone+failed {
			if failed++; !strings.Contains(bad[len(bad)-1], "too many open files") {
				s.t.Errorf("a hand-over failed: %s", bad[len(bad)-1])
			}
			s.Signal(syscall.SIGUSR2)
		}
		if s.HandOvers() == done {
			return fmt.Errorf("not handed over:\n%s", s.LastSaid())
		}
		return nil
	})
	s.Follow()
	return failed
}

// dead says that the server is not there any more, and why.
func (s *server) dead() error {
	if s.generation.Load()%2 == 0 && servertest.Gone(s.PID) {
		return fmt.Errorf("the server died:\n%s", s.LastSaid())
	}
	return nil
}

var createdBy = regexp.MustCompile(`(?m)^created by ([^\s]+)`)

// goroutines ends the server with a dump of its goroutines and counts them, by what has started them. The runtime's own are left out.
func (s *server) goroutines() map[string]int {
	s.t.Helper()
	counts := make(map[string]int)
	for _, found := range createdBy.FindAllStringSubmatch(s.Dump(), -1) {
		if by := found[1]; !strings.HasPrefix(by, "runtime.") && !strings.HasPrefix(by, "runtime/") {
			counts[by]++
		}
	}
	return counts
}
