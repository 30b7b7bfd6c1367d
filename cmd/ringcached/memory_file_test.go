package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ringcached/internal/servertest"
	"ringcached/store"
)

// memoryFiles are names for -e, on disk and in memory, where the system has a place for files there.
func memoryFiles(t *testing.T) map[string]string {
	files := map[string]string{"disk": filepath.Join(servertest.PublicDir(t), "items")}
	if dir, err := os.MkdirTemp("/dev/shm", "ringcached-test-"); err == nil {
		t.Cleanup(func() { os.RemoveAll(dir) })
		files["memory"] = filepath.Join(dir, "items")
		if err := os.Chmod(dir, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// answer sends a line and returns n lines of the answer.
func answer(t *testing.T, conn net.Conn, request string, n int) string {
	t.Helper()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second * servertest.Slow))
	if _, err := io.WriteString(conn, request+"\r\n"); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	var got strings.Builder
	for range n {
		line, err := in.ReadString('\n')
		if err != nil {
			t.Fatalf("%s: %q, %v", request, got.String(), err)
		}
		got.WriteString(line)
	}
	return got.String()
}

func TestWarmRestart(t *testing.T) {
	for place, file := range memoryFiles(t) {
		t.Run(place, func(t *testing.T) {
			servertest.EachEngine(t, func(t *testing.T, engine string) {
				t.Parallel()
				warmRestart(t, engine, file+engine)
			})
		})
	}
}

func warmRestart(t *testing.T, engine, file string) {
	flags := []string{"-e", file, "-m", "64", "-A"}
	server := servertest.Start(t, engine, flags...)
	wantLog(t, server, "-e "+file+": starting empty: it is new")
	if got := server.Stats(t, "settings")["memory_file"]; got != file {
		t.Errorf("memory_file is %q", got)
	}
	conn := server.Dial(t)
	const many = 20_000
	storeMany(t, conn, "many", many, 0, "a value")
	storeMany(t, conn, "timed", 10, 5000, "a value")
	answer(t, conn, fmt.Sprintf("set large 77 0 800000\r\n%s", strings.Repeat("large...", 100_000)), 1)
	answer(t, conn, "ms own 3 T9000 F12 E1234567890123\r\nown", 1)
	answer(t, conn, "set gone 0 0 1\r\nx\r\ndelete gone", 2)

	requests := []struct {
		line  string
		lines int
	}{{"gets many0", 3}, {"gets many19999", 3}, {"gets timed5", 3}, {"gets large", 3}, {"mg own v f c", 2}, {"get gone", 1}}
	var before []string
	for _, r := range requests {
		before = append(before, answer(t, conn, r.line, r.lines))
	}
	// Clients that have not finished what they began, and one that does not read its answers.
	fmt.Fprint(server.Dial(t), "set half 0 0 100000\r\nhalf of it")
	fmt.Fprint(server.Dial(t), strings.Repeat("get large\r\n", 50))
	for _, stop := range []func(){
		func() { _ = server.Signal(syscall.SIGTERM) },
		func() { _ = server.Signal(syscall.SIGINT) },
		func() { _ = server.Signal(syscall.SIGUSR1) },
		func() { fmt.Fprint(server.Dial(t), "shutdown\r\n") },
	} {
		stop()
		const items = many + 10 + 2
		wantLog(t, server, fmt.Sprintf("kept %d items in %s in ", items, file)) // in some seconds: one client does not read
		if err := server.Wait(); err != nil {
			t.Fatalf("%v\n%s", err, server.Log())
		}
		server = servertest.Start(t, engine, flags...)
		wantLog(t, server, fmt.Sprintf("took up %d items from %s in ", items, file))
		conn = server.Dial(t)
		for i, r := range requests {
			if got := answer(t, conn, r.line, r.lines); got != before[i] {
				t.Errorf("%s: %.200q, want %.200q", r.line, got, before[i])
			}
		}
		var ttl int
		if got := answer(t, conn, "mg timed5 t", 1); !scans(got, "HD t%d", &ttl) || ttl < 1 || ttl > 5000 {
			t.Errorf("time to live: %q", got)
		}
		// What the clock says is not what the store's second says, any more: the process is as old as it is.
		if up := server.Stat(t, "uptime"); up > 3600 {
			t.Errorf("up for %d seconds", up)
		}
	}
}

func scans(text, format string, to ...any) bool {
	n, err := fmt.Sscanf(text, format, to...)
	return err == nil && n == len(to)
}

// wantLog waits for a line: the server may have ended, and what it said not arrived yet.
func wantLog(t *testing.T, server *servertest.Server, want string) {
	t.Helper()
	servertest.Eventually(t, 20*time.Second, func() error {
		if said := server.Log(); !strings.Contains(said, want) {
			return fmt.Errorf("no %q in\n%s", want, said)
		}
		return nil
	})
}

// TestMemoryFileInUse: a second server on the file says so, and the first goes on. One that fails at its start leaves what was there.
func TestMemoryFileInUse(t *testing.T) {
	file := filepath.Join(servertest.PublicDir(t), "items")
	second := func(args ...string) string {
		cmd := exec.Command(servertest.Binary(), append([]string{"-u", "nobody", "-l", "127.0.0.1", "-e", file}, args...)...)
		out, err := cmd.CombinedOutput()
		if err == nil {
			t.Errorf("%v: exit code 0", args)
		}
		return string(out)
	}
	server := servertest.Start(t, "epoll", "-e", file)
	conn := server.Dial(t)
	answer(t, conn, "set k 0 0 1\r\nv", 1)
	if said := second("-p", "-1"); said != "ringcached: store: memory file "+file+": in use by another server\n" {
		t.Errorf("%q", said)
	}
	_, port, _ := net.SplitHostPort(servertest.Start(t, "epoll").Addr)
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	said := second("-p", port)
	for _, want := range []string{"took up 1 item from ", "kept 1 item in ", "address already in use"} {
		if !strings.Contains(said, want) {
			t.Errorf("no %q in\n%s", want, said)
		}
	}
	server = servertest.Start(t, "epoll", "-e", file)
	if got := answer(t, server.Dial(t), "get k", 3); got != "VALUE k 0 1\r\nv\r\nEND\r\n" {
		t.Errorf("%q", got)
	}
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	server = servertest.Start(t, "epoll", "-e", file, "-m", "128")
	wantLog(t, server, "starting empty: other settings: it was kept with memory limit 67108864, this is memory limit 134217728")
}

func TestCheckMemoryFile(t *testing.T) {
	for file, want := range map[string]string{
		"/no/such/dir/items":             "--memory-file=/no/such/dir/items\n;# warning: -e: /no/such/dir is no directory that can be written to\n",
		filepath.Join(t.TempDir(), "it"): "# keeps the items in ",
	} {
		code, stdout, stderr := runCheck("-e", file)
		for part := range strings.SplitSeq(want, ";") {
			if code != 0 || stderr != "" || !strings.Contains(stdout, part) {
				t.Errorf("%s: exit code %d, %q, no %q in\n%s", file, code, stderr, part, stdout)
			}
		}
		if strings.Contains(want, "warning") != strings.Contains(stdout, "warning") {
			t.Errorf("%s:\n%s", file, stdout)
		}
	}
}

// TestAge: between two servers the store's time passes as the wall clock's, which may have been set back.
func TestAge(t *testing.T) {
	wall := time.Unix(1_700_000_000, 0)
	for _, test := range []struct{ passed, want time.Duration }{{time.Minute, time.Hour + time.Minute}, {0, time.Hour}, {-24 * time.Hour, time.Hour}} {
		r := store.Restored{Wall: wall, Age: time.Hour}
		if got := age(r, wall.Add(test.passed)); got != test.want {
			t.Errorf("%v later: %v, want %v", test.passed, got, test.want)
		}
	}
}

// TestHugePagesInFile: that a file gets none is a warning, and the server serves.
func TestHugePagesInFile(t *testing.T) {
	for place, file := range memoryFiles(t) {
		server := servertest.Start(t, "epoll", "-L", "-e", file, "-m", "64")
		fields := mappingOf(t, server.PID, file)
		eligible, known := fields["THPeligible"]
		if !known || !strings.Contains(fields["VmFlags"], "hg") {
			t.Skip("this kernel does not tell THPeligible, or gives no huge pages: it takes 5.0 with CONFIG_TRANSPARENT_HUGEPAGE")
		}
		warning := "warning: -L: no huge pages for " + file + ": its file system has none"
		if warned := strings.Contains(server.Log(), warning); warned != (eligible == "0") {
			t.Errorf("%s: eligible is %s\n%s", place, eligible, server.Log())
		}
		answer(t, server.Dial(t), "set k 0 0 1\r\nv", 1)
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	}
}

// TestHugePagesOff: where nobody gets any, -L says so.
func TestHugePagesOff(t *testing.T) {
	enabled := hugePages(t)
	server := servertest.Start(t, "epoll", "-L", "-m", "64")
	off := strings.Contains(enabled, "[never]")
	if warned := strings.Contains(server.Log(), "warning: -L: no huge pages: "); warned != off {
		t.Errorf("%s%s", enabled, server.Log())
	}
}
