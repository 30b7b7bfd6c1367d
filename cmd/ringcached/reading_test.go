package main

import (
	"slices"
	"strings"
	"testing"
)

// TestValuesAsMemcachedReadsThem gives flags what memcached 1.6.45 takes. The arguments are separated by |; wanted are lines of check, separated
// by ;. A remark is wanted if and only if one is printed.
func TestValuesAsMemcachedReadsThem(t *testing.T) {
	for args, want := range map[string]string{
		"-m 8192":             "--memory-limit=8192",
		"-m \t70":             "--memory-limit=70",
		"-m| 70":              "--memory-limit=70",
		"-m70 ":               "--memory-limit=70",
		"-m+70":               "--memory-limit=70",
		"--memory-limit= 70":  "--memory-limit=70",
		"--memory-limit| 70":  "--memory-limit=70",
		"-m 200m":             "--memory-limit=200;# remark: -m 200m is read as 200, as memcached reads it",
		"-m|64mb":             "--memory-limit=64;# remark: -m 64mb is read as 64, as memcached reads it",
		"--memory-limit=64.5": "--memory-limit=64;# remark: --memory-limit 64.5 is read as 64, as memcached reads it",
		"-m|64 # comment":     `--memory-limit=64;# remark: -m "64 # comment" is read as 64, as memcached reads it`,
		"-m 200m|-m 70":       "--memory-limit=70;# remark: -m 200m is read as 200, as memcached reads it",
		"-c 16384":            "--conn-limit=16384",
		"-c|2k":               "--conn-limit=2;# remark: -c 2k is read as 2, as memcached reads it",
		"-t 2":                "--threads=2",
		"-t|2 threads":        `--threads=2;# remark: -t "2 threads" is read as 2, as memcached reads it`,
		"-R 20":               "--max-reqs-per-event=20",
		"-R20x":               "--max-reqs-per-event=20;# remark: -R 20x is read as 20, as memcached reads it",
		"-b 1024":             "--listen-backlog=1024",
		"-b 0":                "--listen-backlog=0",
		"-b -5":               "--listen-backlog=-5",
		"-b|":                 `--listen-backlog=0;# remark: -b "" is read as 0, as memcached reads it`,
		"-b5k":                "--listen-backlog=5;# remark: -b 5k is read as 5, as memcached reads it",
		"-p 11300":            "--port=11300",
		"-p11300/tcp":         "--port=11300;# remark: -p 11300/tcp is read as 11300, as memcached reads it",
		"-U 11300":            "--udp-port=11300;--port=11300",
		"-U|":                 `--udp-port=0;--port=11211;# remark: -U "" is read as 0, as memcached reads it`,
		"-U| 0 ":              "--udp-port=0",
		"-n 48":               "--slab-min-size=48",
		"-n48b":               "--slab-min-size=48;# remark: -n 48b is read as 48, as memcached reads it",
		"-f 1.25":             "--slab-growth-factor=1.25",
		"-f +1.5":             "--slab-growth-factor=1.5",
		"-f 1e3":              "--slab-growth-factor=1000",
		"-f|1.1.2":            "--slab-growth-factor=1.1;# remark: -f 1.1.2 is read as 1.1, as memcached reads it",
		"-f|2e":               "--slab-growth-factor=2;# remark: -f 2e is read as 2, as memcached reads it",
		"-I 5m":               "--max-item-size=5m",
		"-I 5M":               "--max-item-size=5m",
		"-I +2m":              "--max-item-size=2m",
		"-I 5 m":              "--max-item-size=5m",
		"-I1.5m":              "--max-item-size=1m;# remark: -I 1.5m is read as 1m, as memcached reads it",
		"-I 1048576 bytes":    `--max-item-size=1m;# remark: -I "1048576 bytes" is read as 1048576, as memcached reads it`,
		"-a 700":              "--unix-mask=700",
		"-a| 0770":            "--unix-mask=770",
		"-a +770":             "--unix-mask=770",
		"-a 0":                "--unix-mask=0",
		"-a|":                 `--unix-mask=0;# remark: -a "" is read as 0, as memcached reads it`,
		"-a|770x":             "--unix-mask=770;# remark: -a 770x is read as 770, as memcached reads it",
		"-a|1777":             "--unix-mask=777;# remark: -a 1777 is read as 777, as memcached reads it",
		"-D :":                "--prefix-delimiter=:",
		"-D|ab":               "--prefix-delimiter=a;# remark: -D ab is read as a, as memcached reads it",
		"-B ascii":            "--protocol=ascii",
		"-B|\tbinary":         "--protocol=binary",
		"-l 127.0.0.1":        "--listen=127.0.0.1",
		"-s /tmp/x":           "--unix-socket=/tmp/x",
		"-P /tmp/x.pid":       "--pidfile=/tmp/x.pid",
		"-P|":                 "",
		"-e /dev/shm/x":       "--memory-file=/dev/shm/x",
		"-Y testdata/users":   "# clients authenticate as one of 3 users",
		"-u nobody":           "--user=nobody",
		"-N 1":                "--napi-ids=1;# remark: -N, --napi-ids has no effect here: threads are not bound to network queues",
		"--verbose=2":         "--verbose;# remark: --verbose=2 counts as one -v, as memcached counts it",

		"-o idle_timeout=60,track_sizes": "--extended=idle_timeout=60,track_sizes",
		"-o| idle_timeout= 60 ":          "--extended=idle_timeout=60",
		"-oidle_timeout=60s":             "--extended=idle_timeout=60;# remark: -o idle_timeout=60s is read as 60, as memcached reads it",
		"-o|idle_timeout=":               "--extended=idle_timeout=0;# remark: -o idle_timeout= is read as 0, as memcached reads it",
		"-o|idle_timeout=5=6":            "--extended=idle_timeout=5;# remark: -o idle_timeout=5=6 is read as 5, as memcached reads it",
		"-o|slab_automove":               "--extended=slab_automove",
		"-o|slab_automove=":              "--extended=slab_automove=0;# remark: -o slab_automove= is read as 0, as memcached reads it",
		"-o|slab_automove=2x":            "--extended=slab_automove=2;# remark: -o slab_automove=2x is read as 2, as memcached reads it",
		"-o|lru_crawler_sleep=100us":     "--extended=lru_crawler_sleep=100;# remark: -o lru_crawler_sleep=100us is read as 100, as memcached reads it",
		"-o|watcher_logbuf_size=+256 ":   "--extended=watcher_logbuf_size=256",
		"-o|watcher_logbuf_size=256 k":   `--extended=watcher_logbuf_size=256;# remark: -o "watcher_logbuf_size=256 k" is read as 256, as memcached reads it`,
		"-o|hot_max_factor=.5x":          "--extended=hot_max_factor=.5;# remark: -o hot_max_factor=.5x is read as .5, as memcached reads it",
		"-o|track_sizes=no":              "--extended=track_sizes=no",
		"-o|":                            "",
		"-o|modern,":                     "--extended=modern",
		"-o|modern|-o|track_sizes":       "--extended=modern,track_sizes",

		// Ours: no more than blanks are left out.
		"--drain-timeout| 3s ": "--drain-timeout=3s",
		"--batch-depth| 8 ":    "--batch-depth=8",
		"--engine= epoll":      "--engine=epoll",
	} {
		code, stdout, stderr := runCheck(strings.Split(args, "|")...)
		if code != 0 || stderr != "" {
			t.Errorf("%q: exit code %d, %q", args, code, stderr)
			continue
		}
		lines := strings.Split(stdout, "\n")
		for line := range strings.SplitSeq(want, ";") {
			if line != "" && !slices.Contains(lines, line) {
				t.Errorf("%q: no line %q in\n%s", args, line, stdout)
			}
		}
		if strings.Contains(stdout, "remark:") != strings.Contains(want, "remark:") {
			t.Errorf("%q: want %q, and no other remark:\n%s", args, want, stdout)
		}
	}
}

// TestOursAreStrict: units and trailing text of flags that memcached does not have are what they say, or wrong.
func TestOursAreStrict(t *testing.T) {
	for _, args := range []string{"--batch-depth=8x", "--drain-timeout=3 s", "--engine=epol", "--send-zc=4k", "--ring-buffers="} {
		if code, _, stderr := runCheck(args); code != 1 || !strings.Contains(stderr, "want ") {
			t.Errorf("%s: exit code %d, %q", args, code, stderr)
		}
	}
}
