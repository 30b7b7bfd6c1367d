package peers

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"ringcached/internal/servertest"
)

// standIns are the programs that the script finds first. VERSION is that of memcached in the suite; DOWN is set when there is no network, and
// FREE is what df says of the disk.
var standIns = map[string]string{
	"apt-get": `case "$*" in
indextargets*) [ -n "$NEW" ] || echo "http://mirror.example/debian/ $STANDINS/debian.sources:1" ;;
*update*)
	cat "$(sed -n 's/.*sourcelist "\(.*\)";/\1/p' "$2")" >>"$STANDINS/sources"
	[ -z "$DOWN" ] || { echo "E: Could not resolve 'mirror.example'"; exit 100; } ;;
*download*) shift 4; for name; do echo "$name" >>"$STANDINS/downloads"; cp "$STANDINS/$name.deb" . || exit; done ;;
esac`,
	"df": `printf 'Filesystem 1024-blocks Used Available Capacity Mounted on\nnone 9999999 1 %s 1%% /\n' "${FREE:-9999998}"`,
	"apt-cache": `case "$*" in
*show*) echo "Version: $VERSION" ;;
*depends*) for name; do [ "$name" != memcached ] || printf '%s\n' memcached '  Depends: libc6' '  Depends: adduser' ' |Depends: systemd'; done ;;
esac`,
}

// prepare makes stand-ins, and packages of a memcached, which is the program echo, and of the C library of this machine.
func prepare(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) {
		t.Helper()
		servertest.WriteBelow(t, dir, name, text, mode)
	}
	for name, script := range standIns {
		write("bin/"+name, "#!/bin/bash\n"+script+"\n", 0o755)
	}
	write("debian.sources", "URIs: http://other.example/\nSigned-By: /not/this\n\nURIs: http://mirror.example/debian\nSigned-By: /the/key\n", 0o644)
	loader, err := filepath.Glob("/lib/*-linux-gnu/ld-linux*.so.?")
	if err != nil || len(loader) != 1 {
		t.Fatalf("loader of this machine: %q, %v", loader, err)
	}
	for name, files := range map[string][][2]string{
		"memcached": {{"/bin/echo", "usr/bin/memcached"}},
		"libc6":     {{loader[0], "usr" + loader[0]}, {filepath.Dir(loader[0]) + "/libc.so.6", "usr" + filepath.Dir(loader[0]) + "/libc.so.6"}},
	} {
		write(name+"/DEBIAN/control", "Package: "+name+"\nVersion: 1\nArchitecture: all\nMaintainer: nobody\nDescription: none\n", 0o644)
		for _, f := range files {
			text, err := os.ReadFile(f[0])
			if err != nil {
				t.Fatal(err)
			}
			write(name+"/"+f[1], string(text), 0o755)
		}
		if out, err := exec.Command("dpkg-deb", "--build", filepath.Join(dir, name), filepath.Join(dir, name+".deb")).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	return dir
}

// install runs the script, and returns what it says.
func install(dir string, env []string, args ...string) (stdout, stderr string, err error) {
	cmd := exec.Command("bash", append([]string{"../../scripts/install-peer"}, args...)...)
	cmd.Env = append(os.Environ(), "PATH="+dir+"/bin:"+os.Getenv("PATH"), "STANDINS="+dir, "RINGCACHED_PEERS="+dir+"/cache", "VERSION=1.6.45-1", "NEW=", "DOWN=")
	cmd.Env = append(cmd.Env, env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// TestInstallsOnce: of two at the same time one fetches the server and its libraries, and nothing else; both say where it is, and it runs.
func TestInstallsOnce(t *testing.T) {
	dir := prepare(t)
	want := filepath.Join(dir, "cache", "memcached-1.6.45", "memcached-1.6.45")
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			if stdout, stderr, err := install(dir, nil, "memcached-1.6.45"); err != nil || stdout != want+"\n" {
				t.Errorf("%v: %q\n%s", err, stdout, stderr)
			}
		})
	}
	both.Wait()
	if stdout, stderr, err := install(dir, []string{"DOWN=yes"}, "memcached-1.6.45"); err != nil || stdout != want+"\n" || stderr != "" {
		t.Errorf("the third time: %v: %q\n%s", err, stdout, stderr)
	}
	downloads, _ := os.ReadFile(filepath.Join(dir, "downloads"))
	if string(downloads) != "libc6\nmemcached\n" {
		t.Errorf("downloaded\n%s", downloads)
	}
	sources, _ := os.ReadFile(filepath.Join(dir, "sources"))
	for _, line := range []string{"Suites: forky\n", "URIs: http://mirror.example/debian/\n", "Signed-By: /the/key\n"} {
		if strings.Count(string(sources), line) != 1 {
			t.Errorf("no %q in\n%s", line, sources)
		}
	}
	out, err := exec.Command(want, "-p", "11211").CombinedOutput()
	if err != nil || string(out) != "-p 11211\n" {
		t.Errorf("%v: %q", err, out)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "cache", ".new*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// TestMirror: where apt has no lists yet, Debian's own mirror is taken, or the one that is named.
func TestMirror(t *testing.T) {
	for want, env := range map[string][]string{"/debian": {"NEW=yes"}, "http://archive.example/debian": {"NEW=yes", "DEBIAN_MIRROR=http://archive.example/debian"}} {
		dir := prepare(t)
		_, stderr, err := install(dir, env, "memcached-1.6.45")
		sources, _ := os.ReadFile(filepath.Join(dir, "sources"))
		if err != nil || !strings.Contains(string(sources), want+"\n") || !strings.Contains(string(sources), "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n") {
			t.Errorf("%v: %s\n%s", err, stderr, sources)
		}
	}
}

// TestRefusals: what cannot be had is said in a line or two, and leaves nothing that would be taken for a server.
func TestRefusals(t *testing.T) {
	dir := prepare(t)
	for _, c := range []struct {
		args []string
		env  string
		says string
	}{
		{nil, "", "install-peer: takes one name: memcached-1.6.45, memcached-1.6.18 or valkey-8\n"},
		{[]string{"memcached-1.6.45", "valkey-8"}, "", "install-peer: takes one name: "},
		{[]string{"nginx"}, "", "install-peer: \"nginx\" is not one of memcached-1.6.45, "},
		{[]string{"memcached-1.6.45"}, "DOWN=yes", "install-peer: cannot fetch the lists of Debian forky:\nE: Could not resolve 'mirror.example'\n"},
		{[]string{"memcached-1.6.45"}, "FREE=149999", "install-peer: needs 150 MB in " + dir + "/cache, "},
		{[]string{"memcached-1.6.45"}, "VERSION=1.6.46-1", "install-peer: forky has memcached 1.6.46-1 today, not 1.6.45: DEBIAN_MIRROR may name "},
		{[]string{"memcached-1.6.45"}, "VERSION=1.6.450-1", "install-peer: forky has memcached 1.6.450-1 today, not 1.6.45: "},
		{[]string{"valkey-8"}, "VERSION=8.1.1-1", "install-peer: cannot download:\n"},
	} {
		stdout, stderr, err := install(dir, []string{c.env}, c.args...)
		if err == nil || stdout != "" || !strings.Contains(stderr, c.says) {
			t.Errorf("%q, %s: %v, %q, want %q\n%s", c.args, c.env, err, stdout, c.says, stderr)
		}
	}
	if left, err := os.ReadDir(filepath.Join(dir, "cache")); err != nil || len(left) != 1 || left[0].Name() != ".lock" {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
