package store

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"ringcached/store/memory"
)

// smallItems is a store that is full of small items.
func smallItems(t *testing.T) *Store {
	t.Helper()
	s := open(t, growing())
	for i := 0; s.Stats().Evictions == 0; i++ {
		mustSet(t, s, fmt.Sprint("key", i), strings.Repeat("v", 1000))
	}
	return s
}

// makeHuge makes the huge pages that can be made within an hour, by a clock that does not wait. Where there can be none it skips the test.
func makeHuge(t *testing.T, s *Store, now time.Time) (later time.Time) {
	t.Helper()
	if size := memory.CollapsibleSize(); size == 0 || !memory.HugePagesAllowed(size) {
		t.Skip("no huge pages of 1 or 2 MiB: it takes a kernel with CONFIG_TRANSPARENT_HUGEPAGE, /sys mounted, and enabled not never")
	}
	// A page that the kernel is at work on is passed by, so there are several passes.
	for later = now.Add(time.Hour); now.Before(later); {
		now = now.Add(s.MakeHugePages(now))
	}
	if n := s.Stats(); n.HugeBytes == 0 && n.HugeFailures > 0 {
		t.Skip("the kernel makes no huge pages of memory that is in use: it takes 6.1, and some MiB in one piece")
	}
	return now
}

// inHugePages is how many bytes of a store's items and index the kernel has in huge pages.
func inHugePages(t *testing.T, s *Store) (bytes uint64) {
	t.Helper()
	smaps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	begins := regexp.MustCompile(`^([0-9a-f]+)-[0-9a-f]+ `)
	ours := false
	for line := range strings.Lines(string(smaps)) {
		if found := begins.FindStringSubmatch(line); found != nil {
			at, err := strconv.ParseUint(found[1], 16, 64)
			if err != nil {
				t.Fatal(err)
			}
			ours = false
			for _, m := range []*memory.Mapping{s.itemMemory, s.indexMemory, s.spillMemory} {
				base := uint64(uintptr(m.Base()))
				ours = ours || at >= base && at < base+uint64(len(m.Bytes()))
			}
		}
		if fields := strings.Fields(line); ours && fields[0] == "AnonHugePages:" {
			kb, err := strconv.ParseUint(fields[1], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			bytes += kb << 10
		}
	}
	return bytes
}

func TestMakeHugePages(t *testing.T) {
	s := smallItems(t)
	before := resident(t, s)
	makeHuge(t, s, time.Now())
	n := s.Stats()
	if n.HugeBytes == 0 || inHugePages(t, s) < n.HugeBytes { // there may be more, where all memory gets some
		t.Errorf("%d bytes in huge pages, %d after %d failures according to the statistics", inHugePages(t, s), n.HugeBytes, n.HugeFailures)
	}
	if after := resident(t, s); after != before {
		t.Errorf("%d MiB of items are resident, and were %d", after, before)
	}
	items := 0
	for i := range 20_000 {
		if value, ok := get(s, fmt.Sprint("key", i)); ok {
			items++
			if value != strings.Repeat("v", 1000) {
				t.Fatalf("key%d is %.40q", i, value)
			}
		}
	}
	if items != int(n.CurrItems) {
		t.Errorf("%d items of %d", items, n.CurrItems)
	}
}

// TestHugePagesOnlyOfWhatIsUsed: neither pages that are not full, nor those of items that leave much out, become huge pages.
func TestHugePagesOnlyOfWhatIsUsed(t *testing.T) {
	for _, test := range []struct {
		name        string
		items, size int
	}{{"no item", 0, 0}, {"half a page", 400, 1000}, {"large items", 600, 100_000}} {
		t.Run(test.name, func(t *testing.T) {
			s := open(t, growing())
			for i := range test.items {
				mustSet(t, s, fmt.Sprint("key", i), strings.Repeat("v", test.size))
			}
			makeHuge(t, s, time.Now())
			if n := s.Stats(); n.HugeBytes != 0 || n.HugeFailures != 0 {
				t.Errorf("%d bytes are in huge pages, %d failures", n.HugeBytes, n.HugeFailures)
			}
		})
	}
}

// makesNone fills a store with small items, and looks that no huge pages are made of its memory, nor tried.
func makesNone(t *testing.T, config Config) {
	t.Helper()
	s := open(t, config)
	for i := range 20_000 {
		mustSet(t, s, fmt.Sprint("key", i), strings.Repeat("v", 1000))
	}
	makeHuge(t, s, time.Now())
	if n := s.Stats(); n.HugeBytes+n.HugeFailures != 0 {
		t.Errorf("%d bytes are in huge pages, %d failures", n.HugeBytes, n.HugeFailures)
	}
}

// TestHugePagesNotOfFiles: a memory file is its file system's; the index beside it is not, but too small here.
func TestHugePagesNotOfFiles(t *testing.T) {
	config := growing()
	config.File = filepath.Join(t.TempDir(), "items")
	makesNone(t, config)
}

// TestHugePagesFromStart: of what has huge pages from the start none are made.
func TestHugePagesFromStart(t *testing.T) {
	if memory.HugePageSize() == 0 {
		t.Skip("no huge pages: it takes a kernel with CONFIG_TRANSPARENT_HUGEPAGE, and /sys mounted")
	}
	config := growing()
	config.HugePages = true
	makesNone(t, config)
}

// TestHugePagesGivenBack: a lower limit gives memory in huge pages back, and a higher one makes huge pages of it again.
func TestHugePagesGivenBack(t *testing.T) {
	s := smallItems(t)
	now := makeHuge(t, s, time.Now())
	before := s.Stats().HugeBytes
	if err := s.SetLimit(8 << 20); err != nil {
		t.Fatal(err)
	}
	settle(t, s)
	if n := resident(t, s); n > 8 {
		t.Errorf("%d MiB of items are still resident", n)
	}
	if n := s.Stats(); n.HugeBytes > 8<<20 || inHugePages(t, s) < n.HugeBytes {
		t.Errorf("%d bytes in huge pages, %d according to the statistics, and %d before", inHugePages(t, s), n.HugeBytes, before)
	}
	if err := s.SetLimit(16 << 20); err != nil {
		t.Fatal(err)
	}
	for i := range 30_000 {
		mustSet(t, s, fmt.Sprint("again", i), strings.Repeat("v", 1000))
	}
	makeHuge(t, s, now)
	if n := s.Stats(); n.HugeBytes < before && n.HugeFailures == 0 || inHugePages(t, s) < n.HugeBytes {
		t.Errorf("%d bytes in huge pages, %d according to the statistics, and %d before", inHugePages(t, s), n.HugeBytes, before)
	}
}
