package packages

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// redHat is the path of a package.
func redHat(name, version, arch string) string {
	return filepath.Join(built.dir, fmt.Sprintf("%s-%s-1.%s.rpm", name, version, arch))
}

// redHatArch is what Fedora calls Debian's processors.
var redHatArch = map[string]string{"amd64": "x86_64", "arm64": "aarch64"}

// askRPM is what rpm says of a package that is not installed, by lines.
func askRPM(t *testing.T, file string, question ...string) []string {
	t.Helper()
	args := append([]string{"--query", "--package", "--nosignature"}, question...)
	return strings.Split(strings.TrimSpace(output(t, "rpm", append(args, file)...)), "\n")
}

// TestRPM: rpm reads the packages, and finds in them what those of Debian have.
func TestRPM(t *testing.T) {
	build(t)
	for arch, theirs := range redHatArch {
		file := redHat("ringcached", built.version, theirs)
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
	file := redHat("ringcached-memcached", built.version, "noarch")
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

// rpm runs the machine's rpm on the root: its scripts run in there. What Debian's packages give the root no rpm knows of.
func (r *root) rpm(args ...string) {
	r.t.Helper()
	const enter = `mount -t proc proc "$0/proc" && exec rpm --root "$0" --dbpath /var/lib/rpm --force-debian --nodeps --nosignature "$@"`
	cmd := exec.Command("unshare", append([]string{"--mount", "--propagation=private", "sh", "-c", enter, r.dir}, args...)...)
	cmd.Env = environment
	said, err := cmd.CombinedOutput()
	unexpected := strings.ReplaceAll(string(said), "warning: /etc/ringcached.conf saved as /etc/ringcached.conf.rpmsave", "")
	if err != nil || strings.Contains(unexpected, "warning:") || strings.Contains(unexpected, "error:") {
		r.t.Fatalf("rpm %s: %v\n%s", strings.Join(args, " "), err, said)
	}
}

// TestRPMLife is the life of the packages under rpm, whose scripts run in a minimal Debian with systemd's programs, since there is no minimal
// Fedora to be had here.
func TestRPMLife(t *testing.T) {
	build(t)
	r := newRoot(t)
	r.run("dpkg", "--purge", "memcached")
	arch := redHatArch[debianArch()]
	r.rpm("--install", redHat("ringcached", built.version, arch))
	r.wantUser("ringcached")
	r.wantThere(true, enabled+"ringcached.service") // by the preset of Debian
	settings := r.read("/etc/ringcached.conf") + ownPort + "-e /var/lib/ringcached/items\n"
	r.write("/etc/ringcached.conf", settings, 0o644)
	s := r.start(t, "ringcached.service")
	s.want(t, setItem+getItem, stored+found)

	r.run("systemctl", "disable", "ringcached.service")
	r.rpm("--upgrade", redHat("ringcached", later, arch))
	r.wantThere(false, enabled+"ringcached.service", "/etc/ringcached.conf.rpmnew")
	if got := r.read("/etc/ringcached.conf"); got != settings {
		t.Errorf("the upgrade has changed the settings:\n%s", got)
	}
	s.want(t, getItem, found)
	s.reload(t)
	s.wantRights(t)
	s.want(t, getItem, found)
	s.stop()

	r.rpm("--install", redHat("ringcached-memcached", later, "noarch"))
	r.wantUser("memcache")
	r.wantThere(true, enabled+"memcached.service")
	settings = strings.ReplaceAll(r.read("/etc/memcached.conf"), "\n-l ::1", "") + ownPort
	r.write("/etc/memcached.conf", settings, 0o644)
	s = r.start(t, "memcached.service")
	s.wantRights(t)
	s.want(t, setItem+getItem, stored+found)
	s.stop()

	r.rpm("--erase", "ringcached-memcached", "ringcached")
	r.wantThere(false, enabled+"memcached.service", memcachedProgram, ringcachedProgram, "/usr/lib/systemd/system/memcached.service", "/etc/ringcached.conf")
	r.wantThere(true, "/etc/ringcached.conf.rpmsave", "/etc/memcached.conf") // the administrator's
}
