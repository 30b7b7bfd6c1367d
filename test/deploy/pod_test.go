package deploy

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"ringcached/internal/servertest"
)

// TestPodOfTheChart runs the image as the chart's pod: its flags, its user and volumes, a root directory that can't be written to. When it is to stop it
// goes through the steps of the chart's README in their order, and the next pod has the items.
func TestPodOfTheChart(t *testing.T) {
	p := engine(t)
	servertest.NeedURing(t)
	objects := rendered(t, "--set", "cache.memoryLimit=100,drain.delaySeconds=3600,persistence.enabled=true,seccompProfile.type=Localhost")
	if !strings.Contains(objects, "readOnlyRootFilesystem: true") || !strings.Contains(objects, "mountPath: /cache-state") {
		t.Fatalf("another pod than the one that is run here:\n%s", objects)
	}
	state := t.TempDir()
	if err := os.Chown(state, 11211, 11211); err != nil { // fsGroup does as much
		t.Fatal(err)
	}
	options := slices.Concat(ourProfile(t), hardened, []string{"--read-only-tmpfs=false", "--tmpfs", "/tmp", "--volume", state + ":/cache-state"})
	// -v logs the signals.
	args := append(flagsOf(t, objects), "--metrics=127.0.0.1:0", "-v")
	if !slices.Contains(args, "--drain-delay=3600s") || !slices.Contains(args, "--memory-file=/cache-state/memory_file") {
		t.Fatalf("flags %q", args)
	}
	first := p.start(t, options, args...)
	first.checkServes(t, "uring")
	first.wantHealth(t, http.StatusOK, http.StatusOK)

	if err := p.command("kill", "--signal", "USR2", first.name).Run(); err != nil {
		t.Error(err)
	}
	first.wantSaid(t, "hand-over failed, serving on") // the container would end with its first process

	first.signal(t, syscall.SIGTERM)
	first.wantSaid(t, "not ready any more, and stopping in 1h0m0s")
	first.wantHealth(t, http.StatusOK, http.StatusServiceUnavailable)
	first.checkServes(t, "uring") // new connections too
	first.stop(t)
	if _, err := os.Stat(filepath.Join(state, "memory_file.meta")); err != nil {
		t.Error(err)
	}

	second := p.start(t, options, args...)
	if got := second.ask(t, "get k\r\n", "END"); got != "VALUE k 5 5\r\nhello\r\nEND\r\n" {
		t.Errorf("the next pod answers %q", got)
	}
	second.signal(t, syscall.SIGTERM)
	second.wantSaid(t, "not ready any more")
	second.stop(t)
}

var watching = regexp.MustCompile(`metrics, health and a page at (127\.0\.0\.1:\d+)`)

// wantHealth asks as probes do.
func (c *container) wantHealth(t *testing.T, live, ready int) {
	t.Helper()
	c.wantSaid(t, "metrics, health and a page at ")
	found := watching.FindStringSubmatch(c.said())
	if found == nil {
		t.Fatalf("no address in %s", c.said())
	}
	client := http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}
	for path, want := range map[string]int{"/livez": live, "/readyz": ready} {
		answer, err := client.Get("http://" + found[1] + path)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil || answer.StatusCode != want {
			t.Errorf("%s: %v, status %d and not %d: %q", path, err, answer.StatusCode, want, text)
		}
	}
}

// wantSaid waits for words of the log.
func (c *container) wantSaid(t *testing.T, words string) {
	t.Helper()
	servertest.Eventually(t, time.Minute, func() error {
		if said := c.said(); !strings.Contains(said, words) {
			return fmt.Errorf("it does not say %q: %s", words, said)
		}
		return nil
	})
}

func (c *container) signal(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := c.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}
