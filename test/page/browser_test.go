package page

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"ringcached/cmd/ringcached/web/page"
	"ringcached/internal/servertest"
	"ringcached/test/chromium"
)

// source is the directory of the page's files.
const source = "../../cmd/ringcached/web/page"

// patience is how long the page may take to show an answer: it asks every two seconds.
const patience = time.Minute * servertest.Slow

func TestMain(m *testing.M) { os.Exit(servertest.Main(m)) }

//go:embed testdata/inspect.js
var inspectScript string

// inspection is what testdata/inspect.js returns.
type inspection struct {
	Width, Scrolls                          float64 // of the window, without a scroll bar; how wide the page would like to be
	Paper                                   string
	Charts                                  []chart
	Cells                                   map[string]string // every figure that is text
	LowContrast                             []string
	State, Notice, Engine, Version, HotNote string
	Markup                                  int      // elements that a key or a setting would have made
	Nameless, Small, Headless               []string // what a screen reader cannot name, a finger cannot hit; tables without headings
	Moving                                  int
	Asked                                   []string // addresses
}

// chart is a picture as the browser laid it out, in CSS pixels.
type chart struct {
	ID                      string
	Left, Right, Wide, High float64
	LetterHeight            float64
	Texts                   []string
	Marks, Invisible        int
	Overlaps, Outside       []string
	Named                   bool
}

// stand is a server that answers what the test wants.
type stand struct {
	*httptest.Server

	mutex  sync.Mutex
	answer *page.Snapshot // nil: status 503
	writes []string       // requests that would change something
}

func newStand(t *testing.T, first *page.Snapshot) *stand {
	s := &stand{answer: first}
	files := page.Handler()
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mutex.Lock()
		answer := s.answer
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			s.writes = append(s.writes, r.Method+" "+r.URL.Path)
		}
		s.mutex.Unlock()
		switch {
		case r.URL.Path != "/stats.json":
			files.ServeHTTP(w, r)
		case answer == nil:
			http.Error(w, "not now", http.StatusServiceUnavailable)
		default:
			page.Protect(w.Header())
			w.Header().Set("Content-Type", "application/json")
			_ = answer.Write(w) // the browser may have gone
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// say changes the answer, and waits until the page shows it.
func (s *stand) say(ctx context.Context, t *testing.T, answer *page.Snapshot) *inspection {
	t.Helper()
	s.mutex.Lock()
	s.answer = answer
	s.mutex.Unlock()
	return shown(ctx, t, func(got string) bool { return got == fmt.Sprintf("%d %d", answer.StartedMS, answer.ElapsedMS) })
}

// shown waits for an answer, "started elapsed", and looks at the page that shows it.
func shown(ctx context.Context, t *testing.T, is func(answer string) bool) *inspection {
	t.Helper()
	servertest.Eventually(t, patience, func() error {
		got, err := chromedp.Run(ctx, chromedp.Evaluate[string]("document.documentElement.dataset.answer ?? ''"))
		if err == nil && !is(got) {
			err = fmt.Errorf("the page shows the answer %q", got)
		}
		return err
	})
	return look(ctx, t)
}

func look(ctx context.Context, t *testing.T) *inspection {
	t.Helper()
	got, err := chromedp.Run(ctx, chromedp.Evaluate[inspection](inspectScript))
	if err != nil {
		t.Fatal(err)
	}
	return &got
}

// recorded is an answer of a server that had served a few thousand commands. Each call makes one of its own.
func recorded(t *testing.T) *page.Snapshot {
	t.Helper()
	text, err := os.ReadFile(source + "/testdata/stats.json")
	s := new(page.Snapshot)
	if err = errors.Join(err, json.NewDecoder(bytes.NewReader(text)).Decode(s)); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestLayout opens the page as phones and desks show it, by day and by night.
func TestLayout(t *testing.T) {
	ctx := chromium.Start(t)
	console := chromedp.Console(ctx)
	first, second := recorded(t), recorded(t)
	s := newStand(t, first)
	if err := chromedp.Do(ctx, chromedp.Navigate(s.URL)); err != nil {
		t.Fatal(err)
	}
	s.say(ctx, t, first)
	advance(second, 2000, map[string]int{"cmd_get": 800, "get_hits": 700, "get_misses": 100, "cmd_set": 90, "delete_hits": 7, "bytes_read": 99_000})
	addSamples(&second.Latency.Classes[0], 40, 25, 700)
	s.say(ctx, t, second)
	const day, night = "rgb(243, 245, 248)", "rgb(15, 18, 22)"
	for _, c := range []struct {
		scheme string
		width  int64
		open   bool
		paper  string
	}{
		{"light", chromium.Phone, false, day}, {"dark", chromium.Phone, true, night}, {"light", chromium.Desk, true, day}, {"dark", chromium.Desk, false, night},
	} {
		t.Run(fmt.Sprintf("%s %d open %v", c.scheme, c.width, c.open), func(t *testing.T) {
			if err := chromium.Look(ctx, c.scheme, c.width, c.open); err != nil {
				t.Fatal(err)
			}
			got := look(ctx, t)
			if got.Paper != c.paper {
				t.Errorf("the background is %s, want %s", got.Paper, c.paper)
			}
			got.checkLayout(t, float64(c.width), s.URL)
		})
	}
	chromium.CheckConsole(ctx, t, console, nil)
	chromium.Screenshots(ctx, t, "page")
	if len(s.writes) > 0 {
		t.Errorf("the page wants to change something: %q", s.writes)
	}
}

// TestFreshServer: where nothing has been stored or asked for, charts say so, and the page is as wide as a phone.
func TestFreshServer(t *testing.T) {
	ctx := chromium.Start(t)
	console := chromedp.Console(ctx)
	fresh := recorded(t)
	for _, lines := range []page.Lines{fresh.Stats, fresh.Batch} {
		for name := range lines {
			lines[name] = "0"
		}
	}
	fresh.Slabs, fresh.Items, fresh.HotKeys = page.Lines{}, page.Lines{}, nil
	fresh.Channels = []page.Channel{{}}
	fresh.Latency.Classes = make([]page.LatencyClass, len(fresh.Latency.Classes))
	s := newStand(t, fresh)
	if err := chromedp.Do(ctx, chromedp.Navigate(s.URL)); err != nil {
		t.Fatal(err)
	}
	if err := chromium.Look(ctx, "light", chromium.Phone, true); err != nil {
		t.Fatal(err)
	}
	got := s.say(ctx, t, fresh)
	for _, c := range got.Charts {
		if said := c.Texts[len(c.Texts)-1]; said != "nothing yet" && said != "none" || c.Marks > 0 || len(c.Overlaps)+len(c.Outside) > 0 {
			t.Errorf("%s has %d marks and the texts %q", c.ID, c.Marks, c.Texts)
		}
	}
	if len(got.Charts) != 7 || got.Scrolls > got.Width || got.Cells["hits-list/in all"] != "–" || got.Cells["memory-list/items"] != "0 B of 0 B" {
		t.Errorf("%d charts, %v wide, figures %q", len(got.Charts), got.Scrolls, got.Cells)
	}
	chromium.CheckConsole(ctx, t, console, nil)
	chromium.Screenshots(ctx, t, "fresh")
}

func (got *inspection) checkLayout(t *testing.T, width float64, origin string) {
	if got.Width != width || got.Scrolls > got.Width {
		t.Errorf("the page is %v wide in a window of %v", got.Scrolls, got.Width)
	}
	if len(got.LowContrast)+len(got.Nameless)+len(got.Small)+len(got.Headless)+got.Moving > 0 {
		t.Errorf("hard to read: %q, without a name: %q, too small: %q, without headings: %q, %d things move", got.LowContrast, got.Nameless, got.Small, got.Headless, got.Moving)
	}
	if len(got.Charts) != 7 || len(got.Cells) < 300 {
		t.Errorf("%d charts, %d figures", len(got.Charts), len(got.Cells))
	}
	for _, c := range got.Charts {
		switch {
		case c.Wide < 250 || c.High < 100 || c.Left < 0 || c.Right > width:
			t.Errorf("%s is %v by %v, at %v..%v in a window of %v", c.ID, c.Wide, c.High, c.Left, c.Right, width)
		case c.LetterHeight < 9 || len(c.Texts) < 4 || c.Marks == 0 || c.Invisible > 0 || !c.Named:
			t.Errorf("%s has the texts %q, %v high, %d marks of which %d cannot be seen; described: %v", c.ID, c.Texts, c.LetterHeight, c.Marks, c.Invisible, c.Named)
		case len(c.Overlaps)+len(c.Outside) > 0:
			t.Errorf("%s: texts that cover others: %q, outside: %q", c.ID, c.Overlaps, c.Outside)
		}
	}
	if other := slices.DeleteFunc(slices.Clone(got.Asked), func(address string) bool { return strings.HasPrefix(address, origin+"/") }); len(other) > 0 {
		t.Errorf("the page asks others: %q", other)
	}
}
