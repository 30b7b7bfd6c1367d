package packages

import (
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// filesBelow are the files of a tree, by their paths in it.
func filesBelow(t *testing.T, dir string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			files = append(files, strings.TrimPrefix(path, dir))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestInstall: `make install` installs what the package has, units and settings lead to where it is, and `make uninstall` removes it again.
func TestInstall(t *testing.T) {
	build(t)
	dir := t.TempDir()
	program := filepath.Join(extracted(t, debianArch()), "usr/bin/ringcached")
	tree := func(target string) {
		output(t, "make", "-C", source, "--no-print-directory", target, "PROGRAM="+program, "DESTDIR="+dir, "PREFIX=/opt/cache", "SYSCONFDIR=/opt/etc")
	}
	tree("install")
	want := []string{
		"/opt/cache/bin/ringcached", "/opt/cache/lib/systemd/system/ringcached.service", "/opt/cache/lib/systemd/system/ringcached.socket",
		"/opt/cache/lib/sysusers.d/ringcached.conf", "/opt/cache/share/bash-completion/completions/ringcached",
		"/opt/cache/share/fish/vendor_completions.d/ringcached.fish", "/opt/cache/share/man/man1/ringcached.1",
		"/opt/cache/share/zsh/site-functions/_ringcached", "/opt/etc/ringcached.conf",
	}
	if got := filesBelow(t, dir); !slices.Equal(got, want) {
		t.Errorf("installed are %q, want %q", got, want)
	}
	unit := output(t, "cat", filepath.Join(dir, "/opt/cache/lib/systemd/system/ringcached.service"))
	if !strings.Contains(unit, "\nExecStart=/opt/cache/bin/ringcached --config /opt/etc/ringcached.conf\n") || strings.Contains(unit, "/usr/bin/") {
		t.Errorf("the unit is for another place:\n%s", unit)
	}
	settings := filepath.Join(dir, "/opt/etc/ringcached.conf")
	if said, err := exec.Command(filepath.Join(dir, want[0]), "check", "--config", settings, "-u", "nobody").CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, said)
	}
	edited := "# the administrator's\n"
	output(t, "sh", "-c", `printf %s "$1" >"$0"`, settings, edited)
	tree("install")
	if got := output(t, "cat", settings); got != edited {
		t.Errorf("installed again, the settings are %q", got)
	}
	tree("uninstall")
	if got := filesBelow(t, dir); !slices.Equal(got, want[len(want)-1:]) {
		t.Errorf("left are %q", got)
	}
}
