package clients

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"ringcached/internal/servertest"
)

// Where Debian's package has the configuration that it installs, and the script that starts memcached from it.
const (
	debianConfig  = "/usr/share/memcached/memcached.conf.default"
	debianWrapper = "/usr/share/memcached/scripts/systemd-memcached-wrapper"
)

// TestDebianConfig: --config makes of a file what Debian's script for systemd makes of it.
func TestDebianConfig(t *testing.T) {
	stock, err := os.ReadFile(debianConfig)
	if err != nil {
		t.Fatalf("%v: run scripts/install-test-deps, or make test", err)
	}
	for name, text := range map[string]string{
		"as it is installed": string(stock),
		"edited": strings.NewReplacer("# -vv", "-vv", "-m 64", "-m 1024 # a gigabyte", "# -c 1024", "-c 4096# more", "# -M", "-M").
			Replace(string(stock)) + "-o modern,idle_timeout=60\r\n\t-t 3 -R 30\n",
		"quotes":                "-u 'nobody'\n-D \\# -P \"/run/a b\"\n-o \"idle_timeout=5\",track_sizes # 'none'\n-s /run/a\\ b -a 0770\n",
		"skipped":               "-d -m 77\n-dv\n-h\nlogfile /x\nlisten 127.0.0.1\n-u nobody\n#-v\n",
		"words and values of C": "-u nobody -m 200m\n-v now\n-I 2m\n-c\t2000\n",
	} {
		if !strings.Contains(text, "-u nobody") && !strings.Contains(text, "-u 'nobody'") {
			text = strings.Replace(text, "-u memcache", "-u nobody", 1)
		}
		path := filepath.Join(t.TempDir(), "memcached.conf")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		want := settings(t, debianArgs(t, path)...)
		if got := settings(t, "--config", path); !slices.Equal(got, want) {
			t.Errorf("%s:\n%q\nand by Debian's script\n%q", name, got, want)
		}
	}
}

// debianArgs returns the arguments with which Debian's script would start memcached.
func debianArgs(t *testing.T, config string) []string {
	t.Helper()
	script, err := os.ReadFile(debianWrapper)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	show := filepath.Join(dir, "memcached")
	text := strings.Replace(string(script), `"/usr/bin/memcached"`, `"`+show+`"`, 1)
	text = strings.Replace(text, "if($> != 0 and $< != 0)", "if(0)", 1) // so that any user may run it
	wrapper := filepath.Join(dir, "wrapper")
	for path, content := range map[string]string{show: "#!/bin/sh\nfor arg; do printf '%s\\0' \"$arg\"; done\n", wrapper: text} {
		if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command("perl", wrapper, config).Output()
	if err != nil || len(out) == 0 {
		t.Fatalf("%s: %v, %q", debianWrapper, err, out)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
}

var setting = regexp.MustCompile(`(?m)^--.*$`)

// settings returns what check makes of the arguments.
func settings(t *testing.T, args ...string) []string {
	t.Helper()
	return setting.FindAllString(runClient(t, servertest.Binary(), append([]string{"check"}, args...)...), -1)
}
