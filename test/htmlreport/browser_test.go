package htmlreport

import (
	_ "embed"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/chromedp/chromedp"

	"ringcached/bench/report"
	"ringcached/bench/trial"
	"ringcached/test/chromium"
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
	ctx := chromium.Start(t)
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
			if err := chromium.Look(ctx, c.scheme, c.width, c.open); err != nil {
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
	chromium.CheckConsole(ctx, t, console, nil)
	chromium.Screenshots(ctx, t, "report")
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
