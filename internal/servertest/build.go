package servertest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ringcached/internal/seccomp"
)

// binary is the path of the server that Main built.
var binary string

// Main builds the server, unless RINGCACHED_TEST_SERVER in the environment names one, runs
// the tests of m and returns the exit code for TestMain.
func Main(m *testing.M) int {
	seccomp.Become()
	if binary = os.Getenv("RINGCACHED_TEST_SERVER"); binary != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "ringcached-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // tests start it as other users too
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := build(filepath.Join(dir, "ringcached")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func build(path string) error {
	if err := buildWith(path, buildFlags); err != nil {
		return err
	}
	binary = path
	return nil
}

func buildWith(path string, flags []string, env ...string) error {
	source, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "ringcached").Output()
	if err != nil {
		return fmt.Errorf("looking for the server's module: %w", err)
	}
	args := append([]string{"build", "-buildvcs=false", "-o", path}, flags...)
	cmd := exec.Command("go", append(args, "./cmd/ringcached")...)
	cmd.Dir = strings.TrimSpace(string(source)) // the module of the tests does not know all that the server needs
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building the server: %w\n%s", err, out)
	}
	return nil
}

// Released builds the server as it is released, without the race detector and C's library, which need address space of their own. It returns its path.
func Released(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ringcached")
	if err := buildWith(path, nil, "CGO_ENABLED=0"); err != nil {
		t.Fatal(err)
	}
	return path
}

// Binary returns the path of the server that Main built.
func Binary() string { return binary }
