package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"ringcached/cmd/ringcached/config"
	"ringcached/internal/servertest"
)

// TestDocumentListsEveryFlag keeps the tables of flags complete.
func TestDocumentListsEveryFlag(t *testing.T) {
	document, err := os.ReadFile("../../docs/commandline.md")
	if err != nil {
		t.Fatal(err)
	}
	app := newApp(new(config.CommandLine), io.Discard, io.Discard)
	for _, f := range app.Flags {
		for _, name := range f.Names() {
			dashed := "`--" + name + "`"
			if len(name) == 1 {
				dashed = "`-" + name + "`"
			}
			if !strings.Contains(string(document), dashed) {
				t.Errorf("docs/commandline.md does not mention %s", dashed)
			}
		}
	}
	for _, name := range []string{"`-h`", "`--help`"} {
		if !strings.Contains(string(document), name) {
			t.Errorf("docs/commandline.md does not mention %s", name)
		}
	}
}

// sessionInput is what the user types in the README's session.
const sessionInput = `set greeting 0 300 5
hello
get greeting
set visits 0 0 2
41
incr visits 1
stats batch
quit
`

// TestReadmeSession types the README's session into a real netcat, started as it says, and compares the output.
func TestReadmeSession(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(readme), "\n$ nc -C 127.0.0.1 11211\n")
	block, _, ended := strings.Cut(block, "```")
	if !ended {
		t.Fatal("README.md has no session that begins with nc -C 127.0.0.1 11211")
	}
	var want []string
	typed := strings.Split(strings.TrimSuffix(sessionInput, "\n"), "\n")
	for line := range strings.Lines(block) {
		if line = strings.TrimSuffix(line, "\n"); len(typed) > 0 && line == typed[0] {
			typed = typed[1:]
			continue
		}
		want = append(want, line)
	}
	if len(typed) > 0 {
		t.Fatalf("the session lacks the line %q", typed[0])
	}
	s := servertest.Start(t, "auto")
	host, port, _ := strings.Cut(s.Addr, ":")
	nc := exec.CommandContext(t.Context(), "nc", "-C", host, port)
	nc.Stdin = strings.NewReader(sessionInput)
	var said bytes.Buffer
	nc.Stdout, nc.Stderr = &said, &said
	if err := nc.Run(); err != nil {
		t.Fatalf("nc: %v (package netcat-openbsd; make test installs it): %s", err, &said)
	}
	got := strings.Split(strings.ReplaceAll(said.String(), "\r\n", "\n"), "\n")
	// The statistics differ from machine to machine: their names must be there.
	for i, line := range want {
		switch {
		case strings.HasPrefix(line, "STAT "):
			name := strings.Join(strings.Fields(line)[:2], " ") + " "
			if !strings.Contains(said.String(), name) {
				t.Errorf("no line %q in %q", name, said.String())
			}
		case line == "..." || i > 0 && want[i-1] == "...":
		case i >= len(got) || got[i] != line:
			t.Fatalf("line %d of the session is to be %q: %q", i+1, line, got)
		}
	}
}
