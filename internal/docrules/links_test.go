package docrules

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// target is where a link of Markdown leads: a file, an anchor, or both.
var target = regexp.MustCompile(`\]\(([^)#\s]*)(?:#([^)\s]+))?\)`)

// notInAnchors are the characters of a heading that its anchor leaves out.
var notInAnchors = regexp.MustCompile(`[^\p{L}\p{N}_\- ]`)

// anchorsOf are the anchors of a document's headings, as GitHub makes them.
func anchorsOf(text string) map[string]bool {
	anchors := map[string]bool{}
	for line := range strings.Lines(text) {
		if heading := strings.TrimLeft(line, "#"); heading != line && strings.HasPrefix(heading, " ") {
			anchors[strings.ReplaceAll(notInAnchors.ReplaceAllString(strings.ToLower(strings.TrimSpace(heading)), ""), " ", "-")] = true
		}
	}
	return anchors
}

// checkLinks returns the links of a document in dir that lead nowhere. Links to other hosts are not followed.
func checkLinks(dir, text string) (broken []string) {
	for _, link := range target.FindAllStringSubmatch(text, -1) {
		file, anchor := link[1], link[2]
		if strings.Contains(file, ":") {
			continue
		}
		there := text
		if file != "" {
			path := filepath.Join(dir, file)
			if _, err := os.Stat(path); err != nil {
				broken = append(broken, file+": no such file")
				continue
			}
			if filepath.Ext(file) != ".md" {
				continue
			}
			read, err := os.ReadFile(path)
			if err != nil {
				broken = append(broken, err.Error())
			}
			there = string(read)
		}
		if anchor != "" && !anchorsOf(there)[anchor] {
			broken = append(broken, file+"#"+anchor+": no such heading")
		}
	}
	return broken
}

// TestLinksLeadSomewhere: what the documents link to in this repository is there.
func TestLinksLeadSomewhere(t *testing.T) {
	const root = "../.."
	checked := 0
	for _, pattern := range []string{"*.md", "docs/*.md"} {
		documents, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range documents {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			checked++
			for _, broken := range checkLinks(filepath.Dir(name), string(text)) {
				t.Errorf("%s: %s", name, broken)
			}
		}
	}
	if checked < 10 {
		t.Errorf("only %d documents were found", checked)
	}
}

func TestBrokenLinksAreFound(t *testing.T) {
	const text = "# A `b` c, d\n[x](#a-b-c-d) [y](links_test.go) [z](https://a.example/b#c) [1](#a) [2](gone.md) [3](gone.md#a)\n"
	want := []string{"#a: no such heading", "gone.md: no such file", "gone.md: no such file"}
	if got := checkLinks(".", text); strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("%q, want %q", got, want)
	}
}
