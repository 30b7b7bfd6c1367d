package store

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// TestLimitInFile lowers and raises the limit at any time, with the maintenance wherever it happens to be. Whenever that has come to an end the
// file takes as much as the limit, whatever was in use before; and the next store has every item.
func TestLimitInFile(t *testing.T) {
	for _, unit := range []uint32{1, 2, 4} {
		changeLimits(t, unit)
	}
}

func changeLimits(t *testing.T, unit uint32) {
	t.Helper()
	config := inFile(t)
	config.Limit = 32 << 20
	s := begun(t, config)
	random := rand.New(rand.NewPCG(13, 2))
	for round := range 60 {
		s.pool.unit = unit
		if round%3 > 0 { // the first time nothing has been used yet
			fillUp(t, s, fmt.Sprint(round, " "), random.IntN(400))
		}
		mib := 4 + random.IntN(29)
		if err := s.SetLimit(int64(mib) << 20); err != nil {
			t.Fatal(err)
		}
		if random.IntN(2) == 0 {
			for range random.IntN(20) {
				s.Maintain()
			}
			audit(t, s)
			continue
		}
		settle(t, s)
		wantLimit(t, s, mib)
		audit(t, s)
		if n := s.Stats(); n.LimitPending != 0 || n.LimitCuts != 0 {
			t.Errorf("%+v", n)
		}
		if got := blocks(t, s); got < int64(mib)<<20 || got > int64(unit)*int64(mib)<<20+beyond+64<<10 {
			t.Errorf("with a limit of %d MiB the file takes %d KiB", mib, got>>10)
		}
		if random.IntN(3) == 0 {
			s = reopened(t, s)
		}
	}
	s = reopened(t, s)
	end(t, s)
}

// TestLimitInFileAtOnce: setting a limit waits for no system call of the maintenance, and makes none.
func TestLimitInFileAtOnce(t *testing.T) {
	s := begun(t, inFile(t))
	defer s.Close()
	fillUp(t, s, "a", 100)
	if err := s.SetLimit(small.Limit / 2); err != nil {
		t.Fatal(err)
	}
	settle(t, s)
	low := blocks(t, s)
	if err := s.SetLimit(small.Limit); err != nil {
		t.Fatal(err)
	}
	n := s.Stats()
	if n.LimitPending != uint64(small.Limit)/2 || n.LimitBytes != uint64(small.Limit) || n.Pages != int(small.Limit/PageSize/2) {
		t.Errorf("%+v", n)
	}
	if got := blocks(t, s); got != low {
		t.Errorf("the file grew from %d to %d bytes", low, got)
	}
	// As if a slow system call were under way for one page.
	number, ok := s.pool.nextLacking()
	if !ok {
		t.Fatal("nothing is to be reserved")
	}
	for _, limit := range []int64{small.Limit / 2, small.Limit, small.Limit / 2} {
		if err := s.SetLimit(limit); err != nil {
			t.Fatal(err)
		}
	}
	s.pool.reserved(number) // and is not wanted any more
	settle(t, s)
	wantLimit(t, s, int(small.Limit/2>>20))
	audit(t, s)
	if got := blocks(t, s); got > low {
		t.Errorf("the file has %d bytes, %d before", got, low)
	}
}

// TestLimitInFullFile: where the file system has no more memory, the limit stays at what there is, and all that was there stays usable.
func TestLimitInFullFile(t *testing.T) {
	s := begun(t, inFile(t))
	fillUp(t, s, "a", 100)
	if err := s.SetLimit(small.Limit / 2); err != nil {
		t.Fatal(err)
	}
	settle(t, s)
	var limit, missing int64
	var why error
	s.OnLimitCut(func(l, m int64, err error) { limit, missing, why = l, m, err })
	writable := s.file.Items
	readable, err := os.Open(writable.Name()) // in it nothing can be reserved
	if err != nil {
		t.Fatal(err)
	}
	defer readable.Close()
	if err := s.SetLimit(small.Limit); err != nil {
		t.Fatal(err)
	}
	if !s.reservePage() { // one page can be had
		t.Fatal("nothing is to be reserved")
	}
	s.file.Items = readable
	settle(t, s)
	const mib = 5
	wantLimit(t, s, mib)
	if n := s.Stats(); n.LimitCuts != 1 || n.LimitPending != 0 {
		t.Errorf("%+v", n)
	}
	if limit != mib<<20 || missing != small.Limit-mib<<20 || !errors.Is(why, syscall.EBADF) {
		t.Errorf("told of a limit of %d, %d less: %v", limit, missing, why)
	}
	fillUp(t, s, "b", 100)
	audit(t, s)
	s.file.Items = writable
	if err := s.SetLimit(small.Limit); err != nil {
		t.Fatal(err)
	}
	settle(t, s)
	wantLimit(t, s, int(small.Limit>>20))
	audit(t, s)
	s = reopened(t, s)
	end(t, s)
}

// TestLimitUnderStress changes the limit of a file's store while others store and read. With and without the maintenance in the middle of a page
// no item is damaged.
func TestLimitUnderStress(t *testing.T) {
	config := inFile(t)
	config.Limit = 32 << 20
	for name, s := range map[string]*Store{"file": begun(t, config), "memory": open(t, growing())} {
		var done atomic.Bool
		var all sync.WaitGroup
		for range 2 {
			all.Go(func() {
				for !done.Load() {
					s.Maintain()
				}
			})
		}
		all.Go(func() {
			random := rand.New(rand.NewPCG(3, 7))
			for !done.Load() {
				if err := s.SetLimit(int64(4+random.IntN(28)) << 20); err != nil {
					panic(err)
				}
				s.Stats()
			}
		})
		for i := range 20_000 {
			key := fmt.Sprint("key", i%3000)
			if value, ok := get(s, key); ok && value != strings.Repeat(key, 1000) {
				t.Fatalf("%s: %s is damaged", name, key)
			}
			if err := set(s, key, strings.Repeat(key, 1000), 0, 0); err != nil && !errors.Is(err, ErrNoMemory) {
				t.Fatal(err)
			}
		}
		done.Store(true)
		all.Wait()
		settle(t, s)
		audit(t, s)
		if name == "file" {
			s = reopened(t, s)
			end(t, s)
		}
	}
}
