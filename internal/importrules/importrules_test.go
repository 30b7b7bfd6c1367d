package importrules

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "ringcached"

// Packages under internal/ that are part of the server, not of its tests.
const (
	contract  = "internal/contract"  // what batch and proto share
	record    = "internal/record"    // TLS after the handshake
	handshake = "internal/handshake" // TLS's handshakes
)

// mayImport says which packages of the module each top-level directory may
// import, apart from its own. Tests may also import what is under internal/,
// and internal/ may import what it tests.
var mayImport = map[string][]string{
	contract:  {},
	record:    {},
	handshake: {record},
	"ring":    {},
	"store":   {},
	"batch":   {"ring", contract, record, handshake},
	"proto":   {"store", contract},
	"bench":   {"ring", record, handshake},
	"cmd":     {"batch", "bench", "proto", "ring", "store", contract, record, handshake},
}

// only says who may import packages that tie code to the kernel or to a
// library, and in how many files (0: any number).
var only = map[string]map[string]int{
	"golang.org/x/sys/unix":                {"ring": 0, "batch": 0, "store": 1, "bench": 0},
	"github.com/iceber/iouring-go/syscall": {"ring": 0},
	"golang.org/x/crypto/chacha20poly1305": {record: 1},
	"github.com/klauspost/compress/gzip":   {"bench": 1},
	"github.com/klauspost/compress/zstd":   {"bench": 1},
	"github.com/iceber/iouring-go":         {},
	"github.com/urfave/cli/v2":             {"cmd": 0},
	"charm.land/bubbletea/v2":              {"bench": 2}, // bench/top
	"github.com/creack/pty":                {},

	"github.com/prometheus/client_golang/prometheus":          {"cmd": 0},
	"github.com/prometheus/client_golang/prometheus/promhttp": {"cmd": 1},
	"github.com/prometheus/client_model/go":                   {"cmd": 1},
	"github.com/bradfitz/gomemcache/memcache":                 {},
	"github.com/grafana/gomemcache/memcache":                  {},
	"github.com/memcachier/mc/v3":                             {},
	"github.com/chromedp/chromedp":                            {"test": 1}, // test/chromium, for all tests
}

// apart are packages of one folder that must not import each other: where the folder's own rule is too coarse.
var apart = map[string][]string{
	"cmd/ringcached/config":  {"cmd/ringcached", "cmd/ringcached/process"}, // what was asked for, whoever does it
	"cmd/ringcached/process": {"cmd/ringcached", "cmd/ringcached/config"},  // is handed values, not flags
	// What others see of a server is asked of a Source, whoever runs it.
	"cmd/ringcached/metrics":   {"cmd/ringcached", "cmd/ringcached/config", "cmd/ringcached/process", "cmd/ringcached/web"},
	"cmd/ringcached/web":       {"cmd/ringcached", "cmd/ringcached/config", "cmd/ringcached/process"},
	"cmd/ringcached/statlines": {"cmd/ringcached", "cmd/ringcached/config", "cmd/ringcached/process", "cmd/ringcached/web"},
	// What makes load knows no servers, what runs servers no kinds of result, and kinds of result not each other.
	"bench/load":      {"bench/sut", "bench/trial", "bench/attack", "bench/storetest", "bench/replay", "bench/report"},
	"bench/sut":       {"bench/trial", "bench/attack", "bench/storetest", "bench/replay", "bench/report"},
	"bench/trial":     {"bench/attack", "bench/storetest", "bench/replay", "bench/report"},
	"bench/attack":    {"bench/trial", "bench/storetest", "bench/replay", "bench/report"},
	"bench/storetest": {"bench/trial", "bench/attack", "bench/replay", "bench/report"},
	"bench/replay":    {"bench/trial", "bench/attack", "bench/storetest", "bench/report"},
	"bench/top":       {"bench/sut", "bench/trial", "bench/attack", "bench/storetest", "bench/replay", "bench/report"},
}

// grabBags are names that say nothing about what is inside.
var grabBags = []string{"util", "utils", "common", "helper", "helpers", "misc"}

// goPackage is what is read of the output of go list -json.
type goPackage struct {
	Dir, ImportPath string
	Name            string
	GoFiles         []string
	Imports         []string
}

// top is the first directory of an import path in the module, "" for others.
func top(importPath string) string {
	rest, ours := strings.CutPrefix(importPath, module+"/")
	if !ours {
		return ""
	}
	if rest == contract || rest == record || rest == handshake {
		return rest
	}
	first, _, _ := strings.Cut(rest, "/")
	return first
}

// modules are the directories of the server's module and of the one for tests with libraries that the server does not need.
var modules = []string{"../..", "../../test"}

// listPackages are the packages of both modules.
func listPackages(t *testing.T) (packages []goPackage) {
	t.Helper()
	for _, dir := range modules {
		cmd := exec.Command("go", "list", "-json=Dir,ImportPath,Name,GoFiles,Imports", "./...")
		cmd.Dir = dir
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("go list in %s: %v", dir, err)
		}
		d := json.NewDecoder(bytes.NewReader(out))
		for err == nil {
			var p goPackage
			if err = d.Decode(&p); err == nil {
				packages = append(packages, p)
			}
		}
		if !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
	}
	return packages
}

// testOnly are modules that only tests need.
var testOnly = []string{"github.com/chromedp/", "github.com/bradfitz/", "github.com/grafana/", "github.com/memcachier/", "github.com/creack/", "golang.org/x/net"}

// TestServerNeedsNoTestLibraries: what only tests need is not linked into the commands. The module graph may name it: libraries do that for their own tests.
func TestServerNeedsNoTestLibraries(t *testing.T) {
	cmd := exec.Command("go", "list", "-deps", "./cmd/...")
	cmd.Dir = modules[0]
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	linked := strings.Fields(string(out))
	if !slices.Contains(linked, module+"/ring") {
		t.Fatalf("go list -deps lists %d packages, and ring is not among them", len(linked))
	}
	for _, needed := range linked {
		for _, name := range testOnly {
			if strings.HasPrefix(needed, name) {
				t.Errorf("%s is for the module in test/", needed)
			}
		}
	}
}

// benchOnly are modules that only ringcached-bench is linked with.
var benchOnly = []string{"charm.land/", "github.com/charmbracelet/"}

// TestServerDrawsOnNoTerminal: what a server is linked with has to be trusted, and to be installed everywhere.
func TestServerDrawsOnNoTerminal(t *testing.T) {
	for program, wanted := range map[string]bool{"./cmd/ringcached": false, "./cmd/ringcached-bench": true} {
		cmd := exec.Command("go", "list", "-deps", program)
		cmd.Dir = modules[0]
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range benchOnly {
			if strings.Contains("\n"+string(out), "\n"+name) != wanted {
				t.Errorf("%s is linked with %s: %v", program, name, !wanted)
			}
		}
	}
}

func TestImportsRunOneWay(t *testing.T) {
	for _, p := range listPackages(t) {
		from := top(p.ImportPath)
		if from == "internal" {
			continue
		}
		allowed, known := mayImport[from]
		if !known {
			if len(p.GoFiles) > 0 && from != "test" {
				t.Errorf("%s: a new top-level directory needs a row in mayImport", p.ImportPath)
			}
			continue
		}
		for _, imported := range p.Imports {
			to := top(imported)
			if to != "" && to != from && !slices.Contains(allowed, to) {
				t.Errorf("%s imports %s: %s may only import %v", p.ImportPath, imported, from, allowed)
			}
		}
	}
}

func TestPackagesOfOneCommandStayApart(t *testing.T) {
	seen := 0
	for _, p := range listPackages(t) {
		name := strings.TrimPrefix(p.ImportPath, module+"/")
		if apart[name] != nil {
			seen++
		}
		for _, other := range apart[name] {
			if slices.Contains(p.Imports, module+"/"+other) {
				t.Errorf("%s must not import %s", name, other)
			}
		}
		if name == "cmd/ringcached/process" && slices.Contains(p.Imports, "github.com/urfave/cli/v2") {
			t.Errorf("%s must know no flags", name)
		}
	}
	if seen != len(apart) {
		t.Errorf("%d packages of %d that are kept apart are there", seen, len(apart))
	}
}

func TestKernelAndLibrariesStayWhereTheyBelong(t *testing.T) {
	for _, p := range listPackages(t) {
		from := top(p.ImportPath)
		for restricted, allowed := range only {
			if !slices.Contains(p.Imports, restricted) {
				continue
			}
			files, ok := allowed[from]
			if !ok {
				t.Errorf("%s imports %s, which is not for it", p.ImportPath, restricted)
				continue
			}
			if users := importers(t, p, restricted); files > 0 && len(users) > files {
				t.Errorf("%s imports %s in %v: at most %d file may", p.ImportPath, restricted, users, files)
			}
		}
	}
}

// importers lists the files of p that import wanted.
func importers(t *testing.T, p goPackage, wanted string) (files []string) {
	t.Helper()
	for _, name := range p.GoFiles {
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range f.Imports {
			if strings.Trim(spec.Path.Value, `"`) == wanted {
				files = append(files, name)
			}
		}
	}
	return files
}

func TestPackageNamesSayWhatIsInside(t *testing.T) {
	for _, p := range listPackages(t) {
		if slices.Contains(grabBags, p.Name) || slices.Contains(grabBags, path.Base(p.ImportPath)) {
			t.Errorf("%s: call it by what it does", p.ImportPath)
		}
	}
}
