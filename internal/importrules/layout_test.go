package importrules

import (
	"bytes"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// filesMax is how many Go files a folder may have beside its tests: with more it is several packages, or its files are fragments.
const filesMax = 25

// filesIn are folders with a limit of their own.
var filesIn = map[string]int{"proto": 20, "batch": 20, "store": 20}

// linesMin is the least that a file has that is one idea.
const linesMin = 40

// short are the names of files that may be shorter, because the language or its tools ask for them: the package's comment, the beginning of
// a program and of a test program, and what a package shows to tests outside of it.
var short = []string{"doc.go", "main.go", "main_test.go", "export_test.go"}

// shortCommand: a program has a file for each command, however small the command is.
var shortCommand = regexp.MustCompile(`^cmd/.*/command_[a-z]+\.go$`)

// twin is the name of a file that is built in one variant only, beside one of the other variant.
var twin = regexp.MustCompile(`_(on|off|amd64|arm64|linux)(_test)?\.go$`)

// goFiles calls f for every Go file of both modules, with its path from the root.
func goFiles(t *testing.T, f func(name string, text []byte)) {
	t.Helper()
	root := os.DirFS(modules[0])
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (strings.HasPrefix(d.Name(), ".") && name != "." || d.Name() == "node_modules"):
			return fs.SkipDir
		case filepath.Ext(name) != ".go":
			return nil
		}
		text, err := fs.ReadFile(root, name)
		f(name, text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestFoldersAreSmall: a folder is read as a whole.
func TestFoldersAreSmall(t *testing.T) {
	files := map[string]int{}
	goFiles(t, func(name string, _ []byte) {
		if !strings.HasSuffix(name, "_test.go") {
			files[path.Dir(name)]++
		}
	})
	for dir, n := range files {
		limit, own := filesIn[dir]
		if !own {
			limit = filesMax
		}
		if n > limit {
			t.Errorf("%s has %d Go files without tests, at most %d are allowed", dir, n, limit)
		}
	}
}

// TestPackagesHaveBeginnings: a newcomer begins with a package's doc.go, so its comment is there and nowhere else.
func TestPackagesHaveBeginnings(t *testing.T) {
	comments := map[string][]string{} // files with a package's comment, by folder
	goFiles(t, func(name string, text []byte) {
		if strings.HasSuffix(name, "_test.go") {
			return
		}
		files := comments[path.Dir(name)]
		if packageComment.Match(text) {
			files = append(files, path.Base(name))
		}
		comments[path.Dir(name)] = files
	})
	for dir, files := range comments {
		if !slices.Equal(files, []string{"doc.go"}) {
			t.Errorf("%s has the comment of its package in %q, want it in doc.go", dir, files)
		}
	}
}

// packageComment is the beginning of one.
var packageComment = regexp.MustCompile(`(?m)^// (Package|Command) .*\n(//.*\n)*package `)

// TestFilesAreIdeas: what is shorter than an idea belongs to its neighbour.
func TestFilesAreIdeas(t *testing.T) {
	checked := 0
	goFiles(t, func(name string, text []byte) {
		checked++
		if n := bytes.Count(text, []byte("\n")); n < linesMin && !mayBeShort(name, text) {
			t.Errorf("%s has %d lines: join it to the file that it belongs to", name, n)
		}
	})
	if checked < 300 {
		t.Errorf("only %d files were found", checked)
	}
}

// mayBeShort says whether there is a reason for a short file. The tests of a file that is an idea are looked for under its name.
func mayBeShort(name string, text []byte) bool {
	if tested, isTest := strings.CutSuffix(name, "_test.go"); isTest {
		if _, err := os.Stat(filepath.Join(modules[0], tested+".go")); err == nil {
			return true
		}
	}
	return slices.Contains(short, path.Base(name)) || shortCommand.MatchString(name) || twin.MatchString(name) ||
		bytes.HasPrefix(text, []byte("//go:build ")) || bytes.Contains(text, []byte("\n//go:build "))
}

func TestMayBeShort(t *testing.T) {
	for name, want := range map[string]bool{
		"ring/doc.go": true, "batch/check_on.go": true, "store/prefetch/prefetch_amd64.go": true, "cmd/ringcached/command_probe.go": true,
		"ring/polling.go": false, "ring/probe_test.go": true, "ring/gone_test.go": false, "ring/add_on.go": true, "proto/command_x.go": false, "ring/addon.go": false, "ring/main_test.go": true,
	} {
		if got := mayBeShort(name, []byte("package x\n")); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if !mayBeShort("a/b.go", []byte("//go:build race\n\npackage b\n")) {
		t.Error("a file for one build has to be long")
	}
}
