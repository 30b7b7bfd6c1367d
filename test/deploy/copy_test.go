package deploy

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ringcached/internal/servertest"
)

// copied are items that the script of docs/migrate.md copies: values that look like replies, of no byte and of many chunks, keys that a dump encodes.
var copied = []struct {
	key, value     string
	flags, seconds int // 0 seconds: for ever
}{
	{"plain", "value", 7, 0},
	{"reply", "VA 3 f0 t-1\r\nEND\r\n\x00\xff", 0, 100000},
	{"empty", "", 1, 0},
	{"100%25,\xc3\xa4=b", "encoded", 4294967295, 0},
	{"memc.sess.key.abc", strings.Repeat("session\n", 40000), 0, 100000},
}

const phpLock = "memc.sess.key.lock.abc"

// TestItemsAreTakenAlong runs the script of docs/migrate.md: it copies values, flags and the time that is left, and no lock.
func TestItemsAreTakenAlong(t *testing.T) {
	_, script, found := strings.Cut(read(t, migratePath), "\n```perl\n")
	script, _, ended := strings.Cut(script, "```\n")
	if !found || !ended {
		t.Fatal("the document has no script in Perl")
	}
	path := filepath.Join(t.TempDir(), "copy.pl")
	if err := os.WriteFile(path, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	from, to := servertest.Start(t, "epoll"), servertest.Start(t, "epoll")
	var sets strings.Builder
	for _, item := range copied {
		fmt.Fprintf(&sets, "set %s %d %d %d\r\n%s\r\n", item.key, item.flags, item.seconds, len(item.value), item.value)
	}
	fmt.Fprintf(&sets, "set %s 0 0 1\r\n1\r\n", phpLock)
	if got, want := talk(t, from, sets.String()), strings.Repeat("STORED\r\n", len(copied)+1); got != want {
		t.Fatalf("%q", got)
	}

	out, err := exec.Command("perl", "-w", path, from.Addr, to.Addr).CombinedOutput()
	if want := fmt.Sprintf("copied %d of %d\n", len(copied), len(copied)+1); err != nil || string(out) != want {
		t.Fatalf("%v: it says %q, want %q", err, out, want)
	}
	for _, item := range copied {
		want := fmt.Sprintf("VA %d f%d\r\n%s\r\n", len(item.value), item.flags, item.value)
		if got := talk(t, to, "mg "+item.key+" f v\r\n"); got != want {
			t.Errorf("%s: %.200q, want %.200q", item.key, got, want)
		}
		var left int
		if _, err := fmt.Sscanf(talk(t, to, "mg "+item.key+" t\r\n"), "HD t%d", &left); err != nil || (item.seconds == 0) != (left == -1) || left > item.seconds {
			t.Errorf("%s has %d seconds left of %d, %v", item.key, left, item.seconds, err)
		}
	}
	if got := talk(t, to, "get "+phpLock+"\r\n"); got != "END\r\n" {
		t.Errorf("the lock is %q", got)
	}
}

// talk sends requests, and returns all replies.
func talk(t *testing.T, s *servertest.Server, requests string) string {
	t.Helper()
	conn := s.Dial(t)
	defer conn.Close()
	if _, err := fmt.Fprint(conn, requests+"quit\r\n"); err != nil {
		t.Fatal(err)
	}
	replies, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(replies)
}
