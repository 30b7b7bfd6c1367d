package page

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/bradfitz/gomemcache/memcache"
	"github.com/chromedp/chromedp"

	"ringcached/internal/servertest"
	"ringcached/test/chromium"
)

// watched starts a server with a page, does what every command counts, and returns the page's address. The page is at a unix socket, so that no port can
// be taken by another; a proxy makes it one that a browser can open, as people do who do not want it on the network.
func watched(t *testing.T, flags ...string) (s *servertest.Server, address string) {
	t.Helper()
	path := filepath.Join(servertest.PublicDir(t), "metrics")
	s = servertest.Start(t, "auto", append(flags, "--metrics", path, "-m", "64", "-t", "2")...)
	load(t, s.Addr)
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: "page"})
	proxy.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}
	front := httptest.NewServer(proxy)
	t.Cleanup(front.Close)
	return s, front.URL
}

// load does every command that is counted, with items of many sizes, some of which are asked for often.
func load(t *testing.T, address string) {
	t.Helper()
	c := memcache.New(address)
	c.Timeout = patience // its own is half a second
	defer c.Close()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := range 800 {
		must(c.Set(&memcache.Item{Key: fmt.Sprintf("key:%d", i), Value: make([]byte, 10+i*i%40_000)}))
	}
	for i := range 6000 {
		key := "key:1" // the hottest by far
		if i%3 == 0 {
			key = fmt.Sprintf("key:%d", i%1000)
		}
		if _, err := c.Get(key); err != memcache.ErrCacheMiss {
			must(err)
		}
	}
	must(c.Set(&memcache.Item{Key: "n", Value: []byte("5")}))
	for range 7 {
		_, err := c.Increment("n", 3)
		must(err)
		_, err = c.Decrement("n", 1)
		must(err)
	}
	must(c.Touch("n", 0))
	must(c.Delete("n"))
	if err := c.Delete("n"); err != memcache.ErrCacheMiss {
		t.Fatal(err)
	}
}

// lines are the groups of `stats`, and "metrics", the samples of /metrics by name and labels.
type lines map[string]map[string]string

func linesOf(t *testing.T, s *servertest.Server, address string) lines {
	t.Helper()
	l := lines{"": s.Stats(t), "metrics": {}}
	for _, group := range []string{"settings", "items", "slabs", "batch", "hotkeys"} {
		l[group] = s.Stats(t, group)
	}
	for line := range strings.Lines(get(t, address+"/metrics")) {
		if name, value, ok := cutLast(strings.TrimSpace(line)); ok && !strings.HasPrefix(line, "#") {
			l["metrics"][name] = value
		}
	}
	return l
}

func cutLast(line string) (name, value string, ok bool) {
	i := strings.LastIndexByte(line, ' ')
	if i < 0 {
		return "", "", false
	}
	return line[:i], line[i+1:], true
}

func get(t *testing.T, address string) string {
	t.Helper()
	r, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v\n%s", address, r.Status, err, text)
	}
	return string(text)
}

// number is a line as a number; a line that is not there counts 0.
func (l lines) number(group, name string) float64 {
	n, _ := strconv.ParseFloat(l[group][name], 64)
	return n
}

// TestEveryFigure opens the page of a server that has served, and compares every figure on it with `stats` before and after.
func TestEveryFigure(t *testing.T) {
	ctx := chromium.Start(t)
	console := chromedp.Console(ctx)
	s, address := watched(t, "--hot-keys", "--metrics-keys")
	before := linesOf(t, s, address)
	if err := chromedp.Do(ctx, chromedp.Navigate(address)); err != nil {
		t.Fatal(err)
	}
	got := shown(ctx, t, func(answer string) bool { return answer != "" })
	after := linesOf(t, s, address)

	got.checkFigures(t, before, after)
	if got.Version != after[""]["ringcached_version"] || !strings.HasPrefix(got.Engine, "Engine "+after["batch"]["engine"]+": ") || got.State != "serving" {
		t.Errorf("version %q, engine %q, state %q", got.Version, got.Engine, got.State)
	}
	if hottest := chromedpText(ctx, t, "#hot-table tbody th"); hottest != "key:1" {
		t.Errorf("the hottest key is %q", hottest)
	}
	chromium.CheckConsole(ctx, t, console, nil)
	chromium.Screenshots(ctx, t, "live")
}

// checkFigures compares all that is shown with lines from before and after it was shown.
func (got *inspection) checkFigures(t *testing.T, before, after lines) {
	t.Helper()
	checked := got.checkLists(t, before, after)
	for name, value := range expectations(got, before, after) {
		cell, second := strings.CutSuffix(name, " ")
		checked[cell] = true
		text, limit, _ := strings.Cut(got.Cells[cell], " of ")
		if second {
			text = limit
		}
		least, most := bounds(value(before), value(after), restlessCells.MatchString(name))
		if low, high, ok := means(text); !ok || high < least || low > most {
			t.Errorf("%s is %q, want %v to %v", name, text, least, most)
		}
	}
	for cell, text := range got.Cells {
		if strings.ContainsAny(text, "0123456789") && !checked[cell] && !computed.MatchString(cell) {
			t.Errorf("no expectation for %s, %q", cell, text)
		}
	}
}

// chromedpText is the text of the first element that a selector finds.
func chromedpText(ctx context.Context, t *testing.T, selector string) string {
	t.Helper()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](fmt.Sprintf("document.querySelector(%q)?.textContent ?? ''", selector)))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// computed are figures of the time between answers, which TestRates checks, and two of hot keys, which TestKeysAreText checks.
var computed = regexp.MustCompile(`per second|/s$|last minute|^tiles/(hit ratio|99 %|read|written|processors)|^commands-legend/|^latency-legend/|` +
	`^latency-table/[^/]+/(timed|mean|[\d.]+ %)$|^connections-table/\d+/(read|written)$|^batching-list/(requests|completions|bytes)|^hot-table/.*/share$`)

// checkLists compares the lists that show lines as they are.
func (got *inspection) checkLists(t *testing.T, before, after lines) (checked map[string]bool) {
	t.Helper()
	checked = map[string]bool{}
	for list, group := range map[string]string{"settings-list": "settings", "stats-list": "", "batch-list": "batch"} {
		for name, was := range before[group] {
			cell := list + "/" + name
			text, there := got.Cells[cell]
			checked[cell] = true
			is := after[group][name]
			n, err := strconv.ParseFloat(text, 64)
			restless := restlessLines.MatchString(name)
			least, most := bounds(before.number(group, name), after.number(group, name), restless)
			switch {
			case !there:
				t.Errorf("the page lacks %s", cell)
			case !restless && was == is && text != is, (restless || was != is) && (err != nil || n < least || n > most):
				t.Errorf("%s is %q, stats had %q and has %q", cell, text, was, is)
			}
		}
	}
	return checked
}

// What the test's own connections change, and the garbage collector: up and down between two questions.
var (
	restlessLines = regexp.MustCompile(`^(curr_connections|connection_structures|conns_per_thread_.*|client_memory_bytes|buffers_out|heap_bytes)$`)
	restlessCells = regexp.MustCompile(`^tiles/connections$|^connections-(legend|table/\d+)/(connections|active)$|^memory-list/(held for clients|heap of the program)$`)
)

// bounds are what a figure may be that was a and then b: anything between, and some more where it is restless.
func bounds(a, b float64, restless bool) (least, most float64) {
	least, most = min(a, b), max(a, b)
	if restless {
		return least/4 - 1, most*4 + 4
	}
	return least, most
}

// share is a of a and b.
func share(a, b float64) float64 { return a / (a + b) }

// expectations say what the figures are that stand for one line, or for a few. A cell with two numbers, "a of b", is there twice: for b with a space behind.
func expectations(got *inspection, first, last lines) map[string]func(lines) float64 {
	line := func(group, name string) func(lines) float64 {
		return func(l lines) float64 { return l.number(group, name) }
	}
	want := map[string]func(lines) float64{
		"hits-list/in all":               func(l lines) float64 { return share(l.number("", "get_hits"), l.number("", "get_misses")) },
		"memory-list/share of the limit": func(l lines) float64 { return l.number("", "bytes") / l.number("", "limit_maxbytes") },
		"memory-list/slab pages":         line("slabs", "total_malloced"),
		"memory-list/held for clients":   line("batch", "client_memory_bytes"), "memory-list/held for clients ": line("batch", "client_memory_limit"),
		"batching-list/receives without a buffer": line("batch", "enobufs"),
		"connections-legend/parked":               line("batch", "conns_parked"),
		"connections-legend/active":               func(l lines) float64 { return l.number("", "curr_connections") - l.number("batch", "conns_parked") },
	}
	for cell, name := range map[string]string{
		"tiles/items": "curr_items", "tiles/memory in use": "bytes", "tiles/memory in use ": "limit_maxbytes", "tiles/connections": "curr_connections",
		"tiles/connections ": "max_connections", "tiles/running for": "uptime", "hits-list/hits": "get_hits", "hits-list/misses": "get_misses",
		"hits-list/evicted": "evictions", "hits-list/evicted without a get": "evicted_unfetched", "hits-list/expired without a get": "expired_unfetched",
		"hits-list/no memory for an item": "store_no_memory", "memory-list/items": "bytes", "memory-list/items ": "limit_maxbytes",
		"memory-list/mapped for items": "mapped_items_bytes", "memory-list/index": "mapped_index_bytes", "memory-list/heap of the program": "heap_bytes",
		"commands-table/get/in all": "cmd_get", "commands-table/set/in all": "cmd_set", "commands-table/touch/in all": "cmd_touch", "commands-table/flush/in all": "cmd_flush",
	} {
		want[cell] = line("", name)
	}
	for _, command := range []string{"get", "delete", "touch", "incr", "decr"} {
		hits, misses := line("", command+"_hits"), line("", command+"_misses")
		want["commands-table/"+command+"/hits in all"] = func(l lines) float64 { return share(hits(l), misses(l)) }
		if cell := "commands-table/" + command + "/in all"; want[cell] == nil {
			want[cell] = func(l lines) float64 { return hits(l) + misses(l) }
		}
	}
	for _, class := range []string{"get", "store", "delete", "arith", "touch", "other"} {
		want["latency-table/"+class+"/timed in all"] = line("metrics", fmt.Sprintf("ringcached_handling_seconds_count{class=%q}", class))
	}
	maps.Copy(want, hotExpectations(got, first, last))
	maps.Copy(want, slabExpectations(first))
	maps.Copy(want, channelExpectations(first))
	maps.Copy(want, histogramExpectations(got))
	return want
}

// hotExpectations are those of the hottest keys. When all counts are halved, keys change places, and the last ones of the list may be others.
func hotExpectations(got *inspection, first, last lines) map[string]func(lines) float64 {
	want := map[string]func(lines) float64{}
	before, after := first.hotPlaces(), last.hotPlaces()
	all := maps.Clone(before)
	maps.Copy(all, after)
	for key := range all {
		row := "hot-table/" + key + "/"
		stays := before[key] != "" && after[key] != ""
		if _, shown := got.Cells[row+"uses"]; stays || shown {
			want[row+"uses"], want[row+"at most too high by"] = hotNumber(key, "count"), hotNumber(key, "error")
		}
	}
	return want
}

// hotNumber is a number that `stats hotkeys` has of a key; 0 of one that is not there.
func hotNumber(key, what string) func(lines) float64 {
	return func(l lines) float64 { return l.number("hotkeys", l.hotPlaces()[key]+":"+what) }
}

// hotPlaces are where keys stand in `stats hotkeys`: hotkeys:1 is the hottest.
func (l lines) hotPlaces() map[string]string {
	places := map[string]string{}
	for name, encoded := range l["hotkeys"] {
		if place, isKey := strings.CutSuffix(name, ":key"); isKey {
			key, _ := url.PathUnescape(encoded)
			places[key] = place
		}
	}
	return places
}

// slabExpectations are those of the classes that have pages.
func slabExpectations(first lines) map[string]func(lines) float64 {
	want := map[string]func(lines) float64{}
	add := func(cell string, value func(lines) float64) {
		old := want[cell]
		want[cell] = func(l lines) float64 {
			if old == nil {
				return value(l)
			}
			return old(l) + value(l)
		}
	}
	for name := range first["slabs"] {
		class, isClass := strings.CutSuffix(name, ":chunk_size")
		if !isClass {
			continue
		}
		row := "memory-table/" + class + "/"
		slab := func(line string) func(lines) float64 {
			return func(l lines) float64 { return l.number("slabs", class+":"+line) }
		}
		item := func(line string) func(lines) float64 {
			return func(l lines) float64 { return l.number("items", "items:"+class+":"+line) }
		}
		for column, line := range map[string]string{"chunk": "chunk_size", "pages": "total_pages", "chunks used": "used_chunks", "chunks free": "free_chunks", "wasted": "mem_wasted", "get hits": "get_hits"} {
			want[row+column] = slab(line)
		}
		for column, line := range map[string]string{"items": "number", "items' bytes": "mem_requested", "evicted": "evicted", "oldest": "age"} {
			want[row+column] = item(line)
		}
		add("memory-legend/items", item("mem_requested"))
		add("memory-legend/wasted: the rest of their chunks", slab("mem_wasted"))
		add("memory-legend/free chunks", func(l lines) float64 { return slab("free_chunks")(l) * slab("chunk_size")(l) })
	}
	return want
}

// channelExpectations are those of each channel, of /metrics: `stats` has only their sums.
func channelExpectations(first lines) map[string]func(lines) float64 {
	want := map[string]func(lines) float64{}
	for i := range int(first.number("", "threads")) {
		for column, metric := range map[string]string{
			"connections": "connections", "parked": "connections_parked", "accepted": "connections_accepted_total", "no buffer": "no_buffers_total",
			"unsent": "send_queue_bytes", "incomplete input": "input_buffer_bytes",
		} {
			sample := fmt.Sprintf("ringcached_channel_%s{channel=\"%d\"}", metric, i)
			want[fmt.Sprintf("connections-table/%d/%s", i, column)] = func(l lines) float64 { return l.number("metrics", sample) }
		}
	}
	return want
}

// histogramExpectations are those of the columns that are shown.
func histogramExpectations(got *inspection) map[string]func(lines) float64 {
	want := map[string]func(lines) float64{}
	for cell := range got.Cells {
		for table, line := range map[string]string{"completions-table": "cqes_per_batch_", "sends-table": "bytes_per_send_"} {
			rest, ours := strings.CutPrefix(cell, table+"/")
			if !ours {
				continue
			}
			bound, _, _ := strings.Cut(rest, "/")
			if low, high, ok := means(bound); ok {
				bound = strconv.Itoa(int((low + high) / 2))
			}
			want[cell] = func(l lines) float64 { return l.number("batch", line+bound) }
		}
	}
	return want
}
