package packages

import (
	"bytes"
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

const source = "../.."

// later is the version of the packages that others are upgraded to. The program in them is the same.
const later = "99.0.0"

// built are packages that several tests share: those of the present version, and later ones for this machine only.
var built struct {
	once         sync.Once
	err          error
	dir, version string
	commit       string // of the sources, when they were built
}

// build makes the packages, once.
func build(t *testing.T) {
	t.Helper()
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "ringcached-packages-"); built.err != nil {
			return
		}
		built.commit, _, _ = strings.Cut(output(t, filepath.Join(source, "scripts/commit")), " ")
		if built.err = buildPackages(source, built.dir); built.err != nil {
			return
		}
		if built.err = buildPackages(source, built.dir, "VERSION="+later, "ARCHES="+debianArch()); built.err != nil {
			return
		}
		name := regexp.MustCompile(`^ringcached-memcached_(.*)-1_all\.deb$`)
		entries, _ := os.ReadDir(built.dir)
		for _, e := range entries {
			if parts := name.FindStringSubmatch(e.Name()); parts != nil && parts[1] != later {
				built.version = parts[1]
			}
		}
		if built.version == "" {
			built.err = fmt.Errorf("no package of ringcached-memcached for all processors among %v", entries)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
}

func buildPackages(tree, out string, env ...string) error {
	cmd := exec.Command(filepath.Join(tree, "scripts/build-packages"), out)
	cmd.Env = append(os.Environ(), env...)
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("scripts/build-packages: %w\n%s", err, said)
	}
	return nil
}

// versionLine is what the program in a package says of itself: the Go that has built it is that of the tests.
func versionLine(version string) string {
	return fmt.Sprintf("ringcached %s (commit %s, %s)\n", version, built.commit, runtime.Version())
}

// debianArch is what Debian calls this machine's processor. It is what Go calls it, for those that there are packages for.
func debianArch() string {
	out, err := exec.Command("dpkg", "--print-architecture").Output()
	if err != nil {
		return "amd64"
	}
	return strings.TrimSpace(string(out))
}

// debian is the path of a package.
func debian(name, version string) string {
	arch := debianArch()
	if name == "ringcached-memcached" {
		arch = "all"
	}
	return filepath.Join(built.dir, fmt.Sprintf("%s_%s-1_%s.deb", name, version, arch))
}

// output runs a command, which has to succeed.
func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// TestReproducible: another tree, which is no git repository and has a cache of its own, makes the same packages.
func TestReproducible(t *testing.T) {
	build(t)
	tree := filepath.Join(t.TempDir(), "another", "tree")
	if err := os.MkdirAll(tree, 0o755); err != nil {
		t.Fatal(err)
	}
	output(t, "sh", "-c", `cd "$0" && git ls-files -z --cached --others --exclude-standard | tar -c --null --ignore-failed-read -T - | tar -x -C "$1"`, source, tree)
	// As in an archive of a release, which tells its commit.
	output(t, "sh", "-c", `git -C "$0" archive HEAD packaging/commit | tar -x -C "$1"`, source, tree)
	nfpm := filepath.Join(t.TempDir(), "nfpm") // to compile it once more would take longer than all else
	output(t, "go", "-C", filepath.Join(source, "tools/deploy"), "build", "-buildvcs=false", "-o", nfpm, "github.com/goreleaser/nfpm/v2/cmd/nfpm")
	env := []string{"ARCHES=amd64", "NFPM=" + nfpm, "GOCACHE=" + t.TempDir(), "GOFLAGS=-buildvcs=false"}
	here := strings.Fields(output(t, filepath.Join(source, "scripts/commit")))
	there := strings.Fields(output(t, filepath.Join(tree, "scripts/commit")))
	if clean := strings.TrimSuffix(here[0], "-dirty"); clean != here[0] {
		env = append(env, "COMMIT="+here[0]) // an archive has no changes that nobody has committed
		here[0] = clean
	}
	if !slices.Equal(here, there) {
		t.Fatalf("an archive is of commit %q, and git says %q", there, here)
	}
	again := t.TempDir()
	// The modules' cache is the same: only what is compiled is made anew.
	if err := buildPackages(tree, again, env...); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(again)
	if err != nil || len(entries) != 4 {
		t.Fatalf("%d packages were built, want 4: %v", len(entries), err)
	}
	for _, e := range entries {
		first, err := os.ReadFile(filepath.Join(built.dir, e.Name()))
		if err != nil {
			t.Error(err)
			continue
		}
		second, err := os.ReadFile(filepath.Join(again, e.Name()))
		if err != nil || !bytes.Equal(first, second) {
			t.Errorf("%s differs when it is built again (%v): diffoscope tells where", e.Name(), err)
		}
	}
}

// extracted is a folder with what the server's package has.
func extracted(t *testing.T, arch string) string {
	t.Helper()
	dir := t.TempDir()
	output(t, "dpkg-deb", "--extract", filepath.Join(built.dir, fmt.Sprintf("ringcached_%s-1_%s.deb", built.version, arch)), dir)
	return dir
}

// TestProcessors: the program in a package is for the processor that the package is for, and needs no library.
func TestProcessors(t *testing.T) {
	build(t)
	for arch, machine := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64} {
		program, err := elf.Open(filepath.Join(extracted(t, arch), "usr/bin/ringcached"))
		if err != nil {
			t.Fatal(err)
		}
		libraries, err := program.ImportedLibraries()
		if program.Machine != machine || err != nil || len(libraries) > 0 {
			t.Errorf("%s: the program is for %v, and needs %v (%v)", arch, program.Machine, libraries, err)
		}
		program.Close()
	}
}

// TestLintian: Debian's own checks find nothing that the overrides, which have reasons, do not allow.
func TestLintian(t *testing.T) {
	build(t)
	for _, name := range []string{"ringcached", "ringcached-memcached"} {
		out, err := exec.Command("lintian", "--allow-root", "--fail-on", "error,warning", "--tag-display-limit", "0", debian(name, built.version)).CombinedOutput()
		if err != nil || len(bytes.TrimSpace(out)) > 0 {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}
