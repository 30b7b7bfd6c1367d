package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"ringcached/cmd/ringcached/config"
	"ringcached/internal/servertest"
)

// writeConfig makes a file of flags.
func writeConfig(t *testing.T, text string) (path string) {
	t.Helper()
	path = filepath.Join(publicDir(t), "flags.conf")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestDebianConfiguration: a file such as Debian's /etc/memcached.conf is read as docs/commandline.md shows it.
func TestDebianConfiguration(t *testing.T) {
	document, err := os.ReadFile("../../docs/commandline.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"ExecStart=/usr/bin/ringcached --config /etc/memcached.conf",
		"ringcached check --config /etc/memcached.conf",
	} {
		if !strings.Contains(string(document), line+"\n") {
			t.Errorf("docs/commandline.md does not say %s", line)
		}
		args := strings.Fields(strings.NewReplacer("ExecStart=/usr/bin/ringcached", "ringcached check", "/etc/memcached.conf", "testdata/memcached.conf").Replace(line))
		var stdout, stderr bytes.Buffer
		if code := run(args, &stdout, &stderr); code != 0 || stderr.Len() > 0 {
			t.Errorf("%s: exit code %d, %s", line, code, stderr.String())
		}
		lines := strings.Split(stdout.String(), "\n")
		for _, want := range []string{"--memory-limit=64", "--port=11211", "--user=nobody", "--conn-limit=2048",
			"# listens on 127.0.0.1:11211, [::1]:11211", "--pidfile=/var/run/memcached/memcached.pid"} {
			if !slices.Contains(lines, want) {
				t.Errorf("%s: no %q in\n%s", line, want, stdout.String())
			}
		}
		for _, not := range []string{"--daemon", "--config", "warning:", "remark:"} {
			if strings.Contains(stdout.String(), not) {
				t.Errorf("%s: %s in\n%s", line, not, stdout.String())
			}
		}
	}
}

// TestConfigAndCommandLine: what the command line says counts before what the file says.
func TestConfigAndCommandLine(t *testing.T) {
	path := writeConfig(t, "-m 100 -p 11300\n-l 127.0.0.1\n-l ::1\n-o idle_timeout=5,track_sizes\r\n-v\n-M\n-c 7")
	for _, test := range []struct{ args, want, not string }{ // lines, separated by ;
		{"--config %s", "--memory-limit=100;--port=11300;--conn-limit=7;--listen=127.0.0.1,::1;--extended=idle_timeout=5,track_sizes;--verbose;--disable-evictions", "--daemon"},
		{"-m 200 --config=%s", "--memory-limit=200;--port=11300", ""},
		{"--config %s -m 200 -c 9", "--memory-limit=200;--conn-limit=9", ""},
		{"--conf %s -l 127.0.0.2", "--listen=127.0.0.2;# listens on 127.0.0.2:11300", ""},
		{"--config %s -l 127.0.0.2 -l 127.0.0.3", "--listen=127.0.0.2,127.0.0.3", ""},
		{"--config %s -o idle_timeout=9", "--extended=idle_timeout=5,track_sizes,idle_timeout=9", ""},
		{"--config %s -v", "--verbose", ""},
	} {
		code, stdout, stderr := runCheck(strings.Fields(fmt.Sprintf(test.args, path))...)
		if code != 0 || stderr != "" {
			t.Errorf("%s: exit code %d, %q", test.args, code, stderr)
		}
		lines := strings.Split(stdout, "\n")
		for want := range strings.SplitSeq(test.want, ";") {
			if !slices.Contains(lines, want) {
				t.Errorf("%s: no line %q in\n%s", test.args, want, stdout)
			}
		}
		if test.not != "" && strings.Contains(stdout, test.not) {
			t.Errorf("%s: %s in\n%s", test.args, test.not, stdout)
		}
	}
	if _, stdout, _ := runCheck("--config", path, "-v"); strings.Count(stdout, "--verbose\n") != 2 {
		t.Errorf("-v in both counts twice:\n%s", stdout)
	}
}

// TestConfigLines: what is wrong in a file, or skipped, is reported with its line.
func TestConfigLines(t *testing.T) {
	for text, want := range map[string]string{ // errors, or lines of check
		"\n-m abc":                              `:2: invalid value "abc" for --memory-limit: want a whole number`,
		"-v\n-m":                                ":2: -m needs a value",
		"-q":                                    ":1: unknown flag -q",
		"--mem 5":                               ":1: --mem may be --memory-file, --memory-limit",
		"--enable-ssl=x":                        ":1: --enable-ssl takes no value",
		"-o bogus":                              `:1: invalid value "bogus" for --extended: unknown option "bogus"`,
		"-l $IP":                                ":1: $ has a meaning to a shell",
		"--config x":                            ":1: a file of flags can't name another",
		"-v\x00":                                "has a NUL byte in it",
		"-m 70mb":                               ":1: -m 70mb is read as 70, as memcached reads it",
		"-v now\n-m 70":                         `:1: "now": words that are no flags are ignored`,
		"-d -m 70":                              ":1: -d -m 70: lines that begin with -d, -h or no dash are skipped",
		"-dv":                                   ":1: -dv: lines that begin with",
		"\nlisten 127.0.0.1":                    ":2: listen 127.0.0.1: lines that begin with",
		"-N 1":                                  "# remark: -N, --napi-ids has no effect here",
		"-o ext_path=/x:1g":                     "# warning: -o ext_path=/x:1g: there is no storage on disk here; 1 GB",
		strings.Repeat("#\n", config.ConfigMax): "is longer than 64 KiB",
	} {
		path := writeConfig(t, text)
		code, stdout, stderr := runCheck("--config", path)
		if said := strings.ReplaceAll(stderr+stdout, path, ""); !strings.Contains(said, want) || code == 1 && strings.Count(said, "\n") != 1 {
			t.Errorf("%.20q: exit code %d, %q; want %q", text, code, said, want)
		}
	}
	for text, not := range map[string]string{"-d": "daemon", "-d # comment": "daemon", "-h": "Usage", "logfile /x": "warning"} {
		if code, stdout, stderr := runCheck("--config", writeConfig(t, text)); code != 0 || stderr != "" || strings.Contains(stdout, not) || strings.Contains(stdout, "warning") {
			t.Errorf("%q: exit code %d, %q\n%s", text, code, stderr, stdout)
		}
	}
}

// TestConfigWithoutName: no name of a file is an error and not the same as no file, as where a unit's variable is empty.
func TestConfigWithoutName(t *testing.T) {
	for _, args := range [][]string{{"--config", ""}, {"--config="}, {"--config", " "}} {
		if code, stdout, stderr := runCheck(args...); code != 1 || stdout != "" || !strings.Contains(stderr, "--config: want the name of a file") {
			t.Errorf("%q: exit code %d, %q\n%s", args, code, stderr, stdout)
		}
	}
}

// TestConfigServes: a server, with the words of its file and the warnings about it, in the foreground although the file says -d.
func TestConfigServes(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		path := writeConfig(t, "-d\n-m 100mb\nlisten here\n-o idle_timeout=77,ext_path=/data/file:84G\n")
		server := servertest.Start(t, engine, "--config", path, "-c", "99")
		settings := server.Stats(t, "settings")
		for name, want := range map[string]string{"maxbytes": "104857600", "idle_timeout": "77", "maxconns": "99"} {
			if settings[name] != want {
				t.Errorf("%s is %q, want %q", name, settings[name], want)
			}
		}
		for _, want := range []string{
			"remark: " + path + ":2: -m 100mb is read as 100, as memcached reads it\n",
			"warning: " + path + ":3: listen here: lines that begin with -d, -h or no dash are skipped, as Debian's scripts skip them\n",
			"warning: -o ext_path=/data/file:84G: there is no storage on disk here; 84 GB of items that memcached would keep there will not be\n",
		} {
			if strings.Count(server.Log(), want) != 1 {
				t.Errorf("not once %q in\n%s", want, server.Log())
			}
		}
	})
}

// TestConfigOfTLS: lines of memcached's options of TLS, one by one, as a file of settings that comes from there has them.
func TestConfigOfTLS(t *testing.T) {
	c := servertest.NewCertificate(t, "server")
	lines := []string{"-Z", "-o ssl_chain_cert=" + c.Chain, "-o ssl_key=" + c.Key + " # of the chain", "-o ssl_ca_cert=" + c.Chain + ",ssl_verify_mode=1", "-o ssl_min_version=3", "-l notls:127.0.0.1:0", "-l 127.0.0.1:0"}
	path := writeConfig(t, strings.Join(lines, "\n"))
	code, stdout, stderr := runCheck("--config", path)
	for _, want := range []string{
		"--enable-ssl\n", "--listen=notls:127.0.0.1:0,127.0.0.1:0\n", "# TLS: certificate of CN=server, good until ",
		"--extended=ssl_chain_cert=" + c.Chain + ",ssl_key=" + c.Key + ",ssl_ca_cert=" + c.Chain + ",ssl_verify_mode=1,ssl_min_version=3\n",
	} {
		if code != 0 || !strings.Contains(stdout, want) || strings.Contains(stdout, "warning") {
			t.Errorf("exit code %d, %q; want %q in\n%s", code, stderr, want, stdout)
		}
	}
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		server := servertest.Start(t, engine, "--config", path, "-l", "notls:127.0.0.1:0,127.0.0.1:0") // Start gives -l otherwise
		for name, want := range map[string]string{"ssl_enabled": "yes", "ssl_chain_cert": c.Chain, "ssl_key": c.Key, "ssl_verify_mode": "1", "ssl_min_version": "tlsv1.3"} {
			if got := server.Stats(t, "settings")[name]; got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
		secure := addresses(server.Log())[1]
		if got := answer(t, mustDialTLS(t, secure, c.Client(true)), "mn", 1); got != "MN\r\n" {
			t.Errorf("%q", got)
		}
		old := c.Client(false)
		old.MaxVersion = tls.VersionTLS12
		if _, err := dialTLS(t, secure, old); !isAlert(err) {
			t.Errorf("TLS 1.2: %v", err)
		}
	})
	if code, stdout, stderr := runCheck("--config", writeConfig(t, "-Z\n-o ssl_chain_cert="+c.Chain+",ssl_key=/none\n")); code != 1 || stdout != "" || !strings.Contains(stderr, "/none") {
		t.Errorf("a key that is missing: exit code %d, %q, %q", code, stdout, stderr)
	}
}

// settingOf asks the present server for a line of `stats settings`.
func settingOf(l *lineage, name string) string {
	l.t.Helper()
	conn, err := l.dial()
	if err != nil {
		l.t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("stats settings\r\n")); err != nil {
		l.t.Fatal(err)
	}
	for in := bufio.NewScanner(conn); in.Scan() && in.Text() != "END"; {
		if value, found := strings.CutPrefix(in.Text(), "STAT "+name+" "); found {
			return value
		}
	}
	return ""
}

// TestConfigOfRoot: the next server, which runs as the user of -u, has the flags of a file that only root may read, or that is gone. What can be
// read is read again.
func TestConfigOfRoot(t *testing.T) {
	l := newLineage(t)
	path := filepath.Join(l.dir, "flags.conf")
	write := func(text string, mode os.FileMode) {
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	memory := func() string { return settingOf(l, "maxbytes") }
	write("-m 100\n-u nobody\n", 0o600)
	l.start(exec.Command(l.program, "--config", "flags.conf", "-l", "127.0.0.1", "-p", "-1", "-v"))
	l.handOver()
	if got := memory(); got != "104857600" {
		t.Errorf("maxbytes is %s after a hand-over", got)
	}
	if os.Getuid() == 0 {
		l.WantLog("permission denied: it is taken as the server before has read it\n", 1)
	}
	l.handOver() // and the one after that
	write("-m 200\n-u nobody\n", 0o644)
	l.handOver()
	if got := memory(); got != "209715200" {
		t.Errorf("maxbytes is %s after the file was changed", got)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	l.handOver()
	if got := memory(); got != "209715200" {
		t.Errorf("maxbytes is %s after the file was removed", got)
	}
	l.WantLog("no such file or directory: it is taken as the server before has read it\n", 1)
	write("-m none\n", 0o644)
	l.Signal(syscall.SIGUSR2)
	l.WantLog("flags.conf:1: invalid value", 1)
	l.WantLog("hand-over failed, serving on", 1)
	if got := memory(); got != "209715200" {
		t.Errorf("maxbytes is %s after a hand-over that failed", got)
	}
}

// TestConfigDaemon: a daemon has the flags of a file, even of one that can be read only once.
func TestConfigDaemon(t *testing.T) {
	dir := publicDir(t)
	path := writeConfig(t, "-d\n-m 100mb\n")
	said, pid := launchDaemon(t, dir, "--config", path)
	if strings.Count(said, "-m 100mb is read as 100") != 1 {
		t.Errorf("it said %q", said)
	}
	endDaemon(t, pid, filepath.Join(dir, "pid"))

	const script = `echo -m 70mb | "$0" -d -u nobody -P "$1" -l 127.0.0.1 -p -1 --config /dev/stdin`
	pidFile := filepath.Join(dir, "pid")
	out, err := exec.Command("/bin/sh", "-c", script, servertest.Binary(), pidFile).CombinedOutput()
	if err != nil || strings.Count(string(out), "/dev/stdin:1: -m 70mb is read as 70") != 1 {
		t.Errorf("%v, %s", err, out)
	}
	text, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Sscan(string(text), &pid)
	endDaemon(t, pid, pidFile)
}
