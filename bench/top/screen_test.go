package top

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// busy is a view of a ringcached with everything that it has.
func busy() *view {
	groups := func(n int) map[group]map[string]string {
		number := func(v int) string { return fmt.Sprint(v * n) }
		all := map[group]map[string]string{
			general: {
				"ringcached_version": "0.1.0", "cmd_get": number(90_000), "cmd_set": number(10_000), "get_hits": number(81_000), "get_misses": number(9_000),
				"curr_connections": "50", "max_connections": "1024", "total_connections": number(3), "rejected_connections": number(1), "bytes_read": number(1 << 20),
				"bytes_written": number(20 << 20), "bytes": "47185920", "limit_maxbytes": "67108864", "curr_items": "1234567", "total_items": number(10_000),
				"evictions": number(70), "reclaimed": number(2), "crawler_reclaimed": number(3), "threads": "2", "rusage_user": number(1), "rusage_system": "0.5",
			},
			slabs: {"total_malloced": "62914560"}, items: {},
			batch: {
				"engine": "uring", "batches": number(1000), "syscalls": number(2000), "cqes": number(40_000), "sends": number(10_000), "enobufs": number(1),
				"cqes_per_batch_16": number(100), "cqes_per_batch_64": number(300), "conns_per_thread_least": "24", "conns_per_thread_most": "26",
			},
			hotKeys: {"hotkeys_uses": "1000000", "hotkeys_seconds": "40"},
		}
		for class := 1; class <= 30; class++ {
			all[slabs][fmt.Sprintf("%d:chunk_size", class)] = fmt.Sprint(96 * class)
			all[slabs][fmt.Sprintf("%d:total_pages", class)] = "2"
			all[slabs][fmt.Sprintf("%d:used_chunks", class)] = fmt.Sprint(1000 / class)
			all[slabs][fmt.Sprintf("%d:total_chunks", class)] = fmt.Sprint(2000 / class)
			all[slabs][fmt.Sprintf("%d:get_hits", class)] = number(class)
		}
		for key := 1; key <= 20; key++ {
			all[hotKeys][fmt.Sprintf("hotkeys:%d:key", key)] = fmt.Sprintf("user%%3A%d%%1B%s", key, strings.Repeat("k", 200))
			all[hotKeys][fmt.Sprintf("hotkeys:%d:count", key)] = fmt.Sprint(100_000 / key)
			all[hotKeys][fmt.Sprintf("hotkeys:%d:error", key)] = "1000"
		}
		return all
	}
	v := &view{addr: "127.0.0.1:11211", interval: time.Second, sortBy: usedColumn}
	v.change = since(reading(1000, groups(1)), reading(1001, groups(2)))
	v.history = []float64{50_000, 100_000, 75_000}
	return v
}

// ours are the only sequences that the view makes.
var ours = regexp.MustCompile("\x1b\\[[0-9;]*m")

// wantScreen draws a view in a size, and checks what is so in all of them.
func wantScreen(t *testing.T, v *view, width, height int) string {
	t.Helper()
	lines := v.screen(width, height)
	if len(lines) > height {
		t.Errorf("%d lines on a screen of %d", len(lines), height)
	}
	all := strings.Join(lines, "\n")
	for _, line := range lines {
		if text := ours.ReplaceAllString(line, ""); utf8.RuneCountInString(text) > width || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			t.Errorf("%d columns of %d: %q", utf8.RuneCountInString(text), width, line)
		}
	}
	if t.Failed() {
		t.Fatalf("%dx%d:\n%s", width, height, all)
	}
	return all
}

// hiddenBelow is what the last line says of a page that goes on.
var hiddenBelow = regexp.MustCompile("above, [1-9]")

// TestEverySize: nothing is wider or higher than the terminal, on any page, and scrolling shows every line.
func TestEverySize(t *testing.T) {
	for _, l := range []look{plain, {styles: true, colors: true, blocks: true}} {
		for width := 4; width <= 210; width += 23 {
			for height := 3; height <= 70; height += 7 {
				v := busy()
				v.look = l
				for v.page = range pageEnd {
					wantScreen(t, v, width, height)
					most := v.scrollMost(width, height)
					v.scroll = most
					end := wantScreen(t, v, width, height)
					v.scroll = most + 1000
					if beyond := wantScreen(t, v, width, height); beyond != end || hiddenBelow.MatchString(end) {
						t.Fatalf("%dx%d: %d lines above\n%s\n%s", width, height, most, end, beyond)
					}
					v.scroll = 0
				}
				v.help, v.problem = true, strings.Repeat("no answer ", 30)
				wantScreen(t, v, width, height)
			}
		}
	}
}

func TestScreens(t *testing.T) {
	for _, c := range []struct {
		page          page
		width, height int
		want          []string
	}{
		{overviewPage, 60, 20, []string{
			" ringcached 0.1.0 | uring | 127.0.0.1:11211     up 16 min 41 s", "[1 Overview] 2 Slabs  3 Hot keys  4 Batching      every 1s", "get          90.0 k  180 k", "all           100 k   200 k",
			"ratio ###########. 90.0 %", "open #......... 50 of 1024", "rejected          1.0       2", "2 threads, CPU      100.0 %", "bytes   45.0 MiB of 64.0 MiB",
			"slab pages ###### 60.0 MiB", "q quit  ? help",
		}},
		{overviewPage, 80, 24, []string{"Requests over time", "at most 100 k per s", "ratio  ##############..       90.0 %", "every 1s | answers in 0.4 ms"}},
		{overviewPage, 120, 40, []string{"Slab classes by used", "Batching", "connections per channel     24 to 26", "requests per wait              100.0", "Hot keys", "more classes: page 2"}},
		{slabPage, 80, 24, []string{"class", "[used]", "1    96 B      2", "up down: 0 above, 11 below", "s sort"}},
		{hotPage, 80, 24, []string{"share", "user:1%1Bkkk", "10.0 %  0.1 %   2500", "5.0 %", "0.5 %"}},
		{batchPage, 80, 60, []string{"Shortages", "no receive buffer", "Completions per wait", "up to 16", "25.0 %", "up to 64", "75.0 %", "Operations per system call"}},
	} {
		v := busy()
		v.page = c.page
		screen := wantScreen(t, v, c.width, c.height)
		flat := regexp.MustCompile(` +`).ReplaceAllString(screen, " ")
		for _, want := range c.want {
			if !strings.Contains(flat, regexp.MustCompile(` +`).ReplaceAllString(want, " ")) {
				t.Errorf("%s, %dx%d: no %q on\n%s", pageNames[c.page], c.width, c.height, want, screen)
			}
		}
	}
}

// TestStates: what is wrong is said, also where there is little room.
func TestStates(t *testing.T) {
	for want, change := range map[string]func(*view){
		"paused": func(v *view) { v.paused = true }, "no answer": func(v *view) { v.waiting = 3 * time.Second }, "can't connect": func(v *view) { v.problem = "can't connect" },
		"another page": func(v *view) { v.help = true },
	} {
		for _, width := range []int{60, 200} {
			v := busy()
			change(v)
			if screen := wantScreen(t, v, width, 20); !strings.Contains(screen, want) {
				t.Errorf("no %q on\n%s", want, screen)
			}
		}
	}
	v := busy()
	v.waiting = 61 * time.Second
	if screen := wantScreen(t, v, 100, 20); !strings.Contains(screen, "no answer for 1 min 1 s") {
		t.Errorf("how long?\n%s", screen)
	}
}

// TestHostileServer: every text of the server's is a control sequence, every number nonsense or huge.
func TestHostileServer(t *testing.T) {
	evil := "\x1b]0;pwned\x07\x1b[2J\u202e" + strings.Repeat("\x9b31m", 100)
	v := busy()
	for _, r := range []*Reading{v.change.from, v.change.to} {
		r.Version = evil
		for _, lines := range r.groups {
			for name := range lines {
				lines[name] = evil
			}
			lines["3:chunk_size"], lines["hotkeys:1:key"], lines["hotkeys_uses"], lines["cmd_get"] = "1e300", evil, "1", "18446744073709551615"
			lines["cqes_per_batch_\x1b[2J"] = "5"
		}
		r.groups[general]["uptime"] = "-1"
	}
	for v.page = range pageEnd {
		for _, width := range []int{40, 80, 200} {
			wantScreen(t, v, width, 50)
		}
	}
	for _, line := range v.report() {
		if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("%q", line)
		}
	}
	if !strings.Contains(v.report()[0], "ringcached %1B]0;pwned") {
		t.Errorf("what it says is not shown: %q", v.report()[0])
	}
}

// TestServersWithLittle: memcached, and servers that say nothing.
func TestServersWithLittle(t *testing.T) {
	v := &view{addr: "unix:/run/x", interval: time.Second}
	if screen := wantScreen(t, v, 80, 24); !strings.Contains(screen, "unix:/run/x") {
		t.Errorf("before the first reading:\n%s", screen)
	}
	v.change = since(nil, &Reading{Version: "fake"})
	for v.page = range pageEnd {
		wantScreen(t, v, 80, 24)
	}
	v.page = overviewPage
	screen := wantScreen(t, v, 80, 24)
	if !strings.Contains(screen, "memcached fake | unix:/run/x") || strings.Contains(screen, "Hot keys") || strings.Contains(screen, "Batching") || strings.Contains(screen, "NaN") {
		t.Errorf("of a server that says nothing:\n%s", screen)
	}
}

func TestSorting(t *testing.T) {
	v := busy()
	for sortBy, want := range map[int]int{0: 1, 1: 1, usedColumn: 1, 5: 30} {
		all := v.change.classesOf(sortBy)
		if len(all) != 30 || int(all[0][0]) != want {
			t.Errorf("by %s: %d classes, the first is %v, want %d", sortTitle(sortBy), len(all), all[0], want)
		}
	}
}
