package packages

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// root is a minimal Debian below a directory.
type root struct {
	t       *testing.T
	dir     string
	systemd int // the process id of the systemd that runs it; 0: none does, and each command has mounts of its own
}

// base is a Debian that nothing was done to: each test has a copy.
var base struct {
	once sync.Once
	err  error
	dir  string
}

// newRoot makes a Debian of this machine's release that has little more than what every Debian has, and memcached and systemd.
func newRoot(t *testing.T) *root {
	t.Helper()
	base.once.Do(func() { base.dir, base.err = makeBase() })
	if base.err != nil {
		t.Fatal(base.err)
	}
	dir, err := os.MkdirTemp("", "ringcached-root-") // not below t.TempDir, which others may not enter
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	output(t, "cp", "--archive", "--reflink=auto", base.dir+"/.", dir)
	r := &root{t: t, dir: dir}
	r.write(policy, "#!/bin/sh\nexit 101\n", 0o755)
	return r
}

// policy is asked before a package starts anything. Where no systemd runs it forbids that.
const policy = "/usr/sbin/policy-rc.d"

func makeBase() (dir string, err error) {
	if dir, err = os.MkdirTemp("", "ringcached-debian-"); err != nil {
		return "", err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return dir, err
	}
	release, err := exec.Command("sh", "-c", `. /etc/os-release && echo "$VERSION_CODENAME"`).Output()
	if err != nil {
		return dir, err
	}
	args := []string{"--variant=minbase", "--include=memcached,systemd", strings.TrimSpace(string(release)), dir, mirror()}
	if said, err := exec.Command("debootstrap", args...).CombinedOutput(); err != nil {
		return dir, fmt.Errorf("debootstrap: %w\n%s", err, said)
	}
	return dir, nil
}

// mirror is where this machine takes Debian's packages from.
func mirror() string {
	out, err := exec.Command("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Origin: Debian", "Label: Debian").Output()
	first, _, _ := strings.Cut(string(out), "\n")
	if err != nil || first == "" {
		return "http://deb.debian.org/debian"
	}
	return first
}

var environment = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive"}

// command is a command in the root, with a /proc, a /dev/shm and mounts of its own. Its process is that of the command.
func (r *root) command(args ...string) *exec.Cmd {
	if r.systemd != 0 {
		return r.inMachine(args...)
	}
	const enter = `mount -t proc proc "$0/proc" && mkdir -p "$0/dev/shm" && mount -t tmpfs -o mode=1777 shm "$0/dev/shm" && exec chroot "$0" "$@"`
	cmd := exec.Command("unshare", append([]string{"--mount", "--propagation=private", "sh", "-c", enter, r.dir}, args...)...)
	cmd.Env = environment
	cmd.Dir = "/"
	return cmd
}

// run runs a command in the root, which has to succeed.
func (r *root) run(args ...string) string {
	r.t.Helper()
	out, err := r.command(args...).CombinedOutput()
	if err != nil {
		r.t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// installMemcached installs Debian's package as apt does, which makes room for it.
func (r *root) installMemcached() {
	r.t.Helper()
	r.run("sh", "-c", "apt-get install --quiet --yes --no-install-recommends /var/cache/apt/archives/memcached_*.deb")
}

// install installs packages as `dpkg -i` does, from files outside of the root.
func (r *root) install(packages ...string) {
	r.t.Helper()
	args := []string{"dpkg", "--install"}
	for _, from := range packages {
		name := "/var/tmp/" + filepath.Base(from)
		defer os.Remove(r.path(name))
		text, err := os.ReadFile(from)
		if err != nil {
			r.t.Fatal(err)
		}
		r.write(name, string(text), 0o644)
		args = append(args, name)
	}
	r.run(args...)
}

func (r *root) path(name string) string { return filepath.Join(r.dir, name) }

func (r *root) write(name, text string, mode os.FileMode) {
	r.t.Helper()
	err := os.WriteFile(r.path(name), []byte(text), mode)
	if err == nil {
		err = os.Chmod(r.path(name), mode)
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *root) read(name string) string {
	r.t.Helper()
	text, err := os.ReadFile(r.path(name))
	if err != nil {
		r.t.Fatal(err)
	}
	return string(text)
}

// there says whether a file exists, a link that leads nowhere included.
func (r *root) there(name string) bool {
	_, err := os.Lstat(r.path(name))
	return !errors.Is(err, fs.ErrNotExist)
}

// wantThere fails unless the files exist, or do not.
func (r *root) wantThere(want bool, names ...string) {
	r.t.Helper()
	for _, name := range names {
		if r.there(name) != want {
			r.t.Errorf("%s exists: %v, want %v", name, !want, want)
		}
	}
}

// wantStatus fails unless dpkg has a package in a state, such as "install ok installed"; "" is for one that it does not know.
func (r *root) wantStatus(name, want string) {
	r.t.Helper()
	out, _ := r.command("dpkg-query", "--show", "--showformat=${Status}", name).Output()
	if got := string(out); got != want && !(want == "" && strings.Contains(got, "not-installed")) {
		r.t.Errorf("%s is %q, want %q", name, got, want)
	}
}

// wantUser fails unless the root has a user.
func (r *root) wantUser(name string) {
	r.t.Helper()
	if _, _, err := r.ids(name); err != nil {
		r.t.Error(err)
	}
}

// ids are those of a user of the root.
func (r *root) ids(user string) (uid, gid int, err error) {
	users, err := os.Open(r.path("/etc/passwd"))
	if err != nil {
		return 0, 0, err
	}
	defer users.Close()
	for lines := bufio.NewScanner(users); lines.Scan(); {
		if fields := strings.Split(lines.Text(), ":"); len(fields) > 3 && fields[0] == user {
			uid, err = strconv.Atoi(fields[2])
			if err == nil {
				gid, err = strconv.Atoi(fields[3])
			}
			return uid, gid, err
		}
	}
	return 0, 0, fmt.Errorf("there is no user %s", user)
}
