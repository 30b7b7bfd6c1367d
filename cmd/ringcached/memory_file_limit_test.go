package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"ringcached/internal/servertest"
)

// TestMemoryLimitUnderStrace: memory of the file is given back and reserved by system calls of four seconds each, of which a change of the limit
// takes 56. Nobody waits for them, however often the limit changes, and a stop waits for one at most. The next server has the items, and all of
// the file.
func TestMemoryLimitUnderStrace(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		t.Parallel()
		file := filepath.Join(servertest.PublicDir(t), "items")
		flags := []string{"-e", file, "-m", "64"}
		server := servertest.StartCommand(t, engine, func(args []string) *exec.Cmd {
			args = append(append(underStrace("fallocate:delay_enter=4000000"), servertest.Binary()), args...)
			return exec.Command(args[0], args[1:]...)
		}, flags...)
		conn := server.Dial(t)
		storeMany(t, conn, "a", 700, 0, strings.Repeat("v", 100_000))
		full := blocksOf(t, file)
		answer(t, conn, "cache_memlimit 8", 1)
		servertest.Eventually(t, patience, func() error {
			if now := blocksOf(t, file); now == full {
				return errors.New("no page is given back")
			}
			return nil
		})
		for i := range 20 {
			for _, limit := range []int{64, 8, 33, 64} {
				if got := answer(t, conn, fmt.Sprint("cache_memlimit ", limit), 1); got != "OK\r\n" {
					t.Fatalf("%q", got)
				}
				request := fmt.Sprintf("set b%d 0 0 1\r\nv\r\nget b%d", i, i)
				if got, want := answer(t, conn, request, 4), fmt.Sprintf("STORED\r\nVALUE b%d 0 1\r\nv\r\nEND\r\n", i); got != want {
					t.Fatalf("%q, want %q", got, want)
				}
			}
			if i == 0 && server.Stat(t, "memlimit_pending_bytes") == 0 {
				t.Error("no page is waited for: the system calls were not slow, or something has waited for them")
			}
		}
		if n := server.Stat(t, "limit_maxbytes"); n != 64<<20 {
			t.Errorf("limit_maxbytes is %d", n)
		}
		if err := server.Stop(); err != nil {
			t.Fatal(err)
		}
		wantLog(t, server, "kept ")

		server = servertest.Start(t, engine, flags...)
		wantLog(t, server, "took up ")
		if got := answer(t, server.Dial(t), "get b19", 3); got != "VALUE b19 0 1\r\nv\r\nEND\r\n" {
			t.Errorf("%q", got)
		}
		if now := blocksOf(t, file); now < full {
			t.Errorf("the file has %d KiB, %d before", now>>10, full>>10)
		}
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestMemoryLimitLeavesFile: on every file system what a lower limit takes away leaves the file. On ext4 since Linux 6.16 a write beside a hole fills
// it again, so of two pages side by side both go, or none.
func TestMemoryLimitLeavesFile(t *testing.T) {
	for place, file := range memoryFiles(t) {
		server := servertest.Start(t, "epoll", "-e", file, "-m", "128")
		conn := server.Dial(t)
		storeMany(t, conn, "a", 300, 0, strings.Repeat("v", 500_000))
		if got := answer(t, conn, "cache_memlimit 16", 1); got != "OK\r\n" {
			t.Fatalf("%q", got)
		}
		servertest.Eventually(t, patience, func() error {
			if now := blocksOf(t, file); now > 33<<20 {
				return fmt.Errorf("%s: the file takes %d MiB", place, now>>20)
			}
			return nil
		})
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	}
}

// TestHandOverWhileLimitChanges: whatever page the maintenance is at, the next server takes up what was kept, and has all of the file again.
func TestHandOverWhileLimitChanges(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine string) {
		t.Parallel()
		k := newKeeper(t, engine)
		l := k.start()
		full := blocksOf(t, filepath.Join(k.dir, "items"))
		for round := range 6 {
			conn, err := l.dial()
			if err != nil {
				t.Fatal(err)
			}
			storeMany(t, conn, "a", 700, 0, strings.Repeat("v", 100_000))
			for _, limit := range [][]int{{8}, {8, 64}, {8, 64, 8, 40, 20}}[round%3] {
				if got := answer(t, conn, fmt.Sprint("cache_memlimit ", limit), 1); got != "OK\r\n" {
					t.Fatalf("%q", got)
				}
			}
			conn.Close()
			l.handOver()
			if now := blocksOf(t, filepath.Join(k.dir, "items")); now < full {
				t.Errorf("round %d: the file has %d KiB, %d before", round, now>>10, full>>10)
			}
		}
		l.WantLog("took up ", 6) // a goroutine of its own writes the log
		said := l.Said()
		kept := regexp.MustCompile(`kept (\d+) items`).FindAllStringSubmatch(said, -1)
		taken := regexp.MustCompile(`took up (\d+) items`).FindAllStringSubmatch(said, -1)
		if len(kept) != 6 || len(taken) != 6 {
			t.Fatal(said)
		}
		for i := range kept {
			if kept[i][1] != taken[i][1] || kept[i][1] == "0" {
				t.Errorf("%s items were kept, %s taken up", kept[i][1], taken[i][1])
			}
		}
		l.Signal(syscall.SIGTERM)
		l.WantGone(l.PID)
	})
}

// TestMemoryLimitInFullFileSystem: others have taken the memory that a lower limit gave back. A higher one gets what is left, and the log and the
// statistics say so; when there is room again so does the next command.
func TestMemoryLimitInFullFileSystem(t *testing.T) {
	dir := servertest.PublicDir(t)
	if err := syscall.Mount("ringcached-test", dir, "tmpfs", 0, "size=48m,mode=0777"); err != nil {
		t.Skipf("no file system can be mounted, %v: run the test as root, with the capability CAP_SYS_ADMIN", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	file, other := filepath.Join(dir, "items"), filepath.Join(dir, "other")
	server := servertest.Start(t, "epoll", "-e", file, "-m", "32")
	conn := server.Dial(t)
	storeMany(t, conn, "a", 300, 0, strings.Repeat("v", 100_000))
	answer(t, conn, "cache_memlimit 8", 1)
	servertest.Eventually(t, patience, func() error {
		if now := blocksOf(t, file); now > 9<<20 {
			return fmt.Errorf("the file takes %d KiB", now>>10)
		}
		return nil
	})
	if err := os.WriteFile(other, make([]byte, 28<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := answer(t, conn, "cache_memlimit 32", 1); got != "OK\r\n" {
		t.Fatalf("%q", got)
	}
	eventuallyStat(t, server, "memlimit_cut_short", func(n int) bool { return n == 1 })
	limit := server.Stat(t, "limit_maxbytes") >> 20
	if limit <= 8 || limit >= 20 || server.Stat(t, "memlimit_pending_bytes") != 0 || server.Stat(t, "maxbytes", "settings")>>20 != limit {
		t.Errorf("limit_maxbytes is %d MiB: %v", limit, server.Stats(t, "settings"))
	}
	servertest.Eventually(t, patience, func() error {
		if want := fmt.Sprintf("cache_memlimit: the limit is %d megabytes, %d less than requested: store: memory file %s: reserve ", limit, 32-limit, file); !strings.Contains(server.Log(), want) {
			return fmt.Errorf("no %q in %s", want, server.Log())
		}
		return nil
	})
	storeMany(t, conn, "b", 300, 0, strings.Repeat("v", 100_000)) // all of it can be used
	if err := os.Remove(other); err != nil {
		t.Fatal(err)
	}
	answer(t, conn, "cache_memlimit 32", 1)
	servertest.Eventually(t, patience, func() error {
		if now := blocksOf(t, file); now < 32<<20 || server.Stat(t, "memlimit_pending_bytes") != 0 {
			return fmt.Errorf("the file takes %d KiB", now>>10)
		}
		return nil
	})
	if err := server.Stop(); err != nil {
		t.Error(err)
	}
}
