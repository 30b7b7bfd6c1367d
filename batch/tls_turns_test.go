package batch

import (
	"os"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestShortTurns: channels whose server speaks TLS ask for the shortest time slice, and those of others leave theirs alone.
func TestShortTurns(t *testing.T) {
	var kept time.Duration
	if err := onThread(func() error {
		if err := shortenTurns(); err != nil {
			return err
		}
		attr, err := unix.SchedGetAttr(0, 0)
		kept = time.Duration(attr.Runtime)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if kept != turn {
		t.Skipf("this kernel keeps a time slice of %v: it needs Linux 6.12", kept)
	}
	for _, setup := range setups(t) {
		t.Run(setup.name, func(t *testing.T) {
			before := withShortTurns(t) // of servers before; a channel's thread is never used again
			s := start(t, setup.change, func(c *Config) { c.Threads = 3 })
			eventually(t, "all channels serve", func() bool { return int(s.started.Load()) == 3 })
			want, n := 0, 0
			if s.config.TLS != nil {
				want = 3
			}
			for id := range withShortTurns(t) {
				if !before[id] {
					n++
				}
			}
			if n != want {
				t.Errorf("%d threads ask for it, want %d", n, want)
			}
		})
	}
}

// withShortTurns returns which threads of the process have the shortest time slice.
func withShortTurns(t *testing.T) map[int]bool {
	t.Helper()
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	short := map[int]bool{}
	for _, task := range tasks {
		id, err := strconv.Atoi(task.Name())
		if err != nil {
			t.Fatal(err)
		}
		attr, err := unix.SchedGetAttr(id, 0)
		if err == nil && attr.Runtime == uint64(turn) { // else it has ended meanwhile, or takes turns of another length
			short[id] = true
		}
	}
	return short
}
