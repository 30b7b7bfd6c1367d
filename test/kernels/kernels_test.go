package kernels

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ringcached/internal/servertest"
)

// standIns are the programs that the script finds first. A package is a tar of its files, with what it depends on in DEPENDS.
var standIns = map[string]string{
	"apt-get": `case "$*" in
indextargets*"Label: Debian") echo "http://mirror.example/debian/ $STANDINS/debian.sources:1" ;;
indextargets*) ;;
*update*) grep -q '^Signed-By: /the/key$' "$(sed -n 's/.*sourcelist "\(.*\)";/\1/p' "$2")" ;;
*download*) name=${5%%/*}; echo "$5" >>"$STANDINS/downloads"; [ -e "$STANDINS/packages/$name" ] && cp "$STANDINS/packages/$name" "./${name}_1_amd64.deb" ;;
esac`,
	"apt-cache": `ls "$STANDINS/packages" | grep "^$4"`,
	"dpkg-deb": `case $1 in
--fsys-tarfile) cat "$2" ;;
-f) tar -xOf "$2" ./DEPENDS ;;
esac`,
	"go": `while [ "$1" != -o ]; do shift; done; echo >"$2"`,
	"cpio": `case " $*" in
*" -o "*) cat ;;
*) cat >/dev/null ;;
esac`,
	"busybox": ``,
	"qemu-system-x86_64": `while [ "$1" != -kernel ]; do shift; done
echo "image $(cat "$2")"
gunzip -c "$4" | sed -n 's,^\./,file ,p'
printf '=== RUN   TestOne\n--- PASS: TestOne (0.1s)\n=== RUN   TestTwo\n=== RUN   TestTwo/uring\n'
case $GUEST in
passes) echo "all tests passed" ;;
fails) printf -- '--- FAIL: TestTwo/uring (1s)\nfailed on 7.3: ring\n' ;;
panics) echo "[    1.0] Kernel panic - not syncing: Fatal exception" ;;
hangs) exec sleep 600 ;;
babbles) while :; do echo; sleep 0.1; done ;;
esac`,
}

// packages have files, with the package's name in each, and a package that they depend on.
var packages = map[string]struct {
	files   []string
	depends string
}{
	"linux-image-6.1.0-9-cloud-amd64": {files: []string{
		"boot/vmlinuz-6.1.0-9-cloud-amd64", "lib/modules/6.1.0-9-cloud-amd64/kernel/net/tls/tls.ko"}},
	"linux-image-6.1.0-56-cloud-amd64": {files: []string{
		"boot/vmlinuz-6.1.0-56-cloud-amd64", "lib/modules/6.1.0-56-cloud-amd64/kernel/net/tls/tls.ko",
		"lib/modules/6.1.0-56-cloud-amd64/kernel/net/sctp/sctp.ko", "lib/modules/6.1.0-56-cloud-amd64/kernel/arch/x86/crypto/aesni-intel.ko"}},
	"linux-image-6.1.0-56-cloud-amd64-unsigned": {files: []string{"boot/vmlinuz-6.1.0-56-cloud-amd64"}},
	"linux-image-6.12.9+deb13-cloud-amd64": {files: []string{
		"boot/vmlinuz-6.12.9+deb13-cloud-amd64", "usr/lib/modules/6.12.9+deb13-cloud-amd64/kernel/net/tls/tls.ko"}},
	"linux-image-7.2.9+deb13-cloud-amd64":      {depends: "linux-base (= 1), linux-binary-7.2.9+deb13-cloud-amd64 (= 1)"},
	"linux-binary-7.2.9+deb13-cloud-amd64":     {files: []string{"usr/lib/modules/7.2.9+deb13-cloud-amd64/vmlinuz"}},
	"linux-modules-7.2.9+deb13-cloud-amd64":    {files: []string{"usr/lib/modules/7.2.9+deb13-cloud-amd64/kernel/net/tls/tls.ko"}},
	"linux-binary-7.2.13+deb14-cloud-amd64":    {files: []string{"usr/lib/modules/7.2.13+deb14-cloud-amd64/vmlinuz"}},
	"linux-modules-7.2.13+deb14-cloud-amd64":   {files: []string{"usr/lib/modules/7.2.13+deb14-cloud-amd64/kernel/net/tls/tls.ko"}},
	"linux-binary-unsigned-7.2.14-cloud-amd64": {files: []string{"usr/lib/modules/7.2.14-cloud-amd64/vmlinuz"}},
	"linux-binary-unsigned-7.4.1-cloud-amd64":  {files: []string{"usr/lib/modules/7.4.1-cloud-amd64/vmlinuz"}},
	"linux-modules-7.4.1-cloud-amd64":          {files: []string{"usr/lib/modules/7.4.1-cloud-amd64/kernel/net/tls/tls.ko"}},
	"linux-image-7.5.1-cloud-amd64":            {depends: "linux-base (= 1)"},
	"linux-binary-7.6.1-cloud-amd64":           {files: []string{"usr/lib/modules/7.6.1-cloud-amd64/vmlinuz"}},
	"linux-binary-7.7.1-cloud-amd64":           {files: []string{"usr/lib/modules/7.7.1-cloud-amd64/vmlinuz"}},
	"linux-modules-7.7.1-cloud-amd64":          {files: []string{"usr/lib/modules/7.7.1-cloud-amd64/kernel/net/sctp/sctp.ko"}},
}

// prepare writes stand-ins and packages and returns their folder.
func prepare(t *testing.T) string {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) {
		t.Helper()
		servertest.WriteBelow(t, dir, name, text, mode)
	}
	for name, script := range standIns {
		write("bin/"+name, "#!/bin/bash\n"+script+"\n", 0o755)
	}
	write("debian.sources", "Types: deb\nURIs: http://other.example/\nSuites: x\nSigned-By: /not/this\n\nTypes: deb\nURIs: http://mirror.example/debian\nSuites: bookworm\nSigned-By: /the/key\n", 0o644)
	for name, p := range packages {
		write("tree/"+name+"/DEPENDS", p.depends, 0o644)
		for _, file := range p.files {
			write("tree/"+name+"/"+file, name, 0o644)
		}
		if err := os.MkdirAll(filepath.Join(dir, "packages"), 0o755); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("tar", "-cf", filepath.Join(dir, "packages", name), "-C", filepath.Join(dir, "tree", name), ".").CombinedOutput(); err != nil {
			t.Fatalf("%v, %s", err, out)
		}
	}
	return dir
}

func run(t *testing.T, dir, guest string, env []string, args ...string) (out string, err error) {
	cmd := exec.Command("bash", append([]string{"../../scripts/test-kernels"}, args...)...)
	cmd.Env = append(os.Environ(), "PATH="+dir+"/bin:"+os.Getenv("PATH"), "STANDINS="+dir, "GUEST="+guest, "PACKAGES=ring", "LOGS="+dir+"/logs")
	cmd.Env = append(cmd.Env, env...)
	var b bytes.Buffer
	cmd.Stdout, cmd.Stderr = &b, &b
	err = cmd.Run()
	return b.String(), err
}

// TestKernelPackages: the newest of a series, or the package that is named, from the suite that is named; the image is found wherever it is.
func TestKernelPackages(t *testing.T) {
	dir := prepare(t)
	for arg, want := range map[string]string{
		"6.1":                                 "linux-image-6.1.0-56-cloud-amd64",
		"6.12":                                "linux-image-6.12.9+deb13-cloud-amd64",
		"7.2":                                 "linux-binary-7.2.13+deb14-cloud-amd64",
		"7.4":                                 "linux-binary-unsigned-7.4.1-cloud-amd64",
		"linux-image-6.1.0-9-cloud-amd64":     "linux-image-6.1.0-9-cloud-amd64",
		"linux-image-7.2.9+deb13-cloud-amd64": "linux-binary-7.2.9+deb13-cloud-amd64",
	} {
		if out, err := run(t, dir, "passes", nil, arg); err != nil || !strings.Contains(out, "\nimage "+want+"\n") {
			t.Errorf("%s: %v, no image of %s\n%s", arg, err, want, out)
		}
	}
	if out, err := run(t, dir, "passes", nil, "linux-image-7.2.9+deb13-cloud-amd64/some-suite"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	downloads, _ := os.ReadFile(dir + "/downloads")
	if want := strings.ReplaceAll("linux-image linux-binary linux-modules ", " ", "-7.2.9+deb13-cloud-amd64/some-suite\n"); !bytes.HasSuffix(downloads, []byte(want)) {
		t.Errorf("downloaded\n%s", downloads)
	}
}

// TestModules: a guest has the modules for TLS of its own kernel, and no others, wherever they are.
func TestModules(t *testing.T) {
	dir := prepare(t)
	for arg, want := range map[string]string{
		"6.1":  "file lib/modules/6.1.0-56-cloud-amd64/kernel/arch/x86/crypto/aesni-intel.ko\nfile lib/modules/6.1.0-56-cloud-amd64/kernel/net/tls/tls.ko\n",
		"6.12": "file lib/modules/6.12.9+deb13-cloud-amd64/kernel/net/tls/tls.ko\n",
		"7.2":  "file lib/modules/7.2.13+deb14-cloud-amd64/kernel/net/tls/tls.ko\n",
	} {
		out, err := run(t, dir, "passes", nil, arg)
		if err != nil {
			t.Errorf("%s: %v\n%s", arg, err, out)
		}
		var modules []string
		for line := range strings.Lines(out) {
			if strings.HasSuffix(line, ".ko\n") {
				modules = append(modules, line)
			}
		}
		slices.Sort(modules)
		if got := strings.Join(modules, ""); got != want {
			t.Errorf("%s: modules\n%s\nwant\n%s", arg, got, want)
		}
	}
}

// TestNoKernel: what cannot be tested is a failure, before anything is booted.
func TestNoKernel(t *testing.T) {
	dir := prepare(t)
	for arg, want := range map[string]string{
		"5.19":                          "test-kernels: no kernel 5.19 in bookworm ",
		"7.5":                           "test-kernels: no kernel image in linux-image-7.5.1-cloud-amd64_1_amd64.deb, and it depends on no linux-binary package\n",
		"linux-image-9.9-cloud-amd64":   "test-kernels: cannot download linux-image-9.9-cloud-amd64\n",
		"linux-image-7.5.1-cloud-amd64": "test-kernels: no kernel image in ",
		"7.6":                           "test-kernels: cannot download linux-modules-7.6.1-cloud-amd64\n",
		"7.7":                           "test-kernels: no module tls for 7.7.1-cloud-amd64\n",
	} {
		if out, err := run(t, dir, "passes", nil, "6.1", arg); err == nil || !strings.Contains(out, want) || strings.Contains(out, "image linux") && strings.Contains(out, "=== linux") {
			t.Errorf("%s: %v, want %q\n%s", arg, err, want, out)
		}
	}
}

// TestGuests: only a guest that says that all passed has passed, whatever an older log says; of others the last test is named.
func TestGuests(t *testing.T) {
	dir := prepare(t)
	const name = "test-kernels: linux-binary-7.2.13+deb14-cloud-amd64 "
	for _, guest := range []struct {
		does, want string
		env        []string
	}{
		{"passes", "all tests passed\n", nil},
		{"ends", name + "failed; last test: TestTwo/uring\n", nil},
		{"fails", name + "failed; last test: TestTwo/uring\n", nil},
		{"panics", name + "panicked; last test: TestTwo/uring\n", nil},
		{"hangs", name + "said nothing for 10s; last test: TestTwo/uring\n", []string{"SILENCE=10s"}},
		{"babbles", name + "reached the limit of 15s; last test: TestTwo/uring\n", []string{"LIMIT=15s"}},
	} {
		out, err := run(t, dir, guest.does, guest.env, "7.2")
		if (err == nil) != (guest.does == "passes") || !strings.Contains(out, guest.want) {
			t.Errorf("%s: %v, want %q\n%s", guest.does, err, guest.want, out)
		}
	}
}
