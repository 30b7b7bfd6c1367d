package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestMain: with this in its environment the test program is the command.
func TestMain(m *testing.M) {
	if os.Getenv("ENTRYPOINT_TEST") != "" {
		main()
	}
	os.Exit(m.Run())
}

func TestCommandOf(t *testing.T) {
	for _, test := range []struct{ args, want []string }{
		{nil, []string{"ringcached"}},
		{[]string{"-m", "64"}, []string{"ringcached", "-m", "64"}},
		{[]string{"-m 8192", "--extended=modern"}, []string{"ringcached", "-m 8192", "--extended=modern"}},
		{[]string{"memcached", "-m", "64"}, []string{"memcached", "-m", "64"}},
		{[]string{"ringcached", "probe"}, []string{"ringcached", "probe"}},
	} {
		if got := commandOf(test.args); !slices.Equal(got, test.want) {
			t.Errorf("%q: %q, want %q", test.args, got, test.want)
		}
	}
}

// TestBecomesTheCommand: the program is replaced, with its arguments as they are, and what is not there is an error of one line.
func TestBecomesTheCommand(t *testing.T) {
	dir := t.TempDir()
	script := "#!/bin/sh\necho \"$$:$*\"\n"
	if err := os.WriteFile(filepath.Join(dir, "ringcached"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) (string, *exec.Cmd, error) {
		cmd := exec.Command("/proc/self/exe", args...)
		cmd.Env = []string{"ENTRYPOINT_TEST=1", "PATH=" + dir + ":/usr/bin:/bin"}
		out, err := cmd.CombinedOutput()
		return string(out), cmd, err
	}
	out, cmd, err := run("-m 64", "-v")
	number, args, _ := strings.Cut(strings.TrimSpace(out), ":")
	if err != nil || args != "-m 64 -v" {
		t.Errorf("%v: %q", err, out)
	}
	if want := cmd.Process.Pid; number != strconv.Itoa(want) {
		t.Errorf("ran as process %s, not in the place of %d", number, want)
	}
	out, cmd, _ = run("bash-of-another-image")
	if cmd.ProcessState.ExitCode() != 127 || strings.Count(out, "\n") != 1 || !strings.Contains(out, "bash-of-another-image") {
		t.Errorf("exit code %d: %q", cmd.ProcessState.ExitCode(), out)
	}
}
