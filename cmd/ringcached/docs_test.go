//go:build !emulated

package main

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"

	"ringcached/cmd/ringcached/config"
	"ringcached/internal/servertest"
)

// TestGeneratedDocs: what `make man completions statistics` writes is what the program says now.
func TestGeneratedDocs(t *testing.T) {
	for file, args := range map[string][]string{
		"ringcached.1":               {"man"},
		"statistics.md":              {"statistics"},
		"completion/ringcached.bash": {"completion", "bash"},
		"completion/_ringcached":     {"completion", "zsh"},
		"completion/ringcached.fish": {"completion", "fish"},
	} {
		want, err := os.ReadFile("../../docs/" + file)
		if err != nil {
			t.Error(err)
			continue
		}
		var stdout, stderr bytes.Buffer
		if code := run(append([]string{appName}, args...), &stdout, &stderr); code != 0 || stderr.Len() > 0 {
			t.Errorf("%v: exit code %d, %q", args, code, stderr.String())
		}
		if !bytes.Equal(stdout.Bytes(), want) {
			t.Errorf("docs/%s is out of date: make man completions statistics", file)
		}
	}
}

// TestFlagsAreGrouped: --help, the manual page and docs/commandline.md have the same flags in the same groups, in the same order.
func TestFlagsAreGrouped(t *testing.T) {
	var help, manual bytes.Buffer
	if run([]string{appName, "--help"}, &help, os.Stderr) != 0 || run([]string{appName, "man"}, &manual, os.Stderr) != 0 {
		t.Fatal("no help, or no manual page")
	}
	document, err := os.ReadFile("../../docs/commandline.md")
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{"help": help.String(), "man": manual.String(), "docs/commandline.md": string(document)}
	before, heading := map[string]string{"help": "", "man": ".SS ", "docs/commandline.md": "### "}, map[string]string{"help": ":\n"}
	for _, group := range newApp(new(config.CommandLine), os.Stdout, os.Stderr).Metadata["groups"].([]flagGroup) {
		if len(group.Flags) == 0 {
			t.Errorf("no flags in the group %s", group.Name)
		}
		for where, text := range texts {
			end := heading[where]
			if end == "" {
				end = "\n"
			}
			_, rest, found := strings.Cut(text, "\n"+before[where]+group.Name+end)
			if !found {
				t.Errorf("%s: no group %s", where, group.Name)
			}
			for _, f := range group.Flags {
				name := "--" + f.Names()[0]
				_, behind, found := strings.Cut(rest, name)
				if !found {
					t.Errorf("%s: %s is not in the group %s, or in another order", where, name, group.Name)
					continue
				}
				rest = behind
			}
			texts[where] = rest
		}
	}
}

// TestHelpBeginsWithTheBasics: who looks for -p, -m, -c or -l need not read on.
func TestHelpBeginsWithTheBasics(t *testing.T) {
	var help bytes.Buffer
	if run([]string{appName, "--help"}, &help, os.Stderr) != 0 {
		t.Fatal("no help")
	}
	_, flags, _ := strings.Cut(help.String(), "\n"+config.GroupBasic+":\n")
	for _, want := range []string{"-p, --port", "-m, --memory-limit", "-c, --conn-limit", "-l, --listen"} {
		line, rest, _ := strings.Cut(flags, "\n")
		if flags = rest; !strings.HasPrefix(strings.TrimSpace(line), want) {
			t.Errorf("%q stands where %s is to be", line, want)
		}
	}
}

// TestManualPage looks at the page as man shows it.
func TestManualPage(t *testing.T) {
	groff, err := exec.LookPath("groff")
	if err != nil {
		t.Fatal("no groff: scripts/install-test-deps installs it")
	}
	out, err := exec.Command(groff, "-man", "-Tascii", "-P-bcu", "-ww", "../../docs/ringcached.1").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"NAME", "SYNOPSIS", "DESCRIPTION", "SIGNALS", "ENVIRONMENT", "EXIT STATUS", "MEMCACHED_PORT_FILENAME", "EXTENDED OPTIONS", "STATISTICS", "EXAMPLES", "SEE ALSO"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %s in\n%s", want, out)
		}
	}
	if strings.Contains(string(out), "warning:") {
		t.Errorf("groff warns:\n%s", out)
	}
}

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
