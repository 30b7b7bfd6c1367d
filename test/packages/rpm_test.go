package packages

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// redHat is the path of a package.
func redHat(name, arch string) string {
	return filepath.Join(built.dir, fmt.Sprintf("%s-%s-1.%s.rpm", name, built.version, arch))
}

// askRPM is what rpm says of a package that is not installed, by lines.
func askRPM(t *testing.T, file string, question ...string) []string {
	t.Helper()
	args := append([]string{"--query", "--package", "--nosignature"}, question...)
	return strings.Split(strings.TrimSpace(output(t, "rpm", append(args, file)...)), "\n")
}

// TestRPM: rpm reads the packages, and finds in them what those of Debian have.
func TestRPM(t *testing.T) {
	build(t)
	for arch, theirs := range map[string]string{"amd64": "x86_64", "arm64": "aarch64"} {
		file := redHat("ringcached", theirs)
		if said := output(t, "rpm", "--checksig", "--nosignature", file); !strings.Contains(said, "digests OK") {
			t.Error(said)
		}
		head := askRPM(t, file, "--queryformat", "%{NAME} %{VERSION} %{RELEASE} %{ARCH} %{LICENSE} %{BUILDHOST}")
		if want := fmt.Sprintf("ringcached %s 1 %s MIT localhost", built.version, theirs); head[0] != want {
			t.Errorf("%s: %q, want %q", arch, head[0], want)
		}
		wantSameFiles(t, file, filepath.Join(built.dir, fmt.Sprintf("ringcached_%s-1_%s.deb", built.version, arch)))
		if config := askRPM(t, file, "--configfiles"); !slices.Equal(config, []string{"/etc/ringcached.conf"}) {
			t.Errorf("the settings are %q", config)
		}
		wantInScripts(t, file, "systemd-sysusers /usr/lib/sysusers.d/ringcached.conf", "systemctl reload ringcached.service", "disable --now ringcached.service")
	}
	file := redHat("ringcached-memcached", "noarch")
	wantSameFiles(t, file, debian("ringcached-memcached", built.version))
	wantInScripts(t, file, "systemd-sysusers /usr/lib/sysusers.d/ringcached-memcached.conf", "systemctl reload memcached.service", "/etc/memcached.conf")
	for question, want := range map[string]string{
		"--requires": fmt.Sprintf("ringcached = %s-1", built.version), "--provides": "memcached = 1.6.45", "--conflicts": "memcached",
	} {
		if said := askRPM(t, file, question); !slices.Contains(said, want) {
			t.Errorf("%s: no %q in %q", question, want, said)
		}
	}
}

// wantSameFiles compares what an .rpm and a .deb have, but for the places where distributions differ.
func wantSameFiles(t *testing.T, rpm, deb string) {
	t.Helper()
	ownPlaces := func(name string) bool {
		for _, place := range []string{"/usr/share/doc/", "/usr/share/licenses/", "/usr/share/lintian/", "/usr/share/zsh/"} {
			if strings.HasPrefix(name, place) {
				return true
			}
		}
		return false
	}
	var theirs, ours []string
	for line := range strings.Lines(output(t, "dpkg-deb", "--contents", deb)) {
		fields := strings.Fields(line)
		if name := strings.TrimPrefix(fields[5], "."); !strings.HasSuffix(name, "/") {
			theirs = append(theirs, name)
		}
	}
	ours = askRPM(t, rpm, "--list")
	ours, theirs = slices.DeleteFunc(ours, ownPlaces), slices.DeleteFunc(theirs, ownPlaces)
	slices.Sort(ours)
	slices.Sort(theirs)
	if len(ours) == 0 || !slices.Equal(ours, theirs) {
		t.Errorf("%s has %q, and %s %q", filepath.Base(rpm), ours, filepath.Base(deb), theirs)
	}
}

func wantInScripts(t *testing.T, file string, wanted ...string) {
	t.Helper()
	scripts := strings.Join(askRPM(t, file, "--scripts"), "\n")
	for _, want := range wanted {
		if !strings.Contains(scripts, want) {
			t.Errorf("%s: no %q in\n%s", filepath.Base(file), want, scripts)
		}
	}
}
