package process

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestOwnFollowsNoLink: who may write to the folder of a socket gets no file that a link there leads to.
func TestOwnFollowsNoLink(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root gives files away: run the test as root")
	}
	dir := t.TempDir()
	file, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	const nobody = 65534
	if err := (Identity{uid: nobody, gid: nobody, Change: true}).Own(link); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]uint32{file: 0, link: nobody} {
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Sys().(*syscall.Stat_t).Uid; got != want {
			t.Errorf("%s belongs to user %d, want %d", filepath.Base(path), got, want)
		}
	}
}
