package main

import (
	"bytes"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"

	"ringcached/cmd/ringcached/config"
)

// TestRefused gives every flag values that it must refuse: with exit code 1 and
// one line that names the flag.
func TestRefused(t *testing.T) {
	number := "want a whole number"
	app := newApp(new(config.CommandLine), io.Discard, io.Discard)
	for _, test := range []struct{ args, want string }{
		{"-p abc", "--port: " + number + " from -1 to 65535"},
		{"-p 65536", "--port: " + number},
		{"-p -2", "--port: " + number},
		{"-p ", "-p needs a value"},
		{"-p 0", "-p 0 turns TCP off"},
		{"-p 0 -l 127.0.0.1:11311", "-p 0 turns TCP off"},
		{"-U 65536", "--udp-port: " + number + " from -1 to 65535"},
		{"-U x", "--udp-port: " + number},
		{"-a 0800", "--unix-mask: want an octal mode from 0 to 777"},
		{"-a 78", "--unix-mask: want an octal mode"},
		{"-a 0x1ff", "--unix-mask: want an octal mode"},
		{"-a -700", "--unix-mask: want an octal mode"},
		{"-a rwx", "--unix-mask: want an octal mode"},
		{"-s", "-s needs a value"},
		{"-B text", "--protocol: want one of auto, ascii, binary"},
		{"-D \x80", "--prefix-delimiter: want one printable ASCII character"},
		{"-S", "-S, --enable-sasl needs the users of -Y"},
		{"-S -Y testdata/users -B ascii", "-S, --enable-sasl is for binary clients"},
		{"-Y testdata/no-such-file", "-Y, --auth-file: open"},
		{"-Y /dev/null", "-Y, --auth-file: /dev/null: no users"},
		{"-Y testdata/users -U 11211", "-U, --udp-port can't be used with -Y"},
		{"-o bogus", `--extended: unknown option "bogus"`},
		{"-o idle_timeout=5,bogus=1", `--extended: unknown option "bogus"`},
		{"-o idle_timeout", "--extended: idle_timeout needs a whole number"},
		{"-o idle_timeout=-1", "--extended: idle_timeout needs a whole number"},
		{"-o idle_timeout=soon", "--extended: idle_timeout needs a whole number"},
		{"-o idle_timeout=5,slab_automove=3", "--extended: slab_automove needs a level from 0 to 2"},
		{"-o watcher_logbuf_size=256k", "--extended: watcher_logbuf_size needs a whole number"},
		{"-o lru_crawler_tocrawl=-1", "--extended: lru_crawler_tocrawl needs a whole number"},
		{"-o lru_crawler_sleep=1000001", "--extended: lru_crawler_sleep needs at most 1000000 microseconds"},
		{"-o TRACK_SIZES", `--extended: unknown option "TRACK_SIZES"`},
		{"-o track_sizes=1,ext_pth=/x:1g", `--extended: unknown option "ext_pth"`},
		{"-o ssl_enabled", `--extended: unknown option "ssl_enabled"`},
		{"-o ssl_key", "--extended: ssl_key needs a value"},
		{"-o proxy_config", "--extended: proxy_config needs a value"},
		{"-o ext_path", "--extended: ext_path needs a file and its size"},
		{"-o ext_path=/data/file", "--extended: ext_path needs a file and its size"},
		{"-o ext_path=/data/file:84", "--extended: ext_path needs a file and its size"},
		{"-o ext_path=/data/file:84Gb", "--extended: ext_path needs a file and its size"},
		{"-o ext_wbuf_size=16x", "--extended: ext_wbuf_size needs a whole number"},
		{"-o slab_automove_ratio=x", "--extended: slab_automove_ratio needs a number"},
		{"-o hash_algorithm", "--extended: hash_algorithm needs a value"},
		{"-vZ", "-Z, --enable-ssl needs the certificate of the server and its key: -o ssl_chain_cert=FILE,ssl_key=FILE"},
		{"-Z -o ssl_key=/x", "-Z, --enable-ssl needs the certificate of the server and its key: -o ssl_chain_cert=FILE,ssl_key=FILE"},
		{"-Z -o ssl_chain_cert=", "--extended: ssl_chain_cert needs a value"},
		{"-Z -o ssl_chain_cert=/x,ssl_keyformat=DER", "-o ssl_keyformat=DER needs a key in a file of its own"},
		{"-o ssl_keyformat=ENGINE", "--extended: ssl_keyformat needs 1 or PEM, or 2 or DER"},
		{"-o ssl_keyformat=", "--extended: ssl_keyformat needs 1 or PEM"},
		{"-o ssl_keyformat", "--extended: ssl_keyformat needs a value"},
		{"-o ssl_verify_mode=4", "--extended: ssl_verify_mode needs 0 (no certificates of clients)"},
		{"-o ssl_verify_mode=-1", "--extended: ssl_verify_mode needs a whole number from 0"},
		{"-o ssl_verify_mode=none", "--extended: ssl_verify_mode needs a whole number from 0"},
		{"-o ssl_verify_mode", "--extended: ssl_verify_mode needs a whole number from 0"},
		{"-Z -o ssl_chain_cert=/x,ssl_verify_mode=3", "-o ssl_verify_mode=3 needs to know who signs the certificates of clients: -o ssl_ca_cert=FILE"},
		{"-o ssl_min_version=1", "--extended: ssl_min_version=1: TLS 1.0 and 1.1 are not served"},
		{"-o ssl_min_version=4", "--extended: ssl_min_version needs 2 (TLS 1.2) or 3 (TLS 1.3)"},
		{"-o ssl_min_version=tlsv1.2", "--extended: ssl_min_version needs a whole number from 0"},
		{"-o ssl_wbuf_size=16k", "--extended: ssl_wbuf_size needs a whole number from 0"},
		{"-Z -o ssl_chain_cert=/x --direct-descriptors", "--direct-descriptors can't be used with -Z, --enable-ssl"},
		{"-l notls:127.0.0.1", "-l, --listen: \"notls:127.0.0.1\": notls: needs -Z, --enable-ssl"},
		{"-Z -o ssl_chain_cert=/x -l mtls:127.0.0.1", "-l, --listen: mtls: needs to know who signs the certificates of clients: -o ssl_ca_cert=FILE"},
		{"-Z -o ssl_chain_cert=/no/such/file", "-Z, --enable-ssl: "},
		{"--tls-handshakes 0", "--tls-handshakes: " + number + " from 1 to"},
		{"--tls-handshake-timeout 10", "--tls-handshake-timeout: want a time from 100ms to 1h0m0s with its unit"},
		{"-e", "-e needs a value"},
		{"-e /no/such/directory/x -p -1", "store: memory file: open /no/such/directory/x: no such file or directory"},
		{"-e /dev -p -1", "store: memory file: open /dev: is a directory"},
		{"-e /dev/null -p -1", "store: memory file /dev/null: not a regular file"},
		{"-d -m 0", "--memory-limit: " + number},
		{"-l 1:2:x", "-l, --listen: can't resolve"},
		{"-l 127.0.0.1:x", "-l, --listen: "},
		{"-c 0", "--conn-limit: " + number + " from 1 to"},
		{"-c -5", "--conn-limit: " + number},
		{"-c many", "--conn-limit: " + number},
		{"-b many", "--listen-backlog: " + number},
		{"-m 0", "--memory-limit: " + number + " of megabytes"},
		{"-m abc", "--memory-limit: " + number + " of megabytes"},
		{"-m -1", "--memory-limit: " + number + " of megabytes"},
		{"-m=64", "--memory-limit: " + number + " of megabytes"},
		{"-m 99999999999", "--memory-limit: " + number + " of megabytes"},
		{"-m 1g", "must be at most half of -m, --memory-limit (1m) (remark: -m 1g is read as 1, as memcached reads it)"},
		{"-m 0x40", `invalid value "0x40", which memcached reads as 0, for --memory-limit: ` + number},
		{"-m 1", "-I, --max-item-size (1m) must be at most half of -m, --memory-limit (1m)"},
		{"-I 1", "--max-item-size: want a size from 1k to"},
		{"-I 1023", "--max-item-size: want a size from 1k to"},
		{"-I 1g", "--max-item-size: want a size"},
		{"-I k", "--max-item-size: want a size"},
		{"-I 5mb", `invalid value "5mb", which memcached reads as 5, for --max-item-size: want a size`},
		{"-I -1m", "--max-item-size: want a size"},
		{"-I 9999999999999999m", "--max-item-size: want a size"},
		{"-I 33m", "-I, --max-item-size (33m) must be at most half"},
		{"-f 1", "--slab-growth-factor: want a number greater than 1"},
		{"-f 0.5", "--slab-growth-factor: want a number greater than 1"},
		{"-f inf", "--slab-growth-factor: want a number greater than 1"},
		{"-f NaN", "--slab-growth-factor: want a number greater than 1"},
		{"-f x", "--slab-growth-factor: want a number greater than 1"},
		{"-n 0", "--slab-min-size: " + number},
		{"-n x", "--slab-min-size: " + number},
		{"-R 0", "--max-reqs-per-event: " + number},
		{"-R -5", "--max-reqs-per-event: " + number},
		{"-R x", "--max-reqs-per-event: " + number},
		{"-t 0", "--threads: " + number},
		{"-t -2", "--threads: " + number},
		{"-N 0", "--napi-ids: " + number},
		{"-N x", "--napi-ids: " + number},
		{"-N 3 -t 2", "-N, --napi-ids (3) must be at most -t, --threads (2)"},
		{"-t 2000", "--threads: " + number},
		{"-t two", "--threads: " + number},
		{"--engine kqueue", "--engine: want one of auto, uring, epoll"},
		{"--engine net", "--engine: want one of auto, uring, epoll"},
		{"--batch-depth 0", "--batch-depth: " + number},
		{"--batch-wait 0", "--batch-wait: " + number},
		{"--batch-wait many", "--batch-wait: " + number + " from 1 to 512, or auto"},
		{"--batch-wait auto --batch-timeout 0s", "--batch-wait other than 1 needs a --batch-timeout"},
		{"--batch-timeout 5", "--batch-timeout: want a time"},
		{"--batch-timeout -1us", "--batch-timeout: want a time"},
		{"--batch-wait 8 --batch-timeout 0s", "--batch-wait other than 1 needs a --batch-timeout"},
		{"--ring-buffers 0", "--ring-buffers: " + number},
		{"--ring-buffers 99999", "--ring-buffers: " + number},
		{"--ring-buffer-size 1", "--ring-buffer-size: " + number},
		{"-s /run/both --metrics /run/both", "-s, --unix-socket and --metrics can't have the same path"},
		{"--ring-features sqpoll", `--ring-features: unknown ring feature "sqpoll"`},
		{"--send-timeout 1ms", "--send-timeout: want a time"},
		{"--park-after 20ms", "--park-after must be 0 or at least 1s"},
		{"--send-timeout never", "--send-timeout: want a time"},
		{"--config testdata/no-such-file", "--config: open "},
		{"--config testdata", "--config: read "},
		{"--config /dev/null --config /dev/null", "--config can be given only once"},
		{"--cpu-steering", "--cpu-steering needs --cpu-affinity"},
		{"--cpu-affinity --cpu-steering -t 1024 -p -1", "steering by core: 1024 threads are more than the "},
		{"--sqpoll 1us", "--sqpoll is 0 or at least 1ms"},
		{"--sqpoll -1s", "--sqpoll: want a time"},
		{"--busy-poll 2s", "--busy-poll: want a time"},
		{"--conn-limit=9 --cpu-affinity=yes", "--cpu-affinity takes no value"},
		{"-q", "unknown flag -q"},
		{"--no-such-flag", "unknown flag --no-such-flag"},
		{"probe all", `probe takes no arguments, got "all"`},
		{"probe --all", "unknown flag --all"},
		{"check -u nobody -p 99999", "--port: " + number},
		{"check -u nobody -o bogus", `--extended: unknown option "bogus"`},
		{"check -u nobody --ring-features sqpoll", "--ring-features: "},
		{"man 1", "man takes no arguments"},
		{"completion", "completion takes the name of a shell"},
		{"completion tcsh", `no completion for "tcsh"`},
	} {
		args := append([]string{appName}, strings.Fields(test.args)...)
		if command, _, _ := strings.Cut(test.args, " "); app.Command(command) == nil && test.args != "-p " && test.args != "-s" {
			args = append([]string{appName, "-u", "nobody"}, args[1:]...)
		}
		var stdout, stderr bytes.Buffer
		code := run(args, &stdout, &stderr)
		said := stderr.String()
		if code != 1 || stdout.Len() > 0 || strings.Count(said, "\n") != 1 ||
			!strings.HasPrefix(said, appName+": ") || !strings.Contains(said, test.want) {
			t.Errorf("%s: exit code %d, stdout %q, stderr %q; want %q", test.args, code, stdout.String(), said, test.want)
		}
	}
}

func TestRootNeedsUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root is asked for a user: run the test as root")
	}
	for args, want := range map[string]string{
		"":                           "ringcached: can't run as root without the -u switch\n",
		"--user=":                    "ringcached: can't run as root without the -u switch\n",
		"-u no-such-user-here":       "ringcached: can't find the user no-such-user-here to switch to: user: unknown user no-such-user-here (a number works without a name, as in -u 65534)\n",
		"--user=no-such-user-here":   "ringcached: can't find the user no-such-user-here to switch to: user: unknown user no-such-user-here (a number works without a name, as in -u 65534)\n",
		"-u nobody -uno-such-user-x": "ringcached: can't find the user no-such-user-x to switch to: user: unknown user no-such-user-x (a number works without a name, as in -u 65534)\n",
	} {
		var stdout, stderr bytes.Buffer
		code := run(append([]string{appName}, strings.Fields(args)...), &stdout, &stderr)
		if code != 1 || stderr.String() != want {
			t.Errorf("%q: exit code %d, %q; want %q", args, code, stderr.String(), want)
		}
	}
}

// TestVersionAndHelp: scripts take the second word of the version for the release, as of memcached's.
func TestVersionAndHelp(t *testing.T) {
	commit = "0123abc"
	defer func() { commit = "" }()
	wantVersion := "ringcached " + version + " (commit 0123abc, " + runtime.Version() + ")\n"
	for _, args := range []string{"-V", "--version", "-vV"} {
		var stdout, stderr bytes.Buffer
		if code := run([]string{appName, args}, &stdout, &stderr); code != 0 || stdout.String() != wantVersion || stderr.Len() > 0 {
			t.Errorf("%s: exit code %d, stdout %q, stderr %q", args, code, stdout.String(), stderr.String())
		}
	}
	for _, args := range []string{"-h", "--help"} {
		var stdout, stderr bytes.Buffer
		if code := run([]string{appName, args}, &stdout, &stderr); code != 0 || stderr.Len() > 0 {
			t.Errorf("%s: exit code %d, stderr %q", args, code, stderr.String())
		}
		app := newApp(new(config.CommandLine), &stdout, &stderr)
		for _, f := range app.Flags {
			if !strings.Contains(stdout.String(), "--"+f.Names()[0]) {
				t.Errorf("%s does not mention --%s", args, f.Names()[0])
			}
		}
	}
}
