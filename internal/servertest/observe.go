package servertest

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Stats asks for `stats`, or for `stats <group>`, over a connection of its own.
func (s *Server) Stats(t testing.TB, group ...string) map[string]string {
	t.Helper()
	conn, err := s.dial()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second * Slow))
	fmt.Fprintf(conn, "%s\r\n", strings.Join(append([]string{"stats"}, group...), " "))
	stats := map[string]string{}
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		line := lines.Text()
		if line == "END" {
			return stats
		}
		fields := strings.SplitN(line, " ", 3)
		if len(fields) != 3 || fields[0] != "STAT" {
			t.Fatalf("stats: unexpected line %q", line)
		}
		stats[fields[1]] = fields[2]
	}
	t.Fatalf("stats %v: no END", group)
	return nil
}

// Stat returns one number of `stats` (or of `stats <group>`).
func (s *Server) Stat(t testing.TB, name string, group ...string) int {
	t.Helper()
	text, ok := s.Stats(t, group...)[name]
	if !ok {
		t.Fatalf("stats %v has no %s", group, name)
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("stats %v: %s is %q", group, name, text)
	}
	return n
}

// Eventually waits until a condition holds, which is asked for every few
// milliseconds; after the limit the test ends with what the condition last said.
func Eventually(t testing.TB, limit time.Duration, condition func() error) {
	t.Helper()
	deadline := time.Now().Add(limit * Slow)
	for {
		err := condition()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %v: %v", limit*Slow, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Descriptors names the server's open files, apart from those that the Go runtime
// opens for itself when it first needs them.
func (s *Server) Descriptors(t testing.TB) []string {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d/fd", s.PID)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var open []string
	for _, entry := range entries {
		target, err := os.Readlink(filepath.Join(dir, entry.Name()))
		if err != nil { // closed in the meantime
			continue
		}
		if target != "anon_inode:[eventpoll]" && target != "anon_inode:[eventfd]" {
			open = append(open, entry.Name()+" "+target)
		}
	}
	return open
}

// Status returns a line of /proc/PID/status without its name: "Uid", "VmRSS".
func (s *Server) Status(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.PID))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(rest)
		}
	}
	t.Fatalf("/proc/%d/status has no %s", s.PID, name)
	return ""
}

// Resident returns the server's resident memory in bytes.
func (s *Server) Resident(t testing.TB) int {
	t.Helper()
	return s.kibibytes(t, "VmRSS")
}

// Anonymous returns what of it is the server's own: without the pages of the program's
// file, which come as they are used.
func (s *Server) Anonymous(t testing.TB) int {
	t.Helper()
	return s.kibibytes(t, "RssAnon")
}

// kibibytes returns a line of /proc/PID/status in bytes.
func (s *Server) kibibytes(t testing.TB, name string) int {
	t.Helper()
	fields := strings.Fields(s.Status(t, name))
	kib, err := strconv.Atoi(fields[0])
	if err != nil {
		t.Fatal(err)
	}
	return kib << 10
}
