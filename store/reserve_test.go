package store

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"ringcached/store/memory"
)

// rlimitAS is RLIMIT_AS, which ulimit -v sets.
const rlimitAS = 9

// addressesVariable names the megabytes of address space that a process of TestReserve has beside what it has.
const addressesVariable = "STORE_TEST_ADDRESSES"

// limitAddresses limits this process to the given number of bytes more.
func limitAddresses(t *testing.T, more int64) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(text))[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	limit := uint64(pages*int64(os.Getpagesize()) + more)
	if err := syscall.Setrlimit(rlimitAS, &syscall.Rlimit{Cur: limit, Max: limit}); err != nil {
		t.Fatal(err)
	}
}

// TestReserve: under a limit on its address space a process has a store all the same, whose limit can be raised less, wherever the memory
// itself fits; and leaves some to others. Each limit is tried in a process of its own.
func TestReserve(t *testing.T) {
	if more := os.Getenv(addressesVariable); more != "" {
		megabytes, _ := strconv.ParseInt(more, 10, 64)
		limitAddresses(t, megabytes<<20)
		tryReserve(t, megabytes)
		return
	}
	for _, megabytes := range []int{50, 180, 250, 500, 1000, 2000, 5000, 9000, 9500, 10000, 11000, 12000, 13000, 20000} {
		t.Run(strconv.Itoa(megabytes), func(t *testing.T) {
			child := exec.Command(os.Args[0], "-test.run=^TestReserve$", "-test.count=1")
			// With the race detector threads are the C library's, which reserves 128 MB of address space for the malloc of each.
			child.Env = append(os.Environ(), addressesVariable+"="+strconv.Itoa(megabytes), "MALLOC_ARENA_MAX=1")
			if out, err := child.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

func tryReserve(t *testing.T, megabytes int64) {
	s, err := New(Config{Limit: 64 << 20, LimitMax: 8 << 30, ItemMax: 1 << 20, Factor: 1.25, ChunkMin: 48})
	switch {
	case megabytes < 100:
		if err == nil || !strings.Contains(err.Error(), "cannot allocate memory") {
			t.Errorf("a store in %d MB: %v", megabytes, err)
		}
		return
	case err != nil:
		t.Fatal(err)
	}
	defer s.Close()
	least := s.LimitMax() == 64<<20
	if least != (megabytes < 1000) || s.LimitMax() == 8<<30 != (megabytes >= 12000) {
		t.Errorf("with %d MB the limit can be raised to %d MB", megabytes, s.LimitMax()>>20)
	}
	if err := memory.CheckAddressSpace(addressSpaceForOthers); err != nil && !least {
		t.Error(err)
	}
	fillUp(t, s, "a", 200)
	if err := s.SetLimit(s.LimitMax()); err != nil {
		t.Error(err)
	}
	if err := s.SetLimit(s.LimitMax() + PageSize); err == nil {
		t.Error("more than LimitMax is no error")
	}
}
