package report

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"ringcached/bench/sut"
	"ringcached/bench/trial"
)

// fixtureFile is where TestReadBack stores the fixture too, for the test that looks at its page in a browser.
var fixtureFile = flag.String("fixture", "", "store the fixture in this file too")

func TestReadBack(t *testing.T) {
	r := fixture()
	path := filepath.Join(t.TempDir(), "report.json")
	if *fixtureFile != "" {
		path = *fixtureFile
	}
	if err := WriteJSON(path, r); err != nil {
		t.Fatal(err)
	}
	back, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(fields(r.Options), fields(back.Options)) {
		t.Errorf("options %v, read as %v", r.Options, back.Options)
	}
	r.Options = back.Options // in the order of their names
	if !reflect.DeepEqual(r, back) {
		t.Error("what was read is not what was written")
	}
	// The page of what was read is that of what was measured.
	before, _ := rendered(t, r)
	if after, _ := rendered(t, back); before != after {
		t.Error("the page of a stored result is another")
	}
}

var scriptText = regexp.MustCompile(`(?s)(<script[^>]*>)(.*?)</script>`)

// rendered is the page of a report, as text and as a tree, in which scripts are empty.
func rendered(t *testing.T, r *trial.Report) (text string, root *node) {
	t.Helper()
	var b bytes.Buffer
	if err := Page(&b, r); err != nil {
		t.Fatal(err)
	}
	root, err := parsePage(bytes.NewReader(scriptText.ReplaceAll(b.Bytes(), []byte("$1</script>"))))
	if err != nil {
		t.Fatal(err)
	}
	return b.String(), root
}

// all returns the elements of a name below a node.
func all(n *node, name string) (found []*node) {
	for c := range n.Descendants() {
		if c.Name == name {
			found = append(found, c)
		}
	}
	return found
}

func attribute(n *node, name string) string {
	for _, a := range n.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// words are the text below a node.
func words(n *node) string {
	var b strings.Builder
	for c := range n.Descendants() {
		if c.Name == "" {
			b.WriteString(c.Text + " ")
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// section is the element of an id.
func section(t *testing.T, root *node, id string) *node {
	t.Helper()
	for c := range root.Descendants() {
		if attribute(c, "id") == id {
			return c
		}
	}
	t.Fatalf("the page has no %q", id)
	return nil
}

// tableOf is the table of a caption, nil if there is none.
func tableOf(s *node, caption string) *node {
	for _, box := range all(s, "div") {
		if attribute(box, "aria-label") == caption {
			return box
		}
	}
	return nil
}

// TestPageHasEveryPlan: a figure for each metric, and tables of the same numbers for those who have no JavaScript.
func TestPageHasEveryPlan(t *testing.T) {
	r := fixture()
	_, root := rendered(t, r)
	for i, result := range r.Results {
		p := result.Plan
		s := section(t, root, fmt.Sprintf("plan-%d", i))
		x := words(s)
		if p.Name == "latency" { // the experiment's second
			x += p.Heading + p.Question + p.Source
		}
		for _, want := range append([]string{p.Heading, p.Question, p.Source, p.Title}, p.Problems...) {
			if !strings.Contains(x, want) {
				t.Errorf("%s does not say %q", p.FullName(), want)
			}
		}
		if n := len(all(s, "figure")); n != len(p.Shows) {
			t.Errorf("%s has %d figures", p.FullName(), n)
		}
		for _, m := range p.Shows {
			q := quantityOf(m)
			table := tableOf(s, q.title+", "+q.unit)
			ratios := tableOf(s, q.title+", over "+p.Reference)
			if table == nil || ratios == nil {
				t.Errorf("%s has no table of %s, or of its ratios", p.FullName(), m)
				continue
			}
			if n := len(all(table, "tr")); n != len(p.Points)+1 {
				t.Errorf("%s: %d rows of %s", p.FullName(), n, m)
			}
			for i := range result.Rows {
				row := &result.Rows[i]
				if e, known := row.Estimates[m]; known && state(row, m) == "" && !strings.Contains(words(table), q.text(e.Value)) {
					t.Errorf("%s: the table has no %s of %s, %s", p.FullName(), m, row.Server, q.text(e.Value))
				}
			}
		}
		if n := len(all(tableOf(s, "Every row"), "tr")); n != len(result.Rows)+1 {
			t.Errorf("%s: %d rows of %d", p.FullName(), n, len(result.Rows))
		}
	}
}

// TestPageLoadsNothing: no address leads out of the page, and the only scripts are those whose hashes its policy names.
func TestPageLoadsNothing(t *testing.T) {
	text, root := rendered(t, fixture())
	ids := map[string]bool{}
	for n := range root.Descendants() {
		if id := attribute(n, "id"); id != "" {
			if ids[id] {
				t.Errorf("two elements are %q", id)
			}
			ids[id] = true
		}
		if slices.Contains([]string{"img", "iframe", "object", "embed", "audio", "video", "form"}, n.Name) {
			t.Errorf("the page has an element %s", n.Name)
		}
	}
	for n := range root.Descendants() {
		for _, a := range n.Attr {
			switch {
			case a.Name.Local == "src" || strings.HasPrefix(a.Name.Local, "on"):
				t.Errorf("%s has %s=%q", n.Name, a.Name.Local, a.Value)
			case a.Name.Local == "href" && a.Value != "data:," && !ids[strings.TrimPrefix(a.Value, "#")]:
				t.Errorf("%s leads to %q, which is not in the page", n.Name, a.Value)
			}
		}
	}
	scripts := scriptText.FindAllStringSubmatch(text, -1)
	if len(scripts) != 4 || !strings.Contains(scripts[0][1], "application/json") || len(regexp.MustCompile(`sha256-`).FindAllString(text, -1)) != 3 {
		t.Errorf("%d scripts", len(scripts))
	}
	without := scriptText.ReplaceAllString(text, "")
	for _, bad := range []string{"url(", "@import", "@font-face", "ZgotmplZ", "NaN", "Inf"} {
		if strings.Contains(without, bad) {
			t.Errorf("the page has %s", bad)
		}
	}
}

// TestLibrariesAreAsPublished compares the libraries with what npm serves in these versions.
func TestLibrariesAreAsPublished(t *testing.T) {
	for name, want := range map[string]string{
		"d3.min.js":   "912111098ea99503a6f4967361d2bbdc9dbf58cf9c678c8e27e5b02d1a07f0c1", // d3 7.9.2, dist/d3.min.js
		"plot.min.js": "4358086467740777dd788d6b27a95cebdbaefdd50c730a3060117073bd7134cb", // @observablehq/plot 0.6.17, dist/plot.umd.min.js
	} {
		text, err := pageFiles.ReadFile("page/" + name)
		if sum := sha256.Sum256(text); err != nil || hex.EncodeToString(sum[:]) != want {
			t.Errorf("%s: %x, %v", name, sum, err)
		}
	}
}

func TestTextIsEscaped(t *testing.T) {
	r := fixture()
	const evil = `</script><script>alert("x")</script>&amp;'`
	p := r.Results[1].Plan
	p.Heading, p.Title, p.Question, p.Source, p.Problems, p.Axis.Label = evil, evil, evil, evil, []string{evil}, evil
	for i := range p.Points {
		p.Points[i].Label += evil
	}
	r.Environment.CPU, r.Environment.Command = evil, []string{evil}
	r.Servers[evil] = sut.Server{Version: evil, Command: evil}
	text, root := rendered(t, r)
	if n := len(scriptText.FindAllString(text, -1)); n != 4 {
		t.Errorf("%d scripts", n)
	}
	if n := strings.Count(words(section(t, root, "plan-1")), evil); n < 20 {
		t.Errorf("the text is %d times in the section", n)
	}
}

// TestRowsWithoutFigures: what failed or was overloaded is marked, and has no number.
func TestRowsWithoutFigures(t *testing.T) {
	text, root := rendered(t, fixture())
	mixes, latency := section(t, root, "plan-1"), section(t, root, "plan-2")
	for _, c := range []struct {
		s             *node
		caption, says string
	}{
		{mixes, "Server CPU per operation, µs", "failed"}, {mixes, "Server CPU per operation, over epoll", "-"}, {mixes, "Every row", "(failed)"},
		{latency, "Latency, median, µs", "overloaded"}, {latency, "Every row", "(overloaded)"},
	} {
		if table := tableOf(c.s, c.caption); table == nil || !strings.Contains(words(table), c.says) {
			t.Errorf("%s does not say %s", c.caption, c.says)
		}
	}
	if short := words(section(t, root, "short")); !strings.Contains(short,
		"Rows without figures. What failed is compared with nothing: memcached/mixes: memcached, get: 2 wrong replies") {
		t.Errorf("%q", short)
	}
	var c charts
	if err := json.Unmarshal([]byte(scriptText.FindAllStringSubmatch(text, -1)[0][2]), &c); err != nil {
		t.Fatal(err)
	}
	for _, one := range c.Charts {
		for _, p := range one.Points {
			if one.Title == "Latency, median" && p.Series == "uring" && p.At == "118k/s" || p.At == "get" && p.Series == "memcached" {
				t.Errorf("%s draws %+v", one.Title, p)
			}
		}
	}
}

// TestRunsThatMeanLess: what a reader has to know stands before the figures.
func TestRunsThatMeanLess(t *testing.T) {
	r := fixture()
	_, root := rendered(t, r)
	short := words(section(t, root, "short"))
	for _, wrong := range []string{"interrupted", "share a core", "A/A failed"} {
		if strings.Contains(short, wrong) {
			t.Errorf("a good run: %q", short)
		}
	}
	r.Interrupted = true
	r.Results[0].AA[2].Low = 1.001
	cores := sut.Cores{Server: []int{0}, Load: []int{0, 1}}
	for _, options := range []any{&trial.Options{Cores: cores}, map[string]any{"cores": cores}} {
		r.Options = options
		_, root = rendered(t, r)
		short = words(section(t, root, "short"))
		last := -1
		for _, want := range []string{"A/A failed", "pipeline/get 1.002 (1.001–1.014) at 4", "An interrupted run.", "share a core", "Against epoll"} {
			if at := strings.Index(short, want); at <= last {
				t.Errorf("%q is at %d in %q", want, at, short)
			} else {
				last = at
			}
		}
	}
}

func TestPageSaysHowAndWhere(t *testing.T) {
	_, root := rendered(t, fixture())
	for id, wants := range map[string][]string{
		"method": {"and 1 more dropped as disturbed", "time 2m0s", "precision 0.02", "cores: server 0"},
		"environment": {"kernel 6.18.5", "Imaginary Processor 9000", "tcp congestion control bbr", "spectre_v1, spectre_v2",
			"cpu governor not told by this system", "--variant 'unbatched=--batch-depth 1'", "memcached -l 127.0.0.1", "It was not started here."},
		"short": {"Against epoll, io_uring takes less CPU per operation at 11 of 13 points, more at 1; noise at 1."},
	} {
		text := words(section(t, root, id))
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("%s: no %q in %q", id, want, text)
			}
		}
	}
	head := words(all(root, "header")[0])
	if !strings.Contains(head, "1 March 2026, 12:30 UTC, took 2m10s") || !strings.Contains(head,
		"2 cores, Imaginary Processor 9000 at 3.0 GHz, kernel 6.18.5") {
		t.Errorf("the head is %q", head)
	}
}

// TestPageIsForOthers: what is only true of the machine of the run is not in it, though it is in the result.
func TestPageIsForOthers(t *testing.T) {
	r := fixture()
	r.Home, r.Directory = "/home/ann", "/tmp/tmp.x1/ringcached"
	r.Servers["uring"] = sut.Server{Command: "/tmp/tmp.x1/ringcached/bin/ringcached -p 1 -s /tmp/tmp.x1/other"}
	r.Servers["memcached"] = sut.Server{Command: "/home/ann/.cache/memcached -l 127.0.0.1"}
	r.Environment.Command = []string{"bin/ringcached-bench", "compare", "--json=/home/ann/my results/a.json"}
	r.Options = &trial.Options{Servers: sut.ServerOptions{Path: "/home/ann/bin/ringcached", Memcached: "/home/anna/memcached"}}
	r.Results[0].Problems = []trial.Problem{{Server: "uring", Text: "the server died: /tmp/tmp.x1/ringcached/bin/ringcached: exit code 1", Failure: true}}
	text, root := rendered(t, r)
	for id, wants := range map[string][]string{
		"environment": {" bin/ringcached -p 1 -s /tmp/tmp.x1/other", " ~/.cache/memcached -l", "'--json=~/my results/a.json'"},
		"method":      {"path ~/bin/ringcached", "memcached /home/anna/memcached"},
		"short":       {"uring, the server died: bin/ringcached: exit"},
		"plan-0":      {"FAILED: uring, the server died: bin/ringcached: exit"},
	} {
		for _, want := range wants {
			if got := words(section(t, root, id)); !strings.Contains(got, want) {
				t.Errorf("%s: no %q in %q", id, want, got)
			}
		}
	}
	if strings.Contains(text, "tmp.x1/ringcached") || strings.Contains(text, "/home/ann/") {
		t.Error("the page names a directory of the run")
	}
}

// TestShortPaths: a directory is one only as a whole.
func TestShortPaths(t *testing.T) {
	for text, want := range map[string]string{
		"/home/ann/x /srv/home/ann/x": "~/x /srv/home/ann/x", "HOME=/home/ann": "HOME=~", "/home/annabel/x": "/home/annabel/x", "a='/w/c d/x'": "a='x'", "/w/c d": ".", "/w/c": "/w/c",
		"PATH=/home/ann:/home/ann:/home/ann /home/ann": "PATH=~:~:~ ~",
	} {
		if got := shorten(&sut.Header{Home: "/home/ann", Directory: "/w/c d/"}, text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
		if got := shorten(&sut.Header{Home: "/", Directory: "/"}, text); got != text {
			t.Errorf("%q at the root is %q", text, got)
		}
		if got := shorten(&sut.Header{}, text); got != text {
			t.Errorf("%q of an older result is %q", text, got)
		}
	}
}

func TestWritePage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "report.html")
	if err := WritePage(path, fixture()); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil || !bytes.HasSuffix(before, []byte("</html>\n")) {
		t.Fatalf("%d bytes, %v", len(before), err)
	}
	if err := WritePage(path, &trial.Report{Header: sut.Header{Kind: "run"}}); err == nil || !strings.Contains(err.Error(), "has none") {
		t.Errorf("a page without comparisons: %v", err)
	}
	if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
		t.Error("what failed replaced the file")
	}
}
