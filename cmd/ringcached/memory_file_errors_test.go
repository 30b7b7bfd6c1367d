package main

import (
	"errors"
	"fmt"
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

// TestMemoryFileLocked: -k locks what lies in the file as it is used, and what the limit takes away leaves the file.
func TestMemoryFileLocked(t *testing.T) {
	for place, file := range memoryFiles(t) {
		server := startLocked(t, "-e", file, "-m", "64")
		conn := server.Dial(t)
		storeMany(t, conn, "key", 60_000, 0, strings.Repeat("v", 900))
		if fields := mappingOf(t, server.PID, file); fields["Locked"] == "0 kB" {
			t.Errorf("%s: nothing of the file is locked: %v", place, fields)
		}
		full := blocksOf(t, file)
		if got := answer(t, conn, "cache_memlimit 16", 1); got != "OK\r\n" {
			t.Fatalf("%q", got)
		}
		servertest.Eventually(t, 20*time.Second, func() error {
			if now := blocksOf(t, file); now > full/2 {
				return fmt.Errorf("%s: the file takes %d KiB of %d", place, now>>10, full>>10)
			}
			return nil
		})
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	}
}

// mappingOf are the fields of /proc/PID/smaps for the mapping of a file.
func mappingOf(t *testing.T, pid int, file string) map[string]string {
	t.Helper()
	_, found, ok := strings.Cut(smapsOf(t, pid), " "+file+"\n")
	if !ok {
		t.Fatalf("%s is not mapped", file)
	}
	fields := map[string]string{}
	for line := range strings.Lines(found) {
		name, value, ok := strings.Cut(line, ":")
		if !ok || strings.Contains(name, "-") {
			break
		}
		fields[name] = strings.TrimSpace(value)
	}
	return fields
}

// blocksOf is how many bytes the file takes.
func blocksOf(t *testing.T, file string) int64 {
	t.Helper()
	var stat syscall.Stat_t
	if err := syscall.Stat(file, &stat); err != nil {
		t.Fatal(err)
	}
	return stat.Blocks * 512
}

// TestLockLimit: memory that may not be locked is a warning, with a file and without.
func TestLockLimit(t *testing.T) {
	for _, file := range [][]string{nil, {"-e", filepath.Join(servertest.PublicDir(t), "items")}} {
		out := refusal(t, true, "ulimit -l 64", append(file, "-k", "-m", "64", "-s", "/no/such/dir/socket")...)
		if !strings.Contains(out, "ringcached: warning: -k: can't lock memory: cannot allocate memory (raise the limit with LimitMEMLOCK=infinity in a unit, ulimit -l unlimited in a shell or ") {
			t.Errorf("%v: %q", file, out)
		}
	}
}

// TestMemoryFileRefused: files that can't be used end the server at its start, with the reason.
func TestMemoryFileRefused(t *testing.T) {
	dir := servertest.PublicDir(t)
	in := func(name string) string { return filepath.Join(dir, name) }
	if err := syscall.Mkfifo(in("pipe"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(in("text"), []byte("something else"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(in("other.meta"), 0o777); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ file, prepare, want string }{
		{dir, ":", "memory file: open " + dir + ": is a directory"},
		{in("no/items"), ":", "no such file or directory"},
		{in("pipe"), ":", in("pipe") + ": not a regular file"},
		{"/dev/null", ":", "/dev/null: not a regular file"},
		{in("text"), ":", in("text") + ": has something else in it, or was cut off; remove it, or name another"},
		{in("other"), ":", in("other.meta") + ": is a directory"},
		{in("long"), "ulimit -f 1024", "write " + in("long") + ": file too large"},
	} {
		if out := refusal(t, false, test.prepare, "-e", test.file, "-l", "127.0.0.1", "-p", "-1"); !strings.Contains(out, test.want+"\n") ||
			strings.Count(out, "\n") != 1 {
			t.Errorf("-e %s: %q, want %q", test.file, out, test.want)
		}
	}
}

// TestMemoryFileRemoved: a server whose file was removed does not say that it has kept what nobody will find.
func TestMemoryFileRemoved(t *testing.T) {
	for _, suffix := range []string{"", store.MetaSuffix} {
		file := filepath.Join(servertest.PublicDir(t), "items")
		server := servertest.Start(t, "epoll", "-e", file)
		answer(t, server.Dial(t), "set k 0 0 1\r\nv", 1)
		if err := os.Remove(file + suffix); err != nil {
			t.Fatal(err)
		}
		if err := server.Stop(); err != nil {
			t.Fatal(err)
		}
		wantLog(t, server, "warning: -e "+file+": the items are lost: a file was removed while the server ran\n")
	}
}

// TestMemoryFileSystems: a file system that is full, and one that can't be written to.
func TestMemoryFileSystems(t *testing.T) {
	dir := servertest.PublicDir(t)
	file := filepath.Join(dir, "items")
	mount := func(flags uintptr) {
		t.Helper()
		if err := syscall.Mount("ringcached-test", dir, "tmpfs", flags, "size=32m,mode=0777"); err != nil {
			t.Skipf("no file system can be mounted, %v: run the test as root, with the capability CAP_SYS_ADMIN", err)
		}
	}
	mount(0)
	t.Cleanup(func() { _ = syscall.Unmount(dir, 0) })
	const need = "needs 67117056 bytes more, and its file system has 33554432: no space left on device\n"
	if out := refusal(t, false, ":", "-e", file, "-m", "64", "-l", "127.0.0.1", "-p", "-1"); !strings.Contains(out, need) {
		t.Errorf("%q, want %q", out, need)
	}
	server := servertest.Start(t, "epoll", "-e", file, "-m", "16")
	answer(t, server.Dial(t), "set k 0 0 1\r\nv", 1)
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	mount(syscall.MS_REMOUNT | syscall.MS_RDONLY)
	for _, name := range []string{file, file + "new"} {
		if out := refusal(t, false, ":", "-e", name, "-m", "16", "-l", "127.0.0.1", "-p", "-1"); !strings.Contains(out, "open "+name+": read-only file system\n") {
			t.Errorf("%q", out)
		}
	}
	mount(syscall.MS_REMOUNT)
	server = servertest.Start(t, "epoll", "-e", file, "-m", "16")
	if got := answer(t, server.Dial(t), "get k", 3); got != "VALUE k 0 1\r\nv\r\nEND\r\n" {
		t.Errorf("%q", got)
	}
	// The snapshot has no room at the end.
	storeMany(t, server.Dial(t), "key", 60_000, 0, "v")
	if err := os.WriteFile(filepath.Join(dir, "large"), make([]byte, 32<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	wantLog(t, server, "warning: -e "+file+": the items are lost: write "+file+".meta: no space left on device\n")
	if err := os.Remove(filepath.Join(dir, "large")); err != nil {
		t.Fatal(err)
	}
	server = servertest.Start(t, "epoll", "-e", file, "-m", "16")
	wantLog(t, server, "starting empty: the server that used it was not stopped, but ended otherwise")
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
}

// refusal is what a server says that does not come to serve, run by a shell after prepare; as root or as nobody, where the test may choose.
func refusal(t *testing.T, unprivileged bool, prepare string, args ...string) string {
	t.Helper()
	args = append([]string{"-c", prepare + ` && exec "$0" "$@"`, servertest.Binary(), "-u", "nobody"}, args...)
	cmd := exec.Command("/bin/sh", args...)
	if os.Getuid() == 0 && unprivileged {
		const nobody = 65534
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Errorf("%v: exit code 0", args)
	}
	return string(out)
}
