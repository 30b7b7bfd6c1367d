package deploy

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"ringcached/internal/servertest"
)

// TestProfileAllowsWhatTheServerCalls: a server that does a bit of everything makes no system call that the profile refuses. Refusals
// would go unnoticed otherwise: the server takes another way, or has none when it is needed.
func TestProfileAllowsWhatTheServerCalls(t *testing.T) {
	if _, err := exec.LookPath("strace"); err != nil {
		t.Fatalf("%v: scripts/install-test-deps installs it", err)
	}
	always, families := allowed(t)
	program := servertest.Released(t) // without C's library, as in the image
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		traced := traceServer(t, program, engine)
		made := map[string]bool{}
		for _, call := range regexp.MustCompile(`(?m)^\d+ +([a-z_0-9]+)\(([^,)]*)`).FindAllStringSubmatch(traced, -1) {
			name, first := call[1], call[2]
			made[name] = true
			switch {
			case name == "socket" && slices.Contains(families, first), slices.Contains(always, name):
			case name == "clone":
			default:
				t.Errorf("the server calls %s(%s", name, first)
			}
		}
		if cloned := regexp.MustCompile(`clone3?\(.*CLONE_NEW`).FindString(traced); cloned != "" {
			t.Errorf("namespaces: %s", cloned)
		}
		for _, want := range map[string][]string{"uring": ring, "epoll": {"epoll_create1", "epoll_ctl", "epoll_pwait"}}[engine] {
			if !made[want] {
				t.Errorf("%s is not among the calls that were traced", want)
			}
		}
		if len(made) < 40 {
			t.Errorf("only %d system calls were traced: %v", len(made), made)
		}
	})
}

// allowed are the system calls that the profile always allows, and the families of sockets.
func allowed(t *testing.T) (always, families []string) {
	t.Helper()
	names := map[float64]string{1: "AF_UNIX", 2: "AF_INET", 10: "AF_INET6", 16: "AF_NETLINK"}
	for _, r := range readProfile(t).Syscalls {
		switch {
		case len(r.Args) == 0:
			always = append(always, r.Names...)
		case slices.Contains(r.Names, "socket"):
			family, _ := r.Args[0]["value"].(float64)
			families = append(families, names[family])
		}
	}
	return always, families
}

// traceServer is what strace writes of a server from its start to its end.
func traceServer(t *testing.T, program, engine string) string {
	t.Helper()
	dir := servertest.PublicDir(t)
	trace, socket := filepath.Join(t.TempDir(), "trace"), filepath.Join(dir, "metrics")
	servertest.WriteBelow(t, dir, "settings", "-c 2000\n-k\n", 0o644)
	server := servertest.StartCommand(t, engine, func(args []string) *exec.Cmd {
		strace := []string{"-f", "-D", "-qq", "-o", trace, program}
		return exec.Command("strace", append(strace, args...)...)
	}, "--config", filepath.Join(dir, "settings"), "-t", "2", "-U", "-1", "-e", filepath.Join(dir, "items"), "-P", filepath.Join(dir, "pid"), "--metrics", socket, "-v")
	conn := server.Dial(t)
	large := strings.Repeat("x", 300_000)
	request := fmt.Sprintf("set k 0 0 1\r\nx\r\nset large 0 0 %d\r\n%s\r\nget k large\r\nstats\r\nlru_crawler metadump all\r\nquit\r\n", len(large), large)
	if err := conn.SetDeadline(time.Now().Add(time.Minute * servertest.Slow)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(conn); err != nil || !bytes.Contains(got, []byte(large)) {
		t.Fatalf("%v after %d bytes", err, len(got))
	}
	readMetrics(t, socket)
	if err := server.Stop(); err != nil {
		t.Error(err)
	}
	var text string
	servertest.Eventually(t, 20*time.Second, func() error {
		written, err := os.ReadFile(trace)
		if text = string(written); err == nil && !strings.Contains(text, "exit_group(0") {
			err = fmt.Errorf("the trace has no end")
		}
		return err
	})
	return text
}

// readMetrics reads what Prometheus would, at a unix socket.
func readMetrics(t *testing.T, socket string) {
	t.Helper()
	client := http.Client{Timeout: time.Minute, Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	defer client.CloseIdleConnections()
	answer, err := client.Get("http://ringcached/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if text, err := io.ReadAll(answer.Body); err != nil || answer.StatusCode != http.StatusOK || !bytes.Contains(text, []byte("memcached_up")) {
		t.Errorf("%v, status %d: %.200s", err, answer.StatusCode, text)
	}
}
