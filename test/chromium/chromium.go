package chromium

import (
	"context"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// patience bounds what a browser may take, on a machine that is busy with other tests.
const patience = 8 * time.Minute

// The windows of a phone and of a desk, in CSS pixels.
const (
	Phone = 360
	Desk  = 1280
	tall  = 800
)

// Start starts Chromium, which ends with the test, and returns the context of a tab.
func Start(t *testing.T) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("this test needs Chromium: run scripts/install-test-deps, or make test: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.UserDataDir(t.TempDir()), chromedp.WSURLReadTimeout(patience))
	ctx, cancel = chromedp.NewContext(ctx, chromedp.WithAllocatorOptions(options...))
	t.Cleanup(func() {
		_ = chromedp.Cancel(ctx) // waits for the process, whose directory goes away next
		cancel()
	})
	return ctx
}

// Look sets how the page is shown: with the colours of a scheme, light or dark, in a window of that many CSS pixels, and with all that can be unfolded
// open or shut.
func Look(ctx context.Context, scheme string, width int64, open bool) error {
	media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}
	if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, media); err != nil {
		return err
	}
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(width, tall)); err != nil {
		return err
	}
	unfold := fmt.Sprintf("document.querySelectorAll('details').forEach(d => d.open = %v), dispatchEvent(new Event('resize')), 1", open)
	_, err := chromedp.Run(ctx, chromedp.Evaluate[int](unfold))
	return err
}

// CheckConsole says something itself, and reports what console has before that and allowed does not let pass: nil allows nothing.
func CheckConsole(ctx context.Context, t *testing.T, console iter.Seq2[chromedp.ConsoleMessage, error], allowed func(text string) bool) {
	t.Helper()
	const last = "that was all"
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[int](fmt.Sprintf("console.log(%q), 1", last))); err != nil {
		t.Fatal(err)
	}
	for m, err := range console {
		if err != nil {
			t.Fatal(err)
		}
		if m.Text == last {
			return
		}
		if allowed == nil || !allowed(m.Text) {
			t.Errorf("the console says %s", m)
		}
	}
}

// Screenshots writes pictures for people to look at into the directory that RINGCACHED_SCREENSHOTS names, if it does, under names that begin with name.
func Screenshots(ctx context.Context, t *testing.T, name string) {
	t.Helper()
	dir := os.Getenv("RINGCACHED_SCREENSHOTS")
	if dir == "" {
		return
	}
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int64{Phone, Desk} {
			err := Look(ctx, scheme, width, false)
			var png []byte
			if err == nil {
				png, err = chromedp.Run(ctx, chromedp.FullScreenshot(100))
			}
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%s-%d.png", name, scheme, width)), png, 0o644)
			}
			if err != nil {
				t.Error(err)
			}
		}
	}
}
