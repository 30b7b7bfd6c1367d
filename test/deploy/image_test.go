package deploy

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"ringcached/internal/servertest"
)

// ourProfile runs a container under the profile that the project ships.
func ourProfile(t *testing.T) []string {
	t.Helper()
	path, err := filepath.Abs(profilePath)
	if err != nil {
		t.Fatal(err)
	}
	return []string{"--security-opt", "seccomp=" + path}
}

// checkServes stores an item, reads it back, and asks for the engine.
func (c *container) checkServes(t *testing.T, engine string) {
	t.Helper()
	if got := c.ask(t, "set k 5 0 5\r\nhello\r\nget k\r\n", "END"); got != "STORED\r\nVALUE k 5 5\r\nhello\r\nEND\r\n" {
		t.Errorf("it answers %q", got)
	}
	if got := c.ask(t, "stats batch\r\n", "END"); !strings.Contains(got, "STAT engine "+engine+"\r\n") {
		t.Errorf("the engine is not %s: %q", engine, got)
	}
}

// TestDefaultProfile: where io_uring is forbidden the server takes epoll, and the log says why.
func TestDefaultProfile(t *testing.T) {
	c := engine(t).start(t, nil)
	if said := c.said(); !strings.Contains(said, ": engine epoll (no io_uring: ") || !strings.Contains(said, "seccomp filter") {
		t.Errorf("it says %q", said)
	}
	c.checkServes(t, "epoll")
	c.stop(t)
}

// TestOurProfile: io_uring, with all of its features that the kernel has, as the server's user, without capabilities and with a root directory
// that can't be written to.
func TestOurProfile(t *testing.T) {
	p := engine(t)
	servertest.NeedURing(t)
	options := append(ourProfile(t), "--read-only", "--cap-drop", "all", "--security-opt", "no-new-privileges")
	c := p.start(t, options)
	if said := c.said(); !strings.Contains(said, ": engine uring (") || strings.Contains(said, "ringcached: warning") {
		t.Errorf("it says %q", said)
	}
	c.checkServes(t, "uring")
	if got, want := featuresOf(t, c), hostFeatures(t); got != want {
		t.Errorf("features %q, on the host %q", got, want)
	}
	if user := p.userOf(t, c); user != 11211 {
		t.Errorf("it runs as user %d", user)
	}
	c.stop(t)
}

func featuresOf(t *testing.T, c *container) string {
	t.Helper()
	for line := range strings.Lines(c.ask(t, "stats batch\r\n", "END")) {
		if features, found := strings.CutPrefix(strings.TrimSpace(line), "STAT features "); found {
			return features
		}
	}
	t.Fatal("no features")
	return ""
}

func hostFeatures(t *testing.T) string {
	t.Helper()
	return servertest.Start(t, "uring").Stats(t, "batch")["features"]
}

// userOf is the number of the user that the host sees.
func (p *podman) userOf(t *testing.T, c *container) int {
	t.Helper()
	out, err := p.command("inspect", "--format", "{{.State.Pid}}", c.name).Output()
	if err != nil {
		t.Fatal(err)
	}
	status := read(t, "/proc/"+strings.TrimSpace(string(out))+"/status")
	_, rest, _ := strings.Cut(status, "\nUid:\t")
	first, _, _ := strings.Cut(rest, "\t")
	user, err := strconv.Atoi(first)
	if err != nil {
		t.Fatalf("%v in %q", err, status)
	}
	return user
}

// TestEntrypoint: flags, commands, and what the image does not have.
func TestEntrypoint(t *testing.T) {
	p := engine(t)
	for _, args := range [][]string{{"-m", "64"}, {"-m 64"}, {"memcached", "-m", "64"}, {"ringcached", "-m", "64"}, {"/usr/local/bin/memcached", "-m", "64"}} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			c := p.start(t, nil, args...)
			if got := c.ask(t, "stats\r\n", "END"); !strings.Contains(got, fmt.Sprintf("STAT limit_maxbytes %d\r\n", 64<<20)) {
				t.Errorf("%q", got)
			}
			c.stop(t)
		})
	}
	out, err := p.run(nil, "ringcached", "probe").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "epoll") {
		t.Errorf("probe: %v: %s", err, out)
	}
	var exit *exec.ExitError
	out, err = p.run(nil, "sh", "-c", "true").CombinedOutput()
	if !errors.As(err, &exit) || exit.ExitCode() != 127 || strings.Count(string(out), "\n") != 1 || !strings.Contains(string(out), "no shell") {
		t.Errorf("sh: %v: %q", err, out)
	}
}

// TestImageIsReproducible: a second build writes the same bytes.
func TestImageIsReproducible(t *testing.T) {
	p := engine(t)
	second := filepath.Join(t.TempDir(), "image.tar")
	if out, err := exec.Command(root+"/scripts/build-image", second).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if read(t, filepath.Join(p.dir, "image.tar")) != read(t, second) {
		t.Error("two images of the same commit differ")
	}
	if left, err := os.ReadDir(filepath.Dir(second)); err != nil || len(left) != 1 {
		t.Errorf("%v: beside the image are %v", err, left)
	}
}
