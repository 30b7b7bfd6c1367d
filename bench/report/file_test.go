package report

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"ringcached/bench/sut"
)

func TestReadRefuses(t *testing.T) {
	dir := t.TempDir()
	for text, says := range map[string]string{
		"":                                   "no JSON",
		"hello":                              "no JSON",
		"[1]":                                "no JSON of that form",
		`{"results": []}`:                    "no format and kind",
		`{"format": FORMAT}`:                 "no format and kind",
		`{"format": 99, "kind": "compare"}`:  "newer ringcached-bench: its format is 99",
		`{"format": 0, "kind": "compare"}`:   "its format is 0, this program reads FORMAT, in which servers are measured differently: measure again",
		`{"format": FORMAT, "kind": "x"} {}`: "after top-level value",
		`{"format": FORMAT, "kind": "x", "results": 7}`:                                                                    "a damaged result",
		`{"format": FORMAT, "kind": "x", "results": [null]}`:                                                               "without a plan",
		`{"format": FORMAT, "kind": "x", "results": [{}]}`:                                                                 "without a plan",
		`{"format": FORMAT, "kind": "x", "results": [{"plan": {"name": "p"}, "rows": [{"point": 0, "server": "a"}]}]}`:     "a row of point 0",
		`{"format": FORMAT, "kind": "x", "results": [{"plan": {"name": "p", "points": [{}]}, "rows": [{"server": "a"}]}]}`: `server "a"`,
		`{"format": FORMAT, "kind": "x", "results": [{"plan": {"name": "p", "points": [{}]}, "aa": [{"point": 1}]}]}`:      "a ratio of point 1",
		`{"format": FORMAT, "kind": "x", "results": [{"plan": {"name": "p", "points": [{}]}, "ratios": [{"point": -1}]}]}`: "a ratio of point -1",
	} {
		path := filepath.Join(dir, "in.json")
		number := string(rune('0' + sut.Format))
		text, says = strings.ReplaceAll(text, "FORMAT", number), strings.ReplaceAll(says, "FORMAT", number)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if r, err := Read(path); err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, %v, want %q", text, r, err, says)
		}
	}
	if _, err := Read(filepath.Join(dir, "none.json")); err == nil || !strings.Contains(err.Error(), "none.json") {
		t.Errorf("a file that is not there: %v", err)
	}
}

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "out.json"), filepath.Join(dir, "link.json")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"a longer text\n", "short\n"} {
		if err := WriteFile(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if err := WriteFile(link, []byte(text)); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(link)
		if info, _ := os.Lstat(path); err != nil || string(got) != text || info.Mode() != 0o644 {
			t.Errorf("%q, %v, %v", got, err, info.Mode())
		}
	}
	if info, err := os.Lstat(link); err != nil || info.Mode().IsRegular() {
		t.Errorf("the link was replaced: %v", err)
	}
	if err := WriteFile("/dev/null", []byte("x")); err != nil {
		t.Errorf("a device: %v", err)
	}
	if err := WriteFile("/no/such/directory/x.json", nil); err == nil || !strings.Contains(err.Error(), "writing /no/such") {
		t.Errorf("a file was written where there is no directory: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 2 {
		t.Errorf("left behind: %v", left)
	}
}

// TestFormIsDocumented: docs/results.md names every field of a result.
func TestFormIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/results.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[reflect.Type]bool{}
	fields := 0
	var visit func(reflect.Type)
	visit = func(of reflect.Type) {
		for of.Kind() == reflect.Pointer || of.Kind() == reflect.Slice || of.Kind() == reflect.Map {
			of = of.Elem()
		}
		if of.Kind() != reflect.Struct || seen[of] || slices.Contains([]string{"Environment", "Workload", "Time", "Cores"}, of.Name()) {
			return // the first two are shown as they are
		}
		seen[of] = true
		for i := range of.NumField() {
			f := of.Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if f.IsExported() && !f.Anonymous && name != "-" {
				if fields++; !strings.Contains(string(text), "`"+name+"`") {
					t.Errorf("docs/results.md does not name %s of %s", name, of)
				}
			}
			if f.IsExported() {
				visit(f.Type)
			}
		}
	}
	visit(reflect.TypeFor[RegressReport]())
	if fields < 80 {
		t.Errorf("only %d fields", fields)
	}
	for m := range quantities {
		if !strings.Contains(string(text), "`"+string(m)+"`") {
			t.Errorf("docs/results.md does not name the metric %s", m)
		}
	}
	if !strings.Contains(string(text), "| `format` | number | "+strconv.Itoa(sut.Format)+".") {
		t.Errorf("docs/results.md is not of format %d", sut.Format)
	}
}
