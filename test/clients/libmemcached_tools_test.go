package clients

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ringcached/internal/servertest"
)

// tools are libmemcached's command line tools as Debian names them, told of one
// server and perhaps of a user.
type tools struct {
	server  *servertest.Server
	options []string
}

// run expects an exit code; the tools exit with 1 where a key is missing or a
// value was refused.
func (l tools) run(t *testing.T, exitCode int, name string, args ...string) string {
	t.Helper()
	args = append(append([]string{"--servers=" + l.server.Addr}, l.options...), args...)
	out, code := tryClient(t, name, args...)
	if code != exitCode {
		t.Errorf("%s %s: exit code %d, want %d\n%s", name, strings.Join(args, " "), code, exitCode, out)
	}
	return out
}

// TestLibmemcachedTools stores files, reads them back, looks at them and removes
// them, in both protocols.
func TestLibmemcachedTools(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		server := servertest.Start(t, engine)
		toolsSession(t, tools{server, nil})
		toolsSession(t, tools{server, []string{"--binary"}})
		toolsSession(t, tools{server, []string{"--non-blocking", "--tcp-nodelay"}})
	})
}

// TestLibmemcachedToolsSASL is the same with authentication, which libmemcached
// has for the binary protocol.
func TestLibmemcachedToolsSASL(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		server := servertest.Start(t, engine, withUsers(t)...)
		as := func(user, password string) tools {
			return tools{server, []string{"--binary", "--username=" + user, "--password=" + password}}
		}
		toolsSession(t, as(userName, userPassword))
		for _, intruder := range []tools{as(userName, "wrong"), as("bob", userPassword), {server, []string{"--binary"}}} {
			out := intruder.run(t, 1, "memccp", writeFile(t, "document", "text"))
			if !strings.Contains(out, "AUTHENTICATION FAILURE") {
				t.Errorf("%v: %s", intruder.options, out)
			}
		}
		as(userName, userPassword).run(t, 1, "memcexist", "document")
	})
}

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func toolsSession(t *testing.T, l tools) {
	t.Helper()
	text := strings.Repeat("a line of text\n", 5000)
	file := writeFile(t, "document", text)
	l.run(t, 0, "memccp", "--flags=77", "--expire=1000", file)
	if out := l.run(t, 0, "memccat", "document"); out != text+"\n" {
		t.Errorf("memccat: %d bytes, want %d", len(out), len(text)+1)
	}
	if out := l.run(t, 0, "memccat", "--flags", "document"); !strings.HasPrefix(out, "77\n") {
		t.Errorf("memccat --flags: %.20q", out)
	}
	l.run(t, 0, "memcexist", "document")
	l.run(t, 0, "memctouch", "--expire=100", "document")
	l.run(t, 1, "memccp", "--add", file)
	l.run(t, 0, "memccp", "--replace", writeFile(t, "document", "replaced"))
	if out := l.run(t, 0, "memccat", "document"); out != "replaced\n" {
		t.Errorf("after replace: %.20q", out)
	}
	toolsStats(t, l)

	l.run(t, 0, "memcrm", "document")
	for _, missing := range []string{"memcrm", "memcexist", "memccat", "memctouch"} {
		l.run(t, 1, missing, "document")
	}
	l.run(t, 1, "memccp", "--replace", file)
	l.run(t, 0, "memccp", "--add", file)

	large := strings.Repeat("0123456789abcdef", 65520)
	l.run(t, 0, "memccp", writeFile(t, "large", large))
	if out := l.run(t, 0, "memccat", "large"); out != large+"\n" {
		t.Errorf("large: %d bytes, want %d", len(out), len(large)+1)
	}
	if out := l.run(t, 1, "memccp", writeFile(t, "large", large+large)); !strings.Contains(out, "ITEM TOO BIG") {
		t.Errorf("too large: %s", out)
	}
	l.run(t, 0, "memcflush")
	l.run(t, 1, "memcexist", "document")
}

func toolsStats(t *testing.T, l tools) {
	t.Helper()
	out := l.run(t, 0, "memcstat")
	for _, line := range []string{"\tcurr_items: 1\n", "\tthreads: ", "\tversion: "} {
		if !strings.Contains(out, line) {
			t.Errorf("memcstat: no %q in\n%s", line, out)
		}
	}
	if out := l.run(t, 0, "memcstat", "settings"); !strings.Contains(out, "\titem_size_max: 1048576\n") {
		t.Errorf("memcstat settings:\n%s", out)
	}
	_, version, _ := strings.Cut(out, "\tversion: ")
	version, _, _ = strings.Cut(version, "\n")
	if out := l.run(t, 0, "memcstat", "--server-version"); strings.TrimSpace(out) != l.server.Addr+" "+version {
		t.Errorf("memcstat --server-version: %q, want %s", out, version)
	}
	if !slices.Contains(l.options, "--binary") { // the tool's own text session
		l.run(t, 0, "memcstat", "--analyze=latency", "--iterations=20")
	}
}

// TestMemcping: the tool has no option for the protocol.
func TestMemcping(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		runClient(t, "memcping", "--servers="+servertest.Start(t, engine).Addr)
		if out, code := tryClient(t, "memcping", "--servers=127.0.0.1:1"); code != 1 {
			t.Errorf("with no server: exit code %d\n%s", code, out)
		}
	})
}
