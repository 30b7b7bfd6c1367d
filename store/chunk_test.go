package store

import (
	"fmt"
	"strings"
	"testing"
)

// TestSharing: a class without a page, in a store where the others have one each, lives in theirs as long as they use them.
func TestSharing(t *testing.T) {
	for _, shared := range []int{60, 300, 1500, 6000, 20_000} {
		t.Run(fmt.Sprint(shared, " bytes"), func(t *testing.T) {
			config := small
			config.Limit = 4 << 20
			s := open(t, config)
			for _, n := range []int{60, 300, 1500, 6000, 20_000} {
				if n != shared {
					for i := range PageSize / (n + 100) / 2 {
						mustSet(t, s, fmt.Sprint(n, "-", i), strings.Repeat("v", n))
					}
				}
			}
			c := s.classFor(headerSize + shared + 20)
			key, value := func(i int) string { return fmt.Sprint("shared", i) }, strings.Repeat("s", shared)
			for i := range 3000 {
				mustSet(t, s, key(i), value)
				wantValue(t, s, key(i), value)
			}
			n := s.Stats()
			if len(c.pages) != 0 || n.PagesMoved != 0 {
				t.Errorf("while all are in use it got %d pages, and %d were moved", len(c.pages), n.PagesMoved)
			}
			s.SetNow(s.Now() + 4*colderBy)
			for i := range 3000 {
				mustSet(t, s, key(i), value)
			}
			if len(c.pages) == 0 {
				t.Error("it got no page although the others have been idle for long")
			}
		})
	}
}

// TestDensity counts the items that 64 MB hold.
func TestDensity(t *testing.T) {
	for _, c := range []struct{ key, value, least int }{
		{20, 32, 700_000},
		{20, 200, 245_000},
		{30, 1000, 58_000},
	} {
		t.Run(fmt.Sprintf("%d+%d", c.key, c.value), func(t *testing.T) {
			s := open(t, Config{Limit: 64 << 20, ItemMax: 1 << 20, Factor: 1.25, ChunkMin: 48})
			value := strings.Repeat("v", c.value)
			for i := 0; s.Stats().Evictions == 0; i++ {
				for j := range 1000 {
					mustSet(t, s, fmt.Sprintf("%0*d", c.key, i*1000+j), value)
				}
			}
			if n := s.Stats().CurrItems; n < uint64(c.least) {
				t.Errorf("%d items, want %d", n, c.least)
			} else {
				t.Logf("%d items", n)
			}
		})
	}
}

// TestClassesSuitMemcachedsUsers: what fits a class of memcached's fits the one of the same number, so that a growth factor that was
// found for some sizes does not have to be found again. memcached 1.6 shows these classes for -f 1.25 and -f 1.08.
func TestClassesSuitMemcachedsUsers(t *testing.T) {
	for factor, theirs := range map[float64][]int{
		1.25: {96, 120, 152, 192, 240, 304, 384, 480, 600, 752, 944, 1184, 1480, 1856, 2320, 2904, 3632, 4544, 5680, 7104, 8880, 11104, 13880, 17352, 21696},
		1.08: {96, 104, 112, 120, 136, 152, 168, 184, 200, 216, 240, 264, 288, 312, 336, 368, 400, 432, 472, 512, 552, 600, 648, 704, 760, 824, 896, 968, 1048},
	} {
		ours := chunkSizes(48, factor, 8)
		for i, size := range theirs {
			if want := size - 32; ours[i] < want {
				t.Errorf("factor %v: class %d has chunks of %d bytes, want %d", factor, i+1, ours[i], want)
			}
		}
	}
}
