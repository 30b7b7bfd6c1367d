package store

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestLimitOnFullDisk: when others have filled the disk after the limit was lowered, what is reserved can still be written to: pages beside holes
// too. On ext4 with large folios that is a SIGBUS, if a hole is in the folio.
func TestLimitOnFullDisk(t *testing.T) {
	dir := t.TempDir()
	image, disk := filepath.Join(dir, "image"), filepath.Join(dir, "disk")
	if err := os.Mkdir(disk, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, 160<<20); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkfs.ext4", "-q", "-F", "-m", "0", image).CombinedOutput(); err != nil {
		t.Skipf("no file system can be made, %v: %s", err, out)
	}
	if out, err := exec.Command("mount", "-o", "loop", image, disk).CombinedOutput(); err != nil {
		t.Skipf("no file system can be mounted, %v: %s: run the test as root, with loop devices", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", disk).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	config := growing()
	config.Limit, config.File = 64<<20, filepath.Join(disk, "items")
	s := begun(t, config)
	fillUp(t, s, "a", 600)
	for i := range 600 { // leaves pages of every tenth ten items, so that holes lie between those that stay
		if i/10%2 == 0 {
			remove(s, fmt.Sprint("a", i))
		}
	}
	if err := s.SetLimit(20 << 20); err != nil {
		t.Fatal(err)
	}
	settle(t, s)
	if got := blocks(t, s); got > 41<<20 { // of two pages side by side one may stay
		t.Errorf("the file takes %d MiB", got>>20)
	}
	fillDisk(t, filepath.Join(disk, "other"))
	fillUp(t, s, "b", 1000) // a SIGBUS would end the test
	audit(t, s)
	if err := s.SetLimit(64 << 20); err != nil {
		t.Fatal(err)
	}
	settle(t, s)
	if n := s.Stats(); n.LimitCuts != 1 {
		t.Errorf("%+v", n)
	}
	fillUp(t, s, "c", 1000)
	audit(t, s)
	if err := os.Remove(filepath.Join(disk, "other")); err != nil {
		t.Fatal(err)
	}
	s = reopened(t, s)
	end(t, s)
}

// fillDisk writes a file until there is no room for a byte more.
func fillDisk(t *testing.T, name string) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, size := range []int{1 << 20, 4096} {
		for err = nil; err == nil; {
			_, err = f.WriteString(strings.Repeat("x", size))
		}
		_ = f.Sync()
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
}
