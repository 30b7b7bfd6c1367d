package main

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"

	"ringcached/internal/servertest"
)

// TestStartLines checks command lines with which memcached is started out there: by charts, images, units and compose files. Each element is
// an argument. wanted are lines of check. Users are nobody, whom every machine has.
func TestStartLines(t *testing.T) {
	for name, test := range map[string]struct {
		args   []string
		wanted string
	}{
		"Loki's chart": {
			[]string{"-m 8192", "--extended=modern,track_sizes,ext_path=/data/file:84G,ext_wbuf_size=16", "-I 5m", "-c 16384", "-v", "-u nobody"},
			"--memory-limit=8192\n--max-item-size=5m\n--conn-limit=16384\n--verbose\n--user=nobody\n" +
				"# warning: -o ext_path=/data/file:84G,ext_wbuf_size=16: there is no storage on disk here; 84 GB of items that memcached would keep there will not be",
		},
		"Mimir's chart": {
			[]string{"-m 1024", "--extended=modern,track_sizes", "-I 1m", "-c 16384", "-v", "-u nobody"},
			"--memory-limit=1024\n--max-item-size=1m\n--extended=modern,track_sizes",
		},
		"Thanos' and Cortex' charts": {
			[]string{"-m 1024", "-o", "modern", "-I", "5m", "-c 1024", "-v", "-t 4"},
			"--memory-limit=1024\n--max-item-size=5m\n--conn-limit=1024\n--threads=4",
		},
		"the official image":                  {[]string{"-m", "64", "-vv"}, "--memory-limit=64\n--verbose"},
		"the official image, with long names": {[]string{"--conn-limit=1024", "--memory-limit=64", "--threads=4"}, "--threads=4"},
		"a compose file: command: memcached -m 128m": {
			[]string{"memcached", "-m", "128m"},
			"--memory-limit=128\n# remark: -m 128m is read as 128, as memcached reads it\n" +
				`# warning: "memcached": words that are no flags are ignored, as memcached ignores them (the commands are check, probe, man, statistics, completion)`,
		},
		"a compose file: --memory-limit 256mb": {[]string{"--memory-limit", "256mb"}, "--memory-limit=256"},
		"Bitnami's image": {
			[]string{"--user=nobody", "--port=11211", "--max-item-size=1m", "--memory-limit=64", "--conn-limit=1024", "--threads=4", "--listen-backlog=1024", "-v"},
			"--port=11211\n--listen-backlog=1024",
		},
		"Bitnami's chart, with a file of items": {[]string{"-u", "nobody", "-m", "64", "-e/cache-state/memory_file"}, "--memory-file=/cache-state/memory_file"},
		"kolla":                                 {strings.Fields("-u nobody -vv -l 127.0.0.1 -p 11211 -c 5000 -U 0 -m 256"), "--conn-limit=5000\n--udp-port=0\n# listens on 127.0.0.1:11211"},
		"OpenStack-Helm":                        {strings.Fields("-v -p 11211 -U 0 -c 8192 -m 1024"), "--conn-limit=8192"},
		"Fedora's and upstream's unit, OPTIONS empty": {
			[]string{"-p", "11211", "-u", "nobody", "-m", "64", "-c", "1024", ""}, "--memory-limit=64\n--conn-limit=1024",
		},
		"Fedora's unit, OPTIONS with addresses": {
			[]string{"-p", "11211", "-u", "nobody", "-m", "64", "-c", "1024", "-l", "127.0.0.1,::1"}, "# listens on 127.0.0.1:11211, [::1]:11211",
		},
		"a unit with ${UDP} empty": {[]string{"-U", "", "-l", "127.0.0.1"}, "--udp-port=0\n# listens on 127.0.0.1:11211"},
		"Gentoo's and Alpine's init scripts": {
			strings.Fields("-d -p 11211 -U 11211 -l 127.0.0.1 -m 64 -c 1024 -u nobody -P /var/run/memcached/memcached-11211.pid"),
			"--daemon\n--udp-port=11211\n--pidfile=/var/run/memcached/memcached-11211.pid",
		},
		"a tuned one": {
			strings.Fields("-m 2048 -t 8 -R 200 -f 1.08 -n 72 -b 8192 -o hash_algorithm=murmur3,lru_crawler,lru_maintainer,hashpower=20,slab_reassign,slab_automove=1,idle_timeout=300"),
			"--slab-growth-factor=1.08\n--listen-backlog=8192\n--extended=hash_algorithm=murmur3,lru_crawler,lru_maintainer,hashpower=20,slab_reassign,slab_automove=1,idle_timeout=300",
		},
		"one with NAPI":      {strings.Fields("-t 4 -N 4"), "--napi-ids=4\n# remark: -N, --napi-ids has no effect here: threads are not bound to network queues"},
		"a proxy":            {strings.Fields("-o proxy_config=routelib,proxy_arg=/etc/config.lua"), "# warning: -o proxy_config=routelib,proxy_arg=/etc/config.lua: there is no proxy here; this server answers from its own cache, and passes nothing on"},
		"a blank before all": {[]string{" -m", "70"}, "--memory-limit=64\n" + `# warning: " -m" "70": words that are no flags are ignored, as memcached ignores them (the commands are check, probe, man, statistics, completion)`},
	} {
		code, stdout, stderr := runCheck(test.args...)
		if code != 0 || stderr != "" {
			t.Errorf("%s: exit code %d, %q", name, code, stderr)
		}
		lines := strings.Split(stdout, "\n")
		for want := range strings.SplitSeq(test.wanted, "\n") {
			if !slices.Contains(lines, want) {
				t.Errorf("%s: no line %q in\n%s", name, want, stdout)
			}
		}
	}
}

// TestStartLineIsLogged: a server says how its command line was read, without -v, and serves. What changes nothing of substance it says with -v.
func TestStartLineIsLogged(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		server := servertest.Start(t, engine, "start", "-m 200m", "", "-o idle_timeout=77s,hashpower=20,ssl_key=/x", "-b", "-1", "-N 1", "--", "-q")
		settings := server.Stats(t, "settings")
		for name, want := range map[string]string{"maxbytes": "209715200", "idle_timeout": "77", "tcp_backlog": "-1"} {
			if settings[name] != want {
				t.Errorf("%s is %q, want %q", name, settings[name], want)
			}
		}
		for _, want := range []string{
			"ringcached: remark: -m 200m is read as 200, as memcached reads it\n",
			"ringcached: remark: -o idle_timeout=77s is read as 77, as memcached reads it\n",
			"ringcached: remark: -N, --napi-ids has no effect here: threads are not bound to network queues\n",
			"ringcached: warning: -o ssl_key=/x: without -Z, --enable-ssl there is no TLS\n",
			`ringcached: warning: "start" "-q": words that are no flags are ignored, as memcached ignores them (the commands are check, probe, man, statistics, completion)` + "\n",
		} {
			if strings.Count(server.Log(), want) != 1 {
				t.Errorf("not once %q in\n%s", want, server.Log())
			}
		}
		if strings.Contains(server.Log(), "hashpower has no effect") {
			t.Errorf("it told of hashpower without -v:\n%s", server.Log())
		}
	})
}

// TestBacklog: any number of waiting connections is one that memcached takes.
func TestBacklog(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		for _, backlog := range []string{"0", "-5", "1"} {
			server := servertest.Start(t, engine, "-b", backlog)
			if got := server.Stats(t, "settings")["tcp_backlog"]; got != backlog {
				t.Errorf("-b %s: tcp_backlog is %s", backlog, got)
			}
		}
	})
}

func TestLicense(t *testing.T) {
	want, err := os.ReadFile("../../LICENSE")
	if err != nil {
		t.Fatal(err)
	}
	for _, flag := range []string{"-i", "--license", "-vi", "--lic"} {
		var stdout, stderr bytes.Buffer
		if code := run([]string{appName, flag}, &stdout, &stderr); code != 0 || stdout.String() != "ringcached "+version+"\n\n"+string(want) || stderr.Len() > 0 {
			t.Errorf("%s: exit code %d, stdout %q, stderr %q", flag, code, stdout.String(), stderr.String())
		}
	}
}
