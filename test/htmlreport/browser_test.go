package htmlreport

import (
	"context"
	_ "embed"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"ringcached/bench/report"
	"ringcached/bench/trial"
)

// fixture is the report that the package's own tests make pages of.
func fixture(t *testing.T) *trial.Report {
	t.Helper()
	file := filepath.Join(t.TempDir(), "report.json")
	cmd := exec.Command("go", "test", "-count=1", "-run", "^TestReadBack$", "./bench/report", "-args", "-fixture", file)
	cmd.Dir = "../.."
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	r, err := report.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// browserTime bounds what a browser may take, on a machine that is busy with other tests.
const browserTime = 8 * time.Minute

// browser starts Chromium and returns the context of a tab.
func browser(t *testing.T) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("this test needs Chromium: run scripts/install-test-deps, or make test: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), browserTime)
	t.Cleanup(cancel)
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.UserDataDir(t.TempDir()), chromedp.WSURLReadTimeout(browserTime))
	ctx, cancel = chromedp.NewContext(ctx, chromedp.WithAllocatorOptions(options...))
	t.Cleanup(func() {
		_ = chromedp.Cancel(ctx) // waits for the process, whose directory goes away next
		cancel()
	})
	return ctx
}

// look sets up how the page is shown.
func look(ctx context.Context, scheme string, width int64, open bool) error {
	media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}
	if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, media); err != nil {
		return err
	}
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(width, 800)); err != nil {
		return err
	}
	unfold := fmt.Sprintf("document.querySelectorAll('details').forEach(d => d.open = %v), dispatchEvent(new Event('resize')), 1", open)
	_, err := chromedp.Run(ctx, chromedp.Evaluate[int](unfold))
	return err
}

//go:embed testdata/inspect.js
var inspectScript string

// inspection is what testdata/inspect.js returns.
type inspection struct {
	Width       float64   // of the window, without a scroll bar
	Scrolls     float64   // how wide the page would like to be
	Paper       string    // the background
	Headings    []string  // of the second order
	Figures     []figured //
	LowContrast []string  // texts that can hardly be read
	Servers     int       // in legends, and how many of them have a sign
	Swatches    int
}

// figured is a figure as the browser laid it out, in CSS pixels.
type figured struct {
	ID                       string
	Left, Right, Wide, High  float64
	LetterHeight             float64
	Texts                    int
	Marks, Points            int      // as drawn, and in the page's data
	Intervals, Bounds        int      // likewise
	Overlaps, Outside, Apart []string // texts that cover each other or leave the picture; marks that are not within their interval
}

// TestInBrowser opens the page as phones and desks show it, by day and by night.
func TestInBrowser(t *testing.T) {
	ctx := browser(t)
	console := chromedp.Console(ctx)
	r := fixture(t)
	file := filepath.Join(t.TempDir(), "report.html")
	if err := report.WritePage(file, r); err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Do(ctx, chromedp.Navigate("file://"+file)); err != nil {
		t.Fatal(err)
	}
	const day, night = "rgb(255, 255, 255)", "rgb(20, 23, 28)"
	for _, c := range []struct {
		scheme string
		width  int64
		open   bool // all that can be unfolded is
		paper  string
	}{
		{"light", 360, false, day}, {"dark", 360, true, night}, {"light", 1280, true, day}, {"dark", 1280, false, night},
	} {
		t.Run(fmt.Sprintf("%s %d open %v", c.scheme, c.width, c.open), func(t *testing.T) {
			if err := look(ctx, c.scheme, c.width, c.open); err != nil {
				t.Fatal(err)
			}
			got, err := chromedp.Run(ctx, chromedp.Evaluate[inspection](inspectScript))
			if err != nil {
				t.Fatal(err)
			}
			got.check(t, float64(c.width), c.paper, r)
			for _, result := range r.Results {
				if h := result.Plan.Heading; h != "" && !slices.Contains(got.Headings, h) {
					t.Errorf("no heading %q", h)
				}
			}
		})
	}
	checkConsole(ctx, t, console)
	if dir := os.Getenv("RINGCACHED_SCREENSHOTS"); dir != "" {
		screenshots(ctx, t, dir)
	}
}

func (got *inspection) check(t *testing.T, width float64, paper string, r *trial.Report) {
	if got.Width != width || got.Scrolls > got.Width {
		t.Errorf("the page is %v wide in a window of %v", got.Scrolls, got.Width)
	}
	if got.Paper != paper {
		t.Errorf("the background is %s, want %s", got.Paper, paper)
	}
	if len(got.LowContrast) > 0 {
		t.Errorf("hard to read: %q", got.LowContrast)
	}
	figures := 2 // the overviews
	for _, result := range r.Results {
		figures += len(result.Plan.Shows)
	}
	if len(got.Figures) != figures || got.Swatches != got.Servers || got.Servers == 0 {
		t.Errorf("%d figures of %d, %d signs of %d servers", len(got.Figures), figures, got.Swatches, got.Servers)
	}
	for _, f := range got.Figures {
		switch {
		case f.Wide < 250 || f.High < 60:
			t.Errorf("%s is %v by %v", f.ID, f.Wide, f.High)
		case f.Left < 0 || f.Right > width:
			t.Errorf("%s is at %v..%v in a window of %v", f.ID, f.Left, f.Right, width)
		case f.LetterHeight < 9:
			t.Errorf("the letters of %s are %v high", f.ID, f.LetterHeight)
		case f.Texts < 3 || f.Marks == 0 || f.Marks != f.Points || f.Intervals != f.Bounds:
			t.Errorf("%s has %d texts, %d marks of %d points, %d intervals of %d", f.ID, f.Texts, f.Marks, f.Points, f.Intervals, f.Bounds)
		}
		if len(f.Overlaps)+len(f.Outside)+len(f.Apart) > 0 {
			t.Errorf("%s: texts that cover others: %q, outside: %q; marks beside their interval: %q", f.ID, f.Overlaps, f.Outside, f.Apart)
		}
	}
}

// checkConsole says something itself, and expects nothing else before that.
func checkConsole(ctx context.Context, t *testing.T, console iter.Seq2[chromedp.ConsoleMessage, error]) {
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
		t.Errorf("the console says %s", m)
	}
}

// screenshots writes pictures for people to look at.
func screenshots(ctx context.Context, t *testing.T, dir string) {
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int64{360, 1280} {
			err := look(ctx, scheme, width, false)
			var png []byte
			if err == nil {
				png, err = chromedp.Run(ctx, chromedp.FullScreenshot(100))
			}
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%d.png", scheme, width)), png, 0o644)
			}
			if err != nil {
				t.Error(err)
			}
		}
	}
}
