//go:build !emulated

package main

import (
	"bytes"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"ringcached/cmd/ringcached/config"
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
	texts := map[string]string{"help": help.String(), "man": strings.ReplaceAll(manual.String(), `\-`, "-"), "docs/commandline.md": string(document)}
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
	for _, group := range newApp(new(config.CommandLine), os.Stdout, os.Stderr).Metadata["groups"].([]flagGroup) {
		for _, f := range group.Flags {
			entry := regexp.MustCompile(`(?m)^ +(-\w, )?--` + f.Names()[0] + `(=[A-Z]+)?$`)
			if n := len(entry.FindAll(out, -1)); n != 1 {
				t.Errorf("--%s has %d entries", f.Names()[0], n)
			}
		}
	}
}
