package soak

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"ringcached/internal/servertest"
)

// holding is what a server without clients and without items has.
type holding struct {
	pid         int
	descriptors int
	threads     int
	anonymous   int // bytes of resident memory that is its own
}

func (h *holding) String() string {
	return fmt.Sprintf("process %d has %d descriptors, %d threads, %d KiB of memory", h.pid, h.descriptors, h.threads, h.anonymous>>10)
}

const (
	// moreThreads is how many threads the Go runtime and the kernel may have added: they do not end them soon, or never.
	moreThreads = 4
	// moreMemory is what the heap may differ by, depending on when it was last collected, in bytes.
	moreMemory = 4 << 20 * servertest.Slow
)

// compare expects that the process holds no more than before.
func (h *holding) compare(t *testing.T, before *holding) {
	t.Helper()
	if h.descriptors > before.descriptors {
		t.Errorf("LEAK: %d descriptors, %d before", h.descriptors, before.descriptors)
	}
	if h.threads > before.threads+moreThreads {
		t.Errorf("LEAK: %d threads, %d before", h.threads, before.threads)
	}
	// With the race detector Go (1.26) does not give back what it noted of a coroutine, and each TLS handshake is one: 7 KiB at the least.
	if !servertest.Race && h.anonymous > before.anonymous+moreMemory {
		t.Errorf("LEAK: %d KiB of memory, %d before", h.anonymous>>10, before.anonymous>>10)
	}
}

// rest expects that without clients nothing of theirs is left, and takes all items and the memory for them away. It returns what there still is.
func (s *server) rest() *holding {
	s.t.Helper()
	s.eventually(func() error {
		if n := s.resetHalfOpen(); n > 0 {
			s.t.Logf("%d connections had lost their clients' resets", n)
		}
		stats, err := s.stats("")
		if err != nil {
			return err
		}
		batch, err := s.stats("batch")
		if err != nil {
			return err
		}
		// This very connection, and the buffer in which its request lies.
		err = errors.Join(atMost(stats, map[string]int{"curr_connections": 1, "log_watchers": 0, "tls_connections": 0, "tls_handshakes_running": 0, "tls_handshakes_waiting": 0}),
			atMost(batch, map[string]int{"buffers_out": 1, "backlog_bytes": 0, "stash_bytes": 0}))
		if err != nil {
			conns, _ := s.stats("conns")
			err = fmt.Errorf("%w\n%v", err, conns)
		}
		return err
	})
	for _, command := range []string{"stats detail off", "slabs automove 1", "flush_all", fmt.Sprintf("cache_memlimit %d", memoryMin)} {
		if got, err := s.ask(command); err != nil || got != "OK" {
			s.t.Fatalf("%s: %q, %v", command, got, err)
		}
	}
	s.eventually(func() error {
		if _, err := s.ask("lru_crawler crawl all"); err != nil {
			return err
		}
		return s.empty()
	})
	h := s.least()
	if got, err := s.ask(fmt.Sprintf("cache_memlimit %d", memory)); err != nil || got != "OK" {
		s.t.Fatalf("cache_memlimit: %q, %v", got, err)
	}
	return h
}

// empty says what there is still of items, and of the pages that they were in: none may be held by anything, and pages may all move.
func (s *server) empty() error {
	stats, err := s.stats("")
	if err != nil {
		return err
	}
	slabs, err := s.stats("slabs")
	if err != nil {
		return err
	}
	used := map[string]int{"total_malloced": memoryMin << 20}
	for name := range slabs {
		if strings.HasSuffix(name, ":used_chunks") {
			used[name] = 0
		}
	}
	return errors.Join(atMost(stats, map[string]int{"curr_items": 0, "slab_reassign_running": 0}), atMost(slabs, used))
}

// least looks for some seconds at what the server has, since it gives back some things only after a while, and returns the least of each.
func (s *server) least() *holding {
	s.t.Helper()
	h := &holding{}
	for end := time.Now().Add(4 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		now := s.holding()
		if h.pid == 0 {
			*h = now
		}
		h.descriptors, h.threads, h.anonymous = min(h.descriptors, now.descriptors), min(h.threads, now.threads), min(h.anonymous, now.anonymous)
	}
	return h
}

func (s *server) holding() (h holding) {
	s.t.Helper()
	h.pid = s.PID
	dir := fmt.Sprintf("/proc/%d", s.PID)
	entries, err := os.ReadDir(filepath.Join(dir, "fd"))
	if err != nil {
		s.t.Fatal(s.dead(), err)
	}
	for _, e := range entries {
		// The Go runtime opens these when it first needs them.
		if target, err := os.Readlink(filepath.Join(dir, "fd", e.Name())); err == nil && target != "anon_inode:[eventpoll]" && target != "anon_inode:[eventfd]" {
			h.descriptors++
		}
	}
	status, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		s.t.Fatal(s.dead(), err)
	}
	for line := range strings.Lines(string(status)) {
		name, rest, _ := strings.Cut(line, ":")
		if f := strings.Fields(rest); len(f) > 0 {
			n, _ := strconv.Atoi(f[0])
			switch name {
			case "Threads":
				h.threads = n
			case "RssAnon":
				h.anonymous = n << 10
			}
		}
	}
	if h.threads == 0 || h.anonymous == 0 {
		s.t.Fatalf("%s/status has no Threads or RssAnon", dir)
	}
	return h
}

// faults are the counts of what the clients bring the present process to.
func (s *server) faults() (map[string]int, error) {
	counts := map[string]int{"evictions": 0, "slabs_moved": 0, "accept_errors": 0, "short_sends": 0, "enobufs": 0, "tls_handshakes_resumed": 0,
		"tls_handshakes_not_tls": 0, "tls_key_updates": 0, "ssl_proto_errors": 0}
	for _, group := range []string{"", "batch"} {
		stats, err := s.stats(group)
		if err != nil {
			return nil, err
		}
		for name := range counts {
			if text, ok := stats[name]; ok {
				if counts[name], err = strconv.Atoi(text); err != nil {
					return nil, fmt.Errorf("stats %s: %w", group, err)
				}
			}
		}
	}
	return counts, nil
}

func (s *server) eventually(condition func() error) {
	s.t.Helper()
	servertest.Eventually(s.t, patience/servertest.Slow, func() error {
		err := condition()
		if dead := s.dead(); dead != nil {
			s.t.Fatal(dead)
		}
		return err
	})
}

// ask sends a command on a connection of its own and returns the first line of the reply.
func (s *server) ask(command string) (string, error) {
	c, err := s.connect(rand.New(rand.NewPCG(0, 0)), s.tcp)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.say([]byte(command + "\r\n")); err != nil {
		return "", err
	}
	return c.line()
}

func (s *server) stats(group string) (map[string]string, error) {
	c, err := s.connect(rand.New(rand.NewPCG(0, 0)), s.tcp)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if err := c.say([]byte(strings.TrimSpace("stats "+group) + "\r\n")); err != nil {
		return nil, err
	}
	all := make(map[string]string)
	for {
		line, err := c.line()
		if err != nil || line == "END" {
			return all, err
		}
		f := strings.SplitN(line, " ", 3)
		if len(f) != 3 || f[0] != "STAT" {
			return nil, fmt.Errorf("stats %s: %q", group, line)
		}
		all[f[1]] = f[2]
	}
}

// atMost compares statistics with the most that they may be.
func atMost(stats map[string]string, most map[string]int) error {
	for name, n := range most {
		if got, err := strconv.Atoi(stats[name]); err != nil || got > n {
			return fmt.Errorf("%s is %q, and may be %d", name, stats[name], n)
		}
	}
	return nil
}
