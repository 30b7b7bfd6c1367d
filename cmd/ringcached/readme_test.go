package main

import (
	"io"
	"os"
	"strings"
	"testing"
)

// TestReadmeListsEveryFlag keeps the table of flags complete.
func TestReadmeListsEveryFlag(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	app := newApp(io.Discard, io.Discard)
	for _, f := range app.Flags {
		for _, name := range f.Names() {
			dashed := "`--" + name + "`"
			if len(name) == 1 {
				dashed = "`-" + name + "`"
			}
			if !strings.Contains(string(readme), dashed) {
				t.Errorf("README.md does not mention %s", dashed)
			}
		}
	}
	for _, name := range []string{"`-h`", "`--help`"} {
		if !strings.Contains(string(readme), name) {
			t.Errorf("README.md does not mention %s", name)
		}
	}
}
