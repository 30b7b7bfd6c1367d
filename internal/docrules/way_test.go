package docrules

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	document = "../../docs/architecture.md"
	section  = "The way of a get"
	hopsMax  = 25 // functions that a get goes through
	filesMax = 12 // and the files that they are in
)

var (
	entryStart = regexp.MustCompile(`^\d+\. `)
	// link is a function's name that leads to its file: [`(*channel).received`](../batch/input.go).
	link     = regexp.MustCompile("\\[`([^`]+)`\\]\\(([^)#]+\\.go)(?:#[^)]*)?\\)")
	function = regexp.MustCompile(`^(?:\(\*?(\w+)\)\.|(\w+)\.)?(\w+)$`)
)

// hop is a function that the document leads to.
type hop struct{ name, file string }

// findSection is the text below a heading, up to the next heading that is not below it.
func findSection(text, heading string) (string, error) {
	level := 0
	var found []string
	for line := range strings.Lines(text) {
		marks := len(line) - len(strings.TrimLeft(line, "#"))
		switch {
		case marks > 0 && level == 0 && strings.TrimSpace(line[marks:]) == heading:
			level = marks
		case marks > 0 && level > 0 && marks <= level:
			return strings.Join(found, ""), nil
		case level > 0:
			found = append(found, line)
		}
	}
	if level == 0 {
		return "", fmt.Errorf("there is no section %q", heading)
	}
	return strings.Join(found, ""), nil
}

// hopsOf are the functions that a section's numbered list names, in order. Every entry has to lead to at least one.
func hopsOf(section string) (hops []hop, err error) {
	var entries []string
	inside := false
	for line := range strings.Lines(section) {
		switch {
		case entryStart.MatchString(line):
			entries, inside = append(entries, line), true
		case strings.TrimSpace(line) == "", line[0] != ' ' && line[0] != '\t':
			inside = false
		case inside:
			entries[len(entries)-1] += line
		}
	}
	if len(entries) == 0 {
		return nil, errors.New("there is no numbered list")
	}
	for _, entry := range entries {
		links := link.FindAllStringSubmatch(entry, -1)
		if len(links) == 0 {
			err = errors.Join(err, fmt.Errorf("no link to a function in %q", strings.TrimSpace(entry)))
		}
		for _, l := range links {
			hops = append(hops, hop{l[1], l[2]})
		}
	}
	return hops, err
}

// checkHop fails unless the file declares the function. Its name is written f, package.f, T.f or (*T).f.
func checkHop(dir string, h hop) error {
	parts := function.FindStringSubmatch(h.name)
	if parts == nil {
		return fmt.Errorf("%q is no name of a function", h.name)
	}
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, h.file), nil, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	receiver := parts[1] + parts[2]
	if parts[2] == file.Name.Name {
		receiver = ""
	}
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Name.Name == parts[3] && receiverOf(f) == receiver {
			return nil
		}
	}
	return fmt.Errorf("%s has no function %s", h.file, h.name)
}

// receiverOf is the name of a method's type, "" for a function.
func receiverOf(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	for t := f.Recv.List[0].Type; ; {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.Ident:
			return x.Name
		default:
			return "?"
		}
	}
}

// checkWay checks the section of a document whose links begin in dir.
func checkWay(text, dir string) error {
	body, err := findSection(text, section)
	if err != nil {
		return err
	}
	hops, err := hopsOf(body)
	var files []string
	for _, h := range hops {
		if gone := checkHop(dir, h); gone != nil {
			err = errors.Join(err, gone)
		}
		if file := filepath.Clean(h.file); !slices.Contains(files, file) {
			files = append(files, file)
		}
	}
	if len(hops) > hopsMax {
		err = errors.Join(err, fmt.Errorf("%d functions, at most %d are allowed", len(hops), hopsMax))
	}
	if len(files) > filesMax {
		err = errors.Join(err, fmt.Errorf("%d files, at most %d are allowed", len(files), filesMax))
	}
	return err
}

// TestWayOfAGet: every function on the way is there, and the way is short.
func TestWayOfAGet(t *testing.T) {
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	if err := checkWay(string(text), filepath.Dir(document)); err != nil {
		t.Errorf("%s, %q: %v", document, section, err)
	}
}

// TestCheck tries the checker on documents of its own, and on this file.
func TestCheck(t *testing.T) {
	const good = "# A\n\n## The way of a get\n\nText.\n\n1. [`hopsOf`](way_test.go): first,\n   then [`(*fake).method`](way_test.go#L1)\n" +
		"2. [`fake.value`](./way_test.go), [`docrules.checkHop`](way_test.go)\n\nMore [`gone`](gone.go).\n\n### Below\n\n## B\n\n1. nothing\n"
	if err := checkWay(good, "."); err != nil {
		t.Errorf("a good document: %v", err)
	}
	entries := func(n int, file string) string { return strings.Repeat("1. [`hopsOf`]("+file+")\n", n) }
	const head = "## The way of a get\n\n"
	for text, want := range map[string]string{
		"## Another way\n":                       `no section "The way of a get"`,
		head + "Text.\n":                         "no numbered list",
		head + "1. A [word](way_test.go)\n":      "no link to a function in",
		head + "1. [`gone`](way_test.go)\n":      "way_test.go has no function gone",
		head + "1. [`method`](way_test.go)\n":    "way_test.go has no function method",
		head + "1. [`fake.gone`](way_test.go)\n": "way_test.go has no function fake.gone",
		head + "1. [`hopsOf`](gone.go)\n":        "no such file",
		head + "1. [`a b`](way_test.go)\n":       "no name of a function",
		head + entries(26, "way_test.go"):        "26 functions, at most 25",
		head + entries(1, "a.go") + entries(1, "b.go") + entries(1, "c.go") + entries(1, "d.go") + entries(1, "e.go") + entries(1, "f.go") +
			entries(1, "g.go") + entries(1, "h.go") + entries(1, "i.go") + entries(1, "j.go") + entries(1, "k.go") + entries(1, "l.go") +
			entries(1, "m.go"): "13 files, at most 12",
	} {
		if err := checkWay(text, "."); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if err := checkWay(head+entries(25, "way_test.go"), "."); err != nil {
		t.Errorf("the longest way that is allowed: %v", err)
	}
}

// fake has methods for TestCheck.
type fake struct{}

func (*fake) method() {}
func (fake) value()   {}

var _ = []func(){(*fake)(nil).method, fake{}.value}
