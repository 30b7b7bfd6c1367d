//go:build !emulated

package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ringcached/internal/servertest"
)

// TestCompletion asks as the scripts do.
func TestCompletion(t *testing.T) {
	for _, test := range []struct{ typed, want, not string }{
		{"--mem", "--memory-limit", "--port"},
		{"-v --po", "--port", "--verbose"},
		{"-", "--engine", ""},
		{"check --li", "--listen", "--port"},
		{"", "check", ""},
		{"-m64 --un", "--unix-socket", ""},
		{"--", "", "-"}, // and it does not start the server
		{"--engine ''", "auto\nuring\nepoll\n", "-"},
		{"--engine=", "auto\nuring\nepoll\n", "-"},
		{"--listen", "--listen\n--listen-backlog\n", "engine"},
		{"check -vB ''", "auto\nascii\nbinary\n", "-"},
		{"-o ''", "idle_timeout=\n", "-"},
		{"-o ''", "\nno_maxconns_fast\n", "-"},
		{"--ring-features ''", "\nmultishot-recv\n", "engine"},
		{"--memory-file ''", "", "memory-file"}, // a file
		{"-m64 ''", "check", "engine=auto"},
		{"completion ''", "bash\nzsh\nfish\n", "-"},
	} {
		args := append(strings.Fields(strings.ReplaceAll(test.typed, "''", " EMPTY")), completionFlag)
		for i := range args {
			if args[i] == "EMPTY" {
				args[i] = ""
			}
		}
		out, err := exec.Command(servertest.Binary(), args...).CombinedOutput()
		if err != nil || !strings.Contains(string(out), test.want) || test.not != "" && strings.Contains(string(out), test.not) {
			t.Errorf("%q: %v\n%s", test.typed, err, out)
		}
	}
}

// TestBashCompletion runs the script. bash splits words at "=" before it asks.
func TestBashCompletion(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Fatal("no bash, which the scripts here need too")
	}
	const script = `. ../../docs/completion/ringcached.bash
ringcached() { "$RINGCACHED" "$@"; }
compopt() { :; }
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_ringcached
echo "${COMPREPLY[@]}"`
	for typed, want := range map[string]string{
		"-v --max":                         "--max-item-size --max-reqs-per-event",
		"--engine e":                       "epoll",
		"--engine = ur":                    "uring",
		"--engine =":                       "auto uring epoll",
		"-o no_max":                        "no_maxconns_fast",
		"-o track_sizes,no_max":            "track_sizes,no_maxconns_fast",
		"-o idle_timeout = 5,no_max":       "5,no_maxconns_fast",
		"-o idle":                          "idle_timeout=",
		"-o idle_timeout = 5":              "",
		"--ring-features = no-iowait,sing": "no-iowait,single-issuer",
		"--memory-file /tm":                "",
	} {
		cmd := exec.Command(bash, append([]string{"-c", script, "bash", "ringcached"}, strings.Fields(typed)...)...)
		cmd.Env = append(os.Environ(), "RINGCACHED="+servertest.Binary())
		out, err := cmd.CombinedOutput()
		if err != nil || string(out) != want+"\n" {
			t.Errorf("%q: %v, %q, want %q", typed, err, out, want)
		}
	}
}

// inShell is a command in a home of its own, where the server is found as ringcached.
func inShell(t *testing.T, shell string, args ...string) *exec.Cmd {
	t.Helper()
	path, err := exec.LookPath(shell)
	if err != nil {
		t.Fatalf("no %s: scripts/install-test-deps installs it", shell)
	}
	home := t.TempDir()
	if err := os.Symlink(servertest.Binary(), filepath.Join(home, appName)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute*servertest.Slow) // for a shell that waits for somebody
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_DATA_HOME="+home, "ZDOTDIR="+home, "TERM=xterm", "PATH="+home+":"+os.Getenv("PATH"))
	return cmd
}

// TestFishCompletion asks fish what it offers.
func TestFishCompletion(t *testing.T) {
	for typed, want := range map[string]string{
		"-v --max":                        "--max-item-size --max-reqs-per-event",
		"check --li":                      "--listen --listen-backlog",
		"--engine ":                       "auto epoll uring",
		"check --engine=":                 "--engine=auto --engine=epoll --engine=uring",
		"-o no_max":                       "no_maxconns_fast",
		"-o track_sizes,no_max":           "track_sizes,no_maxconns_fast",
		"-o idle":                         "idle_timeout=",
		"--ring-features no-iowait,sing":  "no-iowait,single-issuer",
		"completion ":                     "bash fish zsh",
		"":                                "check completion man probe statistics",
		"check ":                          "",
		"-m ":                             "",
		"--memory-file testdata/memc":     "testdata/memcached.conf",
		"check --config testdata/memc":    "testdata/memcached.conf",
		"-vY testdata/us":                 "testdata/users",
		"--unix-socket=testdata/memcache": "--unix-socket=testdata/memcached.conf",
	} {
		out, err := inShell(t, "fish", "-c", ". ../../docs/completion/ringcached.fish; complete -C $argv[1]", "ringcached "+typed).CombinedOutput()
		var words []string
		for line := range strings.Lines(string(out)) {
			word, _, _ := strings.Cut(strings.TrimSpace(line), "\t") // behind it is what the word means
			words = append(words, word)
		}
		slices.Sort(words)
		if got := strings.Join(words, " "); err != nil || got != want {
			t.Errorf("%q: %v, %q, want %q", typed, err, got, want)
		}
	}
}

// zshTest is what is typed, the line that comes of it, and what is offered.
type zshTest struct{ typed, line, words string }

// TestZshCompletion presses the key in an interactive zsh that finds the script in its folder, and in one that has read it.
func TestZshCompletion(t *testing.T) {
	tests := []zshTest{
		{"--engine e", "--engine epoll ", "epoll"}, // the first one makes zsh find the script
		{"-v --max", "-v --max-", "--max-item-size --max-reqs-per-event"},
		{"--engine=", "--engine=", "auto epoll uring"},
		{"--engine=ur", "--engine=uring ", "uring"},
		{"-o no_max", "-o no_maxconns_fast ", "no_maxconns_fast"},
		{"-o track_sizes,no_max", "-o track_sizes,no_maxconns_fast ", "no_maxconns_fast"},
		{"-o idle", "-o idle_timeout=", "idle_timeout="},
		{"completion ", "completion ", "bash fish zsh"},
		{"pro", "probe ", "probe"},
		{"--memory-file testdata/memc", "--memory-file testdata/memcached.conf ", "memcached.conf testdata"},
	}
	for how, tests := range map[string][]zshTest{"found": tests, "read": tests[:2]} {
		var lines strings.Builder
		for _, test := range tests {
			lines.WriteString(appName + " " + test.typed + "\n")
		}
		dir := t.TempDir()
		typed, result := filepath.Join(dir, "typed"), filepath.Join(dir, "result")
		if err := os.WriteFile(typed, []byte(lines.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := inShell(t, "zsh", "-f", "testdata/complete.zsh", how, typed, result).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		text, err := os.ReadFile(result)
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
		if len(got) != 2*len(tests) {
			t.Fatalf("%s: %q", how, got)
		}
		for i, test := range tests {
			words := strings.Fields(got[2*i+1])
			slices.Sort(words)
			if offered := strings.Join(slices.Compact(words), " "); got[2*i] != appName+" "+test.line || offered != test.words {
				t.Errorf("%s: %q becomes %q with %q, want %q with %q", how, test.typed, got[2*i], offered, test.line, test.words)
			}
		}
	}
}
