package page

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"ringcached/cmd/ringcached/web/page"
	"ringcached/internal/servertest"
	"ringcached/test/chromium"
)

// TestModules has Node run testdata/modules.test.js beside the page's files.
func TestModules(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatalf("this test needs Node.js: run scripts/install-test-deps, or make test: %v", err)
	}
	dir := t.TempDir()
	files, err := filepath.Glob(source + "/*.js")
	if err != nil || len(files) < 5 {
		t.Fatalf("the modules are %q: %v", files, err)
	}
	for _, name := range append(files, source+"/testdata/stats.json", "testdata/modules.test.js") {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		servertest.WriteBelow(t, dir, filepath.Base(name), string(text), 0o644)
	}
	servertest.WriteBelow(t, dir, "package.json", `{"type": "module"}`, 0o644)
	cmd := exec.CommandContext(t.Context(), node, "--test", "--test-reporter=tap", "modules.test.js")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if passed := regexp.MustCompile(`(?m)^# pass (\d+)$`).FindSubmatch(out); err != nil || passed == nil || string(passed[1]) == "0" {
		t.Errorf("%v\n%s", err, out)
	}
}

// advance makes an answer ms milliseconds later, with lines of `stats` added to.
func advance(s *page.Snapshot, ms int64, added map[string]int) {
	s.ElapsedMS += ms
	for name, n := range added {
		old, _ := strconv.Atoi(s.Stats[name])
		s.Stats[name] = strconv.Itoa(old + n)
	}
}

// TestRates: what the page shows a second is computed of the server's clock, whatever the browser's was.
func TestRates(t *testing.T) {
	ctx := chromium.Start(t)
	console := chromedp.Console(ctx)
	s := newStand(t, recorded(t))
	if err := chromedp.Do(ctx, chromedp.Navigate(s.URL)); err != nil {
		t.Fatal(err)
	}
	s.say(ctx, t, recorded(t)).want(t, map[string]string{"tiles/requests per second": "–", "tiles/hit ratio": "–", "tiles/items": "2,410"})

	next := recorded(t)
	advance(next, 4000, map[string]int{
		"cmd_get": 1000, "get_hits": 750, "get_misses": 250, "cmd_set": 100, "cmd_touch": 4, "touch_hits": 3, "touch_misses": 1,
		"delete_hits": 2, "incr_hits": 8, "cmd_flush": 1, "evictions": 40, "bytes_read": 8192, "bytes_written": 4 << 20,
	})
	next.Stats["rusage_user"], next.Stats["rusage_system"] = "1.019289", "1.122164" // 2 seconds of work in 4
	next.Channels[0].Syscalls += 400
	next.Channels[1].Batches += 223
	next.Channels[1].Completions += 669
	next.Channels[1].Sends += 100
	next.Channels[1].BytesWritten += 204_800
	next.Channels[1].BytesRead += 4096
	next.Latency.BoundsNS[80], next.Latency.BoundsNS[100] = 60_000, 350_000 // round ones
	addSamples(&next.Latency.Classes[0], 80, 99, 20_000)
	addSamples(&next.Latency.Classes[0], 100, 1, 20_000)
	s.say(ctx, t, next).want(t, map[string]string{
		"tiles/requests per second": "278.8", "tiles/hit ratio": "75.00 %", "tiles/evictions per second": "10.0", "tiles/99 % of gets within": "60.0 µs",
		"tiles/read": "2.00 KiB/s", "tiles/written": "1.00 MiB/s", "tiles/processors busy": "0.50",
		"commands-table/get/per second": "250.0", "commands-table/get/in the last minute": "1,000", "commands-table/get/hits in the last minute": "75.00 %",
		"commands-table/get/in all": "7,021", "commands-table/get/hits in all": "96.10 %", "commands-table/set/per second": "25.0",
		"commands-table/touch/hits in the last minute": "75.00 %", "commands-table/delete/per second": "0.50", "commands-table/incr/per second": "2.00",
		"commands-table/decr/per second": "0", "commands-table/decr/hits in the last minute": "–", "commands-table/flush/per second": "0.25", "commands-table/flush/in all": "1",
		"hits-list/in the last minute": "75.00 %", "hits-list/in all": "96.10 %", "commands-legend/get": "250.0",
		"latency-table/get/timed": "100", "latency-table/get/mean": "20.0 µs", "latency-table/get/50 %": "60.0 µs", "latency-table/get/99 %": "60.0 µs",
		"latency-table/get/99.9 %": "350 µs", "latency-table/store/99 %": "–", "latency-table/get/timed in all": "194",
		"connections-table/0/system calls/s": "100.0", "connections-table/1/batches/s": "55.8", "connections-table/1/read": "1.00 KiB/s",
		"connections-table/1/written": "50.0 KiB/s", "connections-table/0/read": "0 B/s",
		"batching-list/requests per system call": "2.79", "batching-list/requests per batch": "5.00", "batching-list/completions per batch": "3.00",
		"batching-list/bytes per send": "2.00 KiB", "batching-list/system calls per second": "100.0",
	})
	chromium.CheckConsole(ctx, t, console, nil)
}

// addSamples adds samples of ns nanoseconds on the average to a bucket.
func addSamples(c *page.LatencyClass, bucket int, n, ns uint64) {
	for len(c.Counts) <= bucket {
		c.Counts = append(c.Counts, 0)
	}
	c.Counts[bucket] += n
	c.Samples += n
	c.SumNS += n * ns
}

// want compares figures with those that the page shows.
func (got *inspection) want(t *testing.T, cells map[string]string) {
	t.Helper()
	for name, want := range cells {
		if is, there := got.Cells[name]; !there || is != want {
			t.Errorf("%s is %q, want %q", name, is, want)
		}
	}
}

// TestOtherProcess: a restart, a hand-over and a silent server are told, and make no rates.
func TestOtherProcess(t *testing.T) {
	ctx := chromium.Start(t)
	console := chromedp.Console(ctx)
	first := recorded(t)
	s := newStand(t, first)
	if err := chromedp.Do(ctx, chromedp.Navigate(s.URL)); err != nil {
		t.Fatal(err)
	}
	if got := s.say(ctx, t, first); !strings.HasPrefix(got.State, "serving") || got.Notice != "" {
		t.Errorf("%q, %q", got.State, got.Notice)
	}

	s.mutex.Lock()
	s.answer = nil
	s.mutex.Unlock()
	servertest.Eventually(t, patience, func() error {
		if got := look(ctx, t).State; !strings.HasPrefix(got, "the server answers with status 503; the figures are the last known") {
			return fmt.Errorf("the state is %q", got)
		}
		return nil
	})

	after := recorded(t)
	after.StartedMS, after.ElapsedMS, after.Ready = first.StartedMS+3_600_000, 10, false
	after.Stats["cmd_get"], after.Stats["get_hits"], after.Stats["get_misses"] = "5", "5", "0"
	got := s.say(ctx, t, after)
	got.want(t, map[string]string{"tiles/requests per second": "–", "commands-table/get/in all": "5", "commands-table/get/in the last minute": "–"})
	if !strings.HasPrefix(got.State, "draining") || !strings.Contains(got.Notice, "another process") || strings.Contains(got.Notice, "reload") {
		t.Errorf("%q, %q", got.State, got.Notice)
	}

	again := recorded(t)
	*again = *after
	again.ElapsedMS, again.Stats = 2010, maps.Clone(after.Stats)
	again.Stats["cmd_get"], again.Stats["get_hits"] = "25", "25"
	s.say(ctx, t, again).want(t, map[string]string{"tiles/requests per second": "10.0", "tiles/hit ratio": "100.00 %", "commands-table/get/in the last minute": "20"})

	upgraded := recorded(t)
	upgraded.StartedMS, upgraded.ElapsedMS = again.StartedMS+1000, 5
	upgraded.Stats["ringcached_version"] = "99.0.0"
	if got := s.say(ctx, t, upgraded); !strings.Contains(got.Notice, "version 99.0.0: reload this page") || got.Version != "99.0.0" {
		t.Errorf("%q, %q", got.Notice, got.Version)
	}
	chromium.CheckConsole(ctx, t, console, func(text string) bool { return strings.Contains(text, "503") }) // Chromium tells of every failed request
}

// TestKeysAreText: a key that looks like markup, is no UTF-8 or turns the line around is shown as what it is; without leave none is.
func TestKeysAreText(t *testing.T) {
	ctx := chromium.Start(t)
	console := chromedp.Console(ctx)
	s := newStand(t, recorded(t))
	if err := chromedp.Do(ctx, chromedp.Navigate(s.URL)); err != nil {
		t.Fatal(err)
	}
	first := recorded(t)
	first.Settings["memory_file"] = `<img src=x onerror=alert(1)>`
	first.ElapsedMS++
	first.HotKeys = &page.HotKeys{Names: true, Uses: 36_000, Seconds: 45, Keys: []page.HotKey{
		{Name: "%3Cscript%3Ealert(1)%3C%2Fscript%3E", Count: 9000, Error: 3}, {Name: "%FF%00", Count: 8}, {Name: "a%E2%80%AEb", Count: 7}, {Name: "gr%C3%BC%C3%9Fe", Count: 6},
		{Name: "a%20b", Count: 5}, {Name: "a%2520b", Count: 4}, {Name: "50%25", Count: 3},
	}}
	got := s.say(ctx, t, first)
	got.want(t, map[string]string{
		"hot-table/<script>alert(1)</script>/uses": "9,000", "hot-table/<script>alert(1)</script>/per second": "200.0",
		"hot-table/<script>alert(1)</script>/share": "25.00 %", "hot-table/<script>alert(1)</script>/at most too high by": "3",
		"hot-table/%FF%00/uses": "8", "hot-table/a%E2%80%AEb/uses": "7", "hot-table/grüße/uses": "6", "hot-table/a%20b/uses": "5", "hot-table/a%2520b/uses": "4", "hot-table/50%/uses": "3",
		"settings-list/memory_file": `<img src=x onerror=alert(1)>`,
	})
	if got.Markup != 0 {
		t.Errorf("%d elements were made of a key or a setting", got.Markup)
	}
	second := recorded(t)
	second.ElapsedMS += 2
	second.HotKeys = &page.HotKeys{Keys: []page.HotKey{{Name: "secret", Count: 9}}}
	got = s.say(ctx, t, second)
	got.want(t, map[string]string{"hot-table/no. 1/uses": "9", "hot-table/no. 1/per second": "–", "hot-table/no. 1/share": "–"})
	if !strings.Contains(got.HotNote, "--metrics-keys") {
		t.Error(got.HotNote)
	}
	for i, c := range []struct {
		keys *page.HotKeys
		want string
	}{
		{nil, "--hot-keys was not given"}, {&page.HotKeys{Refused: true}, "-X"}, {&page.HotKeys{Names: true}, "No key was used often enough yet."},
	} {
		next := recorded(t)
		next.ElapsedMS += int64(3 + i)
		next.HotKeys = c.keys
		if got = s.say(ctx, t, next); !strings.Contains(got.HotNote, c.want) {
			t.Errorf("%q, want %q", got.HotNote, c.want)
		}
	}
	chromium.CheckConsole(ctx, t, console, nil)
}
