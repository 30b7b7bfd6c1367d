package main

import (
	"io"
	"slices"
	"strings"
	"testing"

	"ringcached/cmd/ringcached/config"
)

func TestNormalise(t *testing.T) {
	for _, test := range []struct {
		typed, want string // separated by spaces
		err         string
	}{
		{"", "", ""},
		{"-m 64", "--memory-limit=64", ""},
		{"-m64", "--memory-limit=64", ""},
		{"--memory-limit 64", "--memory-limit=64", ""},
		{"--memory-limit=64", "--memory-limit=64", ""},
		{"-p -1", "--port=-1", ""},
		{"-p-1", "--port=-1", ""},
		{"-vv", "--verbose --verbose", ""},
		{"-vvm64 -M", "--verbose --verbose --memory-limit=64 --disable-evictions", ""},
		{"-vMp 1", "--verbose --disable-evictions --port=1", ""},
		{"-l 127.0.0.1,::1 -l [::1]:2", "--listen=127.0.0.1,::1 --listen=[::1]:2", ""},
		{"--listen=a=b", "--listen=a=b", ""},
		{"--engine epoll --cpu-affinity", "--engine=epoll --cpu-affinity", ""},
		{"-h", "--help", ""},
		{"-V", "--version", ""},
		{"probe -h", "probe --help", ""},
		{"-m 64 -- -p", "--memory-limit=64", ""},
		{"-- -p", "", ""},
		{"-", "", ""},
		{"nothing", "", ""},
		{"start -m 64 now -v", "--memory-limit=64 --verbose", ""},
		{"nothing check -p 1", "--port=1", ""},
		{"check now -m 64", "check --memory-limit=64", ""},
		{"completion bash -h", "completion --help bash", ""},
		{"completion -- -h", "completion -- -h", ""},
		{"-v check -p 1", "--verbose check --port=1", ""},
		{"--memory-l 64 --verb --us=x", "--memory-limit=64 --verbose --user=x", ""},
		{"--listen-b=5 --listen=x", "--listen-backlog=5 --listen=x", ""},
		{"--c 5 --t 2 --pro auto --e modern", "--conn-limit=5 --threads=2 --protocol=auto", "--e may be --enable-coredumps, --enable-largepages, " +
			"--enable-sasl, --enable-shutdown, --enable-ssl, --engine, --extended: write more of it"},
		{"--c 5 --t 2 --pro auto --ex modern --eng epoll --park 0s", "--conn-limit=5 --threads=2 --protocol=auto --extended=modern --engine=epoll --park-after=0s", ""},
		{"--verbose=2", "--verbose", ""},
		{"-m200m -c 64mb -o idle_timeout=5s,modern", "--memory-limit=200 --conn-limit=64 --extended=idle_timeout=5s,modern", ""},
		{"-p", "", "-p needs a value"},
		{"-vp", "", "-p needs a value"},
		{"--port", "", "--port needs a value"},
		{"-?", "", "unknown flag -?"},
		{"-vx", "", "unknown flag -x"},
		{"--porto 1", "", "unknown flag --porto"},
		{"--p 1", "", "--p may be --park-after, --pidfile, --port, --prefix-delimiter, --protocol: write more of it"},
		{"--mem 64", "", "--mem may be --memory-file, --memory-limit: write more of it"},
		{"--enable-s", "", "--enable-s may be --enable-sasl, --enable-shutdown, --enable-ssl: write more of it"},
		{"--enable-ss", "--enable-ssl", ""},
		{"--MEMORY-LIMIT=5", "", "unknown flag --MEMORY-LIMIT"},
		{"--", "", ""},
		{"--=5", "", "unknown flag --"},
		{"--daemon=", "", "--daemon takes no value"},
		{"-v1", "", "unknown flag -1"},
		{"probe -p 1", "", "unknown flag -p"},
	} {
		line := new(config.CommandLine)
		app := newApp(line, io.Discard, io.Discard)
		got, err := config.Normalise(app, line, append([]string{appName}, strings.Fields(test.typed)...))
		switch {
		case test.err != "":
			if err == nil || err.Error() != test.err {
				t.Errorf("%q: error %v, want %q", test.typed, err, test.err)
			}
		case err != nil:
			t.Errorf("%q: %v", test.typed, err)
		case !slices.Equal(got[1:], strings.Fields(test.want)):
			t.Errorf("%q: %q, want %q", test.typed, got[1:], test.want)
		}
	}
}

// TestFlagsHaveOneMeaning keeps two parts of the options from claiming a name.
func TestFlagsHaveOneMeaning(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range newApp(new(config.CommandLine), io.Discard, io.Discard).Flags {
		for _, name := range f.Names() {
			if seen[name] {
				t.Errorf("two flags are called %s", name)
			}
			seen[name] = true
		}
	}
}
