package htmlreport

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	report "ringcached/bench/oldreport"
	trial "ringcached/bench/oldtrial"
	"ringcached/bench/sut"
)

// rendered is the page of a report, as text and as a tree.
func rendered(t *testing.T, r *trial.Report) (text string, root *node) {
	t.Helper()
	var b bytes.Buffer
	if err := Render(&b, r); err != nil {
		t.Fatal(err)
	}
	root, err := parse(bytes.NewReader(b.Bytes()))
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

func TestPageHasEveryExperiment(t *testing.T) {
	report := fixture()
	_, root := rendered(t, report)
	for _, e := range report.Experiments {
		s := section(t, root, e.Name)
		if h := all(s, "h2"); len(h) != 1 || words(h[0]) != e.Title {
			t.Errorf("%s: headed %q", e.Name, words(s))
		}
		for _, want := range append([]string{e.Question, e.Source}, e.Problems...) {
			if !strings.Contains(words(s), want) {
				t.Errorf("%s does not say %q", e.Name, want)
			}
		}
		parts := 0
		for _, n := range all(s, "section") {
			if attribute(n, "class") == "part" {
				parts++
			}
		}
		if parts != len(e.Parts) {
			t.Errorf("%s has %d parts, not %d", e.Name, parts, len(e.Parts))
		}
		for i := range e.Parts {
			checkPart(t, section(t, root, e.Name+"-"+e.Parts[i].Name), &e.Parts[i])
		}
	}
}

// checkPart looks for the part's figures, each with its table, for its ratios, and for a row for each point and each trial.
func checkPart(t *testing.T, s *node, p *trial.Part) {
	t.Helper()
	var titles []string
	for _, f := range all(s, "figure") {
		svgs, tables := all(f, "svg"), all(f, "table")
		if len(svgs) != 1 || len(tables) != 1 || tables[0].Parent.Parent.Name != "details" {
			t.Errorf("%s: a figure with %d pictures and %d tables", p.Name, len(svgs), len(tables))
			continue
		}
		titles = append(titles, words(all(f, "figcaption")[0]))
		columns := 0
		for _, series := range p.Series {
			if strings.Contains(words(all(tables[0], "thead")[0]), series.Name) {
				columns++
			}
		}
		if n := len(all(tables[0], "tr")); n != len(placesOf(p))+1 || columns < 1 {
			t.Errorf("%s: the table of %s has %d rows and %d series", p.Name, titles[len(titles)-1], n, columns)
		}
	}
	for _, m := range p.Shows {
		if !slices.Contains(titles, metricOf(m).title) {
			t.Errorf("%s: no figure of %s, only of %q", p.Name, m, titles)
		}
	}
	if !slices.ContainsFunc(titles, func(title string) bool { return strings.HasSuffix(title, ", over epoll") }) {
		t.Errorf("%s: no figure of ratios, only of %q", p.Name, titles)
	}
	points, rounds := 1, 1 // the heads
	for _, series := range p.Series {
		points += len(series.Points)
		for i, q := range series.Points {
			if i == 0 || !series.Fixed {
				rounds += len(q.Rounds)
			}
		}
	}
	for caption, want := range map[string]int{p.Title + ": every point": points, p.Title + ": every trial": rounds} {
		for _, box := range all(s, "div") {
			if attribute(box, "aria-label") == caption {
				if n := len(all(box, "tr")); n != want {
					t.Errorf("%s: %d rows, want %d", caption, n, want)
				}
				want = 0
			}
		}
		if want != 0 {
			t.Errorf("%s: no table %q", p.Name, caption)
		}
	}
}

func TestPageLoadsNothing(t *testing.T) {
	text, root := rendered(t, fixture())
	ids := map[string]bool{}
	for n := range root.Descendants() {
		if n.Name == "" {
			continue
		}
		if id := attribute(n, "id"); id != "" {
			if ids[id] {
				t.Errorf("two elements are %q", id)
			}
			ids[id] = true
		}
		if slices.Contains([]string{"script", "img", "iframe", "object", "embed", "audio", "video", "form"}, n.Name) {
			t.Errorf("the page has an element %s", n.Name)
		}
	}
	for n := range root.Descendants() {
		if n.Name == "" {
			continue
		}
		for _, a := range n.Attr {
			switch {
			case a.Name.Local == "src" || strings.HasPrefix(a.Name.Local, "on"):
				t.Errorf("%s has %s=%q", n.Name, a.Name.Local, a.Value)
			case a.Name.Local == "href" && a.Value != "data:," && !ids[strings.TrimPrefix(a.Value, "#")]:
				t.Errorf("%s leads to %q, which is not in the page", n.Name, a.Value)
			case a.Name.Local == "aria-labelledby":
				for id := range strings.FieldsSeq(a.Value) {
					if !ids[id] {
						t.Errorf("%s is labelled by %q, which is not in the page", n.Name, id)
					}
				}
			}
		}
	}
	for _, outside := range []string{"url(", "@import", "@font-face"} {
		if strings.Contains(text, outside) {
			t.Errorf("the page has %s", outside)
		}
	}
	if strings.Contains(text, "ZgotmplZ") || strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
		t.Error("the page has a value that the template refused, or one that is no number")
	}
}

var svgText = regexp.MustCompile(`(?s)<svg.*?</svg>`)

func TestFiguresAreWellFormed(t *testing.T) {
	text, _ := rendered(t, fixture())
	figures := 0
	for _, svg := range svgText.FindAllString(text, -1) {
		d := xml.NewDecoder(strings.NewReader(svg))
		var names []string
		for {
			token, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%v in %.300s", err, svg)
			}
			if s, ok := token.(xml.StartElement); ok {
				names = append(names, s.Name.Local)
			}
		}
		if strings.Contains(svg, `role="img"`) {
			figures++
			if len(names) < 3 || names[1] != "title" || names[2] != "desc" {
				t.Errorf("a figure without title and description: %.300s", svg)
			}
		} else if !strings.Contains(svg, "aria-hidden") {
			t.Errorf("neither a figure nor decoration: %.300s", svg)
		}
	}
	if figures < 30 {
		t.Errorf("%d figures", figures)
	}
}

func TestTextIsEscaped(t *testing.T) {
	report := fixture()
	const evil = `<script>alert("x")</script>&amp;'`
	e := report.Experiments[1]
	e.Title, e.Question, e.Source, e.Problems = evil, evil, evil, []string{evil}
	e.Parts[0].Title, e.Parts[0].Axis.Label, e.Parts[0].Axis.Scale = evil, evil, trial.ScaleNames
	e.Parts[0].Series[0].Name, e.Parts[0].Series[0].Args = "uring "+evil, []string{evil}
	for i := range e.Parts[0].Series {
		for j := range e.Parts[0].Series[i].Points {
			e.Parts[0].Series[i].Points[j].Label += evil
		}
	}
	report.Environment.CPU, report.Environment.Command = evil, []string{evil}
	report.Servers[evil] = sut.Server{Version: evil, Command: evil}
	_, root := rendered(t, report)
	if n := len(all(root, "script")); n > 0 {
		t.Errorf("%d scripts", n)
	}
	s := section(t, root, "message-size")
	if h := all(s, "h2"); words(h[0]) != evil {
		t.Errorf("the title became %q", words(h[0]))
	}
	if n := strings.Count(words(s), evil); n < 50 {
		t.Errorf("the text is %d times in the section", n)
	}
}

// TestUnusablePoints looks for the points of the fixture that failed or were load-bound: marked, and without numbers.
func TestUnusablePoints(t *testing.T) {
	_, root := rendered(t, fixture())
	for _, c := range []struct{ part, series, label, is string }{
		{"message-size-get", "memcached", "64 KiB", "failed"},
		{"message-size-get", "null", "64 B", "load-bound"},
		{"connection-length-get", "uring", "4", "load-bound"},
		{"connection-length-get", "epoll", "16", "failed"},
		{"memcached-mixes", "memcached", "multiget 100", "failed"},
		{"memcached-mixes", "epoll", "set", "load-bound"},
		{"memcached-latency", "uring", "118k/s", "overloaded"},
	} {
		s := section(t, root, c.part)
		point := strings.ReplaceAll(c.series+", "+c.label+": ", nobreak, " ")
		marked := false
		for _, title := range all(s, "title") {
			if text := words(title); strings.HasPrefix(text, point) {
				marked = true
				if text != point+c.is {
					t.Errorf("%s: a mark says %q", c.part, text)
				}
			}
		}
		if !marked {
			t.Errorf("%s: no mark of %s%s", c.part, point, c.is)
		}
		if row := rowOf(s, ": every point", c.label, c.series); !strings.Contains(row, c.is) || regexp.MustCompile(`\d\.\d\d\d`).MatchString(row) {
			t.Errorf("%s: the row is %q", c.part, row)
		}
	}
	if row := rowOf(section(t, root, "batching-connections-50"), ": every point", "32", "uring"); !strings.Contains(row, "--batch-depth 32") {
		t.Errorf("no flags in %q", row)
	}
	if row := rowOf(section(t, root, "transport-get"), ": every point", "udp", "uring"); !strings.Contains(row, "of the requests lost") {
		t.Errorf("nothing of lost requests in %q", row)
	}
	if row := rowOf(section(t, root, "batching-connections-50"), ": every trial", everyPlace, "epoll"); row == "" {
		t.Error("no trial of what stands for all places")
	}
	if row := rowOf(section(t, root, "memcached-latency"), ": every trial", "62k/s", "uring"); !strings.Contains(row, "62 000 7.500 3 0") {
		t.Errorf("nothing of the open loop in %q", row)
	}
	warning := words(section(t, root, "short"))
	for _, want := range []string{
		"Requests per connection: gets of 64 B, 50 connections at a time: epoll at 16: failed in 1 of 5 rounds: " + fatal,
		"uring at 4: the load was the limit in 2 of 5 rounds", "uring at 118k/s: more arrived than the server could take in 2 of 5 rounds",
	} {
		if !strings.Contains(warning, want) {
			t.Errorf("no %q in %q", want, warning)
		}
	}
	if strings.Contains(warning, "null at") {
		t.Errorf("the null server's limit is called a failure: %q", warning)
	}
}

// rowOf is the text of the row that a point has in a table.
func rowOf(s *node, caption, label, series string) string {
	for _, box := range all(s, "div") {
		if !strings.HasSuffix(attribute(box, "aria-label"), caption) {
			continue
		}
		for _, tr := range all(box, "tr") {
			if cells := all(tr, "td"); len(cells) > 0 && words(cells[0]) == series && words(all(tr, "th")[0]) == label {
				return words(tr)
			}
		}
	}
	return ""
}

func TestPageSaysHowAndWhere(t *testing.T) {
	_, root := rendered(t, fixture())
	for id, wants := range map[string][]string{
		"method": {
			"1 to 5 rounds", "the null server", "times as many operations per second", "busy for at most 61 %", "99 % of its requests left at most 7.5 µs later", "The load is closed",
			"the load is open", "duration 1s", "get-pipeline 3.1 M/s of canned replies", "servers: memory, MB 256",
		},
		"environment": {
			"kernel 6.18.5", "CPU Imaginary Processor 9000 at 3.0 GHz", "TCP congestion control bbr", "spectre_v1, spectre_v2",
			"CPU governor not told by this system",
		},
		"commands": {
			"bin/ringcached-bench compare --variant 'unbatched=--batch-depth 1' --json report.json", "--engine uring",
			"memcached -l 127.0.0.1", "It was not started here.",
		},
	} {
		text := words(section(t, root, id))
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("%s: no %q in %q", id, want, text)
			}
		}
	}
	head := words(all(root, "header")[0])
	if !strings.Contains(head, "1 March 2026, 12:30 UTC, took 25m2s") || !strings.Contains(head, "2 cores, kernel 6.18.5") {
		t.Errorf("the head is %q", head)
	}
}

// TestDisturbedRun: a host that was busy with something else is reported at the top.
func TestDisturbedRun(t *testing.T) {
	r := fixture()
	_, root := rendered(t, r)
	if text := words(section(t, root, "short")); strings.Contains(text, "disturbed") {
		t.Errorf("a quiet run is called disturbed: %q", text)
	}
	r.Experiments[1].Parts[0].Series[0].Points[2].Summary.Foreign = 0.3
	_, root = rendered(t, r)
	if text := words(section(t, root, "short")); !strings.Contains(text, "A disturbed run. In the worst trial 0 % of a core were stolen by the host, and other processes used 30 %") {
		t.Errorf("%q", text)
	}
}

// TestRunsThatMeanLess: what a reader has to know before the figures.
func TestRunsThatMeanLess(t *testing.T) {
	r := fixture()
	_, root := rendered(t, r)
	short, method := words(section(t, root, "short")), words(section(t, root, "method"))
	if strings.Contains(short, "interrupted") || strings.Contains(short, "share") || !strings.Contains(method, "on cores that the load does not use") {
		t.Errorf("a whole run on cores of its own: %q, %q", short, method)
	}
	r.Interrupted = true
	shared := sut.Cores{Server: []int{0}, Load: []int{0, 1}}
	for _, options := range []any{&trial.ExperimentsOptions{Options: trial.Options{Cores: shared}}, map[string]any{"cores": shared}} {
		r.Options = options
		_, root = rendered(t, r)
		short, method = words(section(t, root, "short")), words(section(t, root, "method"))
		for _, want := range []string{"An interrupted run.", "Server and load share a core."} {
			if !strings.Contains(short, want) {
				t.Errorf("no %q in %q", want, short)
			}
		}
		if !strings.Contains(method, "on a core that it shares with the load") {
			t.Errorf("%q", method)
		}
	}
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "report.html")
	if err := Write(path, fixture()); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil || !bytes.HasSuffix(before, []byte("</html>\n")) {
		t.Fatalf("%d bytes, %v", len(before), err)
	}
	if err := Write(path, &trial.Report{Header: sut.Header{Kind: "run"}}); err == nil || !strings.Contains(err.Error(), "has none") {
		t.Errorf("a page without experiments: %v", err)
	}
	if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
		t.Error("what failed replaced the file")
	}
	if err := Write(filepath.Join(dir, "none", "report.html"), fixture()); err == nil {
		t.Error("a file was written where there is no directory")
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("%d files are left", len(files))
	}
}

// keep is where TestReadBack stores the fixture for test/htmlreport, which looks at its page in a browser.
var keep = flag.String("fixture", "", "`FILE` to store the report of the tests in")

// TestReadBack makes a page of a report that was stored in between: it must be the same.
func TestReadBack(t *testing.T) {
	direct, _ := rendered(t, fixture())
	path := *keep
	if path == "" {
		path = filepath.Join(t.TempDir(), "report.json")
	}
	if err := report.WriteJSON(path, fixture()); err != nil {
		t.Fatal(err)
	}
	r, err := report.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if stored, _ := rendered(t, &r.Report); stored != direct {
		t.Error("the page of the stored report differs")
	}
}

// TestReportsWithHoles makes pages of what an interrupted run leaves.
func TestReportsWithHoles(t *testing.T) {
	for name, change := range map[string]func(*trial.Report){
		"no parts":    func(r *trial.Report) { r.Experiments = r.Experiments[9:] },
		"no series":   func(r *trial.Report) { r.Experiments[0].Parts[0].Series = nil },
		"no points":   func(r *trial.Report) { r.Experiments[0].Parts[0].Series[0].Points = nil },
		"no baseline": func(r *trial.Report) { r.Experiments[0].Parts[0].Baseline = "nobody" },
		"one place": func(r *trial.Report) {
			latency := &r.Experiments[4].Parts[1]
			for i := range latency.Series {
				latency.Series[i].Points = latency.Series[i].Points[:1]
			}
		},
		"no least memory": func(r *trial.Report) {
			for i := range r.Experiments[5].Parts[0].Series {
				for j := range r.Experiments[5].Parts[0].Series[i].Points {
					if m := r.Experiments[5].Parts[0].Series[i].Points[j].Memory; m != nil {
						m.User.Low = -1
					}
				}
			}
		},
		"no metrics": func(r *trial.Report) { r.Experiments[0].Parts[0].Shows = nil },
		"new metric": func(r *trial.Report) {
			r.Experiments[0].Parts[0].Shows = append(r.Experiments[0].Parts[0].Shows, "taste")
		},
		"no rounds":    func(r *trial.Report) { r.Experiments[0].Parts[0].Series[0].Points[0].Rounds = nil },
		"nothing else": func(r *trial.Report) { *r = trial.Report{Experiments: r.Experiments} },
		"all failed": func(r *trial.Report) {
			for i := range r.Experiments[1].Parts[0].Series {
				for j := range r.Experiments[1].Parts[0].Series[i].Points {
					failed(&r.Experiments[1].Parts[0].Series[i].Points[j])
				}
			}
		},
	} {
		r := fixture()
		change(r)
		text, _ := rendered(t, r)
		if strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
			t.Errorf("%s: the page has a value that is no number", name)
		}
	}
}
