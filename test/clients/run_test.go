package clients

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"ringcached/internal/servertest"
)

// clientTime is the longest that a client may take for its whole session.
const clientTime = 60 * time.Second * servertest.Slow

// The users that the servers of withUsers know.
const (
	userName     = "alice"
	userPassword = "open sesame"
)

// withUsers returns the flags of a server whose clients must authenticate.
func withUsers(t *testing.T) []string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ringcached-users-") // TempDir of a test is closed to the server's user
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	file := filepath.Join(dir, "users")
	if err := errors.Join(
		os.Chmod(dir, 0o755),
		os.WriteFile(file, []byte(userName+":"+userPassword+"\n"), 0o644),
	); err != nil {
		t.Fatal(err)
	}
	return []string{"-Y", file}
}

// noModule is what Python, Node.js and PHP say of a library that is not there.
var noModule = regexp.MustCompile(`ModuleNotFoundError|MODULE_NOT_FOUND|Class "Memcached?" not found`)

// tryClient runs a program that talks to the server and returns what it printed
// and its exit code. A program or library that is not installed is an error.
func tryClient(t *testing.T, name string, args ...string) (output string, exitCode int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), clientTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) || noModule.Match(out) {
		t.Fatalf("%s is not installed, or a library for it is not: run scripts/install-test-deps, or make test\n%s", name, out)
	}
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || !exit.Exited()) {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// runClient is tryClient for a program that must exit with 0.
func runClient(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, code := tryClient(t, name, args...)
	if code != 0 {
		t.Fatalf("%s %s: exit code %d\n%s", name, strings.Join(args, " "), code, out)
	}
	return out
}

// hostPort splits the server's address for clients that want it so.
func hostPort(t *testing.T, server *servertest.Server) (host, port string) {
	t.Helper()
	host, port, err := net.SplitHostPort(server.Addr)
	if err != nil {
		t.Fatal(err)
	}
	return host, port
}

// expectError compares a client's error, which is its word for the server's
// reply; nil is success.
func expectError(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// expectErrorText is for errors that are only told apart by their text.
func expectErrorText(t *testing.T, what string, got error, text string) {
	t.Helper()
	if got == nil || !strings.Contains(got.Error(), text) {
		t.Errorf("%s: %v, want an error that says %q", what, got, text)
	}
}

// expect compares a result that came with no error.
func expect(t *testing.T, what string, got any, err error, want any) {
	t.Helper()
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%s: %.100v, %v; want %.100v", what, got, err, want)
	}
}
