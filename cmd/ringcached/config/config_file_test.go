package config

import (
	"strings"
	"testing"
)

func TestSplitShell(t *testing.T) {
	for line, want := range map[string]string{ // words are separated by |
		"":                           "",
		"  ":                         "",
		"-m 64":                      "-m|64",
		"-m\t64\t":                   "-m|64",
		"-m 64 # comment's":          "-m|64",
		"-m 64#comment":              "-m|64",
		"# -m 64":                    "",
		`-D \# -v`:                   "-D|#|-v",
		`-D '#' -D "#"`:              "-D|#|-D|#",
		`-Y "/etc/a b" -P '/run/$x'`: "-Y|/etc/a b|-P|/run/$x",
		`-Y /etc/a\ b`:               "-Y|/etc/a b",
		`-s /a"b c"'d e'f`:           "-s|/ab cd ef",
		`-o ""`:                      "-o|",
		`-o "a\"b\\c\d"`:             `-o|a"b\c\d`,
		`-l [::1]:11211`:             "-l|[::1]:11211",
		`-u '' x`:                    "-u||x",
	} {
		words, err := splitShell(line)
		if got := strings.Join(words, "|"); err != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", line, got, err, want)
		}
	}
	for line, want := range map[string]string{
		"-Y 'x":        "a quote ' is not closed",
		`-Y "x\"`:      `a quote " is not closed`,
		"-l $IP":       "$ has a meaning to a shell",
		`-l "$IP"`:     "$ has a meaning to a shell",
		"-l a;b":       "; has a meaning to a shell",
		"-m `nproc`":   "` has a meaning to a shell",
		"-v 2>>/dev/x": "> has a meaning to a shell",
	} {
		if words, err := splitShell(line); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %q, %v; want %s", line, words, err, want)
		}
	}
}

// FuzzConfigFile: whatever a file has in it, it is words or an error that names the line.
func FuzzConfigFile(f *testing.F) {
	for _, text := range []string{"-m 64 # x\n-d\nlogfile /x\n", "-Y 'a b'\\\n\"", "-l $IP", "-\r\n-dv\n\\#", "-o \"a\\\"b\""} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c := configFile{typed: "flags.conf", text: text}
		lines, err := c.lines(func(number int, line string) {
			if number < 1 || line == "" {
				t.Errorf("line %d is skipped: %q", number, line)
			}
		})
		if err != nil && !strings.HasPrefix(err.Error(), "flags.conf:") {
			t.Errorf("%v", err)
		}
		for _, line := range lines {
			if len(line.words) == 0 || !strings.HasPrefix(line.words[0], "-") {
				t.Errorf("line %d: %q", line.number, line.words)
			}
		}
	})
}
