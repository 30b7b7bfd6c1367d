package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestUserFile(t *testing.T) {
	users, err := openUserFile("testdata/users")
	if err != nil {
		t.Fatal(err)
	}
	if n := users.count(); n != 3 {
		t.Errorf("%d users, want 3", n)
	}
	for _, test := range []struct {
		user, password string
		want           bool
	}{
		{"alice", "secret", true},
		{"bob", "two words", true},
		{"carol", "a:b", true},
		{"carol:a", "b", false}, // the same line, cut elsewhere
		{"alice", "Secret", false},
		{"alice", "secret\r", false},
		{"alice", "secre", false},
		{"alice", "", false},
		{"", "secret", false},
		{"", "", false},
		{"alice", "two words", false},
		{"dave", "secret", false},
	} {
		if got := users.Authenticate([]byte(test.user), []byte(test.password)); got != test.want {
			t.Errorf("%q with %q: %v, want %v", test.user, test.password, got, test.want)
		}
	}
}

func TestParseUsersRefuses(t *testing.T) {
	for in, want := range map[string]string{
		"":                           "no users",
		"\n\r\n":                     "no users",
		"alice":                      "line 1 is not user:password",
		"a:b\nalice\n":               "line 2 is not user:password",
		":secret":                    "line 1 is not user:password",
		"alice:":                     "line 1 is not user:password",
		strings.Repeat("a:b\n", 9):   "line 9 is one user too many, at most 8",
		strings.Repeat("x", 1<<16+1): "larger than 65536 bytes",
	} {
		if _, err := parseUsers([]byte(in)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v, want %q", in, err, want)
		}
	}
	if users, err := parseUsers([]byte(strings.Repeat("a:b\n", 8))); err != nil || len(users) != 8 {
		t.Errorf("8 users: %d, %v", len(users), err)
	}
}

// TestReloadKeepsUsers: a file that cannot be used changes nothing.
func TestReloadKeepsUsers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("old:password\n")
	users, err := openUserFile(path)
	if err != nil {
		t.Fatal(err)
	}
	knows := func(user string) bool { return users.Authenticate([]byte(user), []byte("password")) }
	write("nonsense\n")
	if err := users.reload(); err == nil || !knows("old") {
		t.Errorf("%v, the old user is known: %v", err, knows("old"))
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := users.reload(); err == nil || !knows("old") {
		t.Errorf("%v, the old user is known: %v", err, knows("old"))
	}
	write("new:password\n")
	if err := users.reload(); err != nil || knows("old") || !knows("new") {
		t.Errorf("%v, old %v, new %v", err, knows("old"), knows("new"))
	}
}

// FuzzParseUsers: whatever is a user can come in with the password, and nobody else by
// a different cut of the same text.
func FuzzParseUsers(f *testing.F) {
	f.Add([]byte("alice:secret\nbob:x:y\r\n"))
	f.Add([]byte(":\n::\na:"))
	f.Fuzz(func(t *testing.T, in []byte) {
		users, err := parseUsers(in)
		if err != nil {
			return
		}
		file := &userFile{}
		file.users.Store(&users)
		for line := range bytes.Lines(in) {
			line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
			for i, c := range line {
				if c != ':' {
					continue
				}
				first := !bytes.Contains(line[:i], []byte(":"))
				if got := file.Authenticate(line[:i], line[i+1:]); got != first {
					t.Errorf("%q cut at %d: %v", line, i, got)
				}
			}
		}
	})
}
